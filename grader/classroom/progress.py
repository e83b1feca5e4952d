"""How far a run is, in words: for a terminal, for a log file, and for `grader status`."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field
from datetime import datetime

_MAX_RUNNING_LINES = 12


@dataclass(frozen=True, slots=True)
class Running:
    """A submission that is being graded: since when, where, and what is done to it just now."""

    key: str
    since: datetime
    worker: str
    stage: str = ""


@dataclass
class Progress:
    """Where the class stands. `seconds` are the durations from which the end is foreseen."""

    total: int
    done: int = 0
    parked: int = 0
    slots: int = 0
    running: dict[str, Running] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)

    @property
    def waiting(self) -> int:
        return self.total - self.done - self.parked - len(self.running)


def remaining_seconds(progress: Progress, now: datetime) -> float | None:
    """When the class will be through, in seconds; None while nothing tells how long one takes.

    What runs is expected to take as long as the others did on average, what waits is shared evenly
    by the slots.
    """
    slots = max(progress.slots, len(progress.running))
    if not progress.seconds or not slots:
        return None
    each = statistics.fmean(progress.seconds)
    left = [
        max(0.0, each - (now - running.since).total_seconds())
        for running in progress.running.values()
    ]
    work = progress.waiting * each + sum(left)
    return max(work / slots, max(left, default=0.0))


def summary(progress: Progress, now: datetime) -> str:
    """One line: `142 of 300 done, 2 parked, 2 running, 154 waiting · about 14 min left`."""
    parts = [f"{progress.done} of {progress.total} done"]
    parts += [f"{progress.parked} parked"] if progress.parked else []
    parts += [f"{len(progress.running)} running"] if progress.running else []
    parts += [f"{progress.waiting} waiting"] if progress.waiting else []
    line = ", ".join(parts)
    left = remaining_seconds(progress, now)
    if left is not None and progress.waiting + len(progress.running):
        line += f" · about {duration(left)} left"
    return line


def running_lines(progress: Progress, now: datetime) -> list[str]:
    """A line for each submission that runs: what is done to it, and for how long it has run."""
    oldest_first = sorted(progress.running.values(), key=lambda one: (one.since, one.key))
    lines = [
        f"{one.key}  {one.stage or 'starting'}  {duration((now - one.since).total_seconds())}"
        for one in oldest_first[:_MAX_RUNNING_LINES]
    ]
    hidden = len(oldest_first) - len(lines)
    return lines + ([f"and {hidden} more"] if hidden else [])


def duration(seconds: float) -> str:
    """`45 s`, `14 min`, `2 h 05 min`."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def counted(position: int, total: int) -> str:
    """`[ 12/300]`, as wide for every position."""
    width = len(str(total))
    return f"[{position:{width}d}/{total}]"
