"""Late by the definition: grace, days, cut-off, and what is left of the marks."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.assignments import load
from grader.assignments.load import load_assignment
from grader.classroom.lateness import (
    is_cut_off,
    late_days,
    late_penalty,
    late_seconds,
    lateness_in_words,
    reckoned,
)
from grader.classroom.records import Submitted, Timing
from grader.errors import DefinitionError
from grader.findings import found
from grader.model import Assignment, LatePolicy

IST = timezone(timedelta(hours=5, minutes=30))
DAY = 86_400.0
POLICY = LatePolicy(
    deadline=datetime(2025, 3, 1, 23, 59, tzinfo=IST),
    grace_seconds=900.0,
    per_day_percent=Decimal("10"),
    of="maximum",
    cut_off_seconds=3 * DAY,
)


A2 = load_assignment("ail721-a2")


def _assignment(policy: LatePolicy | None = POLICY) -> Assignment:
    return replace(A2, late=policy)


@pytest.mark.parametrize(
    ("submitted", "late"),
    [
        (datetime(2025, 3, 1, 23, 58, tzinfo=IST), 0.0),
        (datetime(2025, 3, 1, 23, 59, tzinfo=IST), 0.0),
        (datetime(2025, 3, 2, 0, 0, tzinfo=IST), 60.0),
        (datetime(2025, 3, 1, 18, 30, tzinfo=UTC), 60.0),  # the same moment elsewhere
        (datetime(2025, 3, 2, 0, 0), 60.0),  # without a zone: the course's own
    ],
)
def test_late_by(submitted: datetime, late: float) -> None:
    assert late_seconds(submitted, POLICY) == late


def test_nothing_is_said_where_a_time_is_unknown() -> None:
    assert late_seconds(None, POLICY) is None
    assert late_seconds(datetime(2025, 3, 9), None) is None
    assert late_seconds(datetime(2025, 3, 9), replace(POLICY, deadline=None)) is None
    assert late_penalty(Decimal("4"), None, _assignment()) == 0


@given(
    hours=st.integers(-100, 100),
    told=st.none() | st.floats(0, 10 * DAY),
    extended_hours=st.none() | st.integers(-100, 100),
    moved_hours=st.integers(-100, 100),
    marked_late=st.booleans(),
)
def test_a_moved_deadline_is_reckoned_with_wherever_no_list_says_how_late_it_came(
    hours: int,
    told: float | None,
    extended_hours: int | None,
    moved_hours: int,
    marked_late: bool,
) -> None:
    assert POLICY.deadline is not None
    extension = (
        None if extended_hours is None else POLICY.deadline + timedelta(hours=extended_hours)
    )
    one = Submitted(
        key="a",
        zip_path=Path("a.zip"),
        zip_name="a.zip",
        submitted_at=POLICY.deadline + timedelta(hours=hours),
        timing=Timing(told, extension, marked_late),
        findings=(found("class.loose-files", "packed"),),
    )
    first = reckoned(one, POLICY)
    moved = replace(POLICY, deadline=POLICY.deadline + timedelta(hours=moved_hours))
    again = reckoned(first, moved)
    due = moved_hours if extended_hours is None else extended_hours
    expected = max(0, hours - due) * 3600 if told is None else told
    assert again.late_seconds == expected
    assert again == reckoned(one, moved)
    assert reckoned(first, POLICY) == first
    codes = [known.code for known in again.findings]
    late = ["class.too-late" if is_cut_off(expected, moved) else "class.late"]
    assert codes == ["class.loose-files", *(late if late_days(expected, moved) else [])]


def test_late_by_nobody_knows_how_much_is_noted_until_it_is_known() -> None:
    one = Submitted("a", Path("a.zip"), "a.zip", timing=Timing(marked_late=True))
    for policy in (POLICY, None):
        noted = reckoned(one, policy)
        assert [known.code for known in noted.findings] == ["class.late-unknown"]
        assert reckoned(noted, policy) == noted
    known = reckoned(replace(noted, submitted_at=datetime(2025, 3, 1, tzinfo=UTC)), POLICY)
    assert (known.late_seconds, known.findings) == (0.0, ())


def test_what_an_earlier_grader_noted_stays() -> None:
    noted = (found("class.late", "2 days late"),)
    one = Submitted("a", Path("a.zip"), "a.zip", late_seconds=2 * DAY, findings=noted)
    assert reckoned(one, POLICY) == one


@pytest.mark.parametrize(
    ("late", "days", "penalty"),
    [
        (0.0, 0, "0"),
        (900.0, 0, "0"),  # the whole grace
        (901.0, 1, "0.5"),  # beyond it the first day has begun: 10 % of 5 marks
        (DAY, 1, "0.5"),
        (DAY + 1, 2, "1.0"),
        (3 * DAY, 3, "1.5"),
        (3 * DAY + 1, 4, "3.37"),  # after the cut-off: everything
    ],
)
def test_days_and_marks(late: float, days: int, penalty: str) -> None:
    assert late_days(late, POLICY) == days
    assert late_penalty(Decimal("3.37"), late, _assignment()) == Decimal(penalty)
    assert is_cut_off(late, POLICY) == (penalty == "3.37")


def test_a_share_of_the_given_marks_leaves_marks_rounded_down() -> None:
    assignment = _assignment(replace(POLICY, of="given"))
    penalty = late_penalty(Decimal("3.37"), 2 * DAY, assignment)
    assert Decimal("3.37") - penalty == Decimal("2.69")  # 2.696


@given(
    hundredths=st.integers(0, 500),
    late=st.floats(0, 10 * DAY),
    percent=st.integers(0, 100),
    of=st.sampled_from(["maximum", "given"]),
)
def test_it_is_never_negative_never_more_than_the_marks_and_never_falls(
    hundredths: int, late: float, percent: int, of: str
) -> None:
    assignment = _assignment(replace(POLICY, per_day_percent=Decimal(percent), of=of))
    marks = Decimal(hundredths) / 100
    penalty = late_penalty(marks, late, assignment)
    assert 0 <= penalty <= marks
    assert (marks - penalty) % assignment.marks_step == 0
    assert penalty <= late_penalty(marks, late + DAY, assignment)


@pytest.mark.parametrize(
    ("late", "words"),
    [
        (0.4, "1 s late"),
        (61.0, "1 min late"),
        (3_700.0, "1 h 1 min late"),
        (DAY, "1 day late"),
        (2 * DAY + 3 * 3600, "2 days 3 h late"),
    ],
)
def test_words(late: float, words: str) -> None:
    assert lateness_in_words(late) == words


def _definition(folder: Path, table: str) -> Path:
    shutil.copytree(Path(load.__file__).parent / "ail721-a2", folder / "a2")
    path = folder / "a2" / "assignment.toml"
    text = path.read_text("utf-8")
    path.write_text(text.replace("[submission]\n", f"{table}\n[submission]\n", 1), "utf-8")
    return path


def test_the_definition_says_it(tmp_path: Path) -> None:
    path = _definition(
        tmp_path,
        '[late]\ndeadline = "2025-03-01T23:59:00+05:30"\ngrace_minutes = 15\n'
        'per_day_percent = "10"\ncut_off_days = 3\n',
    )
    assert load_assignment(str(path)).late == POLICY
    assert load_assignment("ail721-a2").late is None


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ('[late]\ndeadline = "2025-03-01T23:59:00"\n', "time zone"),
        ('[late]\ndeadline = "on the first of March"\n', "not a time"),
        ("[late]\nper_day_percent = 10\n", "late.per_day_percent"),
        ('[late]\nof = "earned"\n', "late.of"),
    ],
)
def test_a_wrong_table_is_refused_with_its_line(tmp_path: Path, table: str, says: str) -> None:
    path = _definition(tmp_path, table)
    with pytest.raises(DefinitionError, match=says) as caught:
        load_assignment(str(path))
    assert caught.value.line == path.read_text("utf-8").splitlines().index("[late]") + 2
