"""A command that is stopped tidies up, whoever stops it, and says so by its exit code."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from fixtures.course import Course
from tests.acceptance.conftest import GRADER


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_stopped_score_leaves_nothing_behind(
    zip_of: Callable[[str], Path], course: Course, tmp_path: Path, number: int
) -> None:
    endless = zip_of("partly-graded/time-out")
    scratch, out = tmp_path / "scratch", tmp_path / "out"
    scratch.mkdir()
    process = subprocess.Popen(
        [GRADER, "score", endless, "--gt", course.masks, "--out", out, "--no-independent"],
        env={"PATH": "/usr/bin:/bin", "TMPDIR": str(scratch)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        # a test run in the background ignores it, and what it starts would inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )
    while not any(scratch.glob("grader-*/submission/evaluate.py")):
        assert process.poll() is None, process.communicate()
    process.send_signal(number)
    _, told = process.communicate()
    assert process.returncode == 130, told
    assert "grader: stopped" in told
    assert "Traceback" not in told
    assert not list(scratch.glob("grader-*"))
    assert not out.exists()


def test_a_full_disk_is_no_defect(zip_of: Callable[[str], Path]) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [GRADER, "check", zip_of("accepted/as-asked")],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 2
    assert "No space left on device" in done.stderr
    assert "defect" not in done.stderr
