"""A mask survives being written under its image's name, whatever that name ends in."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from data.class_folders import IMAGE_SUFFIXES
from PIL import Image
from segmentation.mask_files import write_mask
from segmentation.overlap import read_mask

RNG = np.random.default_rng(0)
HARDEST = RNG.random((37, 53)) < 0.5  # every pixel an edge


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES | {".JPG", ".Png"}))
def test_a_mask_is_read_back_exactly(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / "seg_maps" / "SPECIES" / f"2{suffix}"
    write_mask(HARDEST, path)
    assert np.array_equal(read_mask(path), HARDEST)


@pytest.mark.parametrize("suffix", sorted(IMAGE_SUFFIXES - {".jpg", ".jpeg", ".jpe", ".jfif"}))
def test_only_jpeg_has_greys(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"2{suffix}"
    write_mask(HARDEST, path)
    with Image.open(path) as image:
        assert set(np.unique(np.asarray(image.convert("L")))) == {0, 255}


def test_jpeg_survives_every_threshold_from_16_to_239(tmp_path: Path) -> None:
    path = tmp_path / "2.jpg"
    write_mask(HARDEST, path)
    grey = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE)
    for threshold in range(16, 240):
        assert np.array_equal(grey > threshold, HARDEST)
