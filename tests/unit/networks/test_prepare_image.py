"""Preprocessing equals torchvision's, pixel by pixel and number by number."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms

from grader.errors import InternalFault, TruthError
from grader.model import Preprocessing
from grader.networks.prepare_image import decode_image, normalise_pixels, resize_image

IMAGENET = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
SIZES = [(64, 64), (50, 90), (91, 50), (30, 200), (7, 5), (1, 1), (64, 65), (33, 32)]


def way(resize: str, size_px: int = 48, resize_px: int = 56, **more: object) -> Preprocessing:
    mean, std = IMAGENET
    return Preprocessing("id", "title", resize, size_px, resize_px, mean, std, **more)  # type: ignore[arg-type]


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(
    ("chosen", "theirs"),
    [
        (way("stretch"), [transforms.Resize((48, 48))]),
        (way("shorter-side-crop"), [transforms.Resize(56), transforms.CenterCrop(48)]),
        (way("shorter-side-crop", 48, 31), [transforms.Resize(31), transforms.CenterCrop(48)]),
        (way("none"), []),
    ],
    ids=["stretch", "crop", "crop beyond the image", "none"],
)
def test_tensors_equal_torchvisions(
    size: tuple[int, int], chosen: Preprocessing, theirs: list[object]
) -> None:
    pixels = noise(*size)
    pipeline = transforms.Compose([*theirs, transforms.ToTensor(), transforms.Normalize(*IMAGENET)])
    ours = normalise_pixels(resize_image(pixels, chosen), chosen)
    assert ours.dtype is torch.float32
    assert torch.equal(ours[0], pipeline(Image.fromarray(pixels)))


def test_opencvs_resize_is_opencvs() -> None:
    pixels = noise(60, 90)
    ours = resize_image(pixels, way("stretch", interpolation="cv2-bilinear"))
    assert np.array_equal(ours, cv2.resize(pixels, (48, 48)))
    assert not np.array_equal(ours, resize_image(pixels, way("stretch")))


def test_pixels_of_the_right_size_are_left_alone() -> None:
    pixels = noise(48, 48)
    for interpolation in ("pil-bilinear", "cv2-bilinear"):
        resized = resize_image(pixels, way("stretch", interpolation=interpolation))
        assert np.array_equal(resized, pixels)


def test_an_unknown_interpolation_is_the_graders_fault() -> None:
    with pytest.raises(InternalFault, match="nearest"):
        resize_image(noise(5, 5), way("stretch", interpolation="nearest"))


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "CMYK", "1", "I;16"])
def test_images_of_every_mode_become_rgb(tmp_path: Path, mode: str) -> None:
    path = tmp_path / ("image.tif" if mode == "CMYK" else "image.png")
    Image.new(mode, (6, 4), 1).save(path)
    pixels = decode_image(path)
    assert pixels.shape == (4, 6, 3)
    assert pixels.dtype == np.uint8


def test_images_are_turned_upright(tmp_path: Path) -> None:
    image = Image.fromarray(noise(4, 9))
    exif = Image.Exif()
    exif[0x0112] = 6  # rotated by a quarter
    image.save(tmp_path / "image.png", exif=exif)
    assert decode_image(tmp_path / "image.png").shape == (9, 4, 3)


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n"])
def test_an_unreadable_image_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "image.jpg"
    path.write_bytes(content)
    with pytest.raises(TruthError, match=r"image\.jpg"):
        decode_image(path)
    with pytest.raises(TruthError, match=r"missing\.jpg"):
        decode_image(tmp_path / "missing.jpg")
