"""A run over a class: what is repeated, what is left alone, what is set aside."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from grader.classroom import report_files
from grader.classroom.orders import Order
from grader.classroom.records import State
from grader.classroom.run import MOST_ATTEMPTS
from grader.errors import InternalFault, UsageError
from tests.unit.classroom.fake_class import (
    BROKEN,
    CURRENT,
    FLAKY,
    FakeEngine,
    grade,
    hand_in,
    opened,
)

CLASS = {"a": b"1", "b": b"2", "c": b"3"}


def test_every_submission_is_graded_and_its_reports_lie_there(tmp_path: Path) -> None:
    lines = grade(tmp_path / "results", hand_in(tmp_path / "in", CLASS))
    assert [line.split(":")[0] for line in lines] == ["a", "b", "c"]
    with opened(tmp_path / "results") as store:
        for entry in store.entries():
            assert entry.state is State.DONE
            assert entry.report_folder is not None
            names = sorted(path.name for path in entry.report_folder.iterdir())
            assert names == ["report.html", "report.json"]


def test_what_is_done_and_unchanged_is_left_alone(tmp_path: Path) -> None:
    submitted = hand_in(tmp_path / "in", CLASS)
    grade(tmp_path / "results", submitted)
    assert grade(tmp_path / "results", submitted) == []


def test_a_copy_with_a_new_time_is_the_same_zip(tmp_path: Path) -> None:
    submitted = hand_in(tmp_path / "in", CLASS)
    grade(tmp_path / "results", submitted)
    os.utime(tmp_path / "in" / "b.zip", (0, 0))
    assert grade(tmp_path / "results", submitted) == []


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ("truth_sha256", "the truth changed"),
        ("definition_sha256", "the definition changed"),
        ("grader", "the grader changed"),
    ],
)
def test_a_changed_ground_is_graded_again_and_says_why(
    tmp_path: Path, changed: str, why: str
) -> None:
    submitted = hand_in(tmp_path / "in", CLASS)
    grade(tmp_path / "results", submitted)
    lines = grade(tmp_path / "results", submitted, current=replace(CURRENT, **{changed: "other"}))
    assert len(lines) == 3
    with opened(tmp_path / "results") as store:
        assert [result.why for result in store.history("a")] == ["first grading", why]


def test_a_changed_zip_is_graded_again_and_the_old_page_is_kept(tmp_path: Path) -> None:
    submitted = hand_in(tmp_path / "in", CLASS)
    results = tmp_path / "results"
    grade(results, submitted)
    old = (results / "reports" / "b" / "report.html").read_text()
    submitted = hand_in(tmp_path / "in", {**CLASS, "b": b"another"})
    (line,) = grade(results, submitted)
    assert line.startswith("b:")
    with opened(results) as store:
        first, second = store.history("b")
    assert second.why == "the zip changed"
    assert first.report != second.report
    earlier = results / "reports" / "b" / "earlier" / f"{first.number}.html"
    assert earlier.read_text() == old
    assert (results / "reports" / "b" / "report.html").read_text() != old


def test_force_repeats_everything(tmp_path: Path) -> None:
    submitted = hand_in(tmp_path / "in", CLASS)
    grade(tmp_path / "results", submitted)
    assert len(grade(tmp_path / "results", submitted, force=True)) == 3


def test_a_fault_of_the_grader_is_tried_again(tmp_path: Path) -> None:
    engine = FakeEngine()
    grade(tmp_path / "results", hand_in(tmp_path / "in", {**CLASS, "f": FLAKY}), engine)
    assert engine.started["f"] == 2
    with opened(tmp_path / "results") as store:
        entry = store.entry("f")
    assert entry.state is State.DONE
    assert entry.attempts == 2


def test_a_fault_that_stays_is_parked_and_never_marked(tmp_path: Path) -> None:
    submitted = hand_in(tmp_path / "in", {"x": BROKEN, **CLASS})
    engine = FakeEngine()
    lines = grade(tmp_path / "results", submitted, engine)
    assert engine.started["x"] == MOST_ATTEMPTS
    assert lines[-1] == "x: parked, not marked: the sandbox broke"
    with opened(tmp_path / "results") as store:
        parked, *others = store.entries()
    assert parked.state is State.PARKED
    assert parked.fault == "the sandbox broke"
    assert (parked.marks, parked.graded_marks, parked.report) == (None, None, None)
    assert {entry.state for entry in others} == {State.DONE}


def test_the_next_run_tries_parked_ones_again(tmp_path: Path) -> None:
    grade(tmp_path / "results", hand_in(tmp_path / "in", {"x": BROKEN, **CLASS}))
    (line,) = grade(tmp_path / "results", hand_in(tmp_path / "in", {"x": b"mended", **CLASS}))
    assert line.startswith("x: graded")


def test_a_broken_machine_takes_no_submission_with_it(tmp_path: Path) -> None:
    contents = {f"s{n:02d}": f"{n}".encode() for n in range(20)}
    lines = grade(
        tmp_path / "results", hand_in(tmp_path / "in", contents), FakeEngine(broken="broken")
    )
    with opened(tmp_path / "results") as store:
        assert set(store.states().values()) == {State.DONE}
    failed = [line for line in lines if "no sandbox works on broken" in line]
    assert 0 < len(failed) <= 4  # then nothing is given to it any more


def test_when_everything_fails_the_run_stops_and_nobody_is_parked_for_it(tmp_path: Path) -> None:
    submitted = hand_in(tmp_path / "in", dict.fromkeys("abcdefghij", BROKEN))
    with pytest.raises(InternalFault, match="every submission so far failed"):
        grade(tmp_path / "results", submitted)
    with opened(tmp_path / "results") as store:
        assert set(store.states().values()) == {State.WAITING}


def test_a_run_that_is_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    submitted = hand_in(tmp_path / "in", CLASS)

    def stop(order: Order) -> None:
        if order.key == "b":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grade(tmp_path / "results", submitted, FakeEngine(before=stop))
    with opened(tmp_path / "results") as store:
        states = store.states()
        assert store.entry("b").attempts == 0
    assert states == {"a": State.DONE, "b": State.WAITING, "c": State.WAITING}
    assert len(grade(tmp_path / "results", submitted)) == 2


def test_a_disk_that_fills_up_stops_the_run_and_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = hand_in(tmp_path / "in", CLASS)

    def full(order: Order) -> None:
        if order.key == "b":

            def fsync(_: int) -> None:
                raise OSError(28, "No space left on device")

            monkeypatch.setattr(report_files.os, "fsync", fsync)

    with pytest.raises(UsageError, match="No space left on device") as told:
        grade(tmp_path / "results", submitted, FakeEngine(before=full))
    assert "what is done is kept" in told.value.hint
    monkeypatch.undo()
    assert list((tmp_path / "results" / "reports" / "b").iterdir()) == []
    assert len(grade(tmp_path / "results", submitted)) == 2


def test_the_results_of_other_submissions_are_refused(tmp_path: Path) -> None:
    grade(tmp_path / "results", hand_in(tmp_path / "in", CLASS))
    with pytest.raises(UsageError, match="none of its 3 submissions is among the 1 given"):
        grade(tmp_path / "results", hand_in(tmp_path / "other", {"z": b"1"}))


def test_who_comes_later_is_graded_and_who_has_gone_is_kept(tmp_path: Path) -> None:
    grade(tmp_path / "results", hand_in(tmp_path / "in", CLASS))
    late = hand_in(tmp_path / "in", {"c": b"3", "d": b"4"})
    (line,) = grade(tmp_path / "results", late)
    assert line.startswith("d:")
    with opened(tmp_path / "results") as store:
        assert set(store.states()) == {"a", "b", "c", "d"}
        assert store.entry("a").marks is not None


def test_a_zip_that_changes_while_it_waits_is_known_by_what_was_graded(tmp_path: Path) -> None:
    submitted = hand_in(tmp_path / "in", CLASS)

    def replaced(order: Order) -> None:
        if order.key == "b":
            order.zip_path.write_bytes(b"another")

    grade(tmp_path / "results", submitted, FakeEngine(before=replaced))
    # What was graded is what lies there now, though its stamp is another one.
    assert grade(tmp_path / "results", submitted) == []
