"""Shared mistakes: what everybody shares, what two share, and what chance gives."""

from __future__ import annotations

import itertools
import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.similarity.model import Strength
from grader.similarity.predictions import majority, relate_predictions, tail

CLASSES = 20


def _class(
    students: int, items: int, error_rate: float, seed: int = 0
) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Independent students on images some of which are hard and mislead everybody alike."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(CLASSES, size=items)
    hardness = rng.beta(0.5, 0.5 / error_rate - 0.5, size=items)
    tempting = rng.integers(CLASSES, size=items)
    answers = {}
    for student in range(students):
        wrong = rng.random(items) < hardness
        tempted = rng.random(items) < 0.6
        given_ = np.where(
            wrong, np.where(tempted, tempting, rng.integers(CLASSES, size=items)), truth
        )
        answers[f"s{student:03}"] = _named(given_)
    return answers, _named(truth)


def _named(labels: npt.NDArray[np.int64]) -> dict[str, str]:
    return {f"i{item:04}": f"c{label}" for item, label in enumerate(labels)}


def _copied(
    answers: dict[str, dict[str, str]], source: str, share: float, seed: int = 0
) -> dict[str, str]:
    """A copy in which `share` of the answers are somebody's own."""
    rng = np.random.default_rng(seed)
    own = answers["s001"]
    return {k: own[k] if rng.random() < share else v for k, v in answers[source].items()}


@pytest.mark.parametrize("error_rate", [0.02, 0.1, 0.3])
@pytest.mark.parametrize("seed", range(3))
def test_nobody_of_an_honest_class_is_remarkable(error_rate: float, seed: int) -> None:
    answers, truth = _class(40, 200, error_rate, seed)
    assert relate_predictions(answers, truth) == {}


@pytest.mark.parametrize("error_rate", [0.05, 0.1, 0.3])
def test_a_copy_is_found_and_nobody_else(error_rate: float) -> None:
    answers, truth = _class(40, 300, error_rate)
    answers["copy"] = dict(answers["s007"])
    related = relate_predictions(answers, truth)
    assert set(related) == {("copy", "s007")}
    assert related["copy", "s007"].strength is Strength.STRONG


def test_a_copy_with_some_changes_is_weak() -> None:
    answers, truth = _class(40, 300, 0.1)
    answers["copy"] = _copied(answers, "s007", 0.35)
    related = relate_predictions(answers, truth)
    assert {pair: e.strength for pair, e in related.items()} == {("copy", "s007"): Strength.WEAK}


def test_accurate_people_agree_and_mean_nothing_by_it() -> None:
    """Agreement of 0.995 and more, and the one image that everybody gets wrong."""
    truth = {f"i{i}": "right" for i in range(200)}
    answers = {f"s{k}": truth | {"i0": "wrong"} for k in range(12)}
    assert relate_predictions(answers, truth) == {}


def test_mistakes_that_the_whole_class_makes_are_expected() -> None:
    truth = {f"i{i}": "right" for i in range(100)}
    everybody = truth | {f"i{i}": "tempting" for i in range(20)}
    answers = {f"s{k}": dict(everybody) for k in range(15)}
    assert relate_predictions(answers, truth) == {}


def test_few_images_are_no_evidence() -> None:
    answers, truth = _class(20, 9, 0.3)
    answers["copy"] = dict(answers["s007"])
    assert relate_predictions(answers, truth) == {}


def test_missing_answers_and_unknown_items_count_not() -> None:
    answers, truth = _class(20, 200, 0.1)
    answers["copy"] = {k: v for k, v in answers["s007"].items() if k > "i0040"} | {"other": "x"}
    answers["nothing"] = {}
    related = relate_predictions(answers, truth)
    assert set(related) == {("copy", "s007")}
    told = related["copy", "s007"].details
    assert (told["items"], told["agreement"]) == (159, 1.0)
    first, second = told["errors"]
    assert first == second == told["shared"] > told["expected_shared"]


def test_two_submissions_alone_cannot_be_told_from_a_hard_test() -> None:
    """Without a class nobody knows whether a mistake is common."""
    answers, truth = _class(40, 60, 0.1)
    pair = {"a": answers["s001"], "b": dict(answers["s001"])}
    assert relate_predictions(pair, truth)["a", "b"].strength is Strength.WEAK
    others = {name: answers[name] for name in ("s002", "s003")}
    assert relate_predictions(pair | others, truth)["a", "b"].strength is Strength.STRONG


@given(st.lists(st.floats(0, 1), max_size=9), st.integers(0, 10))
def test_the_tail_is_the_sum_over_all_outcomes(chances: list[float], least: int) -> None:
    total = math.fsum(
        math.prod(p if hit else 1 - p for p, hit in zip(chances, outcome, strict=True))
        for outcome in itertools.product([False, True], repeat=len(chances))
        if sum(outcome) >= least
    )
    assert tail(np.array(chances), least) == pytest.approx(total, abs=1e-12)


def test_the_majority_stands_for_a_truth() -> None:
    assert majority([{"a": "x", "b": "y"}, {"a": "x"}, {"a": "z"}]) == {"a": "x", "b": "y"}
