"""A class beyond its source: everything that was found comes to the pair that it belongs to."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from grader.assignments.load import load_assignment
from grader.errors import SandboxError, UsageError
from grader.findings import found
from grader.model import Assignment
from grader.sandbox import Backend
from grader.similarity import choose_pairs
from grader.similarity.checkpoints.related import RelatedCheckpoints
from grader.similarity.masks import sign_mask, signatures_json
from grader.similarity.model import (
    MASKS_FILE,
    Channel,
    ClassSimilarity,
    Evidence,
    Pair,
    Strength,
    SubmissionSummary,
    Threshold,
)
from grader.similarity.source.read_sources import find_submissions
from grader.similarity.submission import compare
from grader.similarity.submission.class_results import read_class_results
from grader.similarity.submission.compare import add_evidence, compare_beyond_source
from tests.unit.similarity.submission.zips import Entry, weights, write_zip

A, B, C, D = "2023AIB2001", "2023AIB2002", "2023AIB2003", "2023AIB2004"


@pytest.fixture(scope="module")
def assignment() -> Assignment:
    return load_assignment("ail721-a2")


def _nothing(names: tuple[str, ...], *pairs: Pair) -> ClassSimilarity:
    return ClassSimilarity(
        tuple(SubmissionSummary(name, 1, 10, 1.0) for name in names),
        pairs,
        (),
        Threshold(0.5, 0.0, 6, "a test"),
        {pair.key: pair.score for pair in pairs},
    )


def _evidence(strength: Strength, value: float | None = None) -> Evidence:
    return Evidence(Channel.CHECKPOINT, "checkpoint.x", strength, "m", "w", "h", value)


def _no_sandbox() -> Backend:
    raise SandboxError("no sandbox works here")


def test_strong_evidence_flags_a_pair_and_raises_its_score() -> None:
    below = Pair(A, B, 0.2, False)
    result = add_evidence(
        _nothing((A, B, C), below), {(A, B): [_evidence(Strength.STRONG, 0.93)]}, {}
    )
    (pair,) = result.pairs
    assert (pair.score, pair.flagged) == (0.93, True)
    assert result.clusters[0].members == (A, B)
    assert result.scores[A, B] == 0.93


def test_weak_evidence_is_shown_and_flags_nobody() -> None:
    result = add_evidence(_nothing((A, B, C)), {(A, B): [_evidence(Strength.WEAK, 0.9)]}, {})
    (pair,) = result.pairs
    assert (pair.score, pair.flagged) == (0.0, False)
    assert result.clusters == ()


def test_context_makes_no_pair_but_joins_one() -> None:
    context = {(A, B): [_evidence(Strength.CONTEXT, 0.9)]}
    assert add_evidence(_nothing((A, B)), context, {}).pairs == ()
    kept = add_evidence(_nothing((A, B), Pair(A, B, 0.4, True)), context, {})
    assert [len(pair.evidence) for pair in kept.pairs] == [1]
    assert kept.pairs[0].score == 0.4


def test_archived_pairs_stay_as_they_are() -> None:
    old = Pair(A, "0", 0.8, True, archived=True)
    result = add_evidence(_nothing((A, B), old), {(A, B): [_evidence(Strength.STRONG, 0.9)]}, {})
    assert old in result.pairs
    finding = found("zip.late-times", "x")
    assert add_evidence(result, {}, {A: [finding]}).submissions[0].findings == (finding,)


def test_pairs_beyond_the_bound_keep_their_scores_and_their_groups(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(choose_pairs, "LEAST_SHOWN", 4)
    names = (A, B, C, D)
    every = {(a, b): [_evidence(Strength.STRONG, 0.91)] for a in names for b in names if a < b}
    once = add_evidence(_nothing(names), every, {})
    assert (len(once.pairs), len(once.further), once.num_flagged) == (4, 2, 6)
    assert once.clusters[0].members == names
    assert len(once.clusters[0].pairs) == 6
    assert [note[:18] for note in once.notes] == ["of 2 flagged pairs"]
    again = add_evidence(once, {once.further[0].key: [_evidence(Strength.STRONG, 0.97)]}, {})
    assert again.pairs[0].key == once.further[0].key
    assert len(again.pairs[0].evidence) == 2
    assert (again.num_flagged, again.notes) == (6, once.notes)


@pytest.fixture
def course(tmp_path: Path) -> Path:
    """Four students: A and B hand in one network under different files, C names A."""
    folder = tmp_path / "class"
    folder.mkdir()
    log = "epoch 1 val accuracy 0.93\n" * 60
    extra: dict[str, dict[str, Entry]] = {
        A: {"model.safetensors": weights(1), "run.log": log},
        B: {"w/net.safetensors": weights(1, ("first", "second")), "report.md": "x" * 99},
        C: {"model.safetensors": weights(2), "notes.md": f"thanks {A}\n"},
        D: {"model.safetensors": weights(3), "out.log": log},
    }
    for day, (name, entries) in enumerate(extra.items(), 1):
        code = {"train.py": f"stem = body = {day}\n" * day}
        write_zip(folder, name, {**code, **entries}, day)
    return folder


def test_a_class_is_compared_in_everything(
    course: Path, tmp_path: Path, assignment: Assignment
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    submissions = find_submissions(course)
    result = compare_beyond_source(
        _nothing((A, B, C, D)), submissions, assignment, _no_sandbox, scratch
    )
    codes = {
        pair.key: sorted((one.code, one.strength.value) for one in pair.evidence)
        for pair in result.pairs
    }
    assert codes == {
        (A, B): [("checkpoint.same-weights", "strong")],
        (A, C): [("zip.names-the-other", "weak")],
        (A, D): [("zip.same-files", "strong")],
    }
    assert [pair.flagged for pair in result.pairs] == [True, True, False]
    findings = {one.name: [f.code for f in one.findings] for one in result.submissions}
    assert findings == {
        A: [],
        B: ["checkpoint.unknown-names"],
        C: ["zip.other-entry-number"],
        D: [],
    }
    assert {path.suffix for path in scratch.iterdir()} == {".safetensors"}, "the rest is removed"


def test_a_weak_sign_of_half_the_class_says_nothing_of_anybody(
    tmp_path: Path, assignment: Assignment
) -> None:
    names = tuple(f"2023AIB20{number:02}" for number in range(10))
    for day, name in enumerate(names, 1):
        entries: dict[str, Entry] = {"a.py": f"a = {day}\n", "b.py": f"b = {day}\n"}
        if day > 3:
            entries["x.pth"] = (b"no checkpoint", (2026, 4, 1, 9, 0, 0))
        write_zip(tmp_path, name, entries, day)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    result = compare_beyond_source(
        _nothing(names), find_submissions(tmp_path), assignment, _no_sandbox, scratch
    )
    assert all(one.findings == () for one in result.submissions)
    assert any("7 of 11 submissions" in note for note in result.notes)


def test_safetensors_need_no_sandbox_and_others_say_that_it_is_missing(
    course: Path, tmp_path: Path, assignment: Assignment
) -> None:
    write_zip(course, "2023AIB2005", {"train.py": "x = 1\n", "resnet_model.pth": b"\x80\x02" * 99})
    (tmp_path / "s").mkdir()
    result = compare_beyond_source(
        _nothing((A, B)), find_submissions(course), assignment, _no_sandbox, tmp_path / "s"
    )
    assert any("weights were not compared: no sandbox" in note for note in result.notes)
    assert (A, B) in {pair.key for pair in result.pairs}


def test_what_was_given_out_joins_nobody(
    course: Path, tmp_path: Path, assignment: Assignment
) -> None:
    starter = tmp_path / "starter"
    starter.mkdir()
    (starter / "sample.log").write_text("epoch 1 val accuracy 0.93\n" * 60)
    (starter / "notes.md").write_text(f"an example is {A}\n")
    (tmp_path / "s").mkdir()
    from grader.similarity.source.read_sources import find_base

    result = compare_beyond_source(
        _nothing((A, B, C, D)),
        find_submissions(course),
        assignment,
        _no_sandbox,
        tmp_path / "s",
        base=[find_base(starter)],
    )
    assert {pair.key for pair in result.pairs} == {(A, B)}


@pytest.mark.parametrize("allowed", [False, True])
def test_public_weights_are_a_finding_where_the_definition_wants_networks_from_scratch(
    course: Path,
    tmp_path: Path,
    assignment: Assignment,
    monkeypatch: pytest.MonkeyPatch,
    allowed: bool,
) -> None:
    told = []

    def relate(*given: object, from_scratch: bool, **named: object) -> RelatedCheckpoints:
        told.append((from_scratch, len(given), set(named)))
        return RelatedCheckpoints({}, {}, ())

    monkeypatch.setattr(compare, "relate_checkpoints", relate)
    rules = {**assignment.source["source_rules"], "pretrained_weights": allowed}
    wanted = replace(assignment, source={**assignment.source, "source_rules": rules})
    compare_beyond_source(
        _nothing((A, B, C, D)), find_submissions(course), wanted, _no_sandbox, tmp_path
    )
    assert told == [(not allowed, 2, {"published"})]


# --------------------------------------------------------------------------- results of a class


def _report(folder: Path, name: str, wrong: range, ious: list[float], accuracy: float) -> None:
    images = [
        {
            "name": f"i{n}",
            "staged_name": f"s{n}",
            "label": "moth",
            "predicted": f"other{n}" if n in wrong else "moth",
            "iou": ious[n],
        }
        for n in range(60)
    ]
    path = folder / "reports" / name / "report.json"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({"images": images, "independent": {"accuracy": accuracy}}))


def test_answers_masks_and_logs_come_from_the_reports(
    course: Path, tmp_path: Path, assignment: Assignment
) -> None:
    results = tmp_path / "results"
    spread = [0.3 + 0.01 * n for n in range(60)]
    _report(results, A, range(12), spread, 0.4)
    _report(results, B, range(12), [value + 0.001 for value in spread], 0.9)
    _report(results, C, range(20, 32), [value + 0.002 for value in spread], 0.9)
    _report(results, D, range(40, 52), spread, 0.9)
    (tmp_path / "s").mkdir()
    names = [one.name for one in find_submissions(course)]
    known = read_class_results(results, names)
    assert known.accuracies[A] == 0.4
    result = compare_beyond_source(
        _nothing((A, B, C, D)),
        find_submissions(course),
        assignment,
        _no_sandbox,
        tmp_path / "s",
        results=known,
    )
    codes = {pair.key: {one.code for one in pair.evidence} for pair in result.pairs}
    assert "predictions.shared-mistakes" in codes[A, B]
    assert "masks.same-scores" in codes[A, D]
    assert "result.unreproduced-log" in {f.code for f in result.submissions[0].findings}
    assert not result.submissions[3].findings


def test_masks_are_compared_by_the_signatures_that_were_kept(
    course: Path, tmp_path: Path, assignment: Assignment
) -> None:
    results = tmp_path / "results"
    rng = np.random.default_rng(0)
    true = np.zeros((32, 32), bool)
    true[8:24, 8:24] = True
    own = {name: [rng.random(true.shape) < 0.03 for _ in range(20)] for name in (A, B, C)}
    own[B] = [wrong ^ (rng.random(true.shape) < 0.003) for wrong in own[A]]
    for name in (A, B, C, D):
        _report(results, name, range(2), [0.5 + 0.001 * n for n in range(60)], 0.9)
    for name, errors in own.items():
        signed = {f"i{n}": sign_mask(true ^ wrong, true) for n, wrong in enumerate(errors)}
        (results / "reports" / name / MASKS_FILE).write_text(signatures_json(signed))
    known = read_class_results(results, (A, B, C, D))
    assert set(known.masks) == {A, B, C}
    (tmp_path / "s").mkdir()
    result = compare_beyond_source(
        _nothing((A, B, C, D)),
        find_submissions(course),
        assignment,
        _no_sandbox,
        tmp_path / "s",
        results=known,
    )
    codes = {pair.key: {one.code for one in pair.evidence} for pair in result.pairs}
    assert "masks.shared-errors" in codes[A, B]
    # Both signatures say that these differ; for D there are only scores, and all have the same.
    assert not any(code.startswith("masks") for code in codes.get((A, C), ()))
    assert "masks.same-scores" in codes[A, D]


def test_damaged_signatures_are_named(tmp_path: Path) -> None:
    _report(tmp_path, A, range(2), [0.5] * 60, 0.9)
    (tmp_path / "reports" / A / MASKS_FILE).write_text("{}")
    with pytest.raises(UsageError, match=rf"{MASKS_FILE}.*no signatures"):
        read_class_results(tmp_path, [A])


def test_the_answer_of_most_stands_for_a_truth_that_no_report_has(tmp_path: Path) -> None:
    for name, answer in ((A, "moth"), (B, "moth"), (C, "owl")):
        path = tmp_path / "reports" / name / "report.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"images": [{"name": "i0", "predicted": answer}]}))
    assert read_class_results(tmp_path, (A, B, C)).truth == {"i0": "moth"}


@pytest.mark.parametrize("text", ["", "{", "[1, 2"])
def test_a_damaged_report_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "reports" / A / "report.json"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(UsageError, match=r"report\.json"):
        read_class_results(tmp_path, [A])


def test_a_folder_that_is_no_class_is_named(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no folder reports"):
        read_class_results(tmp_path, [A])
