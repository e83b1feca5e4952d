"""What the student's code finds in the folder of images, and what it does not."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from grader.errors import InternalFault, TruthError
from grader.stages.load_truth import load_truth
from grader.stages.stage_images import stage_images

Course = Any  # the fixture's class lives in conftest.py


def test_flat_neutral_read_only_and_of_one_time(full_course: Course, tmp_path: Path) -> None:
    truth = full_course.load()
    dest = tmp_path / "images"
    stage_images(truth, dest)
    staged = sorted(dest.iterdir())
    assert [path.name for path in staged] == sorted(item.staged_name for item in truth.items)
    for path in staged:
        status = path.stat()
        assert stat.S_IMODE(status.st_mode) == 0o444
        assert status.st_mtime_ns == staged[0].stat().st_mtime_ns
        assert status.st_nlink == 1
        assert not path.is_symlink()
    everything = b"".join(path.read_bytes() for path in staged)
    for item in truth.items:
        assert str(item.label).encode() not in everything
        assert str(item.label).casefold() not in " ".join(path.name for path in staged)


def test_pixels_are_the_originals(full_course: Course, tmp_path: Path) -> None:
    truth = full_course.load()
    dest = tmp_path / "images"
    stage_images(truth, dest)
    for item in truth.items:
        copy = dest / item.staged_name
        assert (np.asarray(Image.open(copy)) == np.asarray(Image.open(item.image))).all()
        assert (cv2.imread(str(copy)) == cv2.imread(str(item.image))).all()


def test_suffixes_are_kept_but_for_what_is_written_anew(course: Course, tmp_path: Path) -> None:
    for name, suffix in (
        ("a", ".JPG"),
        ("b", ".jpeg"),
        ("c", ".png"),
        ("d", ".bmp"),
        ("e", ".TIF"),
    ):
        course.add(f"ADONIS/{name}")
        path = course.images / "ADONIS" / f"{name}.jpg"
        Image.open(path).save(path.with_suffix(suffix))
        path.unlink()
    exif = Image.Exif()
    exif[0x0112] = 3
    course.add("ADONIS/f")
    path = course.images / "ADONIS" / "f.jpg"
    Image.open(path).save(path, exif=exif)
    truth = course.load()
    suffixes = [Path(item.staged_name).suffix for item in truth.items]
    assert suffixes == [".JPG", ".jpeg", ".png", ".png", ".png", ".png"]
    stage_images(truth, tmp_path / "images")
    for item in truth.items:
        with Image.open(tmp_path / "images" / item.staged_name) as image:
            assert image.size == (40, 30)


def test_a_mask_belongs_to_the_upright_image(course: Course) -> None:
    course.add("ADONIS/a")
    path = course.images / "ADONIS" / "a.jpg"
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.open(path).transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    assert Image.open(path).size == (30, 40)
    assert len(course.load().items) == 1  # upright it is 40 × 30, as its mask


def test_an_order_on_disk_that_says_nothing(
    full_course: Course, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    truth = full_course.load()
    order: list[str] = []
    real = Path.write_bytes

    def noting(path: Path, data: bytes) -> int:
        order.append(path.name)
        return real(path, data)

    monkeypatch.setattr(Path, "write_bytes", noting)
    stage_images(truth, tmp_path / "images")
    assert order == sorted(order)
    assert order != [item.staged_name for item in truth.items]


def test_a_folder_in_use_is_refused(full_course: Course, tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"")
    with pytest.raises(InternalFault, match="into an empty folder only"):
        stage_images(full_course.load(), tmp_path)


def test_a_truth_that_changed_meanwhile_is_named(full_course: Course, tmp_path: Path) -> None:
    truth = full_course.load()
    truth.items[4].image.write_bytes(b"gone")
    with pytest.raises(TruthError, match=r"can no longer be read") as caught:
        stage_images(truth, tmp_path / "images")
    assert truth.items[4].name in caught.value.message


def test_staged_names_and_truth_agree_when_labels_come_alone(
    full_course: Course, tmp_path: Path
) -> None:
    truth = load_truth(None, full_course.images, None, None, full_course.assignment)
    stage_images(truth, tmp_path / "images")
    assert len(list((tmp_path / "images").iterdir())) == 9
