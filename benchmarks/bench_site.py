"""`grader report` for a class of three hundred, beside reading the same reports.

    python -m benchmarks.bench_site

The class is synthetic (tests/unit/classroom/synthetic_class.py), its reports are varied copies of a
real one, and every submission has a report's page of 0.9 MB. The reference parses the three hundred
report.json in a bare Python process: no site can be made without that.
"""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.bench_check import GRADER, run_once
from tests.unit.classroom.synthetic_class import make_class

STUDENTS = 300
ROUNDS = 3
GOAL_SECONDS = 20.0

_READ = """
import json, pathlib, sys
for path in pathlib.Path(sys.argv[1]).glob("reports/*/report.json"):
    json.loads(path.read_text("utf-8"))
"""


def run() -> list[dict[str, Any]]:
    """One row: median seconds of both, in turn, each time into a new folder."""
    ours: list[float] = []
    theirs: list[float] = []
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "class").mkdir()
        results = folder / "class" / "results"
        make_class(results, STUDENTS).close()
        for number in range(ROUNDS):
            site = folder / f"site{number}"
            ours.append(
                run_once([GRADER, "report", str(results), "--html", str(site)], dict(os.environ))
            )
            pages = sum(1 for _ in (site / "students").iterdir())
            assert pages == STUDENTS, f"{pages} pages of students"
            theirs.append(run_once([sys.executable, "-c", _READ, str(results)], dict(os.environ)))
    mine, reference = statistics.median(ours), statistics.median(theirs)
    return [
        {
            "name": f"site of {STUDENTS} students / parsing their reports",
            "ours": mine,
            "theirs": reference,
            "unit": "s",
            "ratio": mine / reference,
            "goal": f"≤ {GOAL_SECONDS:g} s",
            "ok": mine <= GOAL_SECONDS,
        }
    ]


if __name__ == "__main__":
    print(*run(), sep="\n")
