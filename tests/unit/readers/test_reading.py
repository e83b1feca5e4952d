"""Where an output is looked for when it is not where it should be."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.errors import UsageError
from grader.model import OutputSpec
from grader.readers import READERS
from grader.readers.folder import read_folder
from grader.readers.load import load_reader
from grader.readers.reading import Expected, find_folder, regular_files

EXPECTED = Expected(names=(), sizes_px={}, classes=(), launch=lambda *_: b"")


def touch(root: Path, *paths: str) -> None:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(b"x")


def is_mask(name: str) -> bool:
    return name.startswith("img_")


@pytest.mark.parametrize(
    ("paths", "folder"),
    [
        (["seg_maps/anything.png"], "seg_maps"),
        (["Seg-Map/img_1.png", "other/img_1.png", "other/img_2.png"], "Seg-Map"),
        (["out/masks/img_1.png", "img_1.jpg", "out/masks/img_2.png"], "out/masks"),
        (["img_1.png", "submission.csv"], ""),
        (["nothing.png"], None),
        ([], None),
    ],
)
def test_folders_are_found_by_name_then_by_content(
    tmp_path: Path, paths: list[str], folder: str | None
) -> None:
    touch(tmp_path, *paths)
    assert find_folder(tmp_path, "seg_maps", is_mask) == folder


def test_an_empty_folder_gives_way_to_a_full_one(tmp_path: Path) -> None:
    (tmp_path / "seg_maps").mkdir()
    assert find_folder(tmp_path, "seg_maps", is_mask) == "seg_maps"
    touch(tmp_path, "masks/img_1.png")
    assert find_folder(tmp_path, "seg_maps", is_mask) == "masks"


def test_links_are_no_files(tmp_path: Path) -> None:
    touch(tmp_path, "a/b.txt", "c.txt")
    (tmp_path / "link.txt").symlink_to(tmp_path / "c.txt")
    (tmp_path / "loop").symlink_to(tmp_path)
    assert list(regular_files(tmp_path)) == ["c.txt", "a/b.txt"]


def test_a_flood_of_files_is_not_walked_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grader.readers.reading._MAX_ENTRIES", 3)
    touch(tmp_path, *(f"{letter}.txt" for letter in "abcde"))
    assert list(regular_files(tmp_path)) == ["a.txt", "b.txt", "c.txt"]


def test_a_folder_is_read_as_its_paths(tmp_path: Path) -> None:
    spec = OutputSpec(id="x", path="ckpt", reader="folder", options={})
    assert read_folder(tmp_path, spec, EXPECTED).value is None
    touch(tmp_path, "ckpt/z.pth", "ckpt/a/b.json")
    assert read_folder(tmp_path, spec, EXPECTED).value == ("a/b.json", "z.pth")


@pytest.mark.parametrize("name", sorted(READERS))
def test_every_registered_reader_loads(name: str) -> None:
    assert callable(load_reader(name))


def test_an_unknown_reader_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="there is no reader 'labels_tsv'") as caught:
        load_reader("labels_tsv")
    assert all(name in caught.value.hint for name in READERS)
