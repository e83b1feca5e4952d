"""From a setup to a graded class: what the truth's change does, and what needs no truth at all."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import cv2
import numpy as np
import pytest

from grader.assignments.load import load_assignment
from grader.classroom import grade_class as module
from grader.classroom.course import Course, bundle, contents_of, is_here, lay_out
from grader.classroom.engine import Engine
from grader.classroom.final_marks import SUPERSEDED, UNDECIDED, counting
from grader.classroom.grade_class import Workers, alone_in, grade_class, regrade
from grader.classroom.lateness import reckoned
from grader.classroom.progress import Progress
from grader.classroom.records import Absent, Adjustment, Door, Setup, Submitted, Timing
from grader.classroom.run_lock import only_run, who_runs
from grader.classroom.store import open_store
from grader.errors import TruthError, UsageError
from grader.findings import found
from grader.stages.load_truth import load_truth, truth_masks
from tests.unit.classroom.fake_class import ASSIGNMENT, FakeEngine, hand_in

CLASS = {"a": b"1", "b": b"2", "c": b"3"}


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """A truth of two images in two classes, of 8 px."""
    folder = tmp_path / "course" / "MASKS" / "test"
    for number, name in enumerate(("ADONIS", "MONARCH")):
        for root in (folder, tmp_path / "course" / "test"):
            (root / name).mkdir(parents=True)
            image = np.zeros((8, 8), np.uint8)
            image[: 4 + number] = 255
            cv2.imwrite(str(root / name / "1.png"), image)
    return folder


@pytest.fixture
def courses(monkeypatch: pytest.MonkeyPatch) -> list[Course]:
    """The courses for which an engine was opened."""
    opened: list[Course] = []

    @contextmanager
    def engine(course: Course, _: Workers) -> Iterator[Engine]:
        opened.append(course)
        yield FakeEngine()

    monkeypatch.setattr(module, "_engine", engine)
    return opened


def _silent(_line: str, _progress: Progress) -> None:
    pass


def _graded(tmp_path: Path, masks: Path, submitted: tuple[Submitted, ...]) -> module.Standing:
    setup = Setup(tmp_path / "in", masks, assignment=ASSIGNMENT.id, independent=False)
    return grade_class(tmp_path / "results", setup, Door(submitted), Workers(), _silent)


def test_a_finished_class_needs_neither_workers_nor_images(
    tmp_path: Path, masks: Path, courses: list[Course], monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = hand_in(tmp_path / "in", CLASS)
    assert _graded(tmp_path, masks, submitted).due == 3
    monkeypatch.setitem(sys.modules, "grader.stages.load_truth", None)  # cannot be imported
    standing = _graded(tmp_path, masks, submitted)
    assert (standing.due, standing.done, standing.parked, standing.gone) == (0, 3, {}, ())
    assert len(courses) == 1
    gone = _graded(tmp_path, masks, submitted[1:])
    assert gone.gone == ("a",)


def test_an_empty_folder_is_named(tmp_path: Path, masks: Path, courses: list[Course]) -> None:
    with pytest.raises(UsageError, match="holds no submissions"):
        _graded(tmp_path, masks, ())
    assert not (tmp_path / "results").exists()


def test_a_door_is_read_where_nobody_else_grades_and_no_other_assignment_is(
    tmp_path: Path, masks: Path, courses: list[Course]
) -> None:
    results = tmp_path / "results"
    setup = Setup(tmp_path / "in", masks, assignment=ASSIGNMENT.id)
    with alone_in(results, setup, ASSIGNMENT):
        assert not results.exists()
    _graded(tmp_path, masks, hand_in(tmp_path / "in", CLASS))
    with alone_in(results, setup, ASSIGNMENT):
        assert who_runs(results)
    assert not who_runs(results)
    other = replace(ASSIGNMENT, id="another")
    with pytest.raises(UsageError, match="another class"), alone_in(results, setup, other):
        raise AssertionError("the results of another assignment were entered")
    busy = pytest.raises(UsageError, match="another run is at work")
    with only_run(results), busy, alone_in(results, setup, ASSIGNMENT):
        raise AssertionError("two runs at a time")


def test_a_changed_mask_is_a_reason_to_regrade(
    tmp_path: Path, masks: Path, courses: list[Course]
) -> None:
    results = tmp_path / "results"
    _graded(tmp_path, masks, hand_in(tmp_path / "in", CLASS))
    cv2.imwrite(str(masks / "ADONIS" / "1.png"), np.full((8, 8), 255, np.uint8))

    standing = regrade(results, ["b"], "one first", Workers(), _silent)
    assert standing.due == 1
    assert standing.stale == dict.fromkeys(("a", "c"), "the truth changed")

    standing = regrade(results, [], "a mask was corrected", Workers(), _silent)
    assert standing.due == 2
    assert regrade(results, [], "a mask was corrected", Workers(), _silent).due == 0
    with open_store(results) as store:
        assert [one.why for one in store.history("a")] == [
            "first grading",
            "a mask was corrected (the truth changed)",
        ]
        assert [one.why for one in store.history("b")] == ["first grading", "one first"]
        assert store.history("a")[-1].who


def test_a_zip_that_has_gone_keeps_its_result_when_the_others_are_graded_again(
    tmp_path: Path, masks: Path, courses: list[Course]
) -> None:
    results = tmp_path / "results"
    submitted = hand_in(tmp_path / "in", CLASS)
    _graded(tmp_path, masks, submitted)
    submitted[0].zip_path.unlink()
    cv2.imwrite(str(masks / "ADONIS" / "1.png"), np.full((8, 8), 255, np.uint8))
    with open_store(results) as store:
        before = store.entry("a")
    with pytest.raises(UsageError, match=r"a: cannot be graded again: no longer there: .*a\.zip"):
        regrade(results, ["b", "a"], "a mask was corrected", Workers(), _silent)
    standing = regrade(results, [], "a mask was corrected", Workers(), _silent)
    assert (standing.due, standing.done, standing.parked) == (2, 3, {})
    assert (standing.gone, standing.stale) == (("a",), {})
    with open_store(results) as store:
        assert store.entry("a") == before
        assert [one.submitted.key for one in counting(store.entries()).entries] == ["a", "b", "c"]


@pytest.mark.parametrize("state", ["waiting", "parked", "running"])
def test_what_an_aborted_regrading_left_counts_again_when_its_zip_has_gone(
    tmp_path: Path, masks: Path, courses: list[Course], state: str
) -> None:
    results = tmp_path / "results"
    submitted = hand_in(tmp_path / "in", CLASS)
    _graded(tmp_path, masks, submitted)
    submitted[0].zip_path.unlink()
    for again in (
        lambda: regrade(results, [], "again", Workers(), _silent),
        lambda: _graded(tmp_path, masks, submitted[1:]),
    ):
        with open_store(results) as store:
            store.ask({"a": "a mask was corrected"}, "ta")
            store._connection.execute("UPDATE submission SET state = ? WHERE key = 'a'", [state])
        standing = again()
        assert (standing.due, standing.done, standing.parked) == (0, 3, {})
        assert standing.gone == ("a",)


def test_a_regrading_that_was_stopped_goes_on_without_names(
    tmp_path: Path, masks: Path, courses: list[Course]
) -> None:
    results = tmp_path / "results"
    _graded(tmp_path, masks, hand_in(tmp_path / "in", CLASS))
    with open_store(results) as store:
        store.ask({"b": "a mask was corrected (the truth changed)"}, "ta")  # then it was killed
    assert regrade(results, ["c"], "this one alone", Workers(), _silent).due == 1
    assert regrade(results, [], "a mask was corrected", Workers(), _silent).due == 1
    with open_store(results) as store:
        assert store.history("b")[-1].why == "a mask was corrected (the truth changed)"


@pytest.mark.parametrize(("names", "because"), [(["nobody"], "x"), (["a"], "  ")])
def test_a_regrading_without_a_name_or_a_reason_changes_nothing(
    tmp_path: Path, masks: Path, courses: list[Course], names: list[str], because: str
) -> None:
    _graded(tmp_path, masks, hand_in(tmp_path / "in", CLASS))
    with pytest.raises(UsageError):
        regrade(tmp_path / "results", names, because, Workers(), _silent)
    assert len(courses) == 1


def test_a_new_deadline_changes_marks_without_grading(
    tmp_path: Path, masks: Path, courses: list[Course], monkeypatch: pytest.MonkeyPatch
) -> None:
    submitted = hand_in(tmp_path / "in", {"a": b"2"})
    _graded(tmp_path, masks, submitted)
    with open_store(tmp_path / "results") as store:
        before = store.entry("a").marks
    monkeypatch.setattr(
        "grader.classroom.plan.late_penalty", lambda _, late, __: Decimal("0.25") * bool(late)
    )
    late = (replace(submitted[0], late_seconds=60.0),)
    assert _graded(tmp_path, masks, late).due == 0
    with open_store(tmp_path / "results") as store:
        after = store.entry("a").marks
    assert before is not None
    assert after == before - Decimal("0.25")


@pytest.mark.parametrize("ways", ["regrade", "class"])
def test_a_moved_deadline_charges_everybody_anew_and_grades_nobody(
    tmp_path: Path, masks: Path, courses: list[Course], ways: str
) -> None:
    definition = tmp_path / "def"
    shutil.copytree(ASSIGNMENT.directory, definition)
    text = (definition / "assignment.toml").read_text("utf-8")

    def due(day: int) -> Door:
        late = f'deadline = "2025-03-0{day}T12:00:00+00:00"\nper_day_percent = "10"'
        (definition / "assignment.toml").write_text(f"{text}\n[late]\n{late}\n", "utf-8")
        policy = load_assignment(str(definition)).late
        return Door(tuple(reckoned(one, policy) for one in submitted))

    came = datetime(2025, 3, 3, 11, tzinfo=UTC)
    extended = datetime(2025, 3, 2, 12, tzinfo=UTC)
    submitted = tuple(
        replace(one, submitted_at=came, timing=timing)
        for one, timing in zip(
            hand_in(tmp_path / "in", CLASS),
            (Timing(), Timing(extension=extended), Timing(told_seconds=60.0)),
            strict=True,
        )
    )
    results = tmp_path / "results"
    setup = Setup(tmp_path / "in", masks, assignment=str(definition), independent=False)
    grade_class(results, setup, due(1), Workers(), _silent)
    with open_store(results) as store:
        for key in CLASS:  # so that everybody has marks to lose
            given = Adjustment("segmentation", Decimal("2.5"), "for all", "ta", came)
            store.adjust(key, given, Decimal(0))
    standing = grade_class(results, setup, due(1), Workers(), _silent)
    with open_store(results) as store:
        assert store.late_penalties() == {"a": 1, "b": Decimal("0.5"), "c": Decimal("0.5")}
    submitted[0].zip_path.unlink()
    door = due(4)
    standing = (
        regrade(results, [], "the deadline moved", Workers(), _silent)
        if ways == "regrade"
        else grade_class(results, setup, Door(door.submitted[1:]), Workers(), _silent)
    )
    assert (standing.due, standing.gone, standing.recharged) == (0, ("a",), ("a",))
    with open_store(results) as store:
        assert store.late_penalties() == {"a": 0, "b": Decimal("0.5"), "c": Decimal("0.5")}
        entry = store.entry("a")
    assert (entry.submitted.late_seconds, entry.submitted.findings) == (0.0, ())


def test_a_truth_by_value_is_the_same_truth(tmp_path: Path, masks: Path) -> None:
    truth = load_truth(masks, None, None, None, ASSIGNMENT)
    contents = contents_of(truth)
    assert is_here(truth, contents)
    (tmp_path / "sent").mkdir()
    sent = lay_out(truth, bundle(truth), tmp_path / "sent")
    for one, other in zip(truth.items, sent.items, strict=True):
        assert (one.name, one.staged_name, one.label) == (
            other.name,
            other.staged_name,
            other.label,
        )
        assert other.image.is_relative_to(tmp_path / "sent")
        assert np.array_equal(truth_masks(truth)[one.stem], truth_masks(sent)[other.stem])
    (masks / "ADONIS" / "1.png").write_bytes(b"another")
    assert not is_here(truth, contents)
    (masks / "ADONIS" / "1.png").unlink()
    assert not is_here(truth, contents)
    with pytest.raises(TruthError, match="cannot be read"):
        bundle(truth)


def test_a_submission_that_gets_another_name_keeps_its_result_and_its_adjustments(
    tmp_path: Path, masks: Path, courses: list[Course]
) -> None:
    submitted = hand_in(tmp_path / "in", CLASS)
    _graded(tmp_path, masks, submitted)
    folder = tmp_path / "results" / "reports"
    (folder / "a").mkdir(parents=True, exist_ok=True)
    with open_store(tmp_path / "results") as store:
        before = store.entry("a")
        adjustment = Adjustment("segmentation", Decimal(1), "asked", "ta", datetime.now(UTC))
        store.adjust("a", adjustment, Decimal(0))
    everybody = tuple(replace(one, key=f"2023AIB208-{one.key}") for one in submitted)
    standing = _graded(tmp_path, masks, everybody)
    assert (standing.due, standing.gone) == (0, ())
    with open_store(tmp_path / "results") as store:
        after = store.entry("2023AIB208-a")
        assert list(store.states()) == [one.key for one in everybody]
    assert after.report == before.report
    assert [one.because for one in after.adjustments] == ["asked"]
    assert (folder / "2023AIB208-a").is_dir()
    assert not (folder / "a").exists()


def test_what_is_gone_counts_no_more_when_the_same_person_has_handed_in_another(
    tmp_path: Path, masks: Path, courses: list[Course]
) -> None:
    first, second, other = hand_in(tmp_path / "in", CLASS)
    first = replace(first, platform_ids={"moodle": "101"})
    second = replace(second, platform_ids={"moodle": "101 102"})
    _graded(tmp_path, masks, (first, other))
    _graded(tmp_path, masks, (second,))
    _graded(tmp_path, masks, (second,))
    with open_store(tmp_path / "results") as store:
        chosen = counting(store.entries())
    assert [one.submitted.key for one in chosen.superseded] == ["a"]
    assert [one.submitted.key for one in chosen.entries] == ["b", "c"]
    assert [one.code for one in chosen.superseded[0].submitted.findings] == [SUPERSEDED]


def test_who_has_handed_in_before_is_not_told_to_have_handed_in_nothing(
    tmp_path: Path, masks: Path, courses: list[Course]
) -> None:
    first, second, _ = hand_in(tmp_path / "in", CLASS)
    _graded(tmp_path, masks, (first, second))
    setup = Setup(tmp_path / "in", masks, assignment=ASSIGNMENT.id, independent=False)
    door = Door((second,), (Absent("a", "a", "Asha Rao"), Absent("d", "d", "Ben Ito")))
    standing = grade_class(tmp_path / "results", setup, door, Workers(), _silent)
    assert (standing.gone, [one.name for one in standing.absent]) == (("a",), ["Ben Ito"])


def test_one_of_two_is_decided_for_when_the_other_is_taken_away(
    tmp_path: Path, masks: Path, courses: list[Course]
) -> None:
    first, second, other = hand_in(tmp_path / "in", CLASS)
    undecided = found(UNDECIDED, "nothing says which one counts")
    two = [
        replace(one, entry_number="2023AIB2001", findings=(undecided,)) for one in (first, second)
    ]
    _graded(tmp_path, masks, (*two, other))
    with open_store(tmp_path / "results") as store:
        assert len(counting(store.entries()).undecided) == 2
    _graded(tmp_path, masks, (replace(two[1], findings=()), other))
    with open_store(tmp_path / "results") as store:
        chosen = counting(store.entries())
    assert [one.submitted.key for one in chosen.entries] == ["b", "c"]
    assert [one.submitted.key for one in chosen.superseded] == ["a"]
    assert not chosen.undecided


def test_what_is_gone_from_gradescope_counts_no_more_beside_the_same_address(
    tmp_path: Path, masks: Path, courses: list[Course]
) -> None:
    first, second, other = (
        replace(one, entry_number=None, platform_ids={"gradescope": str(number)}, email=email)
        for one, number, email in zip(
            hand_in(tmp_path / "in", CLASS),
            (9, 12, 20),
            ("a@x.org", "b@x.org, A@x.org", "c@x.org"),
            strict=True,
        )
    )
    _graded(tmp_path, masks, (first, other))
    _graded(tmp_path, masks, (second, other))
    with open_store(tmp_path / "results") as store:
        chosen = counting(store.entries())
    assert [one.submitted.key for one in chosen.superseded] == ["a"]
    assert [one.submitted.key for one in chosen.entries] == ["b", "c"]


def test_what_is_gone_counts_on_beside_somebody_else_s_of_the_same_number(
    tmp_path: Path, masks: Path, courses: list[Course]
) -> None:
    """Asha mistypes her zip's name: Bela's marks, whose zip has gone, stay."""
    bela, asha, other = hand_in(tmp_path / "in", CLASS)
    bela = replace(bela, entry_number="2023AIB2002", platform_ids={"moodle": "102"})
    asha = replace(asha, entry_number="2023AIB2002", platform_ids={"moodle": "101"})
    _graded(tmp_path, masks, (bela, other))
    _graded(tmp_path, masks, (asha, other))
    with open_store(tmp_path / "results") as store:
        assert not counting(store.entries()).superseded


def test_what_was_left_out_is_made_up_for_when_it_is_asked_for(
    tmp_path: Path, masks: Path, courses: list[Course]
) -> None:
    submitted = hand_in(tmp_path / "in", CLASS)
    _graded(tmp_path, masks, submitted)  # without the independent evaluation
    plain = Setup(tmp_path / "in", masks, assignment=ASSIGNMENT.id, independent=False)
    due = []
    for setup in (
        replace(plain, probed=True),
        replace(plain, independent=True),  # the probes of before stay
        replace(plain, independent=True, probed=True),
        plain,
    ):
        done = grade_class(tmp_path / "results", setup, Door(submitted), Workers(), _silent)
        due.append(done.due)
    assert due == [3, 3, 3, 0]
    with open_store(tmp_path / "results") as store:
        assert store.history("a")[1].why == "--probe asked for now"
