"""Pictures of the gallery: what is drawn where, and how large they are."""

from __future__ import annotations

import io
import itertools
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from grader.errors import TruthError
from grader.metrics.segmentation import foreground_iou
from grader.model import Collected, ReadMask, Truth, TruthItem
from grader.render.gallery import (
    AGREED_RGB,
    EXTRA_RGB,
    MISSED_RGB,
    STRIPE_RGB,
    build_gallery,
    mask_png,
    overlap_jpeg,
    photo_jpeg,
)

GREY = np.full((64, 64, 3), 128, np.uint8)


def _decoded(picture: bytes) -> npt.NDArray[np.uint8]:
    decoded = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    return np.asarray(decoded[..., ::-1], dtype=np.uint8)


def _half(left: bool) -> npt.NDArray[np.bool_]:
    mask = np.zeros((64, 64), np.bool_)
    mask[:, :32] = left
    mask[:, 32:] = not left
    return mask


def _colour_of(picture: bytes, rows: slice, columns: slice) -> npt.NDArray[np.float64]:
    return np.asarray(_decoded(picture)[rows, columns].reshape(-1, 3).mean(axis=0))


def _mixed(colour: tuple[int, int, int], opacity: float) -> npt.NDArray[np.float64]:
    return 128 * (1 - opacity) + np.array(colour) * opacity


def test_each_kind_of_overlap_has_its_colour() -> None:
    inner, left, right = slice(8, 56), slice(4, 28), slice(36, 60)
    full, empty = np.ones((64, 64), np.bool_), np.zeros((64, 64), np.bool_)
    half = overlap_jpeg(GREY, _half(True), full)
    assert _colour_of(half, inner, left) == pytest.approx(_mixed(AGREED_RGB, 0.45), abs=4)
    assert _colour_of(half, inner, right) == pytest.approx(_mixed(EXTRA_RGB, 0.85), abs=4)
    missed = _colour_of(overlap_jpeg(GREY, full, empty), inner, left)
    stripes = (_mixed(MISSED_RGB, 0.85) + _mixed(STRIPE_RGB, 0.85)) / 2
    assert missed == pytest.approx(stripes, abs=12)
    untouched = overlap_jpeg(GREY, empty, empty)
    assert _colour_of(untouched, inner, left) == pytest.approx([128] * 3, abs=2)


def test_no_prediction_is_drawn_as_an_empty_one() -> None:
    empty = np.zeros((64, 64), np.bool_)
    assert overlap_jpeg(GREY, _half(True), None) == overlap_jpeg(GREY, _half(True), empty)


def _luminance(rgb: tuple[int, int, int]) -> float:
    """Relative luminance, WCAG 2.1."""
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in np.array(rgb) / 255
    ]
    return float(np.dot(linear, [0.2126, 0.7152, 0.0722]))


def test_the_colours_differ_in_lightness_too() -> None:
    levels = sorted(map(_luminance, (AGREED_RGB, EXTRA_RGB, MISSED_RGB, STRIPE_RGB)))
    ratios = [(b + 0.05) / (a + 0.05) for a, b in itertools.pairwise(levels)]
    assert min(ratios) > 1.6


@pytest.mark.parametrize(
    ("size", "shown"), [((300, 600), (112, 224)), ((50, 80), (50, 80)), ((1000, 1), (224, 1))]
)
def test_pictures_shrink_to_the_side_and_never_grow(
    size: tuple[int, int], shown: tuple[int, int]
) -> None:
    image = np.zeros((*size, 3), np.uint8)
    assert _decoded(photo_jpeg(image)).shape[:2] == shown
    assert _decoded(mask_png(np.ones(size, np.bool_))).shape[:2] == shown
    assert _decoded(overlap_jpeg(image, np.ones(size, np.bool_), None)).shape[:2] == shown


def test_a_photo_keeps_its_channels() -> None:
    red = np.zeros((32, 32, 3), np.uint8)
    red[..., 0] = 200
    assert _decoded(photo_jpeg(red)).reshape(-1, 3).mean(axis=0) == pytest.approx(
        [200, 0, 0], abs=6
    )


def test_a_mask_is_exact_and_small() -> None:
    mask = np.indices((200, 200)).sum(axis=0) % 7 < 3
    picture = mask_png(mask)
    assert np.array_equal(_decoded(picture)[..., 0] > 0, mask)
    with Image.open(io.BytesIO(picture)) as opened:
        assert opened.mode == "1"


def test_a_page_of_fifty_noisy_images_stays_below_three_megabytes() -> None:
    rng = np.random.default_rng(1)
    smooth = cv2.GaussianBlur(rng.integers(0, 255, (224, 224, 3)).astype(np.uint8), (0, 0), 1.5)
    texture = np.asarray(cv2.normalize(smooth, None, 0, 255, cv2.NORM_MINMAX), dtype=np.uint8)
    mask = np.hypot(*(np.indices((224, 224)) - 112)) < 80
    pictures = [photo_jpeg(texture), mask_png(mask), mask_png(mask)]
    pictures.append(overlap_jpeg(texture, mask, np.roll(mask, 20, axis=0)))
    assert 50 * sum(map(len, pictures)) * 4 / 3 < 3_000_000


# --------------------------------------------------------------------------- the whole gallery


@pytest.fixture
def truth(tmp_path: Path) -> Truth:
    items = []
    for index, name in enumerate(("one.png", "two.png", "three.png")):
        path = tmp_path / name
        Image.fromarray(np.full((40, 60, 3), 40 * index, np.uint8)).save(path)
        items.append(TruthItem(name, f"s{index}.png", path, f"CLASS {index}", path))
    return Truth(tuple(items), ("CLASS 0", "CLASS 1", "CLASS 2"), "folders", "", 0)


def _read(mask: npt.NDArray[np.bool_]) -> ReadMask:
    return ReadMask(mask, "test", mask.shape[1], mask.shape[0])


def test_an_entry_per_image_with_the_iou_of_the_metric(truth: Truth) -> None:
    true = np.zeros((40, 60), np.bool_)
    true[:, :30] = True
    guess = np.roll(true, 10, axis=1)
    collected = Collected(labels={"s0.png": "CLASS 0"}, masks={"s0": _read(guess)}, findings=())
    gallery = build_gallery(truth, {"s0": true, "s1": true}, collected)
    assert [image.name for image in gallery] == ["one.png", "two.png", "three.png"]
    assert gallery[0].iou == float(foreground_iou([guess], [true])[0])
    assert (gallery[0].predicted, gallery[1].predicted) == ("CLASS 0", None)
    missing, no_truth = gallery[1], gallery[2]
    assert (missing.iou, missing.predicted_mask) == (0.0, None)
    assert missing.overlap is not None
    assert (no_truth.iou, no_truth.truth, no_truth.overlap) == (None, None, None)


def test_without_any_masks_nothing_is_called_zero(truth: Truth) -> None:
    true = np.ones((40, 60), np.bool_)
    gallery = build_gallery(truth, {"s0": true}, Collected(None, None, ()))
    assert {image.iou for image in gallery} == {None}


def test_a_mask_of_another_size_is_drawn_in_the_size_of_the_truth(truth: Truth) -> None:
    true = np.ones((40, 60), np.bool_)
    collected = Collected(None, {"s0": _read(np.ones((224, 224), np.bool_))}, ())
    image = build_gallery(truth, {"s0": true}, collected)[0]
    assert image.predicted_mask is not None
    assert _decoded(image.predicted_mask).shape[:2] == (40, 60)


def test_an_unreadable_image_of_the_course_is_named(truth: Truth) -> None:
    truth.items[0].image.write_bytes(b"no image")
    with pytest.raises(TruthError, match=r"one\.png"):
        build_gallery(truth, {}, Collected(None, None, ()))
