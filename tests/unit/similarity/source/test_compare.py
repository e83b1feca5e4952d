"""A class compared: flagged pairs, evidence, clusters, thresholds, archive, cache, odd classes."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks.similarity_classes import obfuscate
from benchmarks.similarity_classes.obfuscate import Files
from grader.assignments.load import load_assignment
from grader.errors import UsageError
from grader.model import Assignment
from grader.render.similarity.documents import pairs_csv, similarity_json
from grader.similarity import choose_pairs
from grader.similarity.model import ClassSimilarity, Pair, Strength
from grader.similarity.source import workers
from grader.similarity.source.clusters import find_clusters
from grader.similarity.source.compare import SourceComparison, compare_sources
from grader.similarity.source.read_sources import FoundSubmission, find_submissions
from grader.similarity.source.threshold import EXPECTED_HONEST, find_threshold
from tests.unit.similarity.source.students import changed, honest


@pytest.fixture(scope="module")
def assignment() -> Assignment:
    return load_assignment("ail721-a2")


def _write(folder: Path, class_: dict[str, Files]) -> tuple[FoundSubmission, ...]:
    for name, files in class_.items():
        for path, text in files.items():
            place = folder / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, "utf-8")
    return find_submissions(folder)


def _flagged(result: ClassSimilarity) -> set[tuple[str, str]]:
    return {pair.key for pair in result.flagged}


def test_planted_copies_are_flagged_with_lines_and_of_the_others_only_who_share_a_function(
    tmp_path: Path, assignment: Assignment
) -> None:
    """Of four classes one has two honest students with thirteen lines in common to the letter:
    they are seen, and nobody else is."""
    others = []
    seeds = (5, 6, 7, 8)
    for seed in seeds:
        class_ = honest(14, seed)
        class_["x"] = changed(class_["h02"], obfuscate.all_combined, 1)
        class_["y"] = changed(class_["h07"], obfuscate.statement_order, 2)
        result = compare_sources(_write(tmp_path / str(seed), class_), assignment).result
        assert [pair.key for pair in result.flagged[:2]] == [("h07", "y"), ("h02", "x")]
        assert [set(cluster.members) for cluster in result.clusters[:2]] == [
            {"h07", "y"},
            {"h02", "x"},
        ]
        others += [(seed, pair.key) for pair in result.flagged[2:]]
    assert others == [(5, ("h09", "h11"))]
    assert len(others) <= EXPECTED_HONEST * len(seeds), "what the threshold promises"
    first = result.flagged[0].evidence[0]
    assert first.code == "code.similar"
    assert first.strength is Strength.STRONG
    assert sum(region.share for region in first.regions) == pytest.approx(1)
    assert all(evidence.meaning and evidence.honest for evidence in result.flagged[0].evidence)
    assert result.threshold.pairs_compared == 16 * 15 // 2
    assert not result.pairs[-1].flagged


def test_a_class_in_which_most_copied_one_source_is_flagged(
    tmp_path: Path, assignment: Assignment
) -> None:
    class_ = honest(6, 8)
    for i in range(14):
        how = (obfuscate.renames, obfuscate.statement_order, obfuscate.dead_code)[i % 3]
        class_[f"x{i:02}"] = changed(class_["h00"], how, i)
    result = compare_sources(_write(tmp_path, class_), assignment).result
    copiers = [name for name in class_ if name[0] == "x" or name == "h00"]
    expected = {(a, b) for a in copiers for b in copiers if a < b}
    flagged = _flagged(result)
    assert len(flagged & expected) > 0.9 * len(expected)
    assert not flagged - expected


def test_of_a_class_of_copies_few_pairs_are_shown_and_every_score_is_kept(
    tmp_path: Path, assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    class_ = honest(7, 8)
    for i in range(9):
        class_[f"x{i}"] = changed(class_["h00"], obfuscate.renames, i)
    found = _write(tmp_path, class_)
    copiers = {"h00", *(f"x{i}" for i in range(9))}
    whole = compare_sources(found, assignment).result
    assert whole.further == ()
    monkeypatch.setattr(choose_pairs, "LEAST_SHOWN", 5)
    bounded = compare_sources(found, assignment).result
    assert len(bounded.flagged) == len(class_)
    assert _flagged(whole) == {pair.key for pair in (*bounded.flagged, *bounded.further)}
    assert bounded.num_flagged == whole.num_flagged == 45
    assert {name for pair in bounded.flagged for name in pair.key} == copiers
    assert all(pair.evidence[0].regions for pair in bounded.flagged)
    assert not any(found.regions for pair in bounded.further for found in pair.evidence)
    assert bounded.clusters == whole.clusters
    assert bounded.scores == whole.scores
    assert set(bounded.notes) - set(whole.notes) == {
        note for note in bounded.notes if note.startswith("of 29 flagged pairs only the score")
    }
    rows = list(csv.DictReader(io.StringIO(pairs_csv(bounded))))
    assert {(row["left"], row["right"]) for row in rows if row["look"] == "yes"} == _flagged(whole)
    assert {row["page"] for row in rows[len(bounded.pairs) :]} == {""}
    document = json.loads(similarity_json(bounded))
    assert len(document["pairs"]) == len(bounded.pairs)
    assert sum(map(len, document["further"].values())) == 29
    (cluster,) = document["clusters"]
    assert set(cluster["members"]) == copiers
    assert cluster["why"] == "source code of 45 pairs"


def test_one_submission_has_nobody_to_be_compared_with(
    tmp_path: Path, assignment: Assignment
) -> None:
    result = compare_sources(_write(tmp_path, honest(1)), assignment).result
    assert result.pairs == ()
    assert any("one submission" in note for note in result.notes)


def test_base_code_that_is_a_submission_is_answered(tmp_path: Path, assignment: Assignment) -> None:
    class_ = honest(4, 2)
    class_["copy"] = dict(class_["h00"])
    found = _write(tmp_path, class_)
    base = [FoundSubmission("h00", tmp_path / "h00")]
    result = compare_sources(found, assignment, base=base).result
    (pair,) = [pair for pair in result.pairs if pair.key == ("copy", "h00")]
    assert pair.score == 1.0
    assert not pair.flagged
    assert pair.evidence[0].strength is Strength.CONTEXT
    own = {summary.name: summary.own_share for summary in result.submissions}
    assert own["h00"] == own["copy"] == 0.0 < own["h01"]


def test_base_code_without_python_says_so(tmp_path: Path, assignment: Assignment) -> None:
    found = _write(tmp_path / "class", honest(2))
    (tmp_path / "notes").mkdir()
    with pytest.raises(UsageError, match="base code"):
        compare_sources(found, assignment, base=[FoundSubmission("n", tmp_path / "notes")])


def test_two_copies_alone_are_flagged(tmp_path: Path, assignment: Assignment) -> None:
    class_ = honest(1)
    class_["x"] = changed(class_["h00"], obfuscate.renames)
    result = compare_sources(_write(tmp_path, class_), assignment).result
    assert _flagged(result) == {("h00", "x")}


def test_empty_and_unreadable_submissions_are_similar_to_nobody(
    tmp_path: Path, assignment: Assignment
) -> None:
    class_ = {**honest(2), "e1": {"a.py": ""}, "e2": {"b.py": "# nothing\n"}, "e3": {"c.txt": "x"}}
    result = compare_sources(_write(tmp_path, class_), assignment).result
    assert not {name for pair in result.pairs for name in pair.key} & {"e1", "e2", "e3"}
    codes = {s.name: [f.code for f in s.findings] for s in result.submissions}
    assert codes["e1"] == codes["e3"] == ["similar.no-source"]


def _compare(
    found: tuple[FoundSubmission, ...], assignment: Assignment, cache: Path
) -> SourceComparison:
    return compare_sources(found, assignment, cache=cache)


def test_an_archive_names_last_years_submission_and_functions(
    tmp_path: Path, assignment: Assignment
) -> None:
    last = honest(5, 1)
    earlier = compare_sources(_write(tmp_path / "last", last), assignment).fingerprints
    class_ = {"new": changed(last["h03"], obfuscate.renames), **honest(5, 2)}
    result = compare_sources(_write(tmp_path / "this", class_), assignment, archive=earlier).result
    assert _flagged(result) == {("new", "h03 (archive)")}
    (pair,) = result.flagged
    assert pair.archived
    assert pair.evidence[0].regions
    assert result.threshold.pairs_compared == 6 * 5 // 2 + 6 * 5


def test_the_cache_gives_the_same_and_reads_nothing_twice(
    tmp_path: Path, assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = _write(tmp_path / "class", honest(4))
    monkeypatch.setattr(workers, "_FEW", 100)  # in this process
    before = _compare(found, assignment, tmp_path / "cache")
    fresh = []

    def counted(*arguments: object) -> object:
        fresh.append(arguments)
        return original(*arguments)  # type: ignore[arg-type]

    original = workers.fingerprint
    monkeypatch.setattr(workers, "fingerprint", counted)
    again = _compare(found, assignment, tmp_path / "cache")
    assert not fresh
    assert again.result == before.result
    kept = next((tmp_path / "cache").iterdir())
    kept.write_bytes(kept.read_bytes()[:100])
    (tmp_path / "class/h00/model.py").write_text("x = 1\n", "utf-8")
    _compare(found, assignment, tmp_path / "cache")
    assert 1 <= len(fresh) <= 2


def test_results_do_not_depend_on_the_processes(
    tmp_path: Path, assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    class_ = honest(7, 9)
    class_["x"] = changed(class_["h02"], obfuscate.dead_code, 1)
    found = _write(tmp_path, class_)
    many = compare_sources(found, assignment).result
    monkeypatch.setattr(workers, "_FEW", 100)
    assert compare_sources(found, assignment).result == many


# ------------------------------------------------------------------------------- thresholds


def test_the_threshold_rises_with_the_pairs_compared_and_with_what_is_usual() -> None:
    rng = np.random.default_rng(0)
    few, many = rng.exponential(0.02, 400), rng.exponential(0.02, 40_000)
    assert find_threshold(few).score < find_threshold(many).score < 0.5
    assert find_threshold(few * 2).score > find_threshold(few).score


def test_chance_reaches_the_threshold_about_as_often_as_is_said() -> None:
    rng = np.random.default_rng(1)
    reached = []
    for _ in range(200):
        scores = rng.exponential(0.04, 1000)
        reached.append((scores >= find_threshold(scores).score).sum())
    assert np.mean(reached) < 2


def test_copies_do_not_hide_behind_each_other() -> None:
    """Half of a class copied: the threshold stays below their scores."""
    rng = np.random.default_rng(2)
    scores = np.concatenate([rng.exponential(0.02, 800), rng.uniform(0.6, 1.0, 700)])
    assert find_threshold(scores).score <= 0.5


@pytest.mark.parametrize("scores", [np.zeros(0), np.zeros(3), np.zeros(100), np.ones(100)])
def test_there_is_a_threshold_for_every_class(scores: np.typing.NDArray[np.float64]) -> None:
    threshold = find_threshold(scores)
    assert 0 < threshold.score <= 0.5
    assert threshold.pairs_compared == len(scores)


# ------------------------------------------------------------------------------- clusters


def _pair(left: str, right: str, score: float, *, flagged: bool = True) -> Pair:
    return Pair(left, right, score, flagged)


def test_clusters_are_what_flagged_pairs_join() -> None:
    pairs = [
        _pair("a", "b", 0.5),
        _pair("b", "c", 0.9),
        _pair("d", "e", 1.0),
        _pair("c", "d", 0.1, flagged=False),
    ]
    clusters = find_clusters(pairs)
    assert [cluster.members for cluster in clusters] == [("d", "e"), ("b", "c", "a")]
    assert [cluster.score for cluster in clusters] == [1.0, 0.9]
    assert clusters[1].pairs == (("a", "b"), ("b", "c"))
    assert find_clusters([]) == ()
