"""The class on disk: what is refused, what comes back as it was put in."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from grader.classroom.records import Absent, Adjustment, Door, Owner, State, Submitted, Timing
from grader.classroom.store import FILE_NAME, SCHEMA_VERSION, make_store, open_store
from grader.classroom.submission_row import submitted_of, values_of
from grader.errors import InternalFault, UsageError
from grader.findings import found
from tests.unit.classroom.fake_class import grade, hand_in, info, opened


def _changed(results: Path, statement: str) -> None:
    with closing(sqlite3.connect(results / FILE_NAME)) as connection:
        connection.execute(statement)
        connection.commit()


def test_a_folder_without_a_class_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="holds no results of a class") as told:
        open_store(tmp_path)
    assert "--out" in told.value.hint


def test_what_a_newer_grader_wrote_is_left_alone(tmp_path: Path) -> None:
    opened(tmp_path).close()
    _changed(tmp_path, f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    before = (tmp_path / FILE_NAME).read_bytes()
    with pytest.raises(UsageError, match="newer grader") as told:
        open_store(tmp_path)
    assert "nothing was changed" in told.value.hint
    assert (tmp_path / FILE_NAME).read_bytes() == before


def test_another_programs_database_is_left_alone(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        connection.execute("CREATE TABLE photographs (name TEXT)")
        connection.commit()
    with pytest.raises(UsageError, match="not made by the grader"):
        opened(tmp_path)


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be one" * 40])
def test_a_damaged_file_is_told_in_words(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(UsageError, match="not a database") as told:
        opened(tmp_path)
    assert "backup" in told.value.hint


def test_the_results_of_another_assignment_are_refused(tmp_path: Path) -> None:
    opened(tmp_path).close()
    _changed(tmp_path, "UPDATE class SET assignment_id = 'col775-a1'")
    with pytest.raises(UsageError, match="results of another class: its assignment is col775-a1"):
        make_store(tmp_path, info())


def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    submitted = hand_in(tmp_path / "in", {"a": b"1", "b": b"2"})
    results = tmp_path / "results"
    grade(results, submitted)
    with opened(results) as store:
        pages = store._connection.execute("PRAGMA page_count").fetchone()[0]
        store._connection.execute(f"PRAGMA max_page_count = {pages}")
        adjustment = Adjustment(
            "segmentation", Decimal(1), "x" * 100_000, "ta", datetime(2025, 3, 17, tzinfo=UTC)
        )
        with pytest.raises(UsageError, match="full") as told:
            store.adjust("a", adjustment, Decimal(0))
        assert "nothing is lost" in told.value.hint
        assert store.adjustments("a") == ()
        assert list(store.states().values()) == [State.DONE, State.DONE]


def test_a_submission_comes_back_as_it_was_put_in() -> None:
    one = Submitted(
        key="2023AIB2080",
        zip_path=Path("/in/2023AIB2080.zip"),
        zip_name="2023aib2080 (1).zip",
        entry_number="2023AIB2080",
        name="Ünal, Ç.",
        email="u@example.org",
        submitted_at=datetime(2025, 3, 17, 9, 30, tzinfo=UTC),
        late_seconds=12.5,
        timing=Timing(12.5, datetime(2025, 3, 18, 9, 30), marked_late=True),
        platform_ids={"moodle": "4711"},
        findings=(found("zip.name", "another name", path="x.zip", line=3),),
        owners=(Owner("Ünal, Ç.", "2023AIB2080", "u@example.org", {"moodle": "4711"}), Owner()),
    )
    assert submitted_of(values_of(one)) == one
    bare = Submitted(key="a", zip_path=Path("a.zip"), zip_name="a.zip")
    assert submitted_of(values_of(bare)) == bare


@pytest.mark.parametrize("key", ["", ".", "..", "a/b", ".hidden", "a\0b", "a" * 200, "-rf", "a."])
def test_a_key_that_cannot_name_a_folder_is_refused(key: str) -> None:
    with pytest.raises(InternalFault, match="cannot name a folder"):
        values_of(Submitted(key=key, zip_path=Path("a.zip"), zip_name="a.zip"))


def test_an_entry_counts_adjustments_and_lateness(tmp_path: Path) -> None:
    grade(tmp_path / "results", hand_in(tmp_path / "in", {"a": b"1"}))
    with opened(tmp_path / "results") as store:
        before = store.entry("a")
        when = datetime(2025, 3, 17, tzinfo=UTC)
        for marks in ("2.5", "2"):
            store.adjust(
                "a", Adjustment("segmentation", Decimal(marks), "why", "ta", when), Decimal("0.5")
            )
        after = store.entry("a")
        (again,) = store.entries()
    assert after == again
    assert before.report is not None
    assert after.graded_marks == before.graded_marks
    given = {award["criterion"]: award["value"] for award in before.report["awards"]}
    assert after.marks == Decimal(str(given["classification"])) + 2 - Decimal("0.5")
    assert [one.marks for one in after.adjustments] == [Decimal(2)]
    assert after.late_penalty == Decimal("0.5")


def test_marks_never_fall_below_nothing(tmp_path: Path) -> None:
    grade(tmp_path / "results", hand_in(tmp_path / "in", {"a": b"1"}))
    with opened(tmp_path / "results") as store:
        store.charge({"a": Decimal(100)})
        assert store.entry("a").marks == 0


def test_readers_see_the_class_while_a_run_writes(tmp_path: Path) -> None:
    submitted = hand_in(tmp_path / "in", {"a": b"1", "b": b"2"})
    grade(tmp_path / "results", submitted)
    with opened(tmp_path / "results") as writer, open_store(tmp_path / "results") as reader:
        with writer._transaction():
            writer._connection.execute("UPDATE submission SET state = 'waiting'")
            assert list(reader.states().values()) == [State.DONE, State.DONE]
        assert list(reader.states().values()) == [State.WAITING, State.WAITING]


def test_the_absent_are_those_of_the_last_look_at_the_door(tmp_path: Path) -> None:
    (one,) = hand_in(tmp_path / "in", {"a": b"1"})
    ben = Absent("b", "2023AIB2081", "Ben Ito", "ben@example.org", {"moodle": "102"})
    with opened(tmp_path / "results") as store:
        store.enrol(Door((one,), (ben, Absent("c"))), "ta")
        assert store.absent() == (ben, Absent("c"))
        assert [entry.submitted.key for entry in store.entries()] == ["a", "b", "c"]
        assert [entry.state for entry in store.entries()] == [
            State.WAITING,
            State.ABSENT,
            State.ABSENT,
        ]
        assert list(store.states()) == ["a"], "nothing of theirs is due"
        store.enrol(Door((one,)), "ta")
        assert store.absent() == ()


def test_who_has_handed_in_before_is_not_absent(tmp_path: Path) -> None:
    first, second = hand_in(tmp_path / "in", {"a": b"1", "b": b"2"})
    asha, ben = Absent("a", "a", "Asha Rao"), Absent("c", "c", "Ben Ito")
    with opened(tmp_path / "results") as store:
        store.enrol(Door((first, second)), "ta")
        store.enrol(Door((second,), (asha, ben)), "ta")
        assert store.absent() == (ben,)
        assert [one.submitted.key for one in store.entries()] == ["a", "b", "c"]


def test_a_class_of_the_first_schema_is_brought_up_to_date(tmp_path: Path) -> None:
    grade(tmp_path, hand_in(tmp_path / "in", {"a": b"1"}))
    _changed(tmp_path, "ALTER TABLE submission DROP COLUMN owners")
    _changed(tmp_path, "DROP TABLE absent")
    _changed(tmp_path, "DROP TABLE comparison")
    _changed(tmp_path, "ALTER TABLE submission DROP COLUMN timing")
    _changed(tmp_path, "PRAGMA user_version = 1")
    with open_store(tmp_path) as store:
        assert store.absent() == ()
        assert store.states() == {"a": State.DONE}
        assert [one.owners for one in store.submitted()] == [()]
        assert [one.timing for one in store.submitted()] == [None]
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
