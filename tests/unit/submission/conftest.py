"""The submission imports flatly, as it does where a course unzips it: its folder is on the path."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

SUBMISSION = Path(__file__).parents[3] / "submission"
if str(SUBMISSION) not in sys.path:
    sys.path.insert(0, str(SUBMISSION))

MakeClassFolders = Callable[..., Path]


@pytest.fixture
def submission() -> Path:
    return SUBMISSION


@pytest.fixture
def shared() -> Path:
    """The course's data beside the project; the test skips where there is none."""
    folder = SUBMISSION.parents[1] / "shared" / "data" / "butterflies"
    if not folder.is_dir():
        pytest.skip(f"{folder} is not here")
    return folder


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """These tensors are tiny: threads would only wait for each other, by spinning, and on a busy
    machine so long that a test runs out of time."""
    torch.set_num_threads(1)
    torch.manual_seed(0)


def blob(class_index: int, number: int, size_px: int) -> np.ndarray:
    """A disc whose colour tells its class, on noise: (size_px, size_px, 3) uint8."""
    rng = np.random.default_rng(1000 * class_index + number)
    image = rng.integers(60, 130, (size_px, size_px, 3), dtype=np.uint8)
    y, x = np.mgrid[:size_px, :size_px]
    centre = rng.uniform(0.4, 0.6, 2) * size_px
    disc = (y - centre[0]) ** 2 + (x - centre[1]) ** 2 < (0.3 * size_px) ** 2
    colour = np.array([[230, 40, 40], [40, 220, 60], [50, 60, 240], [230, 220, 40]])[class_index]
    image[disc] = (colour + rng.integers(-15, 16, (int(disc.sum()), 3))).clip(0, 255)
    return image


@pytest.fixture
def class_folders(tmp_path: Path) -> MakeClassFolders:
    """Make a folder of class folders of small PNG images."""

    def make(classes: int = 3, images: int = 6, size_px: int = 24, name: str = "train") -> Path:
        root = tmp_path / name
        for index in range(classes):
            folder = root / f"CLASS {chr(ord('A') + index)}"
            folder.mkdir(parents=True)
            for number in range(images):
                Image.fromarray(blob(index, number, size_px)).save(folder / f"{number}.png")
        return root

    return make
