"""The two programs as a course runs them: from a folder, by command line."""

from __future__ import annotations

import ast
import csv
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import run_recipe
from models.resnet import ResNet, ResNetConfig
from PIL import Image
from segmentation.overlap import read_mask

Program = Callable[..., subprocess.CompletedProcess[str]]
ALLOWED = {"torch", "torchvision", "numpy", "cv2", "PIL", "matplotlib"}


@pytest.fixture
def program(submission: Path, tmp_path: Path) -> Program:
    """Run train.py or evaluate.py in an empty working directory with one thread."""

    def run(name: str, *arguments: object, folder: Path = submission, **more: object):
        working = tmp_path / "working"
        working.mkdir(exist_ok=True)
        return subprocess.run(
            [sys.executable, str(folder / name), *map(str, arguments)],
            cwd=working,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            check=False,
            timeout=200,
            **more,
        )

    return run


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """An untrained network of four classes with its metadata."""
    folder = tmp_path / "checkpoint"
    folder.mkdir()
    torch.manual_seed(0)
    network = ResNet(ResNetConfig(n=1, num_classes=4, widths=(8, 8, 16)))
    torch.save(network.state_dict(), folder / "resnet_model.pth")
    names = [f"CLASS {letter}" for letter in "ABCD"]
    (folder / "metadata.json").write_text(json.dumps({"class_names": names, "size_px": 32}))
    return folder / "resnet_model.pth"


def rows(working: Path) -> list[tuple[str, str]]:
    with (working / "submission.csv").open(newline="") as file:
        lines = list(csv.reader(file))
    assert lines[0] == ["image_name", "label"]
    return [(name, label) for name, label in lines[1:]]


def test_train_then_evaluate(program: Program, class_folders: Callable, tmp_path: Path) -> None:
    train = class_folders(classes=3, images=8, size_px=32)
    test = class_folders(classes=3, images=10, size_px=32, name="test")
    out = tmp_path / "out"
    trained = program(
        *("train.py", train, out, "--recipe", "ail721_a2", "--n", 1, "--epochs", 12),
        *("--seed", 1, "--size", 24, "--batch-size", 8, "--lr", 0.4),
    )
    assert trained.returncode == 0, trained.stderr
    assert "8 layers" in trained.stdout
    metadata = json.loads((out / "metadata.json").read_text())
    assert metadata["class_names"] == ["CLASS A", "CLASS B", "CLASS C"]
    assert (metadata["n"], metadata["num_classes"], metadata["size_px"]) == (1, 3, 24)

    evaluated = program("evaluate.py", out / "resnet_model.pth", test, "--recipe", "ail721_a2")
    assert evaluated.returncode == 0, evaluated.stderr
    working = tmp_path / "working"
    predicted = rows(working)
    right = sum(name.split("/")[0] == label for name, label in predicted)
    assert f"classification accuracy: {100 * right / 30:.2f} % ({right} of 30)" in evaluated.stdout
    assert right > 15
    for name, _ in predicted:
        assert read_mask(working / "seg_maps" / name).shape == (32, 32)


def test_a_run_starts_from_another_runs_weights(
    program: Program, class_folders: Callable, tmp_path: Path
) -> None:
    folders = class_folders(classes=3, images=8, size_px=32)
    options = ("--recipe", "ail721_a2", "--n", 1, "--size", 24, "--batch-size", 8)

    def train(name: str, *more: object) -> subprocess.CompletedProcess[str]:
        return program("train.py", folders, tmp_path / name, *options, *more)

    def weights(name: str) -> torch.Tensor:
        return torch.load(tmp_path / name / "resnet_model.pth", weights_only=True)["fc.weight"]

    def said(name: str) -> dict[str, Any]:
        return json.loads((tmp_path / name / "metadata.json").read_text())

    assert train("first", "--epochs", 1, "--seed", 1).returncode == 0
    start = tmp_path / "first" / "resnet_model.pth"
    still = ("--lr", 1e-9, "--augmentation", "strong", "--start-from", start)
    done = train("second", "--epochs", 1, "--seed", 2, *still)
    assert done.returncode == 0, done.stderr
    torch.testing.assert_close(weights("second"), weights("first"), rtol=0, atol=1e-6)
    assert said("second")["started_from_sha256"] == hashlib.sha256(start.read_bytes()).hexdigest()
    assert said("first")["augmentation"]["cutmix"] == 0.0  # few epochs want a light one
    assert said("second")["augmentation"]["cutmix"] > 0.0

    (folders / "CLASS A").rename(folders / "CLASS D")
    other = train("third", "--epochs", 1, "--start-from", start)
    assert other.returncode == 2
    assert "other classes" in other.stderr
    assert not (tmp_path / "third" / "resnet_model.pth").exists()


def test_weights_of_another_network_are_no_start(
    program: Program, checkpoint: Path, class_folders: Callable, tmp_path: Path
) -> None:
    done = program(
        *("train.py", class_folders(), tmp_path / "out", "--recipe", "ail721_a2"),
        *("--n", 3, "--epochs", 1, "--start-from", checkpoint),
    )
    assert done.returncode == 2
    assert "this run is about n = 3 and 3 classes" in done.stderr


def odd_images(folder: Path) -> dict[str, tuple[int, int]]:
    """One image of each odd kind; name → (height, width) of the mask that is due."""
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    image = Image.fromarray(noise)
    image.convert("L").save(folder / "grey.jpg")
    image.convert("P").save(folder / "palette.gif")
    image.convert("RGBA").save(folder / "alpha.webp")
    image.convert("CMYK").save(folder / "cmyk.JPG")
    Image.fromarray(noise[..., 0].astype(np.uint16) * 257).save(folder / "deep.tiff")
    image.resize((1, 1)).save(folder / "dot.bmp")
    image.resize((500, 3)).save(folder / "line.png")
    Image.new("RGB", (60, 40), (7, 7, 7)).save(folder / "flat.png")
    sizes = dict.fromkeys(("grey.jpg", "palette.gif", "alpha.webp", "cmyk.JPG"), (40, 60))
    return sizes | {
        "deep.tiff": (40, 60),
        "dot.bmp": (1, 1),
        "line.png": (3, 500),
        "flat.png": (40, 60),
    }


def test_odd_images_are_predicted_and_broken_ones_keep_their_row(
    program: Program, checkpoint: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "images"
    sizes = odd_images(folder)
    whole = (folder / "grey.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "empty.png").write_bytes(b"")
    (folder / "notes.txt").write_text("no image")
    done = program("evaluate.py", checkpoint, folder, "--recipe", "ail721_a2", "--batch-size", 3)
    assert done.returncode == 0, done.stderr
    assert "8 of 10 images predicted" in done.stdout
    assert "accuracy" not in done.stdout
    labels = dict(rows(tmp_path / "working"))
    assert set(labels) == {*sizes, "cut.jpg", "empty.png"}
    for name in ("cut.jpg", "empty.png"):
        assert labels[name] == ""
        assert f"{name}: skipped, unreadable" in done.stderr
        assert not (tmp_path / "working" / "seg_maps" / name).exists()
    for name, size in sizes.items():
        assert labels[name].startswith("CLASS ")
        assert read_mask(tmp_path / "working" / "seg_maps" / name).shape == size


def test_a_copy_with_one_recipe_needs_no_option_and_writes_the_same_bytes_again(
    program: Program, submission: Path, checkpoint: Path, class_folders: Callable, tmp_path: Path
) -> None:
    """As in the zip: only this recipe, checkpoint and metadata beside evaluate.py."""
    copy = tmp_path / "unzipped"
    shutil.copytree(submission, copy, ignore=shutil.ignore_patterns("__pycache__"))
    for other in (copy / "recipes").glob("*.py"):
        if other.stem not in ("__init__", "ail721_a2"):
            other.unlink()
    (copy / "metadata.json").write_bytes((checkpoint.parent / "metadata.json").read_bytes())
    (checkpoint.parent / "metadata.json").unlink()
    images = class_folders(classes=2, images=3, name="images")
    working = tmp_path / "working"
    written = []
    for _ in range(2):
        done = program("evaluate.py", checkpoint, images, folder=copy)
        assert done.returncode == 0, done.stderr
        written.append({path: path.read_bytes() for path in working.rglob("*") if path.is_file()})
        shutil.rmtree(working)
    assert written[0] == written[1]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{train}", "{out}", "--recipe", "nonsense"], 'no recipe "nonsense"'),
        (["{tmp}/none", "{out}"], "no such folder"),
        (["{train}/CLASS A", "{out}"], "0 class folder"),
        (["{train}", "{out}", "--n", "0"], "--n 0: at least 1"),
        (["{train}", "{out}", "--epochs", "0"], "--epochs 0"),
        (["{train}", "{out}", "--minutes", "-1"], "--minutes -1"),
        (["{train}", "{out}", "--minutes", "nan"], "--minutes nan"),
        (["{train}", "{out}", "--classes", "7"], "holds 2 class folders"),
        (["{train}", "{out}", "--holdout", "1.5"], "--holdout 1.5"),
        (["{train}", "{out}", "--device", "abacus"], '--device "abacus"'),
        (["{train}", "{train}/CLASS A/0.png"], "cannot be written"),
        (["{train}", "{out}", "--holdout", "0.999", "--minutes", "0.0001"], "before a first step"),
    ],
)
def test_a_wrong_training_command_is_answered_in_one_line(
    arguments: list[str],
    says: str,
    class_folders: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train = class_folders(classes=2, images=2)
    places = {"train": train, "out": tmp_path / "out", "tmp": tmp_path}
    filled = [argument.format(**places) for argument in arguments]
    if "--recipe" not in filled:
        filled += ["--recipe", "ail721_a2"]
    monkeypatch.setattr(sys, "argv", ["train.py", *filled])
    assert run_recipe("train", "") == 2
    errors = capsys.readouterr().err
    assert says in errors
    assert errors.startswith("error: ")
    assert len(errors.strip().splitlines()) == 1


def test_a_run_goes_on_with_the_same_images_and_split_alone(
    class_folders: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train = class_folders(classes=2, images=4)

    def run(*more: str) -> int:
        command = ["train.py", str(train), str(tmp_path / "out"), "--recipe", "ail721_a2"]
        small = ["--n", "1", "--size", "16", "--epochs", "1", "--resume", "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", [*command, *small, *more])
        return run_recipe("train", "")

    assert run("--holdout", "0.3") == 0
    assert run("--holdout", "0.3") == 0
    assert run("--holdout", "0.5") == 2
    assert "other settings (images)" in capsys.readouterr().err
    (train / "CLASS A" / "0.png").rename(train / "CLASS A" / "9.png")
    assert run("--holdout", "0.3") == 2


def test_names_that_are_no_utf8_are_trained_on_and_predicted(
    class_folders: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train = class_folders(classes=2, images=3)
    (train / "CLASS A").rename(train / os.fsdecode(b"caf\xe9"))
    out = tmp_path / os.fsdecode(b"sortie\xe9")
    monkeypatch.chdir(tmp_path)

    def run(verb: str, *arguments: object) -> None:
        command = [verb, *map(str, arguments), "--recipe", "ail721_a2", "--device", "cpu"]
        monkeypatch.setattr(sys, "argv", command)
        assert run_recipe(verb, "") == 0

    run("train", train, out, "--n", 1, "--size", 16, "--epochs", 1, "--resume")
    image = next((train / "CLASS B").iterdir())
    image.rename(image.with_name(os.fsdecode(b"papillon_\xe9.png")))
    run("evaluate", out / "resnet_model.pth", train)
    assert "of 6)" in capsys.readouterr().out
    lines = (tmp_path / "submission.csv").read_bytes().splitlines()
    names, labels = zip(*(line.rsplit(b",", 1) for line in lines[1:]), strict=True)
    assert b"CLASS B/papillon_\xe9.png" in names
    assert set(labels) <= {b"caf\xe9", b"CLASS B"}


def test_held_out_images_that_cannot_be_read_are_done_without(
    class_folders: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    train = class_folders(classes=2, images=4)
    for folder in train.iterdir():
        for name in ("0.png", "1.png"):
            (folder / name).write_bytes(b"no image")
    monkeypatch.setattr(
        "recipes.ail721_a2.split_stratified", lambda *_: ([2, 3, 6, 7], [0, 1, 4, 5])
    )
    command = ["train.py", str(train), str(tmp_path / "out"), "--recipe", "ail721_a2"]
    small = ["--n", "1", "--size", "16", "--epochs", "1", "--device", "cpu"]
    monkeypatch.setattr(sys, "argv", [*command, *small])
    assert run_recipe("train", "") == 0
    assert "held-out images: none of the 4 images could be read" in capsys.readouterr().err
    assert json.loads((tmp_path / "out" / "metadata.json").read_text())["held_out_accuracy"] is None


def cannot_allocate_in_main_memory() -> None:
    torch.empty(2**60, dtype=torch.uint8)


def cannot_allocate_on_the_gpu() -> None:
    raise torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore")


@pytest.mark.parametrize("fails", [cannot_allocate_in_main_memory, cannot_allocate_on_the_gpu])
def test_too_little_memory_is_answered_in_one_line(
    fails: Callable[[], None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("recipes.ail721_a2.train", lambda _arguments: fails())
    monkeypatch.setattr(sys, "argv", ["train.py", "in", "out", "--recipe", "ail721_a2"])
    assert run_recipe("train", "") == 2
    errors = capsys.readouterr().err
    assert errors.startswith("error: there is not enough memory (")
    assert "--batch-size" in errors
    assert len(errors.splitlines()) == 1

    def other(_arguments: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr("recipes.ail721_a2.train", other)
    with pytest.raises(RuntimeError, match="a defect"):
        run_recipe("train", "")


def test_evaluate_without_class_names_says_where_they_are_looked_for(
    program: Program, checkpoint: Path, class_folders: Callable
) -> None:
    (checkpoint.parent / "metadata.json").unlink()
    images = class_folders(classes=1, images=1, name="images")
    done = program("evaluate.py", checkpoint, images, "--recipe", "ail721_a2")
    assert done.returncode == 2
    assert "metadata.json or class_labels.json beside the checkpoint" in done.stderr


def test_a_batch_systems_sigterm_saves_and_resume_goes_on(
    submission: Path, class_folders: Callable, tmp_path: Path
) -> None:
    train = class_folders(classes=2, images=20)
    command = [
        *(sys.executable, str(submission / "train.py"), str(train), str(tmp_path / "out")),
        *("--recipe", "ail721_a2", "--n", "1", "--epochs", "20", "--size", "16"),
        *("--batch-size", "4", "--resume"),
    ]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        for line in running.stdout:
            if "epoch 2 done" in line:
                running.send_signal(signal.SIGTERM)
                break
        _, errors = running.communicate(timeout=100)
    assert running.returncode == 130
    assert "--resume goes on from here" in errors
    again = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True, timeout=200
    )
    assert "epoch 2 done" not in again.stdout
    assert "epoch 20 done" in again.stdout


def test_torchrun_trains_the_same_way(
    submission: Path, class_folders: Callable, tmp_path: Path
) -> None:
    train = class_folders(classes=2, images=8)
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"),
            *("--rdzv-backend", "c10d", "--rdzv-endpoint", "localhost:0"),
            "--",  # or torchrun takes --n for an abbreviation of its own --nnodes
            *(str(submission / "train.py"), str(train), str(tmp_path / "out")),
            *("--recipe", "ail721_a2", "--n", "1", "--epochs", "2", "--size", "16"),
            *("--batch-size", "3", "--device", "cpu"),
        ],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("epoch 2 done") == 1
    assert torch.load(tmp_path / "out" / "resnet_model.pth", weights_only=True)


def imports(path: Path) -> set[str]:
    """First parts of everything that a module imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").split(".")[0])
    return found


def test_only_libraries_that_the_course_allows_are_imported(submission: Path) -> None:
    own = {path.stem for path in submission.iterdir()}
    seen: set[Path] = set()
    todo = [submission / name for name in ("train.py", "evaluate.py", "recipes/ail721_a2.py")]
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        for name in imports(path):
            if name not in own:
                assert name in ALLOWED | sys.stdlib_module_names, f"{path} imports {name}"
            elif (submission / f"{name}.py").is_file():
                todo.append(submission / f"{name}.py")
            elif name != "recipes":
                todo += (submission / name).glob("*.py")
    assert len(seen) > 20
