"""What rows of labels give away, and that honest ones are left alone."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.stages.diagnose_labels import binomial_tail, diagnose_labels

CLASSES = ("ADONIS", "BLUE MORPHO", "CLEOPATRA", "EASTERN COMA", "Iphiclus sister", "INDRA SWALLOW")
COUNT = 30
TARGETS = np.random.default_rng(0).integers(0, len(CLASSES), COUNT)
LISTING = tuple(int(number) for number in np.random.default_rng(1).permutation(COUNT))


def codes(preds: np.ndarray, targets: np.ndarray = TARGETS) -> list[str]:
    listing = LISTING if len(targets) == COUNT else range(len(targets))
    return [finding.code for finding in diagnose_labels(preds, targets, CLASSES, listing)]


def test_right_answers_are_left_alone() -> None:
    assert codes(TARGETS) == []


@settings(deadline=None)
@given(st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 0.5))
def test_random_mistakes_are_left_alone(seed: int, right: float, unanswered: float) -> None:
    generator = np.random.default_rng(seed)
    guesses = generator.integers(0, len(CLASSES), COUNT)
    preds = np.where(generator.random(COUNT) < right, TARGETS, guesses)
    preds[generator.random(COUNT) < unanswered] = -1
    assert codes(preds) in ([], ["result.constant-labels"])


@pytest.mark.parametrize("shift", [1, 2, 5])
def test_shifted_class_numbers(shift: int) -> None:
    preds = (TARGETS + shift) % len(CLASSES)
    (finding,) = diagnose_labels(preds, TARGETS, CLASSES, LISTING)
    assert finding.code == "result.class-order"
    assert "30 of 30 labels are right instead of 0" in finding.message
    words = f"{shift} too high" if shift <= 3 else f"{len(CLASSES) - shift} too low"
    assert words in finding.message


def test_classes_sorted_without_regard_to_case() -> None:
    swapped = np.array([0, 1, 2, 3, 5, 4])
    targets = np.random.default_rng(2).permutation([4, 5] * 10 + [0, 1, 2, 3])
    (finding,) = diagnose_labels(swapped[targets], targets, CLASSES, range(len(targets)))
    assert finding.code == "result.class-order"
    assert "without regard to case" in finding.message


def test_classes_sorted_backwards() -> None:
    assert codes(5 - TARGETS) == ["result.class-order"]


@pytest.mark.parametrize(("step", "word"), [(1, "next"), (-1, "previous")])
def test_rows_that_slipped(step: int, word: str) -> None:
    preds = np.empty_like(TARGETS)
    preds[list(LISTING)] = np.roll(TARGETS[list(LISTING)], step)
    (finding,) = diagnose_labels(preds, TARGETS, CLASSES, LISTING)
    assert finding.code == "result.shifted-rows"
    assert f"the label of the {word} one" in finding.message


@pytest.mark.parametrize("count", [1_200, 20_000])
def test_half_of_many_labels_one_class_number_too_high(count: int) -> None:
    """More images than a float holds binomial coefficients for."""
    generator = np.random.default_rng(0)
    targets = np.arange(count) % len(CLASSES)
    guesses = generator.integers(0, len(CLASSES), count)
    preds = np.where(generator.random(count) < 0.5, (targets + 1) % len(CLASSES), guesses)
    (finding,) = diagnose_labels(preds, targets, CLASSES, range(count))
    assert finding.code == "result.class-order"
    assert "1 too high" in finding.message


@given(st.integers(8, 300), st.integers(1, 299), st.integers(0, 300))
def test_the_chance_of_so_many_hits_is_the_binomial_tail(count: int, top: int, hits: int) -> None:
    top, hits = min(top, count - 1), min(hits, count)
    guess = Fraction(top, count)
    exact = sum(
        math.comb(count, k) * guess**k * (1 - guess) ** (count - k) for k in range(hits, count + 1)
    )
    assert binomial_tail(hits, count, top / count) == pytest.approx(float(exact), rel=1e-9)


def test_one_label_for_all() -> None:
    (finding,) = diagnose_labels(np.full(COUNT, 2), TARGETS, CLASSES, LISTING)
    assert finding.code == "result.constant-labels"
    assert "all 30 images have the label CLEOPATRA" in finding.message


def test_too_few_or_too_uniform_to_tell() -> None:
    assert codes(np.full(7, 2), np.arange(7) % 6) == []
    assert codes(np.full(COUNT, 2), np.full(COUNT, 1)) == []
    assert codes(np.full(COUNT, -1)) == []


def test_two_classes_are_not_called_exchanged_by_chance() -> None:
    targets = np.array([0, 1] * 5)
    preds = 1 - targets
    preds[:3] = targets[:3]  # 7 of 10 right the other way round
    found = diagnose_labels(preds, targets, CLASSES[:2], range(10))
    assert [finding.code for finding in found] == []
