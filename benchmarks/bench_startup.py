"""`grader --help` as a whole process, beside the shortest Python process there is.

python -m benchmarks.bench_startup
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.measuring import GRADER, Row, by_turns, installed_environment, row, run_once, table

RATIO_GOAL = 8.0
ROUNDS = 15


def run() -> list[Row]:
    """One row: median seconds of both, in turn."""
    with tempfile.TemporaryDirectory() as name:
        environment = installed_environment(Path(name))
        times = by_turns(
            ROUNDS,
            partial(run_once, [GRADER, "--help"], environment),
            partial(run_once, [sys.executable, "-c", "pass"], environment),
        )
    mine, reference = (1000 * statistics.median(taken) for taken in times)
    return [row("grader --help / python -c pass", mine, reference, "ms", at_most=RATIO_GOAL)]


if __name__ == "__main__":
    print(table(run()))
