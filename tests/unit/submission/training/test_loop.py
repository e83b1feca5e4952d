"""Runs on a few tiny images: exact resume, budgets, stops, and what is left on the disk."""

from __future__ import annotations

import csv
import errno
import json
import os
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import training.loop
from data.augmentation import Augmentation
from data.class_folders import list_class_folders
from data.pixel_store import PixelStore, decode_into_store
from data.scaling import IMAGENET_MEAN, IMAGENET_STD
from errors import Stopped, SubmissionError
from models.resnet import ResNet, ResNetConfig
from training.devices import Compute, make_deterministic, memory_format
from training.distributed import Group
from training.files import sha256
from training.loop import Run, Settings, Watch
from training.measure import Measured
from training.plan import Budget, Plan, Stage

CPU = Compute(torch.device("cpu"), None, False)
MakeRun = Callable[..., Run]


@pytest.fixture
def make_run(class_folders: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MakeRun:
    # drawing takes longer than these runs; tests/unit/submission/plots looks at the real figure
    monkeypatch.setattr(training.loop, "draw_curves", lambda records: b"%d rows" % len(records))
    files = list_class_folders(class_folders(classes=3, images=7, size_px=20))
    kept = {}

    def stores(store_px: int, size_px: int) -> tuple[PixelStore, PixelStore | None]:
        for size in (store_px, size_px):
            if size not in kept:
                kept[size] = decode_into_store(
                    files.paths, files.targets, size, workers=1, device=CPU.device
                )
        return kept[store_px], kept[size_px]

    def make(
        folder: str = "run", epochs: int | None = 4, seconds: float | None = None, **more: Any
    ):
        (tmp_path / folder).mkdir(exist_ok=True)
        seed = more.pop("seed", 5)
        make_deterministic(seed)
        settings = Settings(
            plan=Plan(
                stages=(
                    Stage(size_px=8, store_px=12, share=0.5, batch_size=5),
                    Stage(size_px=12, store_px=12, share=0.5, batch_size=4),
                ),
                peak_learning_rate=0.1,
            ),
            budget=Budget(epochs, seconds),
            augmentation=Augmentation(cutmix=0.5, erase=0.5),
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            seed=seed,
        )
        network = ResNet(ResNetConfig(n=1, num_classes=3, widths=(8, 8, 16)))
        metadata = {"n": 1, "num_classes": 3, "class_names": list(files.class_names)}
        return Run(
            network, replace(settings, **more), stores, CPU, Group(), tmp_path / folder, metadata
        )

    return make


def weights(run: Run) -> dict[str, torch.Tensor]:
    return torch.load(run.folder / "resnet_model.pth", weights_only=True)


def assert_same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> None:
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name


def stop_at_step(run: Run, step: int) -> None:
    """Send this process a Ctrl-C when the run takes that step."""
    take = run._step

    def stepping(*arguments: Any) -> None:
        take(*arguments)
        if run.position.step == step:
            os.kill(os.getpid(), signal.SIGINT)

    run._step = stepping


# 21 images: 4 steps an epoch with batches of 5, 5 with batches of 4
@pytest.mark.parametrize("step", [1, 3, 4, 8, 9, 15, 18])
def test_a_stopped_and_resumed_run_equals_one_that_was_not(make_run: MakeRun, step: int) -> None:
    whole = make_run("whole")
    whole.train()
    assert whole.position.step == 4 * 2 + 5 * 2

    halved = make_run("halved")
    stop_at_step(halved, step)
    with pytest.raises(Stopped, match="--resume"):
        halved.train()
    assert halved.position.step == step
    again = make_run("halved")
    assert again.resume()
    again.train()

    assert_same(weights(again), weights(whole))
    assert_same(again.network.state_dict(), whole.network.state_dict())
    kept = ("train_loss", "train_accuracy", "held_out_accuracy", "size_px", "step")
    for ours, theirs in zip(again.position.records, whole.position.records, strict=True):
        assert [getattr(ours, k) for k in kept] == [getattr(theirs, k) for k in kept]


def test_a_run_that_was_stopped_when_its_time_was_over_is_finished(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, 0.0)
    run = make_run(epochs=None, seconds=100.0)
    run.began = -99.0
    stop_at_step(run, 2)
    take = run._step

    def stepping(*arguments: Any) -> None:
        take(*arguments)
        clock.now += 0.6

    run._step = stepping
    with pytest.raises(Stopped):
        run.train()
    again = make_run(epochs=None, seconds=100.0)
    assert again.resume()
    again.train()
    (record,) = again.position.records
    assert (record.step, record.size_px) == (2, 12)
    assert json.loads((run.folder / "metadata.json").read_text())["size_px"] == 12


def test_a_snapshot_of_another_precision_goes_on(make_run: MakeRun) -> None:
    """A run in bfloat16 or float32 has no scale of gradients that one in float16 could take up."""
    make_run(epochs=1).train()
    again = make_run(epochs=1)
    again.scaler = torch.amp.GradScaler("cpu", enabled=True)
    assert again.resume()


def test_the_learning_rate_that_is_told_is_that_of_the_batches(make_run: MakeRun) -> None:
    stage = Stage(size_px=8, store_px=12, share=1.0, batch_size=64)  # there are 21 images
    run = make_run(epochs=3, plan=Plan((stage,), peak_learning_rate=0.1))
    run.train()
    used = run.optimizer.param_groups[0]["lr"]
    assert run.position.records[-1].learning_rate == pytest.approx(used)


def test_a_stage_trains_on_smaller_crops_than_it_is_measured_on(make_run: MakeRun) -> None:
    stage = Stage(size_px=12, store_px=12, share=1, batch_size=5, crop_px=8)
    run = make_run(epochs=1, plan=Plan((stage,), peak_learning_rate=0.1))
    sides = set()
    for network in (run.network, run.average.network):
        network.register_forward_pre_hook(
            lambda module, images: sides.add((module.training, images[0].shape[-1]))
        )
    run.train()
    assert sides == {(True, 8), (False, 12)}
    assert run.position.records[0].size_px == 12


def test_a_seed_decides_the_weights(make_run: MakeRun) -> None:
    first, second, other = make_run("a"), make_run("b"), make_run("c", seed=6)
    for run in (first, second, other):
        run.train()
    assert_same(weights(first), weights(second))
    assert not torch.equal(weights(first)["conv1.weight"], weights(other)["conv1.weight"])


def test_it_learns(make_run: MakeRun) -> None:
    run = make_run(epochs=12)
    run.train()
    records = run.position.records
    assert records[-1].train_loss < 0.75 * records[0].train_loss
    assert run.position.best_accuracy > 0.6


def test_files_of_a_finished_run(make_run: MakeRun) -> None:
    run = make_run(epochs=3)
    run.train()
    names = {path.name for path in run.folder.iterdir()}
    assert names == {
        "resnet_model.pth",
        "metadata.json",
        "resume.pth",
        "curves.csv",
        "curves.png",
    }
    with (run.folder / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["epoch"] for row in rows] == ["1", "2", "3"]
    assert {row["size_px"] for row in rows} == {"8", "12"}
    assert (run.folder / "curves.png").read_bytes() == b"3 rows"
    saved = weights(run)
    assert all(tensor.is_contiguous() for tensor in saved.values())
    ResNet(ResNetConfig(n=1, num_classes=3, widths=(8, 8, 16))).load_state_dict(saved)


def test_resuming_a_finished_run_changes_nothing(make_run: MakeRun) -> None:
    run = make_run(epochs=2)
    run.train()
    before = (run.folder / "resnet_model.pth").read_bytes()
    again = make_run(epochs=2)
    assert again.resume()
    again.train()
    assert (run.folder / "resnet_model.pth").read_bytes() == before


def test_time_ends_a_run_at_the_end_of_its_schedule(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(10**6))
    monkeypatch.setattr(training.loop.time, "monotonic", lambda: float(next(clock)))
    run = make_run(epochs=None, seconds=400.0)
    run.train()
    assert 380 < run.position.records[-1].seconds < 420
    rates = [record.learning_rate for record in run.position.records]
    assert rates[-1] < 0.02 * max(rates)
    assert {record.size_px for record in run.position.records} == {8, 12}


class Clock:
    """Goes on by `seconds_per_look` whenever somebody looks at it, and when it is told to."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, seconds_per_look: float) -> None:
        self.now = 0.0
        self.seconds_per_look = seconds_per_look
        monkeypatch.setattr(training.loop.time, "monotonic", self.look)

    def look(self) -> float:
        self.now += self.seconds_per_look
        return self.now


@pytest.mark.parametrize(
    ("reading_seconds", "entered"), [((0.0, 70.0), True), ((60.0, 0.0), False)]
)
def test_a_stage_that_there_is_no_time_for_leaves_the_last_ones_network(
    make_run: MakeRun,
    monkeypatch: pytest.MonkeyPatch,
    reading_seconds: tuple[float, float],
    entered: bool,
) -> None:
    """Whether the reading outlasts the budget unforeseen, or is known to from the stage before."""
    clock = Clock(monkeypatch, 0.5)
    run = make_run(epochs=None, seconds=100.0)
    read, asked = run.stores, []

    def stores(store_px: int, size_px: int) -> tuple[PixelStore, PixelStore | None]:
        clock.now += reading_seconds[len(asked)]
        asked.append(size_px)
        return read(store_px, size_px)

    run.stores = stores
    run.train()
    assert asked == ([8, 12] if entered else [8])
    assert {record.size_px for record in run.position.records} == {8}
    metadata = json.loads((run.folder / "metadata.json").read_text())
    assert metadata["size_px"] == 8
    assert metadata["held_out_accuracy"] == run.position.best_accuracy
    assert clock.now < (140 if entered else 110)


def test_a_budget_without_a_first_step_is_said(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    Clock(monkeypatch, 1.0)
    run = make_run(epochs=None, seconds=3.0)
    with pytest.raises(SubmissionError, match=r"before a first step.*--minutes"):
        run.train()
    assert list(run.folder.iterdir()) == []


def test_a_budget_within_the_first_epoch_leaves_weights(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, 0.0)
    run = make_run(epochs=None, seconds=100.0)
    run.began = -30.0  # the program started before the run
    take = run._step

    def stepping(*arguments: Any) -> None:
        take(*arguments)
        clock.now += 40.0

    run._step = stepping
    run.train()
    assert run.position.step == 2
    assert weights(run)["fc.weight"].shape == (3, 16)


def test_a_snapshot_of_other_settings_is_refused(make_run: MakeRun) -> None:
    make_run().train()
    with pytest.raises(SubmissionError, match=r"other settings \(seed\)"):
        make_run(seed=7).resume()
    with pytest.raises(SubmissionError, match="budget"):
        make_run(epochs=9).resume()
    with pytest.raises(SubmissionError, match=r"\(images\); give the same options and the same im"):
        make_run(images="another split").resume()
    other = make_run()
    other.metadata["groups"] = 4
    with pytest.raises(SubmissionError, match="groups"):
        other.resume()


@pytest.mark.parametrize("content", [b"", b"rubbish"])
def test_a_broken_snapshot_is_refused_in_words(make_run: MakeRun, content: bytes) -> None:
    run = make_run()
    (run.folder / "resume.pth").write_bytes(content)
    with pytest.raises(SubmissionError, match=r"resume\.pth"):
        run.resume()
    torch.save({"settings": run._identity()}, run.folder / "resume.pth")
    with pytest.raises(SubmissionError, match="start anew"):
        run.resume()


def test_nothing_to_resume(make_run: MakeRun) -> None:
    assert make_run().resume() is False


def test_a_full_disk_is_said_and_the_last_good_file_stays(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = make_run(epochs=1)
    run.train()
    good = (run.folder / "resnet_model.pth").read_bytes()

    def full(path: Path, _content: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))

    monkeypatch.setattr(training.loop, "write_atomically", full)
    with pytest.raises(SubmissionError, match="No space left"):
        make_run(epochs=2).train()
    assert "next save tries again" in capsys.readouterr().err
    assert (run.folder / "resnet_model.pth").read_bytes() == good


def test_metadata_never_describes_weights_that_could_not_be_saved(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk with room for metadata.json alone; and a Ctrl-C then does not call all saved."""
    make_run(epochs=1).train()
    write, room = training.loop.write_atomically, 4096

    def nearly_full(path: Path, content: bytes) -> None:
        if len(content) > room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
        write(path, content)

    monkeypatch.setattr(training.loop, "write_atomically", nearly_full)
    run = make_run(seed=6)
    before = {
        name: (run.folder / name).read_bytes() for name in ("resnet_model.pth", "metadata.json")
    }
    stop_at_step(run, 5)
    with pytest.raises(SubmissionError, match=r"resnet_model\.pth.*No space left.*make room"):
        run.train()
    assert {name: (run.folder / name).read_bytes() for name in before} == before

    room = 10**9  # both are written again, the weights first
    again = make_run(seed=6, epochs=1)
    again.unsaved = {"metadata.json": b"of weights before"}
    again.train()
    metadata = json.loads((again.folder / "metadata.json").read_text())
    assert metadata["checkpoint_sha256"] == sha256((again.folder / "resnet_model.pth").read_bytes())


def test_a_stop_in_the_first_epoch_keeps_what_an_earlier_run_left(make_run: MakeRun) -> None:
    def contents() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in run.folder.iterdir()}

    run = make_run(epochs=1)
    run.train()
    before = contents()
    run = make_run(seed=6)
    stop_at_step(run, 2)
    with pytest.raises(Stopped, match="earlier run"):
        run.train()
    assert contents() == before

    # once a snapshot of this run lies there, it goes on being kept; the weights still stay
    run = make_run(seed=6, snapshot_seconds=0.0)
    stop_at_step(run, 2)
    with pytest.raises(Stopped, match=r"--resume goes on from here; resnet_model\.pth is left"):
        run.train()
    assert contents()["resnet_model.pth"] == before["resnet_model.pth"]
    assert contents()["metadata.json"] == before["metadata.json"]
    again = make_run(seed=6, snapshot_seconds=0.0)
    assert again.resume()
    assert again.position.step == 2


def test_a_loss_that_is_no_number_saves_nothing(make_run: MakeRun) -> None:
    run = make_run()
    with torch.no_grad():
        run.network.fc.bias.fill_(float("nan"))
    with pytest.raises(SubmissionError, match="--lr"):
        run.train()
    assert not (run.folder / "resnet_model.pth").exists()


@pytest.mark.parametrize("ends", ["epoch", "snapshot", "stop"])
def test_weights_that_are_no_numbers_replace_nothing(make_run: MakeRun, ends: str) -> None:
    """The last step diverges, whose loss was taken before: of 5 in the epoch, or of 2."""
    make_run(epochs=1).train()
    last = 4 if ends == "epoch" else 2
    run = make_run(epochs=2, snapshot_seconds=0.0 if ends == "snapshot" else 60.0)
    before = {path.name: path.read_bytes() for path in run.folder.iterdir()}
    if ends == "stop":
        (run.folder / "resume.pth").unlink()
        del before["resume.pth"]
        stop_at_step(run, last)
    take = run._step

    def stepping(*arguments: Any) -> None:
        take(*arguments)
        if run.position.step < last:
            run.saved_at = run._elapsed() + 60.0  # no snapshot yet
        else:
            run.saved_at = -1.0
            with torch.no_grad():
                run.network.conv1.weight.fill_(float("nan"))

    run._step = stepping
    with pytest.raises(SubmissionError, match=r"weights became infinite in epoch 1.*--lr"):
        run.train()
    assert {path.name: path.read_bytes() for path in run.folder.iterdir()} == before


def test_a_held_out_loss_that_is_no_number_replaces_nothing(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run()
    found = Measured(float("inf"), torch.eye(3, dtype=torch.int64))
    monkeypatch.setattr(training.loop, "measure_store", lambda *_: found)
    with pytest.raises(SubmissionError, match="held-out loss became inf"):
        run.train()
    assert not (run.folder / "resnet_model.pth").exists()


class _SecondRank(Group):
    """The second of two ranks, whose peer has every held-out image right and hears no faults."""

    def agree(self, value: float) -> float:
        self.__dict__.setdefault("asked", []).append(value)
        return 1.0

    def any(self, flag: bool) -> bool:
        return flag


def test_ranks_stop_early_together(make_run: MakeRun) -> None:
    """By what the first rank measures: the running statistics of the others differ."""
    run = make_run(epochs=9)
    run.group = _SecondRank(rank=1, local_rank=1, size=1)
    run._share = lambda _entered: min(run.position.epoch / 9, 1.0)
    run.watch = Watch(patience=3)
    run.train()
    assert [record.held_out_accuracy for record in run.position.records] == [1.0] * 4
    assert run.position.has_stalled


def test_the_first_rank_alone_saves_when_all_are_stopped(make_run: MakeRun) -> None:
    run = make_run(epochs=9)
    run.group = _SecondRank(rank=1, local_rank=1, size=1)
    run._share = lambda _entered: 0.1
    stop_at_step(run, 6)
    with pytest.raises(Stopped, match="first process"):
        run.train()
    assert run.group.asked[-1] == 0.0  # it has waited for the first one
    assert list(run.folder.iterdir()) == []


def test_a_stop_before_the_first_epoch_leaves_weights(make_run: MakeRun) -> None:
    run = make_run()
    before = signal.getsignal(signal.SIGINT)  # a background job starts with the signal ignored
    stop_at_step(run, 1)
    with pytest.raises(Stopped):
        run.train()
    assert weights(run)["fc.weight"].shape == (3, 16)
    assert signal.getsignal(signal.SIGINT) is before


def test_narrow_networks_stay_clear_of_a_broken_kernel() -> None:
    wide, narrow = (ResNet(ResNetConfig(1, 3, widths=widths)) for widths in ((8, 8, 8), (8, 6, 8)))
    assert memory_format(wide) is torch.channels_last
    assert memory_format(narrow) is torch.contiguous_format
