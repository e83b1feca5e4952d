"""`grader report` for a class of three hundred, beside reading the same reports.

    python -m benchmarks.bench_site

The class is synthetic (tests/unit/classroom/synthetic_class.py), its reports are varied copies of a
real one, and every submission has a report's page of 0.9 MB. The reference parses the three hundred
report.json in a bare Python process: no site can be made without that.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
from pathlib import Path

from benchmarks.measuring import GRADER, Row, row, run_once, table
from tests.unit.classroom.synthetic_class import make_class

STUDENTS = 300
ROUNDS = 3
GOAL_SECONDS = 20.0

_READ = """
import json, pathlib, sys
for path in pathlib.Path(sys.argv[1]).glob("reports/*/report.json"):
    json.loads(path.read_text("utf-8"))
"""


def run() -> list[Row]:
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
            ours.append(run_once([GRADER, "report", results, "--html", site]))
            pages = sum(1 for _ in (site / "students").iterdir())
            assert pages == STUDENTS, f"{pages} pages of students"
            theirs.append(run_once([sys.executable, "-c", _READ, str(results)]))
    mine, reference = statistics.median(ours), statistics.median(theirs)
    name = f"site of {STUDENTS} students"
    return [
        row(f"{name} / goal", mine, GOAL_SECONDS, "s", at_most=1.0),
        row(f"{name} / parsing their reports", mine, reference, "s"),
    ]


if __name__ == "__main__":
    print(table(run()))
