"""Masks in every encoding, for the tests of several readers."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

Encode = Callable[..., bytes]


@pytest.fixture(scope="session")
def shape() -> npt.NDArray[np.bool_]:
    """(90, 120) bool: an ellipse off the centre, unlike itself when turned or mirrored."""
    rows, columns = np.mgrid[:90, :120]
    return np.asarray(((columns - 50) / 40) ** 2 + ((rows - 35) / 30) ** 2 < 1)


@pytest.fixture(scope="session")
def encode() -> Encode:
    """`encode(array, "PNG", mode=None, **options)`: the bytes of an image file."""

    def make(
        array: npt.NDArray[np.generic], format_name: str, mode: str | None = None, **options: object
    ) -> bytes:
        image = Image.fromarray(array)
        if mode is not None:
            image = image.convert(mode)
        written = io.BytesIO()
        image.save(written, format_name, **options)
        return written.getvalue()

    return make


@pytest.fixture(scope="session")
def png_claim() -> Callable[[int, int, int, int], bytes]:
    """`png_claim(width, height, bits, colour)`: a PNG whose header claims that size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        checksum = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", checksum)

    def make(width: int, height: int, bits: int, colour: int) -> bytes:
        header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
        pixels = zlib.compress(bytes(1 << 20))
        parts = [chunk(b"IHDR", header), chunk(b"IDAT", pixels), chunk(b"IEND", b"")]
        return b"\x89PNG\r\n\x1a\n" + b"".join(parts)

    return make
