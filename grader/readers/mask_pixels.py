"""One mask file of a stranger: bytes → grey levels, the threshold that parts them, and why.

The header is read first, by our own parser, and refuses a bomb before any decoder starts. Only
then Pillow decodes, with the one plugin that the header names. NumPy is not needed here: this is
what the memory-limited child process imports.

The rule, by what the file holds:

=====================================================  ==============================
content                                                foreground
=====================================================  ==============================
1 bit                                                  white
8-bit grey                                             level > 127
colours, palette                                       luminance (ITU-R 601) > 127
one colour everywhere, varying transparency            alpha > 127
highest value 1 (up to 3 after lossy compression)      value > 0
16 bits and more, arrays: highest value up to 255      value > 127
16 bits and more, arrays: highest value up to 65535    value > 32767
floating point, highest value up to 1                  value > 0.5
=====================================================  ==============================

Alpha is ignored otherwise. Of several frames or pages the first counts.
"""

from __future__ import annotations

import io
import math
import struct
import sys
import zlib
from array import array
from dataclasses import dataclass
from itertools import chain
from typing import cast

from PIL import Image, ImageFile

from grader.readers.file_kind import HEAD_BYTES, file_kind
from grader.readers.image_header import ImageHeader, parse_image_header, parse_npy_header

# A file that ends early is an error here, whatever else runs in this process.
ImageFile.LOAD_TRUNCATED_IMAGES = False

MAX_FILE_BYTES = 64 << 20
MAX_PIXELS = 1 << 24  # 4096 × 4096: as RGBA 64 MiB, the most that a decoder may allocate here

THRESHOLD = 127
_ROUNDING = 1e-6  # the share of a number that float32 arithmetic may be off by
_LOSSY_OVERSHOOT = 3  # ringing of 0/1 masks at JPEG qualities of 75 and more stays below
_LOSSY = frozenset({"JPEG", "WEBP"})
_SAMPLE_STEP = 17  # prime to common widths, so that a sample is no column of the image
_MIDDLE = bytes(range(32, 224))
_HEATMAP_SHARE = 0.2
_MASK_LEVELS = 16
_COLOUR_SAMPLE_PX = (32, 32)
_COLOUR_DIFFERENCE = 32  # more than JPEG's chroma noise on grey
_LOWEST = float("-inf")
_ARRAY_CODES = {
    f"{kind}{array(code).itemsize}": code
    for kind, codes in (("u", "BHIQ"), ("i", "bhiq"), ("f", "fd"))
    for code in codes
}


@dataclass(frozen=True, slots=True)
class MaskPixels:
    """`levels`: H × W bytes, row by row; foreground where a level is above `threshold`.

    `rule` says how that came about, `quirks` are the codes of what had to be forgiven.
    """

    width_px: int
    height_px: int
    levels: bytes
    threshold: int
    rule: str
    quirks: tuple[str, ...]


class RefusedMaskError(Exception):
    """A file that gives no mask: `code` is the finding's, the message says what is wrong."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def decode_mask(
    data: bytes, name: str, max_pixels: int = MAX_PIXELS, *, keep_levels: bool = False
) -> MaskPixels:
    """Decode the mask file `name`. Raises RefusedMaskError and nothing else for any bytes.

    `keep_levels`: numbers of more than 8 bits are spread over the levels 0 to 255 and not held
    against a threshold, as for heatmaps.
    """
    if not data:
        raise RefusedMaskError("mask.empty-file", "the file is empty")
    header = parse_image_header(data)
    if header is None:
        raise RefusedMaskError("mask.not-an-image", f"it is {file_kind(data[:HEAD_BYTES])}")
    size = f"{header.width_px} × {header.height_px}"
    if header.pixels > max_pixels:
        message = f"its header claims {size} pixels; it was not decoded"
        raise RefusedMaskError("mask.too-large", message)
    quirks = [] if header.fits_suffix(name) else ["mask.renamed-format"]
    try:
        if header.format == "NPY":
            return _decode_array(data, header, [*quirks, "mask.array"], keep_levels)
        if header.format == "PNG" and not _png_is_whole(data):
            quirks.append("mask.no-end-marker")
        return _decode_image(data, header, max_pixels, quirks, keep_levels)
    except RefusedMaskError:
        raise
    except MemoryError as error:
        message = f"decoding {size} pixels takes more memory than a mask may"
        raise RefusedMaskError("mask.too-large", message) from error
    except Exception as error:
        # On hostile bytes Pillow's plugins raise anything: struct.error, KeyError, ValueError …
        message = f"it does not decode: {error or type(error).__name__}"
        raise RefusedMaskError("mask.damaged", message) from error


# --------------------------------------------------------------------------- images


def _decode_image(
    data: bytes, header: ImageHeader, max_pixels: int, quirks: list[str], keep_levels: bool
) -> MaskPixels:
    with Image.open(io.BytesIO(data), formats=[header.format]) as image:
        if image.width * image.height > max_pixels:
            message = f"it claims {image.width} × {image.height} pixels; it was not decoded"
            raise RefusedMaskError("mask.too-large", message)
        if getattr(image, "is_animated", False):
            quirks.append("mask.animated")
        image.load()
        if image.mode.startswith("I;16") and not keep_levels:
            return _decode_sixteen_bit(image, quirks)
        if image.mode in ("I", "F") or image.mode.startswith("I;16"):
            numbers = _numbers_of(image)
            quirks.append("mask.sixteen-bit")
            if keep_levels:
                return _spread_numbers(numbers, image.width, image.height, quirks)
            return _threshold_numbers(numbers, image.width, image.height, quirks)
        grey, source = _grey(image, quirks)
        return _threshold_levels(
            grey.tobytes(),
            _extrema(grey)[0][1],
            image.size,
            source,
            header.format in _LOSSY,
            quirks,
        )


def _numbers_of(image: Image.Image) -> array[int] | array[float]:
    """The pixels of an image of more than 8 bits, row by row."""
    if image.mode in ("I", "F"):
        return array(_ARRAY_CODES["i4" if image.mode == "I" else "f4"], image.tobytes())
    numbers = array(_ARRAY_CODES["u2"], image.tobytes())
    if image.mode != "I;16N" and (image.mode == "I;16B") != (sys.byteorder == "big"):
        numbers.byteswap()
    return numbers


def _grey(image: Image.Image, quirks: list[str]) -> tuple[Image.Image, str]:
    """The channel that decides, as mode "L", and its name for the rule."""
    if image.mode == "1":
        return image.convert("L"), "1 bit"
    if image.mode == "L":
        return image, "grey level"
    if image.mode in ("P", "PA"):
        quirks.append("mask.palette")
        has_alpha = image.mode == "PA" or "transparency" in image.info
        image = image.convert("RGBA" if has_alpha else "RGB")
    if image.mode in ("LA", "La", "RGBA", "RGBa"):
        alpha = image.getchannel(image.getbands()[-1])
        ((low, high),) = _extrema(alpha)
        image = image.convert("LA" if image.mode in ("LA", "La") else "RGBA")
        image = image.convert("L" if image.mode == "LA" else "RGB")
        if low != high:
            quirks.append("mask.alpha")
            if all(bottom == top for bottom, top in _extrema(image)):
                return alpha, "alpha"
    if image.mode == "L":
        return image, "grey level"
    if image.mode != "RGB":
        image = image.convert("RGB")
    # Sampled, because the extrema of all pixels of three channels cost a third of decoding.
    sample = image.resize(_COLOUR_SAMPLE_PX, Image.Resampling.NEAREST)
    bottoms, tops = zip(*_extrema(sample), strict=True)
    if max(max(tops) - min(tops), max(bottoms) - min(bottoms)) > _COLOUR_DIFFERENCE:
        quirks.append("mask.colours")
    return image.convert("L"), "luminance"


def _extrema(image: Image.Image) -> tuple[tuple[int, int], ...]:
    """Lowest and highest level of each channel of an 8-bit image."""
    extrema = image.getextrema()
    one_channel = len(image.getbands()) == 1
    return cast("tuple[tuple[int, int], ...]", (extrema,) if one_channel else extrema)


def _threshold_levels(
    levels: bytes,
    highest: int,
    size: tuple[int, int],
    source: str,
    is_lossy: bool,
    quirks: list[str],
) -> MaskPixels:
    threshold, rule = THRESHOLD, f"{source} > {THRESHOLD}"
    if source == "1 bit":
        rule = "1 bit, white is foreground"
    elif 0 < highest <= (_LOSSY_OVERSHOOT if is_lossy else 1):
        threshold, rule = 0, f"{source} > 0, because the highest is {highest}"
        quirks.append("mask.zero-one")
    elif 0 < highest <= THRESHOLD:
        quirks.append("mask.low-contrast")
    else:
        sample = levels[::_SAMPLE_STEP]
        middling = len(sample) - len(sample.translate(None, _MIDDLE))
        # Two colours of a map may lie in the middle, too: a heatmap has many levels.
        if middling > _HEATMAP_SHARE * len(sample) and len(set(sample)) > _MASK_LEVELS:
            quirks.append("mask.not-binary")
        elif not is_lossy and _wraps_around(levels):
            quirks.append("mask.wrap-around")
    return MaskPixels(*size, levels, threshold, rule, tuple(quirks))


def _wraps_around(levels: bytes) -> bool:
    """Whether the levels are 0, 255 and 254, which is 255 + 255 in uint8."""
    wrapped = levels.count(b"\xfe")
    return wrapped > 0 and wrapped + levels.count(b"\0") + levels.count(b"\xff") == len(levels)


def _decode_sixteen_bit(image: Image.Image, quirks: list[str]) -> MaskPixels:
    raw = image.tobytes()
    quirks.append("mask.sixteen-bit")
    is_big = image.mode == "I;16B" or (image.mode == "I;16N" and sys.byteorder == "big")
    high, low = (raw[0::2], raw[1::2]) if is_big else (raw[1::2], raw[0::2])
    if not high.strip(b"\0"):
        return _threshold_levels(low, max(low), image.size, "16-bit value", False, quirks)
    if max(high) <= THRESHOLD:
        quirks.append("mask.low-contrast")
    # A value is above 32767 exactly when its high byte is above 127.
    return MaskPixels(*image.size, high, THRESHOLD, "16-bit value > 32767", tuple(quirks))


# --------------------------------------------------------------------------- arrays


def _decode_array(
    data: bytes, header: ImageHeader, quirks: list[str], keep_levels: bool
) -> MaskPixels:
    npy = parse_npy_header(data)
    assert npy is not None, "parse_image_header has read this header before"
    body = data[npy.offset_bytes :]
    kind, item_bytes = npy.descr[1], int(npy.descr[2:])
    code = "B" if npy.descr[1:] == "b1" else _ARRAY_CODES.get(f"{kind}{item_bytes}")
    if code is None:
        message = f"it is an array of the type {npy.descr}, which is not read"
        raise RefusedMaskError("mask.unsupported", message)
    if len(body) != header.pixels * item_bytes:
        message = f"it holds {len(body)} bytes of data for {header.pixels} values"
        raise RefusedMaskError("mask.damaged", message)
    numbers = array(code, body)
    if npy.descr[0] == (">" if sys.byteorder == "little" else "<"):
        numbers.byteswap()
    if npy.fortran_order:
        columns = (numbers[start :: header.height_px] for start in range(header.height_px))
        numbers = array(code, b"".join(column.tobytes() for column in columns))
    if code == "B":
        levels, size = numbers.tobytes(), (header.width_px, header.height_px)
        return _threshold_levels(levels, max(levels), size, "value", False, quirks)
    if keep_levels:
        return _spread_numbers(numbers, header.width_px, header.height_px, quirks)
    return _threshold_numbers(numbers, header.width_px, header.height_px, quirks)


def _threshold_numbers(
    numbers: array[int] | array[float], width_px: int, height_px: int, quirks: list[str]
) -> MaskPixels:
    """Whole numbers and floating point of more than 8 bits; NaN is background."""
    # NaN is above nothing, so that it is never the highest here; as the first it would stay it.
    highest = max(chain((_LOWEST,), numbers))
    if highest == _LOWEST:
        highest = 0
    if highest <= 1:
        threshold = 0.5 if numbers.typecode in "fd" else 0
    elif highest <= 255:
        threshold = THRESHOLD
    elif highest <= 65535:
        threshold = 32767
    else:
        message = f"its highest value is {highest:g}; values up to 65535 are read"
        raise RefusedMaskError("mask.unsupported", message)
    if 0 < highest <= threshold:
        quirks.append("mask.low-contrast")
    levels = bytes(255 if number > threshold else 0 for number in numbers)
    rule = f"value > {threshold:g}, because the highest is {highest:g}"
    return MaskPixels(width_px, height_px, levels, THRESHOLD, rule, tuple(quirks))


def _spread_numbers(
    numbers: array[int] | array[float], width_px: int, height_px: int, quirks: list[str]
) -> MaskPixels:
    """The lowest number becomes 0, the highest 255; what is not finite becomes 0."""
    finite = [number for number in numbers if math.isfinite(number)]
    lowest, highest = min(finite, default=0), max(finite, default=0)
    # Halves, because the difference of two floats may be infinite; rounding errors are no map.
    half = highest / 2 - lowest / 2
    scale = 127.5 / half if half > _ROUNDING * max(abs(lowest), abs(highest)) else 0.0
    levels = bytes(
        max(0, min(255, round(2 * (number / 2 - lowest / 2) * scale)))
        if math.isfinite(number)
        else 0
        for number in numbers
    )
    rule = f"values from {lowest:g} to {highest:g}, spread over 0 to 255"
    return MaskPixels(width_px, height_px, levels, THRESHOLD, rule, tuple(quirks))


# --------------------------------------------------------------------------- PNG


def _png_is_whole(data: bytes) -> bool:
    """Whether the file has its end chunk. Raises RefusedMaskError for a wrong checksum: Pillow
    does not look at those of the pixels."""
    position = 8
    while position + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 8 + length
        if end + 4 > len(data):
            return False
        if zlib.crc32(data[position + 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            name = kind.decode("ascii", "replace")
            raise RefusedMaskError("mask.damaged", f"the checksum of its {name} chunk is wrong")
        if kind == b"IEND":
            return True
        position = end + 4
    return False
