"""A class compared with itself: who takes part, what it rests on, and when it is due again."""

from __future__ import annotations

import json
import os
import signal
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from benchmarks.similarity_classes.generate import submission
from grader.classroom import similar
from grader.classroom.final_marks import SUPERSEDED
from grader.classroom.records import Setup, State, Submitted
from grader.classroom.similar import (
    SIMILARITY_FILE,
    compare_class,
    compare_class_apart,
    compare_submissions,
    compare_with_earlier,
)
from grader.classroom.store import open_store
from grader.cli.similar import similar as similar_command
from grader.errors import InternalFault, UsageError
from grader.findings import found
from grader.similarity.source.stored import write_fingerprints
from tests.unit.classroom.fake_class import ASSIGNMENT, grade, info

_LINES = 60


def _silent(_: str) -> None:
    pass


def _zip(folder: Path, key: str, seed: str, more: str = "") -> Submitted:
    folder.mkdir(exist_ok=True)
    path = folder / f"{key}.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in submission(seed, _LINES).items():
            archive.writestr(name, text + more)
    return Submitted(key=key, zip_path=path, zip_name=path.name, entry_number=key)


@pytest.fixture
def four(tmp_path: Path) -> tuple[Submitted, ...]:
    """Four submissions, of which two are the same."""
    seeds = {"2023AIB2001": "a", "2023AIB2002": "b", "2023AIB2003": "c", "2023AIB2004": "a"}
    return tuple(_zip(tmp_path / "in", key, seed) for key, seed in seeds.items())


@pytest.fixture
def compared(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What was compared, each time."""
    calls: list[dict[str, Any]] = []
    real = compare_submissions

    def watched(found: Any, assignment: Any, **more: Any) -> Any:
        calls.append({"names": [one.name for one in found], **more})
        return real(found, assignment, **more)

    monkeypatch.setattr(similar, "compare_submissions", watched)
    return calls


def _setup(results: Path, **changes: Any) -> None:
    with open_store(results) as store:
        known = store.info()
        store.begin_class(replace(known, setup=replace(known.setup, **changes)))


def test_it_is_compared_once_and_again_when_something_changed(
    tmp_path: Path, four: tuple[Submitted, ...], compared: list[dict[str, Any]]
) -> None:
    results = tmp_path / "results"
    grade(results, four)
    summary = compare_class(results, _silent)
    assert "6 pairs of submissions compared, 1 worth a look, in 1 group" in summary
    document = json.loads((results / SIMILARITY_FILE).read_text("utf-8"))
    assert document["clusters"][0]["members"] == ["2023AIB2001", "2023AIB2004"]
    for pair in document["pairs"]:
        assert (results / "similar" / pair["page"]).is_file()
    assert compare_class(results, _silent) == summary
    assert len(compared) == 1

    changed = _zip(tmp_path / "in", "2023AIB2004", "d")
    grade(results, (*four[:3], changed))
    assert "none worth a look" in compare_class(results, _silent)
    assert len(compared) == 2
    fresh = json.loads((results / SIMILARITY_FILE).read_text("utf-8"))
    pages = {pair["page"] for pair in fresh["pairs"]}
    assert {
        path.relative_to(results / "similar").as_posix()
        for path in (results / "similar" / "pairs").iterdir()
    } == pages

    (results / SIMILARITY_FILE).unlink()
    compare_class(results, _silent)
    assert len(compared) == 3, "what somebody took away is made again"
    grade(results, (*four[:3], changed), force=True)
    compare_class(results, _silent)
    assert len(compared) == 4, "other answers may be similar, too"


def test_in_a_process_of_its_own_it_is_the_same(
    tmp_path: Path, four: tuple[Submitted, ...]
) -> None:
    documents = []
    for name, compared in (("here", compare_class), ("apart", compare_class_apart)):
        grade(tmp_path / name, four)
        stages: list[str] = []
        assert "1 worth a look" in compared(tmp_path / name, stages.append)
        assert stages
        documents.append((tmp_path / name / SIMILARITY_FILE).read_bytes())
    assert documents[0] == documents[1]


def test_even_its_death_is_only_told(
    tmp_path: Path, four: tuple[Submitted, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "results"
    grade(results, four)
    monkeypatch.setattr(similar, "_compare_and_tell", _die)
    with pytest.raises(InternalFault, match=r"its process died \(exit code -9\)"):
        compare_class_apart(results, _silent)
    with open_store(results) as store:
        assert set(store.states().values()) == {State.DONE}
        assert store.compared() == ("", "")


def _die(*_: object) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def test_a_class_that_is_not_graded_yet_and_one_of_one_are_left_alone(
    tmp_path: Path, four: tuple[Submitted, ...], compared: list[dict[str, Any]]
) -> None:
    grade(tmp_path / "one", four[:1])
    assert compare_class(tmp_path / "one", _silent) == ""
    results = tmp_path / "results"
    grade(results, four)
    with open_store(results) as store:
        store.ask({"2023AIB2001": "again"}, "ta")
    assert compare_class(results, _silent) == ""
    assert compared == []
    assert not (results / SIMILARITY_FILE).exists()


def test_an_earlier_submission_of_the_same_person_takes_no_part(
    tmp_path: Path, four: tuple[Submitted, ...], compared: list[dict[str, Any]]
) -> None:
    older = replace(four[3], findings=(found(SUPERSEDED, "a later one counts"),))
    grade(tmp_path / "results", (*four[:3], older))
    compare_class(tmp_path / "results", _silent)
    assert compared[0]["names"] == ["2023AIB2001", "2023AIB2002", "2023AIB2003"]


def test_the_roster_says_whose_addresses_are_one_s_own(tmp_path: Path) -> None:
    mine = replace(
        _zip(tmp_path / "in", "2023AIB2001", "a", "# Asha@uni.org, ben@uni.org"),
        email="asha@uni.org, chen@uni.org",
    )
    other = _zip(tmp_path / "in", "2023AIB2002", "b", "# dev@uni.org")
    grade(tmp_path / "results", (mine, other))
    compare_class(tmp_path / "results", _silent)
    document = json.loads((tmp_path / "results" / SIMILARITY_FILE).read_text("utf-8"))
    told = {
        one["name"]: [
            finding["message"]
            for finding in one["findings"]
            if finding["code"] == "zip.other-email"
        ]
        for one in document["submissions"]
    }
    assert any("ben@uni.org" in message for message in told["2023AIB2001"])
    assert not any("sha@uni.org" in message for message in told["2023AIB2001"])
    assert told["2023AIB2002"] == [], "nobody said whose addresses are his"


def test_earlier_years_and_code_that_was_given_out(
    tmp_path: Path, four: tuple[Submitted, ...], compared: list[dict[str, Any]]
) -> None:
    results = tmp_path / "results"
    last_year = _zip(tmp_path / "then", "2022AIB1001", "b")
    archive = tmp_path / "2022.index"
    old = similar.FoundSubmission(last_year.key, last_year.zip_path)
    write_fingerprints(
        archive, compare_submissions([old], ASSIGNMENT, source_only=True).fingerprints
    )
    grade(results, four)
    _setup(results, archive=(archive,), base=(four[0].zip_path,))
    compare_class(results, _silent)
    document = json.loads((results / SIMILARITY_FILE).read_text("utf-8"))
    flagged = [(pair["left"], pair["right"]) for pair in document["pairs"] if pair["flagged"]]
    assert ("2023AIB2002", "2022AIB1001 (archive)") in flagged
    assert ("2023AIB2001", "2023AIB2004") not in flagged, "all of it was given out"
    compare_class(results, _silent)
    assert len(compared) == 1
    _setup(results, archive=(), base=())
    compare_class(results, _silent)
    assert len(compared) == 2


def test_grader_similar_takes_the_place_of_the_class_s_own_comparison(
    tmp_path: Path, four: tuple[Submitted, ...]
) -> None:
    results = tmp_path / "results"
    grade(results, four)
    compare_class(results, _silent)
    own = (results / SIMILARITY_FILE).read_bytes()
    words = [str(tmp_path / "in"), "--results", str(results), "--source-only"]
    words += ["--base", str(four[0].zip_path)]
    done = CliRunner().invoke(similar_command, words)
    assert done.exit_code == 0, done.output
    document = json.loads((results / SIMILARITY_FILE).read_text("utf-8"))
    assert not document["clusters"], "all that two of them share was given out"
    assert (results / SIMILARITY_FILE).read_bytes() != own
    pages = {path.name for path in (results / "similar" / "pairs").iterdir()}
    assert pages == {Path(pair["page"]).name for pair in document["pairs"]}


def test_one_zip_beside_earlier_years(tmp_path: Path, four: tuple[Submitted, ...]) -> None:
    archive = tmp_path / "2022.index"
    years = [similar.FoundSubmission(f"2022{one.key[4:]}", one.zip_path) for one in four[:3]]
    compared = compare_submissions(years, ASSIGNMENT, source_only=True)
    write_fingerprints(archive, compared.fingerprints)
    mine = _zip(tmp_path / "new", "2023AIB2099", "b", "# 2022AIB1234 wrote it")
    earlier = compare_with_earlier(mine.zip_path, ASSIGNMENT, [archive])
    assert earlier.compared == 3
    assert [match.name for match in earlier.matches if match.flagged] == ["2022AIB2002 (archive)"]
    assert earlier.matches[0].score == 1
    assert any(":" in place for place in earlier.matches[0].places)
    assert [one.code for one in earlier.findings if "2022AIB1234" in one.message] == [
        "zip.other-entry-number"
    ]
    (tmp_path / "broken").write_text("x")
    with pytest.raises(UsageError, match="no archive"):
        compare_with_earlier(mine.zip_path, ASSIGNMENT, [tmp_path / "broken"])


def test_the_setup_comes_back_as_it_was(tmp_path: Path) -> None:
    setup = Setup(
        Path("/in"), None, similar=False, base=(Path("/a"),), archive=(Path("/b"), Path("/c"))
    )
    grade(tmp_path, (_zip(tmp_path / "in", "2023AIB2001", "a"),))
    with open_store(tmp_path) as store:
        store.begin_class(replace(info(), setup=setup))
        assert store.info().setup == setup
