"""How far a run is, in words and in seconds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from grader.classroom.progress import (
    Progress,
    Running,
    counted,
    duration,
    remaining_seconds,
    running_lines,
    summary,
)

NOW = datetime(2025, 3, 17, 12, tzinfo=UTC)


def _running(key: str, seconds: float, stage: str = "") -> Running:
    return Running(key, NOW - timedelta(seconds=seconds), "worker", stage)


def test_nothing_is_foreseen_before_the_first_has_ended() -> None:
    assert remaining_seconds(Progress(total=3, slots=1), NOW) is None


@pytest.mark.parametrize(
    ("slots", "running", "expected"),
    [
        (1, [], 40.0),  # 4 wait
        (2, [], 20.0),
        (1, [4.0], 36.0),  # 3 wait, 6 s left of the one that runs
        (2, [4.0, 4.0], 16.0),
        (2, [400.0], 15.0),  # one that takes long is no reason to foresee less than nothing
        (8, [0.0], 10.0),  # more slots than work: as long as the last one takes
    ],
)
def test_the_end_follows_from_what_the_others_took(
    slots: int, running: list[float], expected: float
) -> None:
    progress = Progress(total=6, done=2, slots=slots, seconds=[8.0, 12.0])
    progress.running = {str(n): _running(str(n), seconds) for n, seconds in enumerate(running)}
    assert remaining_seconds(progress, NOW) == pytest.approx(expected)


def test_the_summary_names_what_there_is() -> None:
    progress = Progress(total=300, done=142, parked=2, slots=2, seconds=[11.0])
    progress.running = {"a": _running("a", 0)}
    assert summary(progress, NOW) == (
        "142 of 300 done, 2 parked, 1 running, 155 waiting · about 14 min left"
    )
    assert summary(Progress(total=3, done=3, seconds=[1.0]), NOW) == "3 of 3 done"


def test_what_runs_is_told_the_longest_first() -> None:
    progress = Progress(total=30)
    progress.running = {
        "b": _running("b", 5),
        "a": _running("a", 125, "running the student's program"),
    }
    assert running_lines(progress, NOW) == [
        "a  running the student's program  2 min",
        "b  starting  5 s",
    ]
    progress.running = {str(n): _running(str(n), n) for n in range(20)}
    assert running_lines(progress, NOW)[-1] == "and 8 more"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "0 s"), (99.4, "99 s"), (99.6, "2 min"), (5_970, "1 h 40 min"), (7_500, "2 h 05 min")],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_positions_are_equally_wide() -> None:
    assert (counted(7, 300), counted(300, 300)) == ("[  7/300]", "[300/300]")
