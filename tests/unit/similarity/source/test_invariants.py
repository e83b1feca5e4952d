"""What the scores promise, whatever the class: held on generated classes of other seeds."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from benchmarks.similarity_classes import obfuscate, rewrite
from benchmarks.similarity_classes.generate import submission
from grader.similarity.source.fingerprint import NO_BASE
from tests.unit.similarity.source.students import (
    LINES,
    base_of,
    changed,
    honest,
    score_of,
    scores,
)

SEEDS = st.integers(1000, 9999)


@settings(max_examples=6, deadline=None)
@given(SEEDS, st.sampled_from(["none", "unrelated", "part", "other student"]))
def test_a_verbatim_copy_scores_1_with_any_base_code(seed: int, kind: str) -> None:
    class_ = honest(6, seed)
    class_["copy"] = dict(class_["h00"])
    base = {
        "none": NO_BASE,
        "unrelated": base_of(submission(f"{seed}/base", LINES)),
        "part": base_of({"model.py": class_["h00"]["model.py"]}),
        "other student": base_of(class_["h01"]),
    }[kind]
    assert score_of(class_, "copy", "h00", base) == pytest.approx(1.0)


@settings(max_examples=6, deadline=None)
@given(SEEDS)
def test_a_renamed_copy_scores_at_least_95(seed: int) -> None:
    class_ = honest(6, seed)
    class_["copy"] = changed(class_["h00"], obfuscate.renames, seed)
    assert score_of(class_, "copy", "h00") >= 0.95


@settings(max_examples=4, deadline=None)
@given(SEEDS)
@example(3568)  # a number that others chose too
@example(1086)  # the file's own names were those of the submission as soon as it was edited
def test_an_edited_line_of_the_base_code_adds_no_match(seed: int) -> None:
    rng = random.Random(seed)
    starter = submission(f"{seed}/starter", LINES)
    lines = starter["train.py"].splitlines()
    numbered = [i for i, line in enumerate(lines) if any(c.isdigit() for c in line) and "(" in line]
    place = rng.choice(numbered)
    edited = list(lines)
    edited[place] = "".join(str(rng.randint(1, 9)) if c.isdigit() else c for c in edited[place])
    class_ = {
        name: {f"own/{p}": t for p, t in files.items()} | starter
        for name, files in honest(5, seed).items()
    }
    base = base_of(starter)
    _, before = scores(class_, base)
    class_["h00"] = {**class_["h00"], "train.py": "\n".join(edited) + "\n"}
    _, after = scores(class_, base)
    assert (after.score[0] <= before.score[0] + 1e-3).all()
    assert (after.bits[0] <= before.bits[0] + 1.0).all()


@settings(max_examples=4, deadline=None)
@given(SEEDS)
def test_boilerplate_in_everybodys_submission_that_is_named_changes_no_score(seed: int) -> None:
    class_ = honest(6, seed)
    class_["h05"] = changed(class_["h00"], obfuscate.all_combined, seed)
    given_out = {f"given/{p}": t for p, t in submission(f"{seed}/given", LINES).items()}
    base = base_of(given_out)
    _, without = scores(class_, base)
    _, within = scores({name: {**files, **given_out} for name, files in class_.items()}, base)
    assert np.abs(np.sqrt(without.score) - np.sqrt(within.score)).max() < 0.02


def test_base_code_that_nobody_uses_changes_no_score() -> None:
    class_ = honest(6, 77)
    class_["h05"] = changed(class_["h00"], obfuscate.dead_code, 1)
    unrelated = base_of(
        {
            "tool.py": "import sqlite3\n\n\ndef rows(db):\n    c = sqlite3.connect(db)\n    return c.execute('select 1').fetchall()[::7]\n"
        }
    )
    _, before = scores(class_)
    _, after = scores(class_, unrelated)
    assert np.array_equal(before.score, after.score)


@pytest.mark.parametrize("name", [*obfuscate.STANDARD, *rewrite.WHOLE])
def test_every_kind_of_whole_copy_stands_out(name: str) -> None:
    class_ = honest(10, 4711)
    class_["copy"] = changed(class_["h03"], {**obfuscate.STANDARD, **rewrite.WHOLE}[name], 5)
    names, found = scores(class_)
    at, source = names.index("copy"), names.index("h03")
    others = [found.score[i, j] for i in range(10) for j in range(i) if {i, j} != {at, source}]
    assert found.score[at, source] > max(others)


@settings(max_examples=3, deadline=None)
@given(SEEDS, st.sampled_from(["imports", "texts", "inlined functions", "loops as comprehensions"]))
def test_what_is_only_spelled_in_another_way_is_the_same(seed: int, name: str) -> None:
    class_ = honest(6, seed)
    class_["copy"] = changed(class_["h00"], rewrite.WHOLE[name], seed)
    assert score_of(class_, "copy", "h00") >= 0.95
