"""Whose marks changed, and what explains it; adjustments and names of submissions."""

from __future__ import annotations

import shutil
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.classroom.adjust import adjust
from grader.classroom.compare import compare, compare_with_past
from grader.classroom.grade_class import find
from grader.classroom.marks import misfits, total, with_adjustments
from grader.classroom.records import Adjustment, Submitted
from grader.classroom.store import open_store
from grader.errors import UsageError
from tests.unit.classroom.fake_class import CURRENT, grade, hand_in, opened

CLASS = {"a": b"1", "b": b"2", "c": b"3"}


def test_the_same_class_has_no_changes(tmp_path: Path) -> None:
    grade(tmp_path / "results", hand_in(tmp_path / "in", CLASS))
    with opened(tmp_path / "results") as store:
        assert compare(store, store) == ()
        assert compare_with_past(store) == ()


def test_a_change_names_its_causes(tmp_path: Path) -> None:
    results, before = tmp_path / "results", tmp_path / "before"
    grade(results, hand_in(tmp_path / "in", CLASS))
    shutil.copytree(results, before)
    current = replace(CURRENT, truth_sha256="u" * 64)
    grade(results, hand_in(tmp_path / "in", {**CLASS, "b": b"22"}), current=current)
    adjust(results, "b", "segmentation", "2.25", "agreed in class")
    with open_store(before) as old, open_store(results) as new:
        (change,) = compare(old, new)
    assert change.key == "b"
    assert change.before != change.after
    assert change.reasons[:2] == ("the zip changed", "the truth changed")
    text = "\n".join(change.reasons)
    assert "the zip and the truth changed" in text
    assert "segmentation" in text
    assert "agreed in class" in text
    assert "new finding: zip.fake-" in text
    assert "finding gone: zip.fake-" in text
    with open_store(results) as store:
        (past,) = compare_with_past(store)
    assert (past.key, past.before, past.after) == ("b", change.before, change.after)


def test_marks_that_change_though_nothing_did_are_called_so(tmp_path: Path) -> None:
    results, before = tmp_path / "results", tmp_path / "before"
    submitted = hand_in(tmp_path / "in", {"a": b"1"})
    grade(results, submitted)
    shutil.copytree(results, before)
    with opened(results) as store:
        store._connection.execute(
            """UPDATE result SET awards = '{"classification": "9", "segmentation": "0"}'"""
        )
    with open_store(before) as old, open_store(results) as new:
        (change,) = compare(old, new)
    assert "nothing around it changed" in change.reasons[0]


def test_who_is_on_one_side_only_is_named(tmp_path: Path) -> None:
    grade(tmp_path / "one", hand_in(tmp_path / "in", {"a": b"1", "b": b"2"}))
    grade(tmp_path / "other", hand_in(tmp_path / "in", {"b": b"2", "c": b"3"}))
    with open_store(tmp_path / "one") as old, open_store(tmp_path / "other") as new:
        changes = {change.key: change for change in compare(old, new)}
    assert set(changes) == {"a", "c"}
    assert changes["a"].after is None
    assert changes["c"].before is None


def test_an_adjustment_survives_a_new_result(tmp_path: Path) -> None:
    submitted = hand_in(tmp_path / "in", {"a": b"1"})
    grade(tmp_path / "results", submitted)
    adjusted = adjust(tmp_path / "results", "A", "segmentation", "2.5", "  by hand ")
    grade(tmp_path / "results", submitted, force=True)
    with opened(tmp_path / "results") as store:
        entry = store.entry("a")
        assert len(store.history("a")) == 2
    assert entry.marks == adjusted.marks
    assert [(one.criterion, one.marks, one.because) for one in entry.adjustments] == [
        ("segmentation", Decimal("2.5"), "by hand")
    ]


def _redefine(results: Path, before: str, after: str) -> None:
    """As if the current results rested on another definition: text of awards and reports."""
    with opened(results) as store:
        rows = store._rows("SELECT number, awards, report FROM result ORDER BY number DESC LIMIT 1")
        (row,) = rows
        report = zlib.decompress(row["report"]).decode().replace(before, after)
        store._connection.execute(
            "UPDATE result SET awards = ?, report = ? WHERE number = ?",
            (row["awards"].replace(before, after), zlib.compress(report.encode()), row["number"]),
        )


def test_an_adjustment_of_a_criterion_that_is_no_more_does_not_count(tmp_path: Path) -> None:
    results, before = tmp_path / "results", tmp_path / "before"
    submitted = hand_in(tmp_path / "in", {"a": b"1"})
    grade(results, submitted)
    with opened(results) as store:
        awarded = store.awards()["a"]
    adjust(results, "a", "segmentation", "2.5", "by hand")
    shutil.copytree(results, before)
    grade(results, submitted, force=True)
    _redefine(results, "segmentation", "masks")
    with opened(results) as store:
        entry = store.entry("a")
        (misfit,) = store.misfits()
        assert store.awards()["a"] == {
            "classification": awarded["classification"],
            "masks": awarded["segmentation"],
        }
    assert entry.marks == entry.graded_marks == total(awarded)
    assert entry.adjustments == ()
    assert (misfit.key, misfit.adjustment.because, misfit.most) == ("a", "by hand", None)
    with open_store(before) as old, open_store(results) as new:
        (change,) = compare(old, new)
    assert change.after == total(awarded)
    assert any("no longer fit the definition" in reason for reason in change.reasons)
    with pytest.raises(UsageError, match="rests on an earlier definition of segmentation"):
        adjust(results, "a", "segmentation", "1", "by hand")


def test_an_adjustment_counts_no_more_than_its_criterion_gives_now(tmp_path: Path) -> None:
    results = tmp_path / "results"
    grade(results, hand_in(tmp_path / "in", {"a": b"1"}))
    adjust(results, "a", "classification", "2.5", "first")
    adjust(results, "a", "segmentation", "2.5", "second")
    _redefine(results, '"2.5"', '"1.0"')
    with opened(results) as store:
        entry = store.entry("a")
        assert [one.most for one in store.misfits()] == [Decimal("1.0")] * 2
    assert entry.marks == 2
    assert [one.marks for one in entry.adjustments] == [1, 1]


@given(
    most=st.dictionaries(st.sampled_from("abcd"), st.integers(0, 4).map(Decimal)),
    made=st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(0, 6).map(Decimal))),
)
def test_adjusted_marks_stay_within_their_criteria(
    most: dict[str, Decimal], made: list[tuple[str, Decimal]]
) -> None:
    when = datetime(2025, 3, 17, tzinfo=UTC)
    adjustments = [Adjustment(name, marks, "x", "ta", when) for name, marks in made]
    given_marks = dict.fromkeys(most, Decimal(0))
    marks = with_adjustments(given_marks, adjustments, most)
    assert marks.keys() == most.keys()
    assert all(marks[name] == min(most[name], dict(made).get(name, Decimal(0))) for name in most)
    unfit = {one.adjustment.criterion for one in misfits("k", adjustments, most)}
    assert unfit == {name for name, given in dict(made).items() if given > most.get(name, -1)}


@pytest.mark.parametrize(
    ("name", "criterion", "marks", "because", "told"),
    [
        ("zz", "segmentation", "1", "x", "no submission of this class"),
        ("a", "beauty", "1", "x", "is no criterion"),
        ("a", "segmentation", "99", "x", "from 0 to"),
        ("a", "segmentation", "-1", "x", "from 0 to"),
        ("a", "segmentation", "NaN", "x", "from 0 to"),
        ("a", "segmentation", "2,25", "x", "is not a number"),
        ("a", "segmentation", "1", " ", "--because: is empty"),
    ],
)
def test_an_adjustment_that_makes_no_sense_is_refused(
    tmp_path: Path, name: str, criterion: str, marks: str, because: str, told: str
) -> None:
    grade(tmp_path / "results", hand_in(tmp_path / "in", {"a": b"1"}))
    with pytest.raises(UsageError, match=told):
        adjust(tmp_path / "results", name, criterion, marks, because)
    with opened(tmp_path / "results") as store:
        assert store.adjustments("a") == ()


def test_submissions_are_found_by_what_people_call_them() -> None:
    one = Submitted(
        "k1", Path("x/a.zip"), "2023AIB2080_A2.zip", "2023AIB2080", "Asha Rao", "asha@example.org"
    )
    twin = Submitted("k2", Path("x/b.zip"), "b.zip", "2023AIB2081", "Asha Rao")
    both = [one, twin]
    for name in ("k1", "2023aib2080", "2023AIB2080_A2", "2023aib2080_a2.zip", "ASHA@example.org"):
        assert find(both, name) is one
    with pytest.raises(UsageError, match="several submissions: k1, k2"):
        find(both, "asha rao")
    with pytest.raises(UsageError, match="no submission of this class"):
        find(both, "b.z")
