"""A label map is told from a mask with two levels, whatever the mask was written as."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw, ImageFilter

from grader.readers.mask_image import read_mask_file
from grader.stages.check_true_levels import find_other_level

Mask = npt.NDArray[np.bool_]
SUFFIXES = {"PNG": "png", "JPEG": "jpg", "TIFF": "tif", "WEBP": "webp", "BMP": "bmp"}


def blob(width_px: int = 120, height_px: int = 90, seed: int = 0) -> Mask:
    """A few polygons and a thin line."""
    generator = np.random.default_rng(seed)
    size = np.array([width_px, height_px])
    image = Image.new("1", (width_px, height_px))
    draw = ImageDraw.Draw(image)
    for _ in range(3):
        middle = generator.uniform(0.25, 0.75, 2)
        points = (middle + generator.normal(0, 0.18, (7, 2))) * size
        draw.polygon([(float(x), float(y)) for x, y in points], fill=1)
    x, y = generator.uniform(0.1, 0.9, 2) * size
    draw.line([(float(x), float(y)), (width_px / 2, height_px / 2)], fill=1, width=2)
    return np.asarray(image)


def other(data: bytes, name: str) -> str:
    return find_other_level(data, read_mask_file(data, name))


def written(image: Image.Image, format_name: str = "PNG", **options: Any) -> tuple[bytes, str]:
    stream = io.BytesIO()
    image.save(stream, format_name, **options)
    return stream.getvalue(), f"a.{SUFFIXES[format_name]}"


def saved(array: npt.NDArray[Any]) -> tuple[bytes, str]:
    stream = io.BytesIO()
    np.save(stream, array)
    return stream.getvalue(), "a.npy"


def palette(indices: npt.NDArray[Any], colours: dict[int, tuple[int, int, int]]) -> Image.Image:
    image = Image.fromarray(indices.astype(np.uint8)).copy()
    image.putpalette([part for index in range(256) for part in colours.get(index, (0, 0, 0))])
    return image


def grey(mask: Mask, low: int = 0, high: int = 255, dtype: str = "u1") -> Image.Image:
    return Image.fromarray(np.where(mask, high, low).astype(dtype))


# --------------------------------------------------------------------------- two levels


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 255), (127, 128), (0, 254), (30, 200)])
def test_two_levels(low: int, high: int) -> None:
    assert other(*written(grey(blob(), low, high))) == ""
    assert other(*saved(np.where(blob(), high, low).astype("u1"))) == ""


@pytest.mark.parametrize("dtype", ["?", "u1", "u2", "i4", ">i4", "i8", "f4", "f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_two_levels(dtype: str, order: Any) -> None:
    assert other(*saved(np.asarray(blob().astype(dtype), order=order))) == ""


def test_what_else_has_two_levels() -> None:
    mask = blob()
    shape = mask.shape
    assert other(*written(Image.fromarray(mask))) == ""
    assert other(*written(grey(mask, 0, 65535, "u2"))) == ""
    assert other(*written(grey(mask, 0, 65535, "i4"), "TIFF")) == ""
    assert other(*written(palette(mask, {1: (253, 231, 37), 0: (68, 1, 84)}))) == ""
    assert other(*written(palette(mask, {1: (255, 255, 255)}), transparency=b"\0\xff")) == ""
    alpha = np.zeros((*shape, 4), np.uint8)
    alpha[..., 3] = 255 * mask
    assert other(*written(Image.fromarray(alpha))) == ""
    alpha[..., :3] = 255 * mask[..., None]
    alpha[:20, :, 3] = 40
    assert other(*written(Image.fromarray(alpha))) == ""
    assert other(*written(grey(mask).convert("CMYK"), "JPEG")) == ""
    assert other(*saved(np.where(mask, 1.0, np.nan))) == ""
    wrapped = np.where(mask, 255, 0).astype(np.uint8)
    wrapped[30:60][mask[30:60]] = 254
    assert other(*written(Image.fromarray(wrapped))) == ""
    assert other(*written(Image.new("L", (2, 2), 255))) == ""


@settings(deadline=None, max_examples=80)
@given(
    st.integers(0, 10_000),
    st.sampled_from(["JPEG", "WEBP"]),
    st.integers(30, 100),
    st.sampled_from([((0, 0, 0), (255, 255, 255)), ((68, 1, 84), (253, 231, 37))]),
    st.booleans(),
)
def test_lossy_compression_makes_no_level(
    seed: int, format_name: str, quality: int, colours: Any, again: bool
) -> None:
    mask = blob(seed=seed)
    image = Image.fromarray(np.where(mask[..., None], colours[1], colours[0]).astype(np.uint8))
    data, name = written(image, format_name, quality=quality)
    assert other(data, name) == ""
    if again:  # a lossless copy keeps the noise
        assert other(*written(Image.open(io.BytesIO(data)))) == ""


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.sampled_from(["blur", "shrunk", "grown", "float"]))
def test_soft_edges_are_no_level(seed: int, kind: str) -> None:
    image = grey(blob(240, 180, seed))
    if kind == "blur":
        image = image.filter(ImageFilter.GaussianBlur(2))
    elif kind == "shrunk":
        image = image.resize((80, 60), Image.Resampling.BOX)
    else:
        image = image.resize((500, 375), Image.Resampling.BICUBIC)
    if kind == "float":
        assert other(*saved(np.asarray(image, np.float32) / 255)) == ""
    else:
        assert other(*written(image)) == ""


# --------------------------------------------------------------------------- more than two


def labels() -> npt.NDArray[np.uint8]:
    """0 around, 1 and 2 side by side, 3 a border of five pixels."""
    levels = np.zeros((90, 120), np.uint8)
    levels[15:75, 15:105] = 3
    levels[20:70, 20:60] = 1
    levels[20:70, 60:100] = 2
    return levels


VOC = {1: (128, 0, 0), 2: (0, 0, 128), 3: (224, 224, 192)}


@pytest.mark.parametrize(
    ("data_and_name", "says"),
    [
        (written(palette(labels(), VOC)), "both background by the rule luminance > 127"),
        (written(palette(labels(), VOC).convert("RGB")), "the colour (0, 0, 128) beside"),
        (written(palette(labels(), VOC).convert("RGB"), "JPEG"), "the colour ("),
        # VOC's raw class numbers: 255 is "nobody knows"
        (written(Image.fromarray(np.array([0, 1, 1, 255], "u1")[labels()])), "the level 1 beside"),
        (written(Image.fromarray(np.array([0, 1, 14, 255], "u1")[labels()])), "the level 1 beside"),
        (written(Image.fromarray(np.array([0, 60, 60, 180], "u1")[labels()])), "the level 60"),
        (written(Image.fromarray(np.array([0, 128, 255, 0], "u1")[labels()]), "JPEG"),
         "both foreground"),
        (written(Image.fromarray(np.array([0, 200, 255, 0], "u1")[labels()])), "both foreground"),
        (written(Image.fromarray(np.array([0, 1, 2, 60000], "u2")[labels()])), "the level 1"),
        (written(Image.fromarray(np.array([0, 1, 2, 60000], "i4")[labels()]), "TIFF"),
         "the level 1"),
        (saved(np.array([0, 0.25, 0.4, 1])[labels()]), "the level 0.25"),
        (saved(np.array([-1, 0, 1, 1])[labels()]), "the level 0"),
    ],
)  # fmt: skip
def test_label_maps(data_and_name: tuple[bytes, str], says: str) -> None:
    assert says in other(*data_and_name)
