"""The small course, made once a session, and the `grader` command as a user types it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from filelock import FileLock

from fixtures.build_submissions import build, list_fixtures
from fixtures.course import NETWORK_INPUT_PX, Course, make_course
from grader import assignments
from tests.acceptance.watched_browser import browser, show

__all__ = ["browser", "course", "grader", "show", "zip_of"]

GRADER = Path(sys.executable).with_name("grader")
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    """The course's images, masks and training folder; shared between the test processes."""
    shared = tmp_path_factory.getbasetemp().parent
    with FileLock(shared / "course.lock"):
        return make_course(shared / "course")


@pytest.fixture
def small_definition(tmp_path: Path) -> Path:
    """The real assignment, but for the size at which networks see the small course's images."""
    folder = tmp_path / "ail721-a2"
    shutil.copytree(Path(assignments.__file__).parent / "ail721-a2", folder)
    path = folder / "assignment.toml"
    text = path.read_text("utf-8")
    for size_px in (224, 128):
        text = text.replace(f"\nsize_px = {size_px}\n", f"\nsize_px = {NETWORK_INPUT_PX}\n")
    smaller = f"\nresize_px = {round(NETWORK_INPUT_PX * 8 / 7)}\n"
    path.write_text(text.replace("\nresize_px = 256\n", smaller), "utf-8")
    return folder


@pytest.fixture
def zip_of(course: Course, tmp_path: Path) -> Callable[[str], Path]:
    """Build the fixture of that id (`accepted/as-asked`)."""
    by_id = {fixture.id: fixture for fixture in list_fixtures()}

    def built(fixture_id: str) -> Path:
        return build(by_id[fixture_id], course, tmp_path)

    return built


@pytest.fixture
def grader(tmp_path: Path) -> Run:
    """Run `grader …` in an empty folder; never a traceback, whatever is asked."""

    def run(*arguments: object, **variables: str) -> subprocess.CompletedProcess[str]:
        folder = tmp_path / "cwd"
        folder.mkdir(exist_ok=True)
        completed = subprocess.run(
            [GRADER, *map(str, arguments)],
            cwd=folder,
            env={**os.environ, **variables},
            capture_output=True,
            text=True,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        assert "Traceback" not in completed.stderr, completed.stderr
        assert "defect of the grader" not in completed.stderr, completed.stderr
        return completed

    return run
