"""A run that is killed at any moment loses nothing and doubles nothing."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
KILLS = 50


def test_a_class_killed_at_random_moments_ends_as_the_undisturbed_one(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.unit.classroom.killed_runs",
            tmp_path,
            str(KILLS),
            "20250317",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    outcome = json.loads(done.stdout)
    assert outcome["killed"] == KILLS
    assert outcome["moments"] > 100 * KILLS
    assert outcome["wrong"] == []
