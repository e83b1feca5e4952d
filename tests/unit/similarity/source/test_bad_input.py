"""Whatever a folder holds: a clear message or a graceful answer, in bounded memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.measuring import GRADER, peak_mb
from grader.assignments.load import load_assignment
from grader.errors import UsageError
from grader.model import Assignment
from grader.similarity.source.compare import compare_sources
from grader.similarity.source.read_sources import FoundSubmission, find_submissions

PLAIN = """import torch


def halve(values, weights):
    kept = torch.relu(values[1:-1]) / 2 - 1
    for index, weight in enumerate(weights):
        kept[index] = kept[index] * weight + torch.sigmoid(kept.mean(0))
    return kept
"""
ODD: dict[str, bytes] = {
    "fifty megabytes": b"values = [1, 2, 3]\n" * 2_700_000,
    "a million lines": b"x = 1\n" * 1_000_000,
    "one line": b"x = [" + b"1, " * 5_000_000 + b"]\n",
    "brackets": b"x = " + b"(" * 50_000 + b")" * 50_000,
    "signs": b"x = " + b"-" * 100_000 + b"1\n",
    "sums": b"x = " + b" + ".join([b"1"] * 50_000),
    "attributes": b"x = a" + b".b()" * 50_000,
    "blocks": b"".join(b" " * n + b"if x:\n" for n in range(99)) + b" " * 99 + b"y = 2\n",
    "powers": b"x = 9 ** 9 ** 9 ** 9\ny = 10 ** 1000000\nz = 1e308 * 10 // 0\n",
    "digits": b"x = " + b"7" * 200_000 + b"\n",
    "nothing": b"",
    "blanks": b" \n\t\n" * 1000,
    "null bytes": bytes(range(256)) * 100,
    "UTF-16": PLAIN.encode("utf-16"),
    "Latin-1": ("# -*- coding: latin-1 -*-\n# é\n" + PLAIN).encode("latin-1"),
    "an encoding that is none": b"# coding: rot26\n" + PLAIN.encode(),
    "carriage returns": PLAIN.replace("\n", "\r").encode(),
}
_MOST_MB = 300.0  # of one process; the interpreter with numpy takes about 60


@pytest.fixture(scope="module")
def assignment() -> Assignment:
    return load_assignment("ail721-a2")


def _write(folder: Path, texts: dict[str, bytes]) -> tuple[FoundSubmission, ...]:
    for name, content in texts.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "train.py").write_bytes(content)
    return find_submissions(folder)


def test_odd_files_take_bounded_memory(tmp_path: Path) -> None:
    _write(tmp_path / "class", ODD)
    out = tmp_path / "out.json"
    command = [GRADER, "similar", tmp_path / "class", "--source-only", "--json", out]
    assert peak_mb(command) < _MOST_MB
    assert out.exists()


@pytest.mark.parametrize(
    "name", ["UTF-16", "Latin-1", "an encoding that is none", "carriage returns"]
)
def test_the_same_program_in_another_encoding_is_the_same(
    tmp_path: Path, assignment: Assignment, name: str
) -> None:
    found = _write(tmp_path, {"plain": PLAIN.encode(), "other": ODD[name]})
    (pair,) = compare_sources(found, assignment).result.pairs
    assert pair.score == 1
    assert pair.flagged


def test_files_of_which_nothing_can_be_read_are_said(
    tmp_path: Path, assignment: Assignment
) -> None:
    found = _write(tmp_path, {name: ODD[name] for name in ("nothing", "blanks", "null bytes")})
    result = compare_sources(found, assignment).result
    assert not result.flagged
    assert all(summary.findings for summary in result.submissions)


def test_of_a_file_that_is_too_large_the_beginning_is_compared_and_that_is_said(
    tmp_path: Path, assignment: Assignment
) -> None:
    found = _write(
        tmp_path, {"large": PLAIN.encode() + ODD["a million lines"], "p": PLAIN.encode()}
    )
    result = compare_sources(found, assignment).result
    assert result.pairs[0].score > 0
    (finding,) = result.submissions[0].findings
    assert finding.code == "similar.not-all-compared"
    assert "256 KiB" in finding.message


def test_no_submissions_and_one(tmp_path: Path, assignment: Assignment) -> None:
    with pytest.raises(UsageError, match=f"{tmp_path.name}: holds no submissions") as caught:
        find_submissions(tmp_path)
    assert caught.value.hint
    result = compare_sources(_write(tmp_path, {"alone": PLAIN.encode()}), assignment).result
    assert result.pairs == ()
    assert any("nothing to compare" in note for note in result.notes)


def test_base_code_that_equals_a_submission(tmp_path: Path, assignment: Assignment) -> None:
    """Whoever handed in the starter has nothing of his own; nobody is flagged for it."""
    other = PLAIN + "\n\ndef third(values):\n    return torch.sin(values) / 3 + values.mean(0)\n"
    found = _write(
        tmp_path / "class",
        {"starter": PLAIN.encode(), "again": PLAIN.encode(), "own": other.encode()},
    )
    (base,) = _write(tmp_path / "base", {"given": PLAIN.encode()})
    result = compare_sources(found, assignment, base=[base]).result
    assert not result.flagged
    shares = {summary.name: summary.own_share for summary in result.submissions}
    assert shares["starter"] == shares["again"] == 0
    assert 0 < shares["own"] < 1
    assert any("same base code" in note for note in result.notes)
