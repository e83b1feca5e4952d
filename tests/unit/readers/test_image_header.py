"""Headers read by our own parser, against what Pillow and NumPy say of the same files."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from grader.readers.image_header import parse_image_header, parse_npy_header

Encode = Callable[..., bytes]
MODES = {
    "PNG": ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"],
    "JPEG": ["L", "RGB", "CMYK"],
    "BMP": ["1", "L", "P", "RGB", "RGBA"],
    "GIF": ["L", "P"],
    "TIFF": ["1", "L", "RGB", "RGBA", "I;16", "F"],
    "WEBP": ["RGB", "RGBA"],
}


def written(format_name: str, mode: str, size: tuple[int, int], **options: object) -> bytes:
    file = io.BytesIO()
    Image.new(mode, size).save(file, format_name, **options)
    return file.getvalue()


@settings(deadline=None, max_examples=60)
@given(
    st.sampled_from([(name, mode) for name, modes in MODES.items() for mode in modes]),
    st.integers(1, 300),
    st.integers(1, 300),
)
def test_size_and_format_are_pillows(kind: tuple[str, str], width: int, height: int) -> None:
    name, mode = kind
    header = parse_image_header(written(name, mode, (width, height)))
    assert header is not None
    assert (header.format, header.width_px, header.height_px) == (name, width, height)


@pytest.mark.parametrize(
    ("format_name", "mode", "channels", "bits"),
    [
        ("PNG", "1", 1, 1),
        ("PNG", "I;16", 1, 16),
        ("PNG", "RGBA", 4, 8),
        ("PNG", "LA", 2, 8),
        ("JPEG", "L", 1, 8),
        ("JPEG", "RGB", 3, 8),
        ("JPEG", "CMYK", 4, 8),
        ("BMP", "1", 1, 1),
        ("BMP", "RGB", 3, 8),
        ("TIFF", "F", 1, 32),
        ("TIFF", "RGB", 3, 8),
        ("WEBP", "RGB", 3, 8),
    ],
)
def test_channels_and_bits(format_name: str, mode: str, channels: int, bits: int) -> None:
    header = parse_image_header(written(format_name, mode, (7, 5)))
    assert header is not None
    assert (header.channels, header.bits) == (channels, bits)


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ({"lossless": True}, "RGB"),
        ({"lossless": True}, "RGBA"),
        ({"quality": 50, "exif": b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"}, "RGB"),
    ],
)
def test_every_kind_of_webp(options: dict[str, object], mode: str) -> None:
    header = parse_image_header(written("WEBP", mode, (33, 21), **options))
    assert header is not None
    assert (header.width_px, header.height_px) == (33, 21)


def test_a_progressive_jpeg_with_large_metadata() -> None:
    data = written("JPEG", "RGB", (31, 17), progressive=True, icc_profile=bytes(200_000))
    header = parse_image_header(data)
    assert header is not None
    assert (header.width_px, header.height_px, header.bits) == (31, 17, 8)


def test_fill_bytes_and_bare_markers_before_the_size_of_a_jpeg() -> None:
    data = written("JPEG", "L", (31, 17))
    header = parse_image_header(data[:2] + b"\xff\x01\xff\xff\xff" + data[3:])
    assert header is not None
    assert (header.width_px, header.height_px) == (31, 17)


def test_a_bitmap_of_os2() -> None:
    core = b"BM" + bytes(12) + struct.pack("<IHHHH", 12, 31, 17, 1, 24)
    header = parse_image_header(core)
    assert header is not None
    assert (header.width_px, header.height_px, header.channels) == (31, 17, 3)


@pytest.mark.parametrize("dtype", ["?", "u1", "<u2", ">i4", "<f8"])
@pytest.mark.parametrize("shape", [(4, 7), (1, 4, 7), (4, 7, 1)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_npy_headers_are_numpys(dtype: str, shape: tuple[int, ...], order: str) -> None:
    file = io.BytesIO()
    np.save(file, np.asarray(np.zeros(shape, dtype), order=order))  # type: ignore[call-overload]
    data = file.getvalue()
    npy = parse_npy_header(data)
    assert npy is not None
    assert npy.shape == shape
    assert np.dtype(npy.descr) == np.dtype(dtype)
    assert len(data) - npy.offset_bytes == np.zeros(shape, dtype).nbytes
    header = parse_image_header(data)
    assert header is not None
    assert (header.width_px, header.height_px) == (7, 4)


@pytest.mark.parametrize(
    "array",
    [
        np.array([{}], dtype=object),
        np.zeros((2, 2), dtype=[("a", "u1")]),
        np.zeros((3, 4, 5)),
        np.zeros(()),
        np.zeros((0, 4)),
    ],
)
def test_arrays_that_are_no_masks(array: np.ndarray) -> None:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    assert parse_image_header(file.getvalue()) is None


def test_a_npy_header_is_never_evaluated() -> None:
    wicked = (
        b"{'descr': __import__('os').system('false'), 'fortran_order': False, 'shape': (1,), }\n"
    )
    data = b"\x93NUMPY\x01\x00" + len(wicked).to_bytes(2, "little") + wicked
    assert parse_npy_header(data) is None
    assert parse_npy_header(b"\x93NUMPY\x02\x00" + b"\xff\xff\xff\x7f" + b" " * 100) is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xe0\x00\x02\xff\xda\x00\x02",
        b"\xff\xd8\xff\xe0\x00\x00",
        b"II*\x00\xff\xff\xff\x7f",
        b"BM" + bytes(60),
        b"RIFF\0\0\0\0WEBPVP8X\0\0\0\0",
        b"GIF89a\0\0\0\0",
    ],
)
def test_no_header_is_none(data: bytes) -> None:
    assert parse_image_header(data) is None


STARTS = [
    b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\xff\xd8\xff", b"GIF89a", b"BM", b"II*\0", b"MM\0*",
    b"RIFF1234WEBPVP8 ", b"RIFF1234WEBPVP8L", b"RIFF1234WEBPVP8X", b"\x93NUMPY\x01\0", b"",
]  # fmt: skip


@given(st.sampled_from(STARTS), st.binary(max_size=80))
def test_any_bytes_give_a_header_or_none(start: bytes, rest: bytes) -> None:
    header = parse_image_header(start + rest)
    assert header is None or (header.width_px > 0 and header.height_px > 0)


@pytest.mark.parametrize(
    ("format_name", "name", "fits"),
    [
        ("JPEG", "a.jpg", True),
        ("JPEG", "a.JPEG", True),
        ("JPEG", "a.png", False),
        ("PNG", "a", False),
        ("PNG", "a.b.png", True),
    ],
)
def test_a_suffix_fits_its_format(format_name: str, name: str, fits: bool) -> None:
    header = parse_image_header(written(format_name, "L", (2, 2)))
    assert header is not None
    assert header.fits_suffix(name) is fits
