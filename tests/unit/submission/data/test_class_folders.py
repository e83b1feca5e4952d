from __future__ import annotations

from pathlib import Path

import pytest
from data.class_folders import list_class_folders, list_test_images
from data.splits import hash_split, split_stratified
from errors import SubmissionError
from hypothesis import given
from hypothesis import strategies as st


def touch(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return root


def test_classes_are_sorted_and_images_in_natural_order(tmp_path: Path) -> None:
    touch(tmp_path, "b/10.JPG", "b/2.webp", "a/x/1.png", "b/notes.txt", "b/._2.webp", ".git/1.png")
    files = list_class_folders(tmp_path)
    assert files.class_names == ("a", "b")
    assert [path.relative_to(tmp_path).as_posix() for path in files.paths] == [
        "a/x/1.png",
        "b/2.webp",
        "b/10.JPG",
    ]
    assert files.targets == (0, 1, 1)


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ([], "0 class folder"),
        (["a/1.png"], "1 class folder"),
        (["1.png", "2.png"], "0 class folder"),
        (["a/1.png", "b/readme.txt"], "no images in class folder.*b"),
    ],
)
def test_folders_that_cannot_be_trained_on(names: list[str], says: str, tmp_path: Path) -> None:
    with pytest.raises(SubmissionError, match=says):
        list_class_folders(touch(tmp_path, *names))


def test_missing_folder_and_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(SubmissionError, match="no such folder"):
        list_class_folders(tmp_path / "none")
    with pytest.raises(SubmissionError, match="is a file"):
        list_test_images(touch(tmp_path, "1.png") / "1.png")
    with pytest.raises(SubmissionError, match="holds no image"):
        list_test_images(touch(tmp_path / "empty", "a.txt"))


def test_images_of_kinds_that_are_not_read_are_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    touch(
        tmp_path, "a/1.png", "a/2.jp2", "a/3.AVIF", "b/1.png", "b/4.jp2", "b/notes.txt", "b/.5.jp2"
    )
    for list_images in (list_class_folders, list_test_images):
        list_images(tmp_path)
        assert "are passed over (1 .avif, 2 .jp2); save them" in capsys.readouterr().err


def test_flat_and_labelled_test_images_together(tmp_path: Path) -> None:
    touch(tmp_path, "img_10.jpg", "img_9.png", "ZEBRA/2.jpg", "ZEBRA/deep/3.jpg")
    assert [(image.name, image.label) for image in list_test_images(tmp_path)] == [
        ("img_9.png", None),
        ("img_10.jpg", None),
        ("ZEBRA/2.jpg", "ZEBRA"),
        ("ZEBRA/deep/3.jpg", "ZEBRA"),
    ]


@pytest.mark.parametrize("listed", [["1", "01", "001"], ["001", "1", "01"]])
def test_names_that_differ_in_zeros_or_case_alone_have_one_order(
    listed: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the order in which the file system gives them."""
    paths = [touch(tmp_path, f"a/{n}.png", f"a/{n}.PNG") / f"a/{n}" for n in listed]
    found = [path.with_suffix(suffix) for path in paths for suffix in (".png", ".PNG")]
    monkeypatch.setattr(Path, "rglob", lambda *_: iter(found))
    names = [image.name for image in list_test_images(tmp_path)]
    assert names == [f"a/{n}.{s}" for n in ("001", "01", "1") for s in ("PNG", "png")]


def test_a_split_is_known_by_its_names_classes_and_parts() -> None:
    here, there = Path("here"), Path("there")
    files = [("a/1.png", 0), ("b/1.png", 1), ("b/\udce9.png", 1)]

    def hashed(root: Path, *parts: list[tuple[str, int]]) -> str:
        return hash_split(*((root, [(root / name, t) for name, t in part]) for part in parts))

    splits = [(files,), (files, []), (files[:2], files[2:]), (files[:1], files[1:]), (files[::-1],)]
    splits += [([(name, 0) for name, _ in files],), ([("a/1.pn", 0), *files[1:]],)]
    assert len({hashed(here, *split) for split in splits}) == len(splits)
    assert all(hashed(here, *split) == hashed(there, *split) for split in splits)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=60), st.floats(0, 0.999), st.integers(0, 9))
def test_split_is_a_partition_with_the_same_share_of_each_class(
    targets: list[int], share: float, seed: int
) -> None:
    train, held_out = split_stratified(targets, share, seed)
    assert sorted(train + held_out) == list(range(len(targets)))
    assert (train, held_out) == split_stratified(targets, share, seed)
    for target in set(targets):
        count = targets.count(target)
        held = sum(targets[index] == target for index in held_out)
        least = 1 if share > 0 and count > 1 else 0
        assert held == min(max(round(share * count) if count > 1 else 0, least), count - 1)
