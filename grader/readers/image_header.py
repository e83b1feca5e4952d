"""What an image file says of itself in its first bytes: format, size, channels, bits.

Read with the standard library alone and before any decoder sees the file, so that a bomb is known
by its claim. Formats: PNG, JPEG (ITU T.81), GIF, BMP, WebP (RFC 9649), TIFF 6 and NumPy's `.npy`.
"""

from __future__ import annotations

import re
import struct
from pathlib import PurePosixPath

from grader.frozen import frozen

# Enough for the largest metadata a JPEG may carry before its size: a few 64 KiB segments.
HEADER_BYTES = 1 << 20

SUFFIXES: dict[str, tuple[str, ...]] = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "GIF": (".gif",),
    "BMP": (".bmp", ".dib"),
    "WEBP": (".webp",),
    "TIFF": (".tif", ".tiff"),
    "NPY": (".npy",),
}
"""Every format that is read, with the suffixes it goes by."""

IMAGE_SUFFIXES = frozenset(
    suffix for name, suffixes in SUFFIXES.items() if name != "NPY" for suffix in suffixes
)

_PNG_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_NPY_HEADER = re.compile(
    rb"\{'descr': '(?P<descr>[<>|=][a-zA-Z]\d{1,2})', 'fortran_order': (?P<order>True|False), "
    rb"'shape': \((?P<shape>\d{1,9}(?:, ?\d{1,9}){0,3},?)?\),? *\} *\n\Z"
)
# Start-of-frame markers carry the size; C4, C8 and CC lie between them and are something else.
_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_JPEG_BARE = frozenset({0x01, *range(0xD0, 0xD9)})  # markers without a length


@frozen
class ImageHeader:
    """`channels` and `bits` (per channel) as stored; 0 where the header does not say."""

    format: str
    width_px: int
    height_px: int
    channels: int
    bits: int

    @property
    def pixels(self) -> int:
        return self.width_px * self.height_px

    def fits_suffix(self, name: str) -> bool:
        """Whether `name` ends as a file of this format should."""
        return PurePosixPath(name).suffix.lower() in SUFFIXES[self.format]


@frozen
class NpyHeader:
    """A `.npy` header: `descr` as in NumPy's array protocol; the data starts at `offset_bytes`."""

    descr: str
    fortran_order: bool
    shape: tuple[int, ...]
    offset_bytes: int


def parse_image_header(data: bytes) -> ImageHeader | None:
    """The header of an image file from its first bytes, None when it is none of the formats.

    `data` may be cut at HEADER_BYTES. A file whose size is 0 × 0 or not stated is no image.
    """
    for parse in (_png, _jpeg, _gif, _bmp, _webp, _tiff, _npy):
        try:
            header = parse(data)
        except (struct.error, IndexError):  # cut short inside the header
            return None
        if header is not None:
            return header if header.width_px > 0 and header.height_px > 0 else None
    return None


def _png(data: bytes) -> ImageHeader | None:
    if not data.startswith(b"\x89PNG\r\n\x1a\n") or data[12:16] != b"IHDR":
        return None
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    return ImageHeader("PNG", width, height, _PNG_CHANNELS.get(colour, 0), bits)


def _jpeg(data: bytes) -> ImageHeader | None:
    if not data.startswith(b"\xff\xd8\xff"):
        return None
    position = 2
    while position < len(data) - 1:
        if data[position] != 0xFF:
            return None
        marker = data[position + 1]
        if marker == 0xFF:  # fill byte
            position += 1
            continue
        if marker in _JPEG_BARE:
            position += 2
            continue
        if marker in (0xD9, 0xDA):  # the image begins or ends without a frame header
            return None
        (length,) = struct.unpack_from(">H", data, position + 2)
        if marker in _JPEG_FRAMES:
            bits, height, width, channels = struct.unpack_from(">BHHB", data, position + 4)
            return ImageHeader("JPEG", width, height, channels, bits)
        position += 2 + max(length, 2)
    return None


def _gif(data: bytes) -> ImageHeader | None:
    if data[:6] not in (b"GIF87a", b"GIF89a"):
        return None
    width, height = struct.unpack_from("<HH", data, 6)
    return ImageHeader("GIF", width, height, 1, 8)


def _bmp(data: bytes) -> ImageHeader | None:
    if not data.startswith(b"BM"):
        return None
    (size,) = struct.unpack_from("<I", data, 14)
    if size == 12:
        width, height, _, depth = struct.unpack_from("<HHHH", data, 18)
    elif 40 <= size <= 124:
        width, height, _, depth = struct.unpack_from("<iiHH", data, 18)
    else:
        return None
    channels = 1 if depth <= 8 else depth // 8
    return ImageHeader("BMP", width, abs(height), channels, min(depth, 8))


def _webp(data: bytes) -> ImageHeader | None:
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        return None
    chunk, body = data[12:16], data[20:32]
    if chunk == b"VP8X" and len(body) >= 10:
        width, height = (int.from_bytes(body[at : at + 3], "little") + 1 for at in (4, 7))
        return ImageHeader("WEBP", width, height, 4 if body[0] & 0x10 else 3, 8)
    if chunk == b"VP8L" and body[0] == 0x2F:
        (packed,) = struct.unpack_from("<I", body, 1)
        width, height = (packed & 0x3FFF) + 1, (packed >> 14 & 0x3FFF) + 1
        return ImageHeader("WEBP", width, height, 4 if packed >> 28 & 1 else 3, 8)
    if chunk == b"VP8 " and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", body, 6)
        return ImageHeader("WEBP", width & 0x3FFF, height & 0x3FFF, 3, 8)
    return None


def _tiff(data: bytes) -> ImageHeader | None:
    order = {b"II*\x00": "<", b"MM\x00*": ">"}.get(data[:4])
    if order is None:
        return None
    (offset,) = struct.unpack_from(order + "I", data, 4)
    (entries,) = struct.unpack_from(order + "H", data, offset)
    values: dict[int, int] = {}
    for index in range(entries):
        start = offset + 2 + 12 * index
        tag, kind, count = struct.unpack_from(order + "HHI", data, start)
        width = {1: "B", 3: "H", 4: "I"}.get(kind)
        if tag not in (256, 257, 258, 277) or width is None or count == 0:
            continue
        inline = struct.calcsize(width) * count <= 4
        at = start + 8 if inline else struct.unpack_from(order + "I", data, start + 8)[0]
        (values[tag],) = struct.unpack_from(order + width, data, at)
    return ImageHeader(
        "TIFF", values.get(256, 0), values.get(257, 0), values.get(277, 1), values.get(258, 1)
    )


def parse_npy_header(data: bytes) -> NpyHeader | None:
    """The header of a `.npy` file (format 1.0 to 3.0) by a strict pattern, nothing evaluated.

    None when it is no plain array: structured types, objects and Python expressions do not match.
    """
    if not data.startswith(b"\x93NUMPY") or len(data) < 12:
        return None
    if data[6] == 1:
        start, length = 10, struct.unpack_from("<H", data, 8)[0]
    else:
        start, length = 12, struct.unpack_from("<I", data, 8)[0]
    if length > 4096:
        return None
    match = _NPY_HEADER.fullmatch(data[start : start + length])
    if match is None:
        return None
    shape = tuple(int(part) for part in (match["shape"] or b"").split(b",") if part.strip())
    return NpyHeader(match["descr"].decode(), match["order"] == b"True", shape, start + length)


def _npy(data: bytes) -> ImageHeader | None:
    header = parse_npy_header(data)
    if header is None:
        return None
    shape = [extent for extent in header.shape if extent != 1] or [1]
    height, width = (shape[0], shape[1]) if len(shape) == 2 else (0, 0)
    return ImageHeader("NPY", width, height, 1, 8 * int(header.descr[2:]))
