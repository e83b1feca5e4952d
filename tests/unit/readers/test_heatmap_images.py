"""Heatmaps in every form that a student may write: each level of them counts."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from grader.metrics.heatmaps import rank_correlation, varies
from grader.model import OutputSpec, ReadHeatmap
from grader.readers.heatmap_images import read_heatmap_images
from grader.readers.mask_pixels import decode_mask
from grader.readers.reading import Expected
from grader.sandbox.helper import answer_of

SIDE_PX = 64
OUTPUT = OutputSpec("heatmaps", "heatmaps", "heatmap_images", {"side_px": SIDE_PX})


def bump() -> np.ndarray:
    """(64, 64) float64 in [0, 1]: smooth, as a map that was enlarged from 8 × 8."""
    row, column = np.mgrid[0:SIDE_PX, 0:SIDE_PX] / SIDE_PX
    heat = np.exp(-8 * ((row - 0.3) ** 2 + (column - 0.6) ** 2))
    return np.asarray((heat - heat.min()) / np.ptp(heat))


def write(folder: Path, form: str) -> None:
    heat = bump()
    match form:
        case "png":
            Image.fromarray((heat * 255).round().astype(np.uint8)).save(folder / "a.png")
        case "16-bit png":
            Image.fromarray((heat * 65535).astype(np.uint16)).save(folder / "a.png")
        case "12 bits in 16":
            Image.fromarray((heat * 4095).astype(np.uint16)).save(folder / "a.png")
        case "float tiff":
            Image.fromarray(heat.astype(np.float32)).save(folder / "a.tiff")
        case "int32 tiff":
            Image.fromarray((heat * 10**6).astype(np.int32)).save(folder / "a.tiff")
        case "signed":
            np.save(folder / "a.npy", (heat - 0.5).astype(np.float32))
        case "small":
            np.save(folder / "a.npy", heat * 1e-9)
        case _:
            np.save(folder / "a.npy", heat.astype(form))


def read(outputs: Path) -> ReadHeatmap:
    expected = Expected(("a.jpg",), {}, (), answer_of)
    reading = read_heatmap_images(outputs, OUTPUT, expected)
    assert reading.findings == ()
    heatmap: ReadHeatmap = reading.value["a"]
    return heatmap


@pytest.mark.parametrize(
    "form",
    [
        *("png", "16-bit png", "12 bits in 16", "float tiff", "int32 tiff"),
        *("float32", "float64", ">f4", "signed", "small"),
    ],
)
def test_every_level_of_a_map_counts(tmp_path: Path, form: str) -> None:
    (tmp_path / "heatmaps").mkdir()
    write(tmp_path / "heatmaps", form)
    heatmap = read(tmp_path)
    assert (heatmap.width_px, heatmap.height_px, heatmap.in_colour) == (SIDE_PX, SIDE_PX, False)
    assert varies(heatmap.heat)
    assert rank_correlation(heatmap.heat, bump()) > 0.999
    assert np.abs(heatmap.heat - bump()).max() < 0.01


@pytest.mark.parametrize("value", [0.0, 0.25, 3e9, np.nan, np.inf])
def test_a_flat_map_stays_flat(tmp_path: Path, value: float) -> None:
    (tmp_path / "heatmaps").mkdir()
    heat = np.full((SIDE_PX, SIDE_PX), value)
    heat[0, 0] *= 1 + 1e-9  # rounding
    np.save(tmp_path / "heatmaps" / "a.npy", heat)
    assert not varies(read(tmp_path).heat)


numbers = arrays.arrays(
    st.sampled_from([np.float32, np.float64, np.int64, np.uint16]),
    arrays.array_shapes(min_dims=2, max_dims=2, min_side=5, max_side=8),
)


@given(numbers)
def test_any_numbers_keep_their_order(values: np.ndarray) -> None:
    written = io.BytesIO()
    np.save(written, values)
    pixels = decode_mask(written.getvalue(), "a.npy", keep_levels=True)
    levels = np.frombuffer(pixels.levels, dtype=np.uint8)
    flat = values.astype(np.float64).ravel()
    finite = np.isfinite(flat)
    assert not levels[~finite].any()
    in_order = levels[finite][np.argsort(flat[finite], kind="stable")].astype(int)
    assert (np.diff(in_order) >= 0).all()
    if finite.any() and np.ptp(flat[finite] / 2) > 1e-5 * np.abs(flat[finite]).max():
        assert in_order[0] == 0
        assert in_order[-1] == 255
