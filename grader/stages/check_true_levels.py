"""Whether a mask of the course has one level for the foreground and one for the rest.

A label map (Pascal VOC's colours, class or instance numbers, a trimap) is no mask: which of its
labels count, nobody says, and a threshold would part them anyhow. A label is told by an area that
is even: soft edges and the noise of lossy compression have many levels, but no such area.
"""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from grader.model import ReadMask

_NPY_MAGIC = b"\x93NUMPY"
# Synthetic masks under JPEG qualities from 10 to 95, in grey and in two colours: no even area lies
# further than that from the level that it should have.
_NOISE_SHARE = 32 / 255
_AREA_SHARE = 0.01
# Class 1 beside class 0 is as near as noise. But noise has many values, the foreground's too, and
# covers less than the foreground: here that is one number, often a thin border of "nobody knows".
_FEW_VALUES = 32
# Modes whose transparency has to be spelt out before it is dropped.
_WITH_ALPHA = {"P": "RGBA", "PA": "RGBA", "La": "LA", "RGBa": "RGBA"}

_Values = npt.NDArray[Any]


def find_other_level(data: bytes, read: ReadMask) -> str:
    """The first level beside those two that a mask has, in words; empty where there is none.

    `data`: the file that `read` was read from, one of the course's own.
    """
    # 0, 254 and 255 are the foreground of a sum that ran over: which level is which, is clear.
    if "mask.wrap-around" in read.quirks:
        return ""
    values = _values(data, read)
    is_even = _is_even(values)
    noise = _NOISE_SHARE * (255 if values.dtype == np.uint8 else _full_scale(values))
    foreground_px = int(read.mask.sum())
    is_exact = (
        len(_distinct(values[read.mask])[0]) == 1 and len(_distinct(values)[0]) <= _FEW_VALUES
    )
    for side, name in ((read.mask, "foreground"), (~read.mask, "background")):
        levels, counts = _distinct(values[is_even & side])
        if not len(levels):
            continue
        usual = levels[counts.argmax()]
        distance = np.abs(levels.astype(np.float64) - usual).max(axis=1)
        is_other = (distance > noise) & (counts > _AREA_SHARE * read.mask.size)
        if is_exact and name == "background":
            is_near = (distance > 0) & (distance <= noise)
            is_other |= is_near & (counts[is_near].sum() > foreground_px)
        if is_other.any():
            found = levels[is_other][counts[is_other].argmax()]
            return f"{_shown(found)} beside {_shown(usual)}, both {name} by the rule {read.rule}"
    return ""


def _values(data: bytes, read: ReadMask) -> _Values:
    """(H, W, C) in the file's own numbers; what does not count for the rule is left out."""
    shape = (*read.mask.shape, -1)
    if data.startswith(_NPY_MAGIC):
        return _finite(np.load(io.BytesIO(data), allow_pickle=False)).reshape(shape)
    with Image.open(io.BytesIO(data)) as image:
        if read.rule.startswith("alpha"):
            return np.asarray(image.convert("RGBA").getchannel("A")).reshape(shape)
        if image.mode.startswith(("I", "F")):
            return _finite(np.asarray(image)).reshape(shape)
        with_alpha = image.convert(_WITH_ALPHA.get(image.mode, image.mode))
        colours = np.asarray(with_alpha.convert("RGB"))
        return colours[..., :1] if (colours == colours[..., :1]).all() else colours


def _finite(values: _Values) -> _Values:
    """Not a number is background, as for the reader."""
    if values.dtype.kind == "b":
        return values.astype(np.uint8)
    return np.nan_to_num(values) if values.dtype.kind == "f" else values


def _full_scale(values: _Values) -> int:
    highest = values.max()
    return next((scale for scale in (1, 255) if highest <= scale), 65535)


def _is_even(values: _Values) -> npt.NDArray[np.bool_]:
    """(H, W): where all of the 3 × 3 pixels around have the same value."""
    rows = (values[:, 1:] == values[:, :-1]).all(axis=2)
    rows = rows[:, 1:] & rows[:, :-1]
    columns = (values[1:] == values[:-1]).all(axis=2)
    is_even = np.zeros(values.shape[:2], dtype=np.bool_)
    is_even[1:-1, 1:-1] = rows[1:-1] & rows[2:] & rows[:-2]
    is_even[1:-1] &= columns[1:] & columns[:-1]
    return is_even


def _distinct(values: _Values) -> tuple[_Values, npt.NDArray[np.int64]]:
    """The different values of (…, C), (N, C), and how often each occurs, (N,)."""
    channels = values.shape[-1]
    if values.dtype == np.uint8 and channels == 1:  # counted, not sorted
        counts = np.bincount(values.ravel(), minlength=256)
        present = np.flatnonzero(counts)
        return present.astype(np.uint8)[:, None], counts[present]
    if values.dtype == np.uint8:
        packed: _Values = np.zeros(values.shape[:-1], dtype=np.uint32)
        for channel in range(channels):
            packed = packed << 8 | values[..., channel]
        keys, counts = np.unique(packed, return_counts=True)
        shifts = np.arange(8 * (channels - 1), -1, -8, dtype=np.uint32)
        return (keys[:, None] >> shifts & 255).astype(np.uint8), counts
    keys, counts = np.unique(values, return_counts=True)
    return keys[:, None], counts


def _shown(level: _Values) -> str:
    shown = ", ".join(f"{number:g}" for number in level.tolist())
    return f"the colour ({shown})" if len(level) > 1 else f"the level {shown}"
