"""A small course for the tests of several stages: images in class folders, masks beside them."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from grader.assignments.load import load_assignment
from grader.model import Assignment, CaseRun, CaseStatus, Truth
from grader.stages.load_truth import load_truth

CLASSES = ("ADONIS", "BLUE MORPHO", "MONARCH")
WIDTH_PX, HEIGHT_PX = 40, 30


def jpeg(array: npt.NDArray[np.uint8], **options: object) -> bytes:
    written = io.BytesIO()
    Image.fromarray(array).save(written, "JPEG", quality=92, **options)
    return written.getvalue()


@dataclass(frozen=True)
class Course:
    """`root` holds `test/<CLASS>/<n>.jpg` and `MASKS/test/<CLASS>/<n>.png`."""

    root: Path
    assignment: Assignment

    @property
    def masks(self) -> Path:
        return self.root / "MASKS" / "test"

    @property
    def images(self) -> Path:
        return self.root / "test"

    def add(
        self, name: str, *, mask: npt.NDArray[np.bool_] | None = None, seed: int = 0
    ) -> npt.NDArray[np.bool_]:
        """Write the image `name` (its relative path without suffix) and its mask."""
        generator = np.random.default_rng([seed, *name.encode()])
        if mask is None:
            mask = np.zeros((HEIGHT_PX, WIDTH_PX), dtype=np.bool_)
            top, left = generator.integers(0, 10, 2)
            mask[top : top + 12, left : left + 20] = True
        image = generator.integers(0, 255, (*mask.shape, 3), dtype=np.uint8)
        for folder, data, suffix in (
            (self.images, jpeg(image), ".jpg"),
            (self.masks, png(mask), ".png"),
        ):
            path = folder / f"{name}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        return mask

    def load(self) -> Truth:
        return load_truth(self.masks, None, None, None, self.assignment)


def png(mask: npt.NDArray[np.bool_]) -> bytes:
    written = io.BytesIO()
    Image.fromarray(mask.astype(np.uint8) * 255).save(written, "PNG")
    return written.getvalue()


@pytest.fixture(scope="session")
def three_classes() -> Assignment:
    """ail721-a2 with three classes of its hundred."""
    return replace(load_assignment("ail721-a2"), classes=CLASSES)


@pytest.fixture
def course(tmp_path: Path, three_classes: Assignment) -> Course:
    """A course without any image yet."""
    return Course(tmp_path / "course", three_classes)


@pytest.fixture
def full_course(course: Course) -> Course:
    """Three images of each of three classes."""
    for name in CLASSES:
        for number in range(1, 4):
            course.add(f"{name}/{number}")
    return course


@pytest.fixture
def run_of(tmp_path: Path) -> Callable[..., CaseRun]:
    """`run_of({"path": bytes})`: a finished run that left these files."""

    def make(files: dict[str, bytes], case: str = "evaluate") -> CaseRun:
        outputs = tmp_path / "outputs"
        outputs.mkdir(exist_ok=True)
        for path, data in files.items():
            (outputs / path).parent.mkdir(parents=True, exist_ok=True)
            (outputs / path).write_bytes(data)
        return CaseRun(
            case=case,
            argv=(),
            variant=0,
            status=CaseStatus.FINISHED,
            exit_code=0,
            signal=None,
            limit="",
            wall_seconds=1.0,
            cpu_seconds=1.0,
            peak_memory_bytes=1,
            stdout="",
            stderr="",
            stdout_truncated=False,
            stderr_truncated=False,
            outputs=outputs,
            backend="none",
        )

    return make
