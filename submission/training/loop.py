"""Train a classifier within a budget, so that it can be killed at any moment and go on exactly.

The order of the images depends on (seed, epoch), the augmentation of a batch on (seed, step,
rank): there is no random state to save, and a run that was stopped and resumed takes the same
steps as one that was not.
"""

from __future__ import annotations

import math
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import torch
from torch import Tensor, nn

from data.augmentation import Augmentation, augment
from data.pixel_store import PixelStore
from errors import Stopped, SubmissionError
from models.loading import METADATA_NAME
from plots.curves import draw_curves
from plots.metrics import draw_metrics
from training.averaging import WeightAverage, is_finite
from training.devices import Compute, memory_format
from training.distributed import Group
from training.files import (
    json_to_bytes,
    load_tensors,
    sha256,
    tensors_to_bytes,
    write_atomically,
)
from training.history import EpochRecord, history_to_csv, rows_to_csv
from training.measure import Measured, measure_store
from training.plan import Budget, Plan, Stage

CHECKPOINT_NAME = "resnet_model.pth"
SNAPSHOT_NAME = "resume.pth"
SECONDS_BETWEEN_LINES = 10.0
_NETWORK_KEYS = ("n", "num_classes", "class_names", "widths", "norm", "groups")


@dataclass(frozen=True)
class Settings:
    """What a run is; two runs with equal settings on one device give equal weights."""

    plan: Plan
    budget: Budget
    augmentation: Augmentation
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    seed: int
    images: str = ""  # `hash_split` of what is trained on and held out
    momentum: float = 0.9
    weight_decay: float = 5e-4
    label_smoothing: float = 0.1
    average_decay: float = 0.998
    snapshot_seconds: float = 60.0


@dataclass
class Position:
    """Where a run stands. `offset` counts images of the current epoch over all ranks."""

    epoch: int = 0
    offset: int = 0
    step: int = 0
    stage: int = 0  # of the last step
    elapsed_seconds: float = 0.0
    best_stage: int = -1
    best_accuracy: float = -1.0
    records: list[EpochRecord] = field(default_factory=list)
    measured: list[dict[str, float]] = field(default_factory=list)
    has_stalled: bool = False


@dataclass
class _Sums:
    """Running sums of one epoch, on the device until they are asked for."""

    loss: Tensor
    correct: Tensor
    images: int = 0
    seconds: float = 0.0


Stores = Callable[[int, int], tuple[PixelStore, PixelStore | None]]
"""(store_px, size_px) → training images at store_px, held-out images at size_px or None."""


@dataclass(frozen=True)
class StageImages:
    """A stage of the plan with its images, which took `seconds` to be read."""

    index: int
    stage: Stage
    store: PixelStore
    held_out: PixelStore | None
    seconds: float = 0.0


@dataclass(frozen=True)
class Watch:
    """What is done beside training. `both_splits`: measure the training images, too, after every
    epoch, into metrics.csv and metrics.png (the store must have the size of the stage). `patience`:
    stop after so many epochs without a better held-out accuracy; None: never."""

    both_splits: bool = False
    patience: int | None = None


class Run:
    """One training run, its state and its files in `folder`."""

    def __init__(
        self,
        network: nn.Module,
        settings: Settings,
        stores: Stores,
        compute: Compute,
        group: Group,
        folder: Path,
        metadata: Mapping[str, Any],
        watch: Watch = Watch(),
        began: float | None = None,
    ) -> None:
        """`began`: when the budget's time began to run, by `time.monotonic()`; None: when `train`
        is called."""
        self.watch = watch
        self.began = began
        self.settings = settings
        self.stores = stores
        self.compute = compute
        self.group = group
        self.folder = folder
        self.metadata = dict(metadata)
        self.network = network.to(compute.device, memory_format=memory_format(network))
        self.parallel = group.wrap(self.network, compute.device)
        self.average = WeightAverage(self.network, settings.average_decay)
        decayed = [p for p in self.network.parameters() if p.dim() > 1]
        others = [p for p in self.network.parameters() if p.dim() <= 1]
        self.optimizer = torch.optim.SGD(
            [{"params": decayed}, {"params": others, "weight_decay": 0.0}],
            lr=1.0,
            momentum=settings.momentum,
            weight_decay=settings.weight_decay,
            nesterov=True,
        )
        self.scaler = torch.amp.GradScaler(compute.device.type, enabled=compute.scales_gradients)
        self.position = Position()
        self.sums = self._no_sums()
        self.stop_signal: int | None = None
        self.unsaved: dict[str, bytes] = {}
        self.saved: set[str] = set()  # names in the folder that are this run's
        self.last_error = ""

    # ------------------------------------------------------------------ the run

    def train(self) -> Position:
        """Take the run to its end. Raises Stopped after a signal, with everything saved, and
        SubmissionError when nothing could be trained or saved."""
        with self._signals_noted():
            began = time.monotonic() if self.began is None else self.began
            self.started = began - self.position.elapsed_seconds
            self.saved_at = self.said_at = self._elapsed()
            entered: StageImages | None = None
            # A stage counts from its first step on: until then the network is the last one's.
            trained: StageImages | None = None
            share = 1.0
            while not self.position.has_stalled and (share := self._share(entered)) < 1.0:
                if entered is None or self._another_stage_is_due(entered, share):
                    entered = self._enter(self.settings.plan.stage_index(share))
                    continue  # decoding took time
                self._step(entered, share)
                trained = entered
                if self._epoch_is_over(trained):
                    self._finish_epoch(trained, share)
                if self.group.any(self.stop_signal is not None):
                    self._stop()
                if self._elapsed() - self.saved_at > self.settings.snapshot_seconds:
                    self._save_snapshot()
            if self.position.step == 0:
                raise SubmissionError(
                    f"{self.folder}: the time was over after {self._elapsed():.0f} s, before a "
                    "first step; nothing is trained and nothing was saved; give more --minutes"
                )
            if self.sums.images:
                # none was trained in where a run goes on whose time was over when it was stopped
                self._finish_epoch(trained or self._enter(self.position.stage), share)
            self._save_snapshot()
            self._require_saved()
        return self.position

    def _enter(self, index: int) -> StageImages:
        stage = self.settings.plan.stages[index]
        self._say(f"crops of {stage.crop_px} px, cut from {stage.store_px} px")
        began = time.monotonic()
        store, held_out = self.stores(stage.store_px, stage.size_px)
        return StageImages(index, stage, store, held_out, time.monotonic() - began)

    def _another_stage_is_due(self, entered: StageImages, share: float) -> bool:
        """Not where all the time that is left would go into reading its images."""
        index = self.settings.plan.stage_index(share)
        if index == entered.index:
            return False
        if self.settings.budget.seconds is None:
            return True
        # most of the reading is independent of the side: in proportion to it errs to the safe side
        scale = self.settings.plan.stages[index].store_px / entered.stage.store_px
        left = self.settings.budget.seconds - self._elapsed()
        return bool(self.group.agree(left > entered.seconds * scale))

    def _stop(self) -> NoReturn:
        """Save what can be gone on from. Raises Stopped, and SubmissionError where that failed."""
        if not self.group.is_first:
            self.group.agree(0.0)  # torchrun ends all as soon as one has: the first is saving
            raise Stopped("the first process says what is saved")
        try:
            told = self._save_for_resume()
        finally:
            self.group.agree(0.0)
        raise Stopped(told)

    def _save_for_resume(self) -> str:
        """What there is to go on from, in words."""
        is_first_epoch = self.position.best_stage < 0
        if is_first_epoch and SNAPSHOT_NAME not in self.saved and self._exists(SNAPSHOT_NAME):
            return (
                f"before the first epoch was over: the files that an earlier run left in "
                f"{self.folder} stay as they are, and nothing of this run is saved"
            )
        self._save_snapshot()
        kept = ""
        if is_first_epoch:
            if self._exists(CHECKPOINT_NAME):
                kept = f"; {CHECKPOINT_NAME} is left as it was, since no epoch is over yet"
            else:
                self._save_weights(self.settings.plan.stages[self.position.stage].size_px, None)
        self._require_saved()
        return (
            f"everything is saved in {self.folder}; the same command with --resume goes on from "
            f"here{kept}"
        )

    def _exists(self, name: str) -> bool:
        return (self.folder / name).exists()

    def _require_saved(self) -> None:
        if self.unsaved:
            raise SubmissionError(
                f"{self.folder}: {', '.join(self.unsaved)} could not be saved "
                f"({self.last_error}); earlier files are kept; make room, then the same command "
                "with --resume goes on from the last resume.pth that could be saved"
            )

    def _share(self, entered: StageImages | None) -> float:
        epochs = self.position.epoch
        if entered is not None:
            epochs += self.position.offset / len(entered.store)
        share = self.settings.budget.epoch_share(self.settings.plan, epochs, self._elapsed())
        return self.group.agree(share)

    def _elapsed(self) -> float:
        return time.monotonic() - self.started

    def _batch_size(self, images: StageImages) -> int:
        count = len(images.store)
        asked = images.stage.batch_size * self.group.size
        return min(asked, count - count % self.group.size)

    def _epoch_is_over(self, images: StageImages) -> bool:
        # an incomplete last batch is left for another epoch's order
        return self.position.offset + self._batch_size(images) > len(images.store)

    def _step(self, entered: StageImages, share: float) -> None:
        began = time.monotonic()
        settings, position, sums = self.settings, self.position, self.sums
        stage, store = entered.stage, entered.store
        batch_size = self._batch_size(entered)
        order = torch.randperm(
            len(store), generator=_generator(settings.seed, "order", position.epoch)
        )
        mine = order[position.offset : position.offset + batch_size][
            self.group.rank :: self.group.size
        ]
        rng = _generator(settings.seed, "batch", position.step, self.group.rank)
        images, targets = store.batch(mine, self.compute.device)
        images, mixed = augment(
            images, targets, stage.crop_px, settings.augmentation, rng, settings.mean, settings.std
        )
        rate = settings.plan.learning_rate(share, batch_size)
        for parameters in self.optimizer.param_groups:
            parameters["lr"] = rate
        self.network.train()
        with self.compute.precision():
            logits = self.parallel(images).float()
            loss = mixed.loss(logits, settings.label_smoothing)
        self.scaler.scale(loss).backward()
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        self.average.update(self.network, position.step)
        position.step += 1
        position.stage = entered.index
        position.offset += batch_size
        sums.loss += loss.detach() * len(mine)
        sums.correct += (logits.detach().argmax(1) == targets).sum()
        sums.images += len(mine)
        sums.seconds += time.monotonic() - began
        if self._elapsed() - self.said_at > SECONDS_BETWEEN_LINES:
            self.said_at = self._elapsed()
            self._say_progress(share, loss, rate, stage.crop_px)

    def _finish_epoch(self, trained: StageImages, share: float) -> None:
        settings, position, sums = self.settings, self.position, self.sums
        stage, store, held_out = trained.stage, trained.store, trained.held_out
        train_loss = sums.loss.item() / sums.images
        # before anything is saved: the last good weights stay
        self._require_finite("training loss", train_loss)
        self._require_finite_weights()
        position.epoch += 1
        position.offset = 0
        self.sums = self._no_sums()
        loss = accuracy = None
        if held_out is not None:
            found = self._measure(held_out)
            # each rank has running statistics of its own, and all must take the same decisions
            loss, accuracy = self.group.agree(found.loss), self.group.agree(found.accuracy)
            self._require_finite("held-out loss", loss)
            if self.watch.both_splits:
                rows = self._measure(store).to_row("train") | found.to_row("val")
                position.measured.append({"epoch": position.epoch, **rows})
        record = EpochRecord(
            epoch=position.epoch,
            step=position.step,
            seconds=self._elapsed(),
            size_px=stage.size_px,
            learning_rate=settings.plan.learning_rate(share, self._batch_size(trained)),
            train_loss=train_loss,
            train_accuracy=sums.correct.item() / sums.images,
            held_out_loss=loss,
            held_out_accuracy=accuracy,
            images_per_second=sums.images * self.group.size / max(sums.seconds, 1e-9),
        )
        position.records.append(record)
        # a later stage is nearer to the size that is asked for: its weights are preferred
        if (trained.index, accuracy or 0.0) >= (position.best_stage, position.best_accuracy):
            position.best_stage, position.best_accuracy = trained.index, accuracy or 0.0
            self._save_weights(stage.size_px, accuracy)
        self._stop_if_stalled()
        held_out_text = f", held out {100 * accuracy:.2f} %" if accuracy is not None else ""
        self._say(
            f"epoch {position.epoch} done: training loss {record.train_loss:.3f}, "
            f"accuracy {100 * record.train_accuracy:.2f} %{held_out_text}, "
            f"{record.images_per_second:.1f} images/s"
        )

    def _require_finite(self, what: str, value: float) -> None:
        """Raises SubmissionError where the run has diverged, on all ranks together."""
        if self.group.any(not math.isfinite(value)):
            how = "infinite on another process" if math.isfinite(value) else value
            raise self._diverged(f"the {what} became {how}")

    def _require_finite_weights(self) -> None:
        """Of this rank, without asking the others."""
        if not (is_finite(self.network) and is_finite(self.average.network)):
            raise self._diverged("the weights became infinite")

    def _diverged(self, how: str) -> SubmissionError:
        return SubmissionError(
            f"{how} in epoch {len(self.position.records) + 1}; the files in {self.folder} are "
            "from before; start again with a lower --lr"
        )

    def _measure(self, store: PixelStore) -> Measured:
        return measure_store(
            self.average.network, store, self.compute, self.settings.mean, self.settings.std
        )

    def _stop_if_stalled(self) -> None:
        patience, records = self.watch.patience, self.position.records
        if patience is None:
            return
        accuracies = [record.held_out_accuracy or 0.0 for record in records]
        waited = len(records) - 1 - accuracies.index(max(accuracies))
        if waited >= patience:
            self.position.has_stalled = True
            self._say(f"no better held-out accuracy for {waited} epochs: stopped early")

    def _no_sums(self) -> _Sums:
        zero = torch.zeros((), device=self.compute.device)
        return _Sums(zero.clone(), zero.clone())

    # ------------------------------------------------------------------ files

    def _save(self, files: Mapping[str, bytes]) -> None:
        """A disk that is full now may have room later: say so and go on training."""
        for name, content in files.items():
            self.unsaved.pop(name, None)  # in the order of `files`, whatever failed before
            self.unsaved[name] = content
        for name, content in list(self.unsaved.items()):
            if name == METADATA_NAME and CHECKPOINT_NAME in self.unsaved:
                continue  # it describes weights that are not on the disk
            try:
                write_atomically(self.folder / name, content)
            except OSError as error:
                self.last_error = error.strerror or str(error)
                print(
                    f"warning: {self.folder / name}: not saved ({self.last_error}); an earlier "
                    "file is kept, and the next save tries again",
                    file=sys.stderr,
                )
            else:
                del self.unsaved[name]
                self.saved.add(name)

    def _save_weights(self, size_px: int, accuracy: float | None) -> None:
        if not self.group.is_first:
            return
        weights = tensors_to_bytes(_portable(self.average.network.state_dict()))
        metadata = (
            self.metadata
            | {
                "size_px": size_px,
                "held_out_accuracy": accuracy,
                "epochs": self.position.epoch,
                "steps": self.position.step,
                "seconds": round(self._elapsed(), 1),
                "checkpoint_sha256": sha256(weights),
            }
            | self._measured_of_checkpoint()
        )
        self._save({CHECKPOINT_NAME: weights, METADATA_NAME: json_to_bytes(metadata)})

    def _measured_of_checkpoint(self) -> dict[str, Any]:
        if not self.position.measured:
            return {}
        row = self.position.measured[-1]
        metrics = {name: value for name, value in row.items() if name != "epoch"}
        return {"checkpoint_epoch": row["epoch"], "checkpoint_metrics": metrics}

    def _save_snapshot(self) -> None:
        self.saved_at = self._elapsed()
        if not self.group.is_first:
            return
        self._require_finite_weights()
        position = self.position
        position.elapsed_seconds = self._elapsed()
        snapshot = {
            "settings": self._identity(),
            "position": asdict(position),
            "network": _portable(self.network.state_dict()),
            "average": _portable(self.average.network.state_dict()),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "sums": asdict(self.sums),
        }
        files = {SNAPSHOT_NAME: tensors_to_bytes(snapshot)}
        if position.records:
            files["curves.csv"] = history_to_csv(position.records)
            files["curves.png"] = draw_curves(position.records)
        if position.measured:
            files["metrics.csv"] = rows_to_csv(position.measured)
            files["metrics.png"] = draw_metrics(position.measured)
        self._save(files)

    def _identity(self) -> dict[str, str]:
        settings = asdict(self.settings)
        network = {key: self.metadata.get(key) for key in _NETWORK_KEYS}
        return {key: repr(value) for key, value in (settings | network).items()} | {
            "processes": str(self.group.size)
        }

    def resume(self) -> bool:
        """Go on from the snapshot in the folder; False when there is none.

        Raises SubmissionError when the snapshot belongs to other settings.
        """
        path = self.folder / SNAPSHOT_NAME
        if not path.exists():
            return False
        snapshot = load_tensors(path)
        try:
            theirs, ours = snapshot["settings"], self._identity()
            differing = [key for key in ours if theirs.get(key) != ours[key]]
            if differing:
                raise SubmissionError(
                    f"{path}: was made with other settings ({', '.join(differing)}); give the "
                    "same options and the same images again, or start anew without --resume"
                )
            self.network.load_state_dict(snapshot["network"])
            self.average.network.load_state_dict(snapshot["average"])
            self.optimizer.load_state_dict(snapshot["optimizer"])
            if snapshot["scaler"]:  # a run in bfloat16 or float32 had none
                self.scaler.load_state_dict(snapshot["scaler"])
            position = snapshot["position"]
            position["records"] = [EpochRecord(**record) for record in position["records"]]
            self.position = Position(**position)
            self.sums = _Sums(**snapshot["sums"])
            self.sums.loss = self.sums.loss.to(self.compute.device)
            self.sums.correct = self.sums.correct.to(self.compute.device)
            self.saved.add(SNAPSHOT_NAME)
        except (KeyError, TypeError, RuntimeError, ValueError) as error:
            raise SubmissionError(
                f"{path}: is not a snapshot of this program ({error}); start anew without --resume"
            ) from error
        return True

    # ------------------------------------------------------------------ people

    def _say(self, text: str) -> None:
        if self.group.is_first:
            print(f"[{_clock(self._elapsed())}] {text}", flush=True)

    def _say_progress(self, share: float, loss: Tensor, rate: float, crop_px: int) -> None:
        sums = self.sums
        done = self.settings.plan.work_share(share)
        left = ""
        if self.settings.budget.seconds is not None and self.settings.budget.epochs is None:
            left = f", {_clock(self.settings.budget.seconds - self._elapsed())} left"
        elif done > 0:
            left = f", about {_clock(self._elapsed() * (1 - done) / done)} left"
        self._say(
            f"epoch {self.position.epoch + 1}, {crop_px} px, {100 * done:.1f} % done{left}: "
            f"loss {loss.item():.3f}, learning rate {rate:.4f}, "
            f"{sums.images * self.group.size / max(sums.seconds, 1e-9):.1f} images/s"
        )

    @contextmanager
    def _signals_noted(self) -> Iterator[None]:
        """Ctrl-C and a batch system's SIGTERM stop the run after the current step; a second one
        ends it at once."""

        def note(number: int, _frame: FrameType | None) -> None:
            if self.stop_signal is not None:
                raise KeyboardInterrupt
            self.stop_signal = number

        previous = {name: signal.signal(name, note) for name in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for name, handler in previous.items():
                signal.signal(name, handler)


def _generator(seed: int, purpose: str, *numbers: int) -> torch.Generator:
    """A generator that depends on its arguments alone."""
    digest = sha256("/".join(map(str, (seed, purpose, *numbers))).encode())
    return torch.Generator().manual_seed(int(digest[:15], 16))


def _portable(state_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """On the CPU, contiguous, each tensor with a storage of its own."""
    return {
        name: tensor.detach().cpu().clone(memory_format=torch.contiguous_format)
        for name, tensor in state_dict.items()
    }


def _clock(seconds: float) -> str:
    minutes, rest = divmod(max(round(seconds), 0), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
