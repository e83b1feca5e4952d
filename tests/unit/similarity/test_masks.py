"""Masks: near the truth everybody's are alike; what tells is where they are wrong."""

from __future__ import annotations

import numpy as np
import pytest

from grader.similarity.masks import (
    Mask,
    MaskTrace,
    compare_masks,
    describe_masks,
    majority_masks,
    relate_masks,
    same_scores,
)
from grader.similarity.model import Evidence, Strength

IMAGES, SIDE_PX = 12, 48
Masks = dict[str, Mask]


def _blob(rng: np.random.Generator, centre: tuple[float, float], size: float) -> Mask:
    """A bumpy ellipse."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] / SIDE_PX
    angle = np.arctan2(y - centre[0], x - centre[1])
    bumps = sum(rng.normal(0, 0.05) * np.cos(k * angle + rng.uniform(0, 6)) for k in range(2, 7))
    return np.hypot((y - centre[0]) / 0.8, x - centre[1]) < size * (1 + bumps)


@pytest.fixture(scope="module")
def course() -> tuple[Masks, dict[str, Masks]]:
    """A truth, and 12 students whose masks lie 0.8 to 0.95 of it, each wrong in their own way and
    all of them a little too large."""
    rng = np.random.default_rng(5)
    centres = [(rng.uniform(0.4, 0.6), rng.uniform(0.4, 0.6)) for _ in range(IMAGES)]
    truth = {f"i{n}": _blob(rng, centre, 0.3) for n, centre in enumerate(centres)}
    students = {
        f"s{k:02}": {
            f"i{n}": _blob(rng, centre, 0.3 + rng.uniform(0.0, 0.05))
            for n, centre in enumerate(centres)
        }
        for k in range(12)
    }
    return truth, students


def _relate(students: dict[str, Masks], truth: Masks) -> dict[tuple[str, str], Evidence]:
    traces = [describe_masks(key, masks, truth) for key, masks in students.items()]
    return relate_masks(traces, students.__getitem__, truth)


def _with_flips(masks: Masks, share: float) -> Masks:
    rng = np.random.default_rng(0)
    return {item: mask ^ (rng.random(mask.shape) < share) for item, mask in masks.items()}


def test_an_honest_class_is_not_remarkable(course: tuple[Masks, dict[str, Masks]]) -> None:
    truth, students = course
    assert _relate(students, truth) == {}
    compared = compare_masks(students["s00"], students["s01"], truth)
    assert compared.agreement > 0.85
    assert compared.overlap < 0.5


def test_equal_masks_are_found(course: tuple[Masks, dict[str, Masks]]) -> None:
    truth, students = course
    related = _relate(students | {"copy": dict(students["s03"])}, truth)
    assert {pair: e.code for pair, e in related.items()} == {("copy", "s03"): "masks.identical"}
    assert related["copy", "s03"].strength is Strength.STRONG


def test_nearly_equal_masks_are_found(course: tuple[Masks, dict[str, Masks]]) -> None:
    truth, students = course
    related = _relate(students | {"copy": _with_flips(students["s03"], 0.002)}, truth)
    assert {pair: e.code for pair, e in related.items()} == {("copy", "s03"): "masks.shared-errors"}
    evidence = related["copy", "s03"]
    assert evidence.strength is Strength.STRONG
    assert evidence.value == pytest.approx(0.98, abs=0.02)
    assert evidence.details["nearest"] == IMAGES


def test_a_mask_that_everybody_has_joins_nobody(course: tuple[Masks, dict[str, Masks]]) -> None:
    """The centred ellipse that the starter code writes, and blank masks."""
    truth, students = course
    rng = np.random.default_rng(1)
    ellipse = {item: _blob(rng, (0.5, 0.5), 0.35) for item in truth}
    same = {f"e{k}": dict(ellipse) for k in range(8)}
    related = _relate(students | same, truth)
    assert all("identical" not in e.code for e in related.values())
    blank = {item: np.zeros_like(mask) for item, mask in truth.items()}
    trace = describe_masks("x", blank, truth)
    assert trace.digests == {}


def test_masks_of_another_size_or_item_are_left_out(
    course: tuple[Masks, dict[str, Masks]],
) -> None:
    truth, students = course
    odd = dict(students["s00"]) | {"i0": np.ones((3, 5), bool), "unknown": np.ones((4, 4), bool)}
    trace = describe_masks("x", odd, truth)
    assert set(trace.errors) == set(truth) - {"i0"}
    assert compare_masks(odd, students["s01"], truth).images == IMAGES - 1
    assert (
        relate_masks([MaskTrace("a", {}, {}), MaskTrace("b", {}, {})], {}.__getitem__, truth) == {}
    )


def test_the_majority_stands_for_a_truth(course: tuple[Masks, dict[str, Masks]]) -> None:
    truth, students = course
    voted = majority_masks(list(students.values()))
    assert all((voted[item] == truth[item]).mean() > 0.9 for item in truth)
    copied = students | {"copy": dict(students["s03"])}
    assert set(_relate(copied, majority_masks(list(copied.values())))) == {("copy", "s03")}


def test_equal_scores_stand_for_equal_masks() -> None:
    rng = np.random.default_rng(0)
    scores = {f"s{k}": {f"i{n}": float(rng.random()) for n in range(20)} for k in range(10)}
    for given in scores.values():
        given["i0"], given["i1"], given["i2"], given["i3"] = 0.0, 1.0, 0.0, 0.25
    assert same_scores(scores) == {}
    scores["copy"] = dict(scores["s4"])
    assert set(same_scores(scores)) == {("copy", "s4")}
    scores["half"] = {k: v if k > "i14" else 0.1 for k, v in scores["s5"].items()}
    assert ("half", "s5") in same_scores(scores)
