"""Where the images of a folder of masks may lie."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from grader.errors import TruthError
from grader.stages.pair_truth import pair_truth, sibling_image_dirs


def lay(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2)).save(root / path)


@pytest.mark.parametrize(
    ("masks", "folders", "expected"),
    [
        ("X/MASKS/test", ["X/test"], ["X/test"]),
        ("X/MASKS/test", ["X/test", "X/images/test"], ["X/test", "X/images/test"]),
        ("X/MASKS", ["X/test", "X/images"], ["X/images", "X/test", "X"]),
        ("X/gt_masks", [], ["X"]),
        ("X/Ground-Truth/a/b", ["X/a/b"], ["X/a/b"]),
        ("X/MASKS/masks", ["X/masks"], ["X/MASKS", "X/masks"]),
        ("X/plain", [], []),
    ],
)
def test_siblings(tmp_path: Path, masks: str, folders: list[str], expected: list[str]) -> None:
    for folder in (masks, *folders):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    found = [path.relative_to(tmp_path).as_posix() for path in sibling_image_dirs(tmp_path / masks)]
    assert found == expected


def test_images_of_a_whole_data_set_are_not_all_wanted(tmp_path: Path) -> None:
    """`X/MASKS` given for `X`: only the folders that the masks name are looked into."""
    lay(tmp_path, "MASKS/test/A/1.png", "test/A/1.jpg", "train/A/1.jpg", "train/A/2.jpg")
    (pair,) = pair_truth(tmp_path / "MASKS", None)
    assert (pair.name, pair.folders) == ("test/A/1.jpg", ("test", "A"))


def test_names_across_trees_have_to_be_single(tmp_path: Path) -> None:
    lay(tmp_path, "MASKS/1.png", "test/A/1.jpg", "test/B/1.jpg")
    with pytest.raises(TruthError, match="were not found"):
        pair_truth(tmp_path / "MASKS", None)


def test_class_folders_of_masks_label_flat_images(tmp_path: Path) -> None:
    lay(tmp_path, "MASKS/test/A/x.png", "MASKS/test/B/y.png", "test/x.jpg", "test/y.jpg")
    pairs = pair_truth(tmp_path / "MASKS" / "test", None)
    assert [(pair.name, pair.folders) for pair in pairs] == [("x.jpg", ("A",)), ("y.jpg", ("B",))]


def test_masks_without_any_folder_that_says_so(tmp_path: Path) -> None:
    lay(tmp_path, "truth/1.png", "images/1.jpg")
    with pytest.raises(TruthError, match="no folder is called MASKS"):
        pair_truth(tmp_path / "truth", None)
    (pair,) = pair_truth(tmp_path / "truth", tmp_path / "images")
    assert pair.mask == tmp_path / "truth/1.png"
