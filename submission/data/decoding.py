"""One image file, whatever its kind, as 8-bit RGB pixels."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

MAX_PIXELS = 100_000_000
"""Above this an image is refused: decoded it would take a third of a gigabyte and more."""


class UnreadableImage(Exception):
    """A file that gives no image; the message says why, without its path."""


def _to_rgb(image: Image.Image) -> Image.Image:
    """Grey, palette, alpha, CMYK and 16-bit images as 8-bit RGB; alpha over white."""
    if image.mode.startswith("I") or image.mode == "F":
        # 16-bit greys arrive as "I;16" or "I": their full scale is 65535, and Pillow's own
        # conversion would clip everything above 255 to white.
        values = np.asarray(image, dtype=np.float64)
        scale = 255.0 / 65535.0 if image.mode != "F" else 255.0 / max(float(values.max()), 1.0)
        return Image.fromarray((values * scale).round().clip(0, 255).astype(np.uint8)).convert(
            "RGB"
        )
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, (255, 255, 255, 255))
        return Image.alpha_composite(white, rgba).convert("RGB")
    return image.convert("RGB")


_ORIENTATION = 0x0112  # the EXIF tag
_BACK = {  # from the upright image to the stored one
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


def _as_stored(image: Image.Image) -> Image.Image:
    """Pillow turns TIFF upright while it decodes, and no other kind: turn it back."""
    if image.format != "TIFF":
        return image
    orientation = image.getexif().get(_ORIENTATION)
    image.load()
    return image.transpose(_BACK[orientation]) if orientation in _BACK else image


def open_rgb(path: Path) -> Image.Image:
    """Decode `path` to a Pillow image in mode RGB. The first frame of an animation counts.

    The pixels stay as stored: an EXIF orientation is not applied, since masks are laid over the
    stored pixels. Raises UnreadableImage for anything that is not a whole image of at most
    `MAX_PIXELS`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise UnreadableImage(
                        f"{width}×{height} pixels; at most {MAX_PIXELS:,} are decoded"
                    )
                return _to_rgb(_as_stored(image))
    except UnidentifiedImageError as error:
        raise UnreadableImage("no known image format") from error
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        # Pillow's decoders raise SyntaxError and EOFError for broken chunks
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise UnreadableImage(reason) from error


def stretched(image: Image.Image, size_px: int) -> Image.Image:
    """`image` as a square of `size_px`: bilinear with antialiasing, as torchvision's
    `Resize((size_px, size_px))` does it."""
    if image.size == (size_px, size_px):
        return image
    return image.resize((size_px, size_px), Image.Resampling.BILINEAR)


def read_rgb(path: Path, size_px: int) -> npt.NDArray[np.uint8]:
    """The image stretched to a square: (size_px, size_px, 3) uint8 RGB.

    Raises UnreadableImage.
    """
    return np.asarray(stretched(open_rgb(path), size_px))
