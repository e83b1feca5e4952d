"""Small pictures of each image for the report: image, truth, prediction and their overlap.

The overlap is told apart by colour *and* by texture. The three colours are of the set that Okabe
and Ito chose to stay apart in every kind of colour blindness ("Color Universal Design", 2008), and
they also differ in lightness, so they survive a black-and-white print.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from grader.errors import TruthError
from grader.metrics.segmentation import foreground_iou
from grader.model import Collected, Gallery, Truth, TruthItem

RgbArray = npt.NDArray[np.uint8]  # (H, W, 3)
MaskArray = npt.NDArray[np.bool_]  # (H, W)

SIDE_PX = 224
_KEPT_IMAGES = 512  # of 150 kB each at most
_THREADS = 2  # OpenCV and Pillow let go of the interpreter while they decode and encode
AGREED_RGB = (86, 180, 233)  # sky blue: foreground in both
EXTRA_RGB = (213, 94, 0)  # vermilion: predicted, but background
MISSED_RGB = (240, 228, 66)  # yellow, striped with
STRIPE_RGB = (70, 66, 20)  # its dark shade: foreground, but not predicted

_AGREED_OPACITY = 0.45
_WRONG_OPACITY = 0.85
_STRIPE_PX = 4  # a power of two
_DIMMED = 0.45  # share of the image's own colour that is left under the paint

_PHOTO_QUALITY = 82
_OVERLAP_QUALITY = 80
# Colour at full resolution: the stripes and edges of the overlap are what is looked at.
_FULL_COLOUR = (cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444)


def build_gallery(
    truth: Truth, true_masks: Mapping[str, MaskArray], collected: Collected
) -> tuple[Gallery, ...]:
    """One entry per hidden image, in the order of the truth.

    `true_masks`: staged stem → (H, W) bool, for the images that have a mask.
    Raises TruthError for an image of the course that cannot be read.
    """
    with ThreadPoolExecutor(_THREADS) as threads:
        drawn = threads.map(
            lambda item: _entry(
                item, _kept(item, truth.sha256), true_masks.get(item.stem), collected
            ),
            truth.items,
        )
        return tuple(drawn)


@dataclass
class _Kept:
    """What is the same for every submission: the image as the gallery shows it, as an array and as
    a JPEG, and the picture of its true mask, once it was drawn."""

    image: RgbArray
    jpeg: bytes
    truth: bytes | None = None


def _entry(
    item: TruthItem, kept: _Kept, true_mask: MaskArray | None, collected: Collected
) -> Gallery:
    if true_mask is not None and kept.truth is None:
        kept.truth = mask_png(true_mask)
    read = (collected.masks or {}).get(item.stem)
    predicted_mask = None if read is None else read.mask
    if predicted_mask is not None and true_mask is not None:
        # A size that differs was made a finding where the mask was read; here it is only drawn.
        predicted_mask = _fitted(predicted_mask, (true_mask.shape[1], true_mask.shape[0]))
    return Gallery(
        name=item.name,
        staged_name=item.staged_name,
        label=item.label,
        predicted=(collected.labels or {}).get(item.staged_name),
        iou=None if collected.masks is None else _iou(true_mask, predicted_mask),
        image=kept.jpeg,
        truth=None if true_mask is None else kept.truth,
        predicted_mask=None if predicted_mask is None else mask_png(predicted_mask),
        overlap=None if true_mask is None else overlap_jpeg(kept.image, true_mask, predicted_mask),
    )


@lru_cache(maxsize=_KEPT_IMAGES)
def _kept(item: TruthItem, truth_sha256: str) -> _Kept:
    """Kept as long as the truth has the same content."""
    del truth_sha256
    image = _shrunk(_read_image(item), SIDE_PX)
    return _Kept(image, photo_jpeg(image))


def _iou(true_mask: MaskArray | None, predicted_mask: MaskArray | None) -> float | None:
    """None without a truth; a missing prediction is 0, whatever the truth."""
    if true_mask is None:
        return None
    return (
        0.0 if predicted_mask is None else float(foreground_iou([predicted_mask], [true_mask])[0])
    )


def photo_jpeg(image: RgbArray, *, side_px: int = SIDE_PX) -> bytes:
    """`image` (H, W, 3) uint8 RGB as a JPEG whose longer side has at most `side_px`."""
    return _encoded(".jpg", _shrunk(image, side_px), _jpeg(_PHOTO_QUALITY))


def mask_png(mask: MaskArray, *, side_px: int = SIDE_PX) -> bytes:
    """`mask` (H, W) bool as a 1-bit PNG, white where True, longer side at most `side_px`."""
    small = _fitted(mask, _small_size(mask.shape, side_px))
    return _encoded(".png", small.astype(np.uint8) * 255, [cv2.IMWRITE_PNG_BILEVEL, 1])


def overlap_jpeg(
    image: RgbArray,
    truth: MaskArray,
    predicted: MaskArray | None,
    *,
    side_px: int = SIDE_PX,
) -> bytes:
    """The greyed image (H, W, 3) under the overlap of two masks (H, W), as a JPEG.

    Blue where both are foreground, vermilion where only the prediction is, yellow stripes where
    only the truth is. `predicted` None counts as empty.
    """
    small = _shrunk(image, side_px)
    grey = cv2.cvtColor(cv2.cvtColor(small, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    base = _uint8(cv2.addWeighted(small, _DIMMED, grey, 1 - _DIMMED, 0))
    size_px = _small_size(truth.shape, side_px)
    true_mask = _fitted(truth, size_px)
    guess = np.zeros_like(true_mask) if predicted is None else _fitted(predicted, size_px)
    paints = _paints(*true_mask.shape)
    agreed = cv2.addWeighted(base, 1 - _AGREED_OPACITY, paints.agreed, _AGREED_OPACITY, 0)
    colours = cv2.copyTo(paints.missed, _bytes(true_mask), paints.extra.copy())
    wrong = cv2.addWeighted(base, 1 - _WRONG_OPACITY, colours, _WRONG_OPACITY, 0)
    cv2.copyTo(agreed, _bytes(true_mask & guess), base)
    cv2.copyTo(wrong, _bytes(true_mask ^ guess), base)
    encoding = [*_jpeg(_OVERLAP_QUALITY), *_FULL_COLOUR]
    return _encoded(".jpg", base, encoding)


@dataclass(frozen=True, slots=True)
class _Paints:
    """(H, W, 3) each: what lies over the image where the masks agree, where only the prediction is
    foreground, and where only the truth is."""

    agreed: RgbArray
    extra: RgbArray
    missed: RgbArray


@lru_cache(maxsize=8)
def _paints(height_px: int, width_px: int) -> _Paints:
    shape = (height_px, width_px, 3)
    rows, columns = np.ogrid[:height_px, :width_px]
    stripes = ((rows + columns) & _STRIPE_PX == 0)[..., None]
    return _Paints(
        agreed=np.full(shape, AGREED_RGB, np.uint8),
        extra=np.full(shape, EXTRA_RGB, np.uint8),
        missed=np.where(stripes, MISSED_RGB, STRIPE_RGB).astype(np.uint8),
    )


def _bytes(mask: MaskArray) -> npt.NDArray[np.uint8]:
    """The same memory, as OpenCV takes masks."""
    return mask.view(np.uint8)


def _read_image(item: TruthItem) -> RgbArray:
    try:
        with Image.open(item.image) as opened:
            return np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))
    except (OSError, ValueError, Image.DecompressionBombError) as error:
        raise TruthError(f"{item.image}: this image cannot be read: {error}") from error


def _small_size(shape: tuple[int, ...], side_px: int) -> tuple[int, int]:
    """(width, height) of an (H, W, …) array shrunk to `side_px`, never enlarged, never 0."""
    height_px, width_px = shape[:2]
    scale = min(1.0, side_px / max(height_px, width_px))
    return max(1, round(width_px * scale)), max(1, round(height_px * scale))


def _shrunk(image: RgbArray, side_px: int) -> RgbArray:
    return _uint8(
        cv2.resize(image, _small_size(image.shape, side_px), interpolation=cv2.INTER_AREA)
    )


def _fitted(mask: MaskArray, size_px: tuple[int, int]) -> MaskArray:
    """`mask` in the size (width, height), nearest neighbour."""
    if (mask.shape[1], mask.shape[0]) == size_px:
        return mask
    resized = cv2.resize(mask.astype(np.uint8), size_px, interpolation=cv2.INTER_NEAREST)
    return np.asarray(resized, dtype=np.bool_)


def _jpeg(quality: int) -> Sequence[int]:
    return [cv2.IMWRITE_JPEG_QUALITY, quality]


def _encoded(suffix: str, picture: npt.NDArray[np.uint8], options: Sequence[int]) -> bytes:
    pixels = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR) if picture.ndim == 3 else picture
    done, data = cv2.imencode(suffix, pixels, options)
    if not done:
        raise ValueError(f"an array of {picture.shape} cannot be written as {suffix}")
    return bytes(data)


def _uint8(picture: npt.NDArray[np.generic]) -> RgbArray:
    return np.asarray(picture, dtype=np.uint8)
