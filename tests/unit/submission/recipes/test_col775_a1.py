"""The second assignment by its command lines: one experiment, several, resumed, evaluated, told."""

from __future__ import annotations

import csv
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from command_line import run_recipe
from PIL import Image

SMALL = ("--n", "1", "--size", "16", "--epochs", "2", "--lr", "0.05", "--threads", "1")
MAKE = Callable[..., Path]


@pytest.fixture
def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Run train or evaluate of this recipe in an empty working directory, in this process."""
    (tmp_path / "working").mkdir()
    monkeypatch.chdir(tmp_path / "working")

    def run(verb: str, *arguments: object) -> int:
        given = [*map(str, arguments), "--recipe", "col775_a1"]
        monkeypatch.setattr(sys, "argv", [f"{verb}.py", *given])
        return run_recipe(verb, "")

    return run


def metrics(folder: Path) -> list[dict[str, float]]:
    with (folder / "metrics.csv").open(newline="") as file:
        return [{k: float(v) for k, v in row.items()} for row in csv.DictReader(file)]


def vary_sizes(root: Path) -> None:
    """Every image gets a size of its own, as the birds have."""
    for number, path in enumerate(sorted(root.rglob("*.png"))):
        with Image.open(path) as image:
            image.resize((20 + 3 * number % 31, 20 + 5 * number % 17)).save(path)


def test_experiments_are_trained_evaluated_and_told(
    program: Callable[..., int],
    class_folders: MAKE,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train, val = class_folders(images=5), class_folders(images=3, name="val")
    vary_sizes(train), vary_sizes(val)
    runs = tmp_path / "runs"
    names = ("inbuilt", "bn", "gn", "bn-batch8")
    assert program("train", train, runs, *SMALL, "--experiment", *names) == 0
    assert "15 images to train on, 9 to validate, 3 classes" in capsys.readouterr().out

    hashes = set()
    for name in names:
        metadata = json.loads((runs / name / "metadata.json").read_text())
        rows = metrics(runs / name)
        assert [row["epoch"] for row in rows] == [1, 2]
        best = max(rows, key=lambda row: (row["val_accuracy"], row["epoch"]))
        assert metadata["checkpoint_epoch"] == best["epoch"]
        for key, value in metadata["checkpoint_metrics"].items():
            assert value == pytest.approx(best[key], rel=1e-5)
        assert metadata["experiment"] == name
        assert metadata["norm"] == name.removesuffix("-batch8")
        assert (runs / name / "metrics.png").read_bytes().startswith(b"\x89PNG")
        hashes.add(metadata["checkpoint_sha256"])
        state = torch.load(runs / name / "resnet_model.pth", weights_only=True)
        assert all(isinstance(tensor, torch.Tensor) for tensor in state.values())
    assert len(hashes) == len(names)
    # section 2.4: the same but for rounding
    for ours, theirs in zip(metrics(runs / "bn"), metrics(runs / "inbuilt"), strict=True):
        assert ours == pytest.approx(theirs, rel=1e-3)

    checkpoint = runs / "gn" / "resnet_model.pth"
    assert program("evaluate", checkpoint, val) == 0
    said = capsys.readouterr().out
    best = json.loads((runs / "gn" / "metadata.json").read_text())["checkpoint_metrics"]
    assert f"classification accuracy: {100 * best['val_accuracy']:.2f} %" in said
    assert f"micro F1: {100 * best['val_micro_f1']:.2f} %" in said
    assert f"macro F1: {100 * best['val_macro_f1']:.2f} %" in said
    maps = sorted(Path("heatmaps").rglob("*.png"))
    assert [path.relative_to("heatmaps") for path in maps] == sorted(
        path.relative_to(val) for path in val.rglob("*.png")
    )
    for path in maps:
        with Image.open(path) as image:
            assert (image.mode, image.size) == ("L", (4, 4))

    assert program("evaluate", runs, val, "--report", tmp_path / "report") == 0
    text = (tmp_path / "report" / "report.md").read_text()
    for figure in re.findall(r"\]\((.*?)\)", text):
        assert (tmp_path / "report" / figure).read_bytes().startswith(b"\x89PNG")
    assert "Not trained yet: in, bin, ln and nn" in text
    for name in names:
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        best = json.loads((runs / name / "metadata.json").read_text())["checkpoint_metrics"]
        for key in ("train_accuracy", "val_accuracy", "val_macro_f1"):
            assert f" {100 * best[key]:.1f} |" in row
    assert "None of the assignment's 7 classes is in this data set" in text
    assert text.count("![Grad-CAM of CLASS") == 3


def test_a_run_that_goes_on_is_the_same_as_one_that_was_not_stopped(
    program: Callable[..., int],
    class_folders: MAKE,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Finished experiments are left alone, and nothing beside the training folder is 20 %."""
    train = class_folders(images=5)
    command = (train, tmp_path / "runs", *SMALL, "--experiment", "nn", "--resume")
    assert program("train", *command) == 0
    folder = tmp_path / "runs" / "nn"
    assert json.loads((folder / "metadata.json").read_text())["val_images"] == 3
    before = (folder / "resnet_model.pth").read_bytes(), metrics(folder)
    assert program("train", *command) == 0
    assert ((folder / "resnet_model.pth").read_bytes(), metrics(folder)) == before
    for other in (("--groups", "4"), ("--val", class_folders(images=2, name="val"))):
        assert program("train", *command, *other) == 2
        assert "resume.pth: was made with other settings" in capsys.readouterr().err


def test_an_experiment_of_section_2_6_stops_early_and_stays_stopped(
    program: Callable[..., int], class_folders: MAKE, tmp_path: Path, capsys
) -> None:
    train = class_folders(classes=2, images=4)
    command = [train, tmp_path / "runs", *SMALL, "--experiment", "gn-batch8", "--resume"]
    # a rate so low that nothing changes: the first epoch stays the best
    command[command.index("--epochs") + 1] = "9"
    command[command.index("--lr") + 1] = "1e-12"
    command += ["--patience", "2"]
    for _ in range(2):
        assert program("train", *command) == 0
        assert len(metrics(tmp_path / "runs" / "gn-batch8")) == 3
    assert "stopped early" in capsys.readouterr().out


def test_a_checkpoint_alone_needs_its_normalisation_and_names(
    program: Callable[..., int], class_folders: MAKE, tmp_path: Path, capsys
) -> None:
    from models.resnet import ResNet, ResNetConfig
    from models.variants import norm_layer

    config = ResNetConfig(n=1, num_classes=3, widths=(16, 32, 64), size_px=256)
    checkpoint = tmp_path / "gn.pth"
    torch.save(ResNet(config, norm_layer("gn")).state_dict(), checkpoint)
    images = class_folders(classes=3, images=1)
    assert program("evaluate", checkpoint, images) == 2
    assert "instance, layer or group normalisation; say which by --norm" in capsys.readouterr().err
    assert program("evaluate", checkpoint, images, "--norm", "gn") == 0
    with Image.open(next(Path("heatmaps").rglob("*.png"))) as image:
        assert image.size == (64, 64)
        assert np.asarray(image).max() in (0, 255)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{train}", "{out}", "--epochs", "0"], "--epochs 0: at least 1"),
        (["{train}", "{out}", "--classes", "25"], "holds 2 class folders"),
        (["{train}", "{out}", "--r", "25"], "holds 2 class folders"),
        (["{train}", "{out}", "--lr", "nan"], "--lr nan"),
        (["{train}", "{out}", "--val", "{other}"], "has other class folders than"),
        (["{train}", "{out}", "--experiment", "gn", "--groups", "5"], "--groups 5: 16 filters"),
        (["{tmp}/none", "{out}"], "no such folder"),
    ],
)
def test_a_wrong_training_command_is_answered_in_one_line(
    arguments: list[str],
    says: str,
    program: Callable[..., int],
    class_folders: MAKE,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    places = {
        "train": class_folders(classes=2, images=2),
        "other": class_folders(classes=3, images=1, name="other"),
        "out": tmp_path / "out",
        "tmp": tmp_path,
    }
    assert program("train", *(argument.format(**places) for argument in arguments)) == 2
    errors = capsys.readouterr().err
    assert says in errors
    assert len(errors.strip().splitlines()) == 1


def test_a_report_of_nothing_says_what_is_expected(
    program: Callable[..., int], class_folders: MAKE, tmp_path: Path, capsys
) -> None:
    (tmp_path / "runs").mkdir()
    assert program("evaluate", tmp_path / "runs", class_folders(), "--report", tmp_path / "r") == 2
    assert "holds no finished run; expected folders such as inbuilt/" in capsys.readouterr().err


def test_the_seven_species_are_found_however_they_are_written() -> None:
    from report.heatmaps import SPECIES, choose_species

    folders = [name.replace(" ", "-").upper() for name in SPECIES[::-1]]
    assert choose_species(["Crow", *folders], None)[0] == folders[::-1]
    some, why = choose_species(["cattle_egret", "Crow"], None)
    assert some == ["cattle_egret"]
    assert "Coppersmith Barbet" in why
