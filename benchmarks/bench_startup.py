"""`grader --help` as a whole process, beside the shortest Python process there is.

python -m benchmarks.bench_startup
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.bench_check import GRADER, installed_environment, run_once

RATIO_GOAL = 8.0
ROUNDS = 15


def run() -> list[dict[str, Any]]:
    """One row: median seconds of both, in turn."""
    ours: list[float] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        environment = installed_environment(Path(name))
        for _ in range(ROUNDS + 1):
            ours.append(run_once([GRADER, "--help"], environment))
            theirs.append(run_once([sys.executable, "-c", "pass"], environment))
    # The first of each compiles bytecode and warms the disk's cache.
    mine, reference = (1000 * statistics.median(times[1:]) for times in (ours, theirs))
    ratio = mine / reference
    return [
        {
            "name": "grader --help / python -c pass",
            "ours": mine,
            "theirs": reference,
            "unit": "ms",
            "ratio": ratio,
            "goal": f"≤ {RATIO_GOAL:g}",
            "ok": ratio <= RATIO_GOAL,
        }
    ]


if __name__ == "__main__":
    print(*run(), sep="\n")
