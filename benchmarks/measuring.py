"""What every benchmark does: time by turns, the peak memory of a process, a row of its table."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tabulate import tabulate

GRADER = str(Path(sys.executable).with_name("grader"))
MB = 1_000_000

Work = Callable[[], object]
Row = dict[str, Any]


def seconds_of(work: Work, clock: Callable[[], float] = time.perf_counter) -> float:
    """How long `work` takes by `clock`."""
    start = clock()
    work()
    return clock() - start


def by_turns(
    rounds: int, *works: Work, clock: Callable[[], float] = time.perf_counter
) -> list[list[float]]:
    """Seconds of each of `works`, round by round, so that a busy moment meets all of them. The
    first call of each, which pays for imports, memory and caches, is not measured."""
    for work in works:
        work()
    seconds: list[list[float]] = [[] for _ in works]
    for _ in range(rounds):
        for work, taken in zip(works, seconds, strict=True):
            taken.append(seconds_of(work, clock))
    return seconds


def run_once(
    command: Sequence[str | Path],
    environment: Mapping[str, str] | None = None,
    cwd: Path | None = None,
) -> float:
    """Seconds that a whole process takes. It has to end as a check does: passed or not."""
    start = time.perf_counter()
    ended = subprocess.run(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        env=environment,
        cwd=cwd,
        check=False,
    )
    seconds = time.perf_counter() - start
    if ended.returncode not in (0, 1):
        raise RuntimeError(f"{command[0]} ended with {ended.returncode}: {ended.stderr}")
    return seconds


def installed_environment(bytecode: Path) -> dict[str, str]:
    """As on a student's laptop: modules are compiled once, whatever this shell says."""
    kept = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(bytecode)}


def peak_mb(command: Sequence[str | Path], environment: Mapping[str, str] | None = None) -> float:
    """The largest resident size of a fresh process, measured by a parent with no other child."""
    program = (
        "import resource, subprocess, sys; "
        "ended = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); "
        "sys.exit(ended.returncode not in (0, 1))"
    )
    out = subprocess.run(
        [sys.executable, "-c", program, *map(str, command)],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    unit_bytes = 1 if sys.platform == "darwin" else 1024
    return int(out.stdout) * unit_bytes / MB


def row(
    name: str,
    ours: float,
    theirs: float | None,
    unit: str,
    *,
    at_most: float | None = None,
    at_least: float | None = None,
    ratio: float | None = None,
) -> Row:
    """A row of the table: what is compared, both numbers, and `ratio` (ours / theirs unless it is
    given) with its goal, `at_most` or `at_least`; without one the row is for comparison only."""
    if ratio is None and theirs:
        ratio = ours / theirs
    goal, ok = "", True
    if at_most is not None:
        goal, ok = f"≤ {at_most:g}", ratio is not None and ratio <= at_most
    elif at_least is not None:
        goal, ok = f"≥ {at_least:g}", ratio is not None and ratio >= at_least
    return {
        "name": name,
        "ours": ours,
        "theirs": theirs,
        "unit": unit,
        "ratio": ratio,
        "goal": goal,
        "ok": ok,
    }


def speed_row(
    name: str,
    ours: Work,
    theirs: Work,
    *,
    count: int,
    unit: str,
    rounds: int,
    at_least: float | None,
    clock: Callable[[], float] = time.perf_counter,
) -> Row:
    """Both at `count` things a call, measured by turns; the ratio is the median of the rounds'."""
    mine, other = by_turns(rounds, ours, theirs, clock=clock)
    ratio = statistics.median(b / a for a, b in zip(mine, other, strict=True))
    return row(name, count / min(mine), count / min(other), unit, at_least=at_least, ratio=ratio)


def table(rows: Sequence[Row], style: str = "simple") -> str:
    """The rows for people."""
    return tabulate(
        [
            (
                one["name"],
                _number(one["ours"]),
                _number(one["theirs"]),
                one["unit"],
                _number(one["ratio"]),
                one["goal"],
                "" if not one["goal"] else "yes" if one["ok"] else "no",
            )
            for one in rows
        ],
        headers=("what", "ours", "theirs", "unit", "ratio", "goal", "met"),
        tablefmt=style,
        disable_numparse=True,
    )


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}" if value < 1000 else f"{value:.0f}"
