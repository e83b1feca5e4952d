"""Kill runs of a class, each at another moment, let each be resumed, and print what differs.

    python -m tests.unit.classroom.killed_runs FOLDER COUNT SEED

A moment is a call or a return of any function, Python's own or C's, in the whole run: before and
after each statement to the database, each write, each rename. A killed process is a fork that sends
SIGKILL to itself. Prints JSON: the number of moments, and the moments after which the resumed class
is not the undisturbed one.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from grader.classroom.records import Submitted
from tests.unit.classroom.fake_class import BROKEN, FLAKY, FakeEngine, hand_in
from tests.unit.classroom.fake_class import grade as grade_with

CONTENTS = {f"2023AIB20{n:02d}": f"submission {n}".encode() for n in range(6)}
CONTENTS |= {"2023AIB2090": BROKEN, "2023AIB2091": FLAKY}


def kept(results: Path) -> dict[str, Any]:
    """All that has to be the same: results, states, files; without times."""
    with sqlite3.connect(results / "class.sqlite") as connection:
        told = {
            "results": connection.execute(
                "SELECT key, who, why, zip_sha256, truth_sha256, definition_sha256, grader, verdict, "
                "marks, awards, hex(report) FROM result ORDER BY key, number"
            ).fetchall(),
            "states": connection.execute(
                "SELECT key, state, fault, late_penalty, zip_stamp = '', running_since, stage "
                "FROM submission ORDER BY key"
            ).fetchall(),
            "check": connection.execute("PRAGMA integrity_check").fetchall(),
        }
    connection.close()
    told["files"] = [
        (path.relative_to(results).as_posix(), path.read_text("utf-8"))
        for path in sorted((results / "reports").rglob("*"))
        if path.is_file()
    ]
    return told


def in_a_fork(work: Callable[[], None]) -> int:
    """The status of a child that does `work`: 0, or the negative signal that ended it."""
    child = os.fork()
    if child == 0:
        ended = 1
        try:
            work()
            ended = 0
        finally:
            os._exit(ended)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def killed_at(moment: int, work: Callable[[], None]) -> Callable[[], None]:
    """`work`, ended by SIGKILL at its n-th call or return."""

    def run() -> None:
        left = moment

        def count(*_: object) -> None:
            nonlocal left
            left -= 1
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.setprofile(count)
        work()

    return run


def grade(results: Path, submitted: tuple[Submitted, ...], fails_until: int) -> None:
    """A whole run. `fails_until`: 1 in the first one; a machine that hiccups does not do so again
    because the grader was killed."""
    grade_with(results, submitted, FakeEngine(fails_until=fails_until))


def moments_of(work: Callable[[], None]) -> int:
    """How many calls and returns `work` has."""
    counted = 0

    def count(*_: object) -> None:
        nonlocal counted
        counted += 1

    sys.setprofile(count)
    work()
    sys.setprofile(None)
    return counted


def main(folder: Path, count: int, seed: int) -> None:
    submitted = hand_in(folder / "submissions", CONTENTS)
    undisturbed = folder / "undisturbed"
    grade(folder / "imports", submitted, 1)
    total = moments_of(lambda: grade(undisturbed, submitted, 1))
    expected = kept(undisturbed)
    generator = random.Random(seed)
    wrong, killed = [], 0
    for moment in sorted(generator.sample(range(1, total), count)):
        first, again = (partial(grade, folder / str(moment), submitted, n) for n in (1, 0))
        killed += in_a_fork(killed_at(moment, first)) == -signal.SIGKILL
        if moment % 2:  # the one that goes on is killed, too
            in_a_fork(killed_at(generator.randrange(1, total), again))
        if in_a_fork(again) != 0 or kept(folder / str(moment)) != expected:
            wrong.append(moment)
    sys.stdout.write(json.dumps({"moments": total, "killed": killed, "wrong": wrong}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
