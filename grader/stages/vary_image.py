"""The same picture in other bytes and other pixels: what a person does not see, and a hash does.

Every pixel's channels move by at most one level of 255 before the image is written anew, so that
not even a decoder's rounding can give the old pixels back.
"""

from __future__ import annotations

import hashlib
import io

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from grader.errors import InternalFault
from grader.readers.image_header import parse_image_header

# JPEG and WebP: above what cameras use, so that the writing adds less than the levels moved.
_QUALITY = 95
_PLAIN_MODES = frozenset({"L", "LA", "RGB", "RGBA", "I;16"})


def vary_image(data: bytes, seed: int, *, mirror: bool = False) -> bytes:
    """`data` (a staged copy: JPEG, PNG or WebP) decoded, moved by ±1 level at random, and written
    in the same format and size; left and right exchanged with `mirror`.

    The noise follows from `seed` and the image alone. Raises InternalFault for what is no staged
    copy: those were decoded before.
    """
    header = parse_image_header(data)
    if header is None:
        raise InternalFault("a staged image is of no format that is read")
    with Image.open(io.BytesIO(data), formats=[header.format]) as image:
        plain = image if image.mode in _PLAIN_MODES else image.convert(_plain_mode(image))
        if mirror:
            plain = ImageOps.mirror(plain)
        varied = Image.fromarray(_moved(np.asarray(plain), data, seed))
        written = io.BytesIO()
        if header.format == "JPEG":
            varied.save(written, "JPEG", quality=_QUALITY, subsampling=0)
        elif header.format == "WEBP":
            varied.save(written, "WEBP", quality=_QUALITY)
        else:
            varied.save(written, "PNG")
    return written.getvalue()


def _plain_mode(image: Image.Image) -> str:
    """A palette or one bit per pixel as a decoder shows them."""
    if image.mode == "1":
        return "L"
    return "RGBA" if "transparency" in image.info else "RGB"


def _moved(pixels: npt.NDArray[np.generic], data: bytes, seed: int) -> npt.NDArray[np.generic]:
    """(H, W) or (H, W, C) of uint8 or uint16, each value moved by -1, 0 or 1 of 255 levels."""
    digest = hashlib.sha256(seed.to_bytes(32, "big") + data).digest()
    generator = np.random.default_rng(int.from_bytes(digest, "big"))
    largest = int(np.iinfo(pixels.dtype).max)  # type: ignore[type-var]
    noise = generator.integers(-1, 2, pixels.shape) * (largest // 255)
    moved = np.clip(pixels.astype(np.int64) + noise, 0, largest)
    if pixels.ndim == 3 and pixels.shape[2] in (2, 4):
        moved[..., -1] = pixels[..., -1]  # transparency is no colour
    return np.asarray(moved.astype(pixels.dtype))
