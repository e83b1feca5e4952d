"""Made-up images for `grader check --smoke`: enough to see a program run, not to judge it.

Each class has a hue and each image a bright ellipse on a noisy background, so that a training loop
sees images that differ; they say nothing about how good a submission is.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from grader.model import Truth, TruthItem

_CLASSES = 3
_TRAIN_PER_CLASS = 6
_SIZE_PX = 224


def make_smoke_images(
    directory: Path, classes: Sequence[str], *, test_images: int = 4
) -> tuple[Path, Truth]:
    """Write `train/<class>/NNN.jpg` and `test/N.jpg` below `directory`.

    Returns the training folder, and a truth without labels whose items are the test images with
    the masks of their ellipses, one of another size and one a PNG, as a hidden test set may hold.
    """
    rng = np.random.default_rng(0)
    names = tuple(classes[:_CLASSES]) or tuple(f"class {k}" for k in range(_CLASSES))
    train = directory / "train"
    for hue, name in enumerate(names):
        (train / name).mkdir(parents=True)
        for number in range(1, _TRAIN_PER_CLASS + 1):
            _write(train / name / f"{number:03d}.jpg", _image(rng, hue, _SIZE_PX, _SIZE_PX)[0])
    test, masks = directory / "test", directory / "masks"
    test.mkdir()
    masks.mkdir()
    items = []
    for number in range(test_images):
        height = 180 if number == 1 else _SIZE_PX
        suffix = "png" if number == 2 else "jpg"
        staged = f"img_{number:03d}_smoke.{suffix}"
        image, subject = _image(rng, number % len(names), height, _SIZE_PX)
        mask = masks / f"img_{number:03d}_smoke.png"
        _write(test / staged, image)
        _write(mask, subject)
        items.append(
            TruthItem(name=staged, staged_name=staged, image=test / staged, label=None, mask=mask)
        )
    return train, Truth(
        items=tuple(items),
        classes=tuple(classes),
        classes_from="the definition",
        sha256="",
        staging_seed=0,
    )


def _image(
    rng: np.random.Generator, hue: int, height: int, width: int
) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """An image (H, W, 3) uint8, BGR, and the mask of its ellipse (H, W) uint8, 0 or 255."""
    image = rng.integers(40, 110, (height, width, 3), dtype=np.uint8)
    colour = np.full(3, 60.0)
    colour[hue % 3] = 230.0
    centre = (width // 2 + int(rng.integers(-20, 20)), height // 2 + int(rng.integers(-20, 20)))
    axes = (int(rng.integers(width // 6, width // 3)), int(rng.integers(height // 6, height // 3)))
    angle = float(rng.uniform(0, 180))
    cv2.ellipse(image, centre, axes, angle, 0, 360, colour.tolist(), -1)
    subject = np.zeros((height, width), np.uint8)
    cv2.ellipse(subject, centre, axes, angle, 0, 360, 255, -1)
    return image, subject


def _write(path: Path, image: npt.NDArray[np.uint8]) -> None:
    encoded, data = cv2.imencode(path.suffix, image)
    if not encoded:
        raise AssertionError(f"cv2 cannot encode {path.suffix}")
    path.write_bytes(data.tobytes())
