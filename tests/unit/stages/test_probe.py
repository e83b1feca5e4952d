"""When a loss is more than chance, and when nothing can be said. The passes themselves are run in
tests/attacks/test_cheats.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grader.model import CaseStatus, Measurement, Truth, TruthItem
from grader.stages import probe as stage
from grader.stages.probe import Answers, Bench, Variation, probe, sign_test

COUNT = 40
NAMES = [f"img_{number:03d}.png" for number in range(COUNT)]
TRUTH = Truth(
    tuple(TruthItem(f"A/{name}", name, Path(name), "A", None) for name in NAMES),
    ("A", "B"),
    "",
    "",
    1,
)
FINISHED = (CaseStatus.FINISHED,)


def _answers(right: int, statuses: tuple[CaseStatus, ...] = FINISHED) -> Answers:
    values = {name: float(number < right) for number, name in enumerate(NAMES)}
    measurement = Measurement("accuracy", "Accuracy", right / COUNT, COUNT, per_item=values)
    labels = {name: "A" if value else "B" for name, value in values.items()}
    return Answers(statuses, {"evaluate": labels}, (measurement,))


@pytest.fixture
def passes(monkeypatch: pytest.MonkeyPatch) -> dict[str, Answers]:
    """variation → what that pass gives, 40 right answers by default."""
    given_answers: dict[str, Answers] = {}

    def run(variation: Variation, *_: Any) -> tuple[Answers, dict[str, str]]:
        return given_answers.get(variation.id, _answers(COUNT)), {name: name for name in NAMES}

    monkeypatch.setattr(stage, "_run_pass", run)
    return given_answers


def _probe(first: Answers, truth: Truth = TRUTH) -> tuple[list[str], list[str]]:
    bench: Any = Bench.__new__(Bench)
    result, findings = probe(first, truth, None, bench)  # type: ignore[arg-type]
    return [one.variation for one in result.passes], [finding.code for finding in findings]


def test_answers_that_hold_cost_two_passes_and_say_nothing(passes: dict[str, Answers]) -> None:
    assert _probe(_answers(COUNT)) == (["varied", "mirrored"], [])


def test_lost_answers_are_attributed(passes: dict[str, Answers]) -> None:
    passes["varied"] = passes["renamed"] = _answers(10)
    assert _probe(_answers(COUNT)) == (
        ["varied", "same", "renamed", "re-encoded"],
        ["result.probe-disagrees"],
    )


def test_an_image_that_any_case_labels_otherwise_is_relabelled(passes: dict[str, Answers]) -> None:
    first, later = _answers(COUNT), _answers(COUNT)
    passes["varied"] = replace(later, labels={**later.labels, "other": dict.fromkeys(NAMES, "A")})
    first = replace(first, labels={**first.labels, "other": dict.fromkeys(NAMES[:30], "A")})
    result, _ = probe(first, TRUTH, None, Bench.__new__(Bench))  # type: ignore[arg-type]
    assert result.passes[0].relabelled == COUNT - 30


def test_a_small_loss_is_no_loss(passes: dict[str, Answers]) -> None:
    passes["varied"] = _answers(COUNT - 13)  # 13 of 13: once in 8192
    assert _probe(_answers(COUNT))[1] == []


def test_more_right_answers_are_never_suspicious(passes: dict[str, Answers]) -> None:
    passes["same"] = _answers(5)
    assert _probe(_answers(5))[1] == []


def test_a_pass_that_a_limit_stopped_accuses_nobody(passes: dict[str, Answers]) -> None:
    stopped = replace_statuses(_answers(0), CaseStatus.WALL_TIME)
    passes["varied"] = stopped
    assert "result.probe-disagrees" not in _probe(_answers(COUNT))[1]
    assert "result.probe-failed" in _probe(_answers(COUNT))[1]


def test_a_pass_that_crashed_has_lost_its_answers(passes: dict[str, Answers]) -> None:
    passes["varied"] = replace_statuses(_answers(0), CaseStatus.FAILED)
    assert set(_probe(_answers(COUNT))[1]) == {"result.probe-failed", "result.probe-disagrees"}


def test_a_network_that_never_saw_a_mirror_may_lose_some(passes: dict[str, Answers]) -> None:
    passes["mirrored"] = _answers(COUNT - 9)
    assert _probe(_answers(COUNT))[1] == []
    passes["mirrored"] = _answers(COUNT - 20)
    assert _probe(_answers(COUNT))[1] == ["result.probe-mirrored"]


def test_with_few_images_nothing_is_run(passes: dict[str, Answers]) -> None:
    few = Measurement("accuracy", "Accuracy", 1.0, 13, per_item={str(n): 1.0 for n in range(13)})
    assert _probe(Answers(FINISHED, {}, (few,))) == ([], [])


def replace_statuses(answers: Answers, status: CaseStatus) -> Answers:
    return replace(answers, statuses=(status,))


@given(worse=st.integers(0, 60), better=st.integers(0, 60))
@example(worse=0, better=53)
def test_the_sign_test_is_a_probability_and_falls_with_losses(worse: int, better: int) -> None:
    chance = sign_test(worse, better)
    assert 0.0 < chance <= 1.0
    assert sign_test(worse + 1, better) <= chance
    if worse + better < 50:  # beyond that a double cannot tell the largest of them from 1
        assert sign_test(worse + 1, better) < chance
    assert chance + sign_test(better, worse) >= 1.0


def test_the_sign_test_by_hand() -> None:
    assert sign_test(0, 0) == 1.0
    assert sign_test(3, 0) == 1 / 8
    assert sign_test(2, 1) == 4 / 8
