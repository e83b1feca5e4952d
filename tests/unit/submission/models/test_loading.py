"""Checkpoints and the class names beside them."""

from __future__ import annotations

import hashlib
import json
import pickle
from pathlib import Path

import pytest
import torch
from errors import SubmissionError
from models.loading import find_class_names, load_network
from models.resnet import ResNet, ResNetConfig

NAMES = ["ADONIS", "AN 88", "ZEBRA"]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "given" / "resnet_model.pth"
    path.parent.mkdir()
    network = ResNet(ResNetConfig(n=1, num_classes=3, widths=(2, 4, 6)))
    torch.save(network.state_dict(), path)
    return path


@pytest.fixture
def program(tmp_path: Path) -> Path:
    folder = tmp_path / "program"
    folder.mkdir()
    return folder


def names_of(checkpoint: Path, program: Path, **more: object) -> tuple[str, ...]:
    loaded = load_network(checkpoint, program)
    return find_class_names(loaded, checkpoint, program, **more).names


def test_metadata_beside_the_checkpoint_comes_before_the_programs(
    checkpoint: Path, program: Path
) -> None:
    (program / "metadata.json").write_text(json.dumps({"class_names": ["a", "b", "c"]}))
    assert names_of(checkpoint, program) == ("a", "b", "c")
    (checkpoint.parent / "metadata.json").write_text(
        json.dumps({"class_names": NAMES, "size_px": 64, "mean": [0, 0, 0], "std": [1, 1, 1]})
    )
    loaded = load_network(checkpoint, program)
    assert names_of(checkpoint, program) == tuple(NAMES)
    assert (loaded.size_px, loaded.mean, loaded.std) == (64, (0, 0, 0), (1, 1, 1))


def test_metadata_of_another_network_is_not_taken(checkpoint: Path, program: Path) -> None:
    (program / "metadata.json").write_text(json.dumps({"class_names": ["a", "b"], "size_px": 8}))
    assert load_network(checkpoint, program).size_px == 224
    with pytest.raises(SubmissionError, match="no class names found for its 3 outputs"):
        names_of(checkpoint, program)


def test_metadata_that_describes_another_checkpoint_is_named(
    checkpoint: Path, program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = checkpoint.parent / "metadata.json"
    for content, warns in ((checkpoint.read_bytes(), False), (b"other weights", True)):
        digest = hashlib.sha256(content).hexdigest()
        path.write_text(json.dumps({"class_names": NAMES, "checkpoint_sha256": digest}))
        assert names_of(checkpoint, program) == tuple(NAMES)
        assert (f"{path}: describes another checkpoint" in capsys.readouterr().err) is warns


@pytest.mark.parametrize(
    "content",
    [
        NAMES,
        {"class_names": NAMES},
        dict(enumerate(NAMES)),
        {name: index for index, name in enumerate(NAMES)},
    ],
)
def test_class_labels_json_in_every_usual_form(
    checkpoint: Path, program: Path, content: object
) -> None:
    (program / "class_labels.json").write_text(json.dumps(content))
    assert names_of(checkpoint, program) == tuple(NAMES)


def test_class_names_from_a_text_file_a_folder_or_the_test_images(
    checkpoint: Path, program: Path, tmp_path: Path
) -> None:
    text = tmp_path / "classes.txt"
    text.write_text("\n".join(NAMES) + "\n")
    assert names_of(checkpoint, program, given=text) == tuple(NAMES)
    for name in reversed(NAMES):
        (tmp_path / "train" / name).mkdir(parents=True)
    assert names_of(checkpoint, program, given=tmp_path / "train") == tuple(NAMES)
    assert names_of(checkpoint, program, test_folders=NAMES[::-1]) == tuple(NAMES)


def test_wrong_number_of_names_is_said(checkpoint: Path, program: Path, tmp_path: Path) -> None:
    text = tmp_path / "classes.txt"
    text.write_text("only one\n")
    with pytest.raises(SubmissionError, match="names 1 classes; the checkpoint has 3"):
        names_of(checkpoint, program, given=text)


class Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (print, ("unpickled",))


@pytest.mark.parametrize("kind", ["missing", "empty", "text", "pickle", "cut", "wrapped", "list"])
def test_what_is_no_state_dict_is_refused_in_words(
    kind: str, checkpoint: Path, program: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = checkpoint.read_bytes()
    if kind == "missing":
        checkpoint.unlink()
    elif kind == "wrapped":
        torch.save({"model": ResNet(ResNetConfig(n=1, num_classes=2)).state_dict()}, checkpoint)
    elif kind == "list":
        torch.save([torch.zeros(1)], checkpoint)
    else:
        contents = {
            "empty": b"",
            "text": b"weights",
            "pickle": pickle.dumps(Harmful()),
            "cut": whole[: len(whole) // 2],
        }
        checkpoint.write_bytes(contents[kind])
    with pytest.raises(SubmissionError, match=str(checkpoint)):
        load_network(checkpoint, program)
    assert "unpickled" not in capsys.readouterr().out


def test_shapes_that_do_not_fit_are_refused(checkpoint: Path, program: Path) -> None:
    weights = torch.load(checkpoint, weights_only=True)
    weights["layer2.0.conv2.weight"] = torch.zeros(4, 4, 5, 5)
    torch.save(weights, checkpoint)
    with pytest.raises(SubmissionError, match=r"layer2\.0\.conv2\.weight"):
        load_network(checkpoint, program)


def test_the_shared_checkpoint_loads(shared: Path, program: Path) -> None:
    loaded = load_network(shared / "resnet14_state_dict.pth", program)
    assert loaded.network.config == ResNetConfig(n=2, num_classes=100)
