"""A copy of an image with the same pixels and nothing else: no EXIF, comments, profiles, tails.

JPEG, PNG and WebP keep their compressed pixels byte for byte and lose the segments around them.
Everything else, and every image whose EXIF asks for a rotation, is decoded, turned upright and
written as PNG: decoders disagree about that tag, and all students have to see the same picture.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image, ImageOps

from grader.readers.image_header import parse_image_header

_ORIENTATION_TAG = 0x0112
_PNG_KEPT = frozenset({b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"})
_WEBP_KEPT = frozenset({b"VP8 ", b"VP8L", b"ALPH"})
_WEBP_ALPHA_FLAG = 0x10
# JPEG markers that carry pixels, tables or how to read them; APP14 says which colours they are.
_JPEG_SOI, _JPEG_EOI, _JPEG_SOS, _JPEG_APP0, _JPEG_APP14 = 0xD8, 0xD9, 0xDA, 0xE0, 0xEE
_JPEG_COMMENT, _JPEG_APPS = 0xFE, range(0xE0, 0xF0)
_JFIF = struct.Struct(">5sHBHHBB")


@dataclass(frozen=True, slots=True)
class StrippedImage:
    """`suffix` is None when the format is the original's, ".png" when it was written anew."""

    data: bytes
    suffix: str | None


def strip_metadata(data: bytes) -> StrippedImage:
    """The image without its metadata, pixels unchanged (upright where EXIF asks for a rotation).

    Raises ValueError that says why the bytes are no image that can be copied.
    """
    header = parse_image_header(data)
    if header is None or header.format == "NPY":
        raise ValueError("no image format that is read begins like this")
    try:
        with Image.open(io.BytesIO(data), formats=[header.format]) as image:
            orientation = image.getexif().get(_ORIENTATION_TAG, 1)
            is_animated = getattr(image, "is_animated", False)
            if orientation in range(2, 9) or is_animated or header.format not in _STRIPPERS:
                return StrippedImage(_as_png(image), ".png")
        return StrippedImage(b"".join(_STRIPPERS[header.format](data)), None)
    except (
        OSError,
        SyntaxError,
        struct.error,
        IndexError,
        Image.DecompressionBombError,
    ) as error:
        raise ValueError(f"it does not decode: {error}") from error


def _as_png(image: Image.Image) -> bytes:
    upright = ImageOps.exif_transpose(image)
    if upright.mode in ("CMYK", "YCbCr", "LAB", "HSV"):
        upright = upright.convert("RGB")
    if upright.mode == "F":
        raise ValueError("its pixels are floating-point numbers; students' decoders want 8 bits")
    clean = Image.new(upright.mode, upright.size)
    clean.paste(upright)
    if upright.mode == "P":
        clean.putpalette(upright.getpalette("RGB") or [])
        if "transparency" in upright.info:
            clean.info["transparency"] = upright.info["transparency"]
    written = io.BytesIO()
    clean.save(written, "PNG")
    return written.getvalue()


# --------------------------------------------------------------------------- JPEG (ITU T.81, B.1)


def _strip_jpeg(data: bytes) -> Iterator[bytes]:
    yield data[:2]
    position = 2
    while True:
        while data[position] == 0xFF and data[position + 1] == 0xFF:  # fill bytes
            position += 1
        if data[position] != 0xFF:
            raise ValueError(f"its JPEG structure breaks off at byte {position}")
        marker = data[position + 1]
        if marker == _JPEG_EOI:
            yield data[position : position + 2]
            return
        (length,) = struct.unpack_from(">H", data, position + 2)
        end = position + 2 + length
        if end > len(data):
            raise ValueError("its JPEG structure is cut short")
        segment = data[position:end]
        if marker == _JPEG_SOS:
            end = _end_of_scan(data, end)
            yield data[position:end]
        elif marker == _JPEG_APP0:
            yield _jfif_without_thumbnail(segment)
        elif marker == _JPEG_APP14:
            yield _adobe_alone(segment)
        elif marker != _JPEG_COMMENT and marker not in _JPEG_APPS:
            yield segment
        position = end


def _end_of_scan(data: bytes, position: int) -> int:
    """Where the entropy-coded bytes end: at an FF that is neither stuffed nor a restart."""
    while True:
        position = data.find(b"\xff", position)
        if position < 0 or position + 1 >= len(data):
            raise ValueError("its JPEG data end without an end marker")
        follower = data[position + 1]
        if follower != 0x00 and follower not in range(0xD0, 0xD8):
            return position
        position += 2


def _jfif_without_thumbnail(segment: bytes) -> bytes:
    if segment[4:9] != b"JFIF\0" or len(segment) < 4 + _JFIF.size:
        return b""
    kept = segment[4 : 4 + _JFIF.size - 2] + b"\0\0"  # a thumbnail of 0 × 0
    return b"\xff\xe0" + struct.pack(">H", 2 + len(kept)) + kept


def _adobe_alone(segment: bytes) -> bytes:
    kept = segment[4:16]
    if not kept.startswith(b"Adobe"):
        return b""
    return b"\xff\xee" + struct.pack(">H", 2 + len(kept)) + kept


# --------------------------------------------------------------------------- PNG, WebP


def _strip_png(data: bytes) -> Iterator[bytes]:
    yield data[:8]
    position = 8
    while True:
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if end > len(data):
            raise ValueError("its PNG structure is cut short")
        if kind in _PNG_KEPT:
            yield data[position:end]
        if kind == b"IEND":
            return
        position = end


def _strip_webp(data: bytes) -> Iterator[bytes]:
    kept = b"".join(_webp_chunks(data))
    yield b"RIFF" + struct.pack("<I", 4 + len(kept)) + b"WEBP" + kept


def _webp_chunks(data: bytes) -> Iterator[bytes]:
    end_of_file = min(len(data), 8 + struct.unpack_from("<I", data, 4)[0])
    position = 12
    while position + 8 <= end_of_file:
        kind, length = struct.unpack_from("<4sI", data, position)
        end = position + 8 + length + length % 2
        if position + 8 + length > len(data):
            raise ValueError("its WebP structure is cut short")
        if kind == b"VP8X":
            flags = data[position + 8] & _WEBP_ALPHA_FLAG
            yield (
                data[position : position + 8] + bytes([flags, 0, 0, 0]) + data[position + 12 : end]
            )
        elif kind in _WEBP_KEPT:
            yield data[position:end]
        position = end


_STRIPPERS = {"JPEG": _strip_jpeg, "PNG": _strip_png, "WEBP": _strip_webp}
