"""What is stored stays with the submission that it was made for, whatever comes and goes beside it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.classroom.intake import read_door
from grader.classroom.recognise import recognise
from grader.classroom.records import Absent, Adjustment, Door
from grader.classroom.store import Store
from tests.unit.classroom.fake_class import ASSIGNMENT, grade, hand_in, opened

ROSTER = "Identifier,entry_number\n"


class Class:
    """A folder of submissions whose bytes tell whose they are, and its results."""

    def __init__(self, place: Path) -> None:
        self.folder, self.results = place / "in", place / "results"
        self._place = place

    def run(self, files: Mapping[str, str], roster: str = "", folder: str = "in") -> list[str]:
        """Lay these files (path → whose) there alone, and grade; every new one is adjusted "for"
        its owner. Returns what was told of graded submissions."""
        self.folder = self._place / folder
        self.folder.mkdir(parents=True, exist_ok=True)
        for path in sorted(self.folder.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        for name, owner in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(f"{owner} {name}".encode())
        people = self._place / "people.csv"
        people.write_text(roster, "utf-8")
        door = read_door(self.folder, ASSIGNMENT, people if roster else None)
        with opened(self.results) as store:
            submitted = recognise(store, door).submitted
        lines = grade(self.results, submitted)
        with opened(self.results) as store:
            for one in submitted:
                if not store.adjustments(one.key):
                    owner = one.zip_path.read_text().split()[0]
                    because = Adjustment("segmentation", Decimal(1), owner, "ta", datetime.now(UTC))
                    store.adjust(one.key, because, Decimal(0))
        return lines

    def owners(self) -> dict[str, str]:
        """Key → whose its adjustment is; fails where a result or a report is somebody else's."""
        owners = {}
        with opened(self.results) as store:
            for entry in store.entries():
                key, path = entry.submitted.key, entry.submitted.zip_path
                (adjusted,) = entry.adjustments
                latest = store.latest(key)
                assert latest is not None
                assert entry.report_folder is not None
                assert entry.report_folder.name == key
                page = (entry.report_folder / "report.html").read_text()
                assert latest.fingerprint.zip_sha256 in page
                if path.is_file():
                    digest = hashlib.sha256(path.read_bytes()).hexdigest()
                    assert latest.fingerprint.zip_sha256 == digest
                    assert adjusted.because == path.read_text().split()[0]
                owners[key] = adjusted.because
        return owners


@pytest.fixture
def course(tmp_path: Path) -> Class:
    return Class(tmp_path)


def test_who_comes_between_two_takes_nothing_from_them(course: Class) -> None:
    course.run({"asha/submission.zip": "asha", "chandra/submission.zip": "chandra"})
    before = course.owners()
    everybody = {f"{one}/submission.zip": one for one in ("asha", "bela", "chandra")}
    assert len(course.run(everybody)) == 1
    after = course.owners()
    assert before == {"asha-submission": "asha", "chandra-submission": "chandra"}
    assert after == {**before, "bela-submission": "bela"}
    course.run({"chandra/submission.zip": "chandra"})
    assert course.owners() == after, "what has gone is kept, and nobody is there twice"


def test_a_mistyped_number_takes_nobody_s_key(course: Class) -> None:
    bela = "Bela Roy_102_assignsubmission_file/2023AIB2002.zip"
    asha = "Asha Rao_101_assignsubmission_file/2023AIB2002.zip"
    course.run({bela: "bela"})
    assert len(course.run({asha: "asha", bela: "bela"})) == 1
    both = {"2023AIB2002": "bela", "2023AIB2002-2": "asha"}
    assert course.owners() == both
    assert course.run({asha: "asha"}) == []
    assert course.owners() == both
    assert course.run({asha: "asha", bela: "bela"}, folder="downloaded again") == []
    assert course.owners() == both


def test_results_follow_who_a_roster_says_it_is(course: Class) -> None:
    files = {f"{n}_{n}_assignsubmission_file/a.zip": n for n in ("101", "102", "103")}
    course.run(files)
    assert list(course.owners()) == ["moodle-101", "moodle-102", "moodle-103"]
    wrong = ROSTER + "P 101,2023AIB2002\nP 102,2023AIB2001\nP 103,2023AIB2003\n"
    assert course.run(files, wrong) == []
    assert course.owners() == {"2023AIB2002": "101", "2023AIB2001": "102", "2023AIB2003": "103"}
    right = ROSTER + "P 101,2023AIB2001\nP 102,2023AIB2003\nP 103,2023AIB2002\n"
    assert course.run(files, right) == []  # three change places, one steps aside
    assert course.owners() == {"2023AIB2001": "101", "2023AIB2003": "102", "2023AIB2002": "103"}
    reports = {path.name for path in (course.results / "reports").iterdir()}
    assert reports == {"2023AIB2001", "2023AIB2002", "2023AIB2003"}


@pytest.mark.parametrize("renamed", range(5))
def test_a_run_that_is_killed_among_names_is_completed_by_the_next(
    course: Class, monkeypatch: pytest.MonkeyPatch, renamed: int
) -> None:
    files = {f"{n}_{n}_assignsubmission_file/a.zip": n for n in ("101", "102", "103")}
    course.run(files, ROSTER + "P 101,2023AIB2002\nP 102,2023AIB2001\nP 103,2023AIB2003\n")
    right = ROSTER + "P 101,2023AIB2001\nP 102,2023AIB2003\nP 103,2023AIB2002\n"
    rename = Store.rename

    def killed(store: Store, keys: Mapping[str, str]) -> None:
        rename(store, dict(list(keys.items())[:renamed]))
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "rename", killed)
    with pytest.raises(KeyboardInterrupt):
        course.run(files, right)
    monkeypatch.undo()
    assert course.run(files, right) == []
    assert course.owners() == {"2023AIB2001": "101", "2023AIB2003": "102", "2023AIB2002": "103"}


def test_of_one_person_s_several_the_one_that_counts_has_the_key_without_a_number(
    course: Class,
) -> None:
    old, new = "2023AIB2001.zip", "2023AIB2001_A2.zip"
    text = "entry_number,zip\n2023AIB2001,{}\n"
    course.run({old: "asha-old"})
    course.run({old: "asha-old", new: "asha-new"}, text.format(new))
    assert course.owners() == {"2023AIB2001": "asha-new", "2023AIB2001-2": "asha-old"}
    course.run({old: "asha-old", new: "asha-new"}, text.format(old))
    assert course.owners() == {"2023AIB2001": "asha-old", "2023AIB2001-2": "asha-new"}


def test_who_hands_in_another_zip_in_place_of_the_first_stays_one_submission(course: Class) -> None:
    first = "Asha Rao_101_assignsubmission_file/a.zip"
    second = "Asha Rao_101_assignsubmission_file/b.zip"
    course.run({first: "asha"})
    assert len(course.run({second: "asha"})) == 1
    with opened(course.results) as store:
        assert [one.why for one in store.history("moodle-101")] == [
            "first grading",
            "the zip changed",
        ]


def test_the_absent_get_keys_that_no_submission_has(tmp_path: Path) -> None:
    gone, here = hand_in(tmp_path / "in", {"a": b"1", "b": b"2"})
    grade(tmp_path / "results", (gone, here))
    with opened(tmp_path / "results") as store:
        door = recognise(store, Door((here,), (Absent("a", name="Ben"), Absent("c", name="Cid"))))
    assert [one.key for one in (*door.submitted, *door.absent)] == ["b", "a-2", "c"]


_FILES = st.lists(st.sampled_from(["2023AIB2001", "2023AIB2002", "a"]), max_size=2, unique=True)
_RUNS = st.lists(
    st.tuples(
        st.lists(_FILES, min_size=3, max_size=3).filter(any),
        st.permutations(["2023AIB2001", "2023AIB2002", "2023AIB2003"]),
        st.booleans(),
        st.booleans(),
    ),
    min_size=2,
    max_size=4,
)


@given(runs=_RUNS)
@settings(max_examples=12)  # each grades a class, on a disk
def test_nothing_stored_goes_to_somebody_else(
    tmp_path_factory: pytest.TempPathFactory,
    runs: Sequence[tuple[Sequence[Sequence[str]], Sequence[str], bool, bool]],
) -> None:
    course = Class(tmp_path_factory.mktemp("class"))
    everybody = {"101", "102", "103"}
    for number, (files, numbers, with_roster, moved) in enumerate(runs):
        accounts = sorted(everybody)
        handed_in = {
            f"S {account}_{account}_assignsubmission_file/{name}.zip": account
            for account, own in zip(accounts, files, strict=True)
            for name in own
        }
        rows = [f"P {one},{entry}\n" for one, entry in zip(accounts, numbers, strict=True)]
        handed_in |= {"S 109_109_assignsubmission_file/z.zip": "109"}  # it is one class
        roster = ROSTER + "".join(rows) if with_roster else ""
        folder = f"in{number}" if moved else "in"
        course.run(handed_in, roster, folder)
        owners = course.owners()
        with opened(course.results) as store:
            for one in store.submitted():
                assert one.platform_ids["moodle"] == owners[one.key]
        assert course.run(handed_in, roster, folder) == [], "repeated, it has nothing to do"
        assert course.owners() == owners
