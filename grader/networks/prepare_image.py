"""Turn a course's image into a network's input exactly as students' code does.

PIL's antialiased bilinear resize is what `torchvision.transforms.Resize` calls on an image, and
`cv2.resize` is the other habit; where the size already fits, both leave every pixel as it is.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageOps
from torch import Tensor

from grader.errors import InternalFault, TruthError
from grader.model import Preprocessing

Pixels = npt.NDArray[np.uint8]


def decode_image(path: Path) -> Pixels:
    """(H, W, 3) uint8 RGB, upright. Raises TruthError: the image is the course's own."""
    try:
        with Image.open(path) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise TruthError(
            f"{path}: this image cannot be read: {error}", hint="replace or remove the file"
        ) from error


def at_side(way: Preprocessing, side_px: int) -> Preprocessing:
    """`way` for a network that takes another side; what is around its crop shrinks or grows."""
    return replace(
        way,
        id=f"{way.id}-at-{side_px}",
        title=f"{way.title}; at {side_px} px",
        size_px=side_px,
        resize_px=round(way.resize_px * side_px / way.size_px),
    )


def resize_image(pixels: Pixels, way: Preprocessing) -> Pixels:
    """The geometry of `way` alone: (H, W, 3) uint8 → (h, w, 3) uint8.

    Sizes and offsets are rounded as torchvision's `Resize` and `CenterCrop` round them.
    """
    height, width = pixels.shape[:2]
    if way.resize == "none":
        return pixels
    if way.resize == "stretch":
        return _resample(pixels, way.size_px, way.size_px, way.interpolation)
    shorter = min(height, width)
    target_width = way.resize_px if width == shorter else int(way.resize_px * width / height)
    target_height = way.resize_px if height == shorter else int(way.resize_px * height / width)
    resized = _resample(pixels, target_width, target_height, way.interpolation)
    return _centre_crop(resized, way.size_px)


def _resample(pixels: Pixels, width: int, height: int, interpolation: str) -> Pixels:
    if pixels.shape[:2] == (height, width):
        return pixels
    if interpolation == "pil-bilinear":
        image = Image.fromarray(pixels)
        return np.asarray(image.resize((width, height), Image.Resampling.BILINEAR))
    if interpolation == "cv2-bilinear":
        resized = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR)
        return np.asarray(resized, dtype=np.uint8)
    raise InternalFault(f"there is no interpolation {interpolation!r}")


def _centre_crop(pixels: Pixels, size: int) -> Pixels:
    height, width = pixels.shape[:2]
    if height < size or width < size:
        # A crop larger than the image is filled up with black, half on each side.
        rows, columns = max(size - height, 0), max(size - width, 0)
        pixels = np.pad(
            pixels,
            ((rows // 2, (rows + 1) // 2), (columns // 2, (columns + 1) // 2), (0, 0)),
        )
        height, width = pixels.shape[:2]
    top, left = round((height - size) / 2.0), round((width - size) / 2.0)
    return pixels[top : top + size, left : left + size]


def normalise_pixels(pixels: Pixels, way: Preprocessing) -> Tensor:
    """(H, W, 3) uint8 → (1, 3, H, W) float32, channels last: (x / 255 − mean) / std in float32."""
    # 256 values a channel: looked up, every pixel gets the very number that computing it gives.
    values = torch.arange(256, dtype=torch.float32).div_(255.0).view(256, 1).repeat(1, 3)
    mean, std = (torch.tensor(part, dtype=torch.float32) for part in (way.mean, way.std))
    table = values.sub_(mean).div_(std).numpy().reshape(1, 256, 3)
    normalised = cv2.LUT(np.ascontiguousarray(pixels), table)
    return torch.from_numpy(normalised).permute(2, 0, 1).unsqueeze(0)
