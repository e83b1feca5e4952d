"""Masks as files named after their images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from segmentation.refinement import Mask

_LOSSLESS: dict[str, tuple[str, dict[str, object]]] = {
    ".bmp": ("BMP", {}),
    ".dib": ("DIB", {}),
    ".gif": ("GIF", {}),
    ".pgm": ("PPM", {}),
    ".png": ("PNG", {"optimize": True}),
    ".pnm": ("PPM", {}),
    ".ppm": ("PPM", {}),
    ".tif": ("TIFF", {"compression": "tiff_deflate"}),
    ".tiff": ("TIFF", {"compression": "tiff_deflate"}),
    ".webp": ("WEBP", {"lossless": True}),
}


def resized(mask: Mask, height_px: int, width_px: int) -> Mask:
    """`mask` at another size; an edge lies where the interpolated mask crosses 1/2."""
    if mask.shape == (height_px, width_px):
        return mask
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(image.resize((width_px, height_px), Image.Resampling.BILINEAR)) > 127


def write_mask(mask: Mask, path: Path) -> None:
    """Write (H, W) bool as one channel of 0 and 255, in the format that `path` names.

    Every format but JPEG keeps the values exactly. A name that ends in `.jpg` must hold a JPEG,
    or readers that go by the name would stumble: it is written at quality 100, where the values
    stay within a few grey levels of 0 and 255, and any threshold from 16 to 239 (the course's is
    127) gives back exactly this mask. Raises OSError.
    """
    image = Image.fromarray(mask.astype(np.uint8) * 255)
    path.parent.mkdir(parents=True, exist_ok=True)
    kind, options = _LOSSLESS.get(path.suffix.lower(), ("JPEG", {"quality": 100}))
    if kind == "WEBP":
        image = image.convert("RGB")  # WebP has no single channel
    image.save(path, kind, **options)
