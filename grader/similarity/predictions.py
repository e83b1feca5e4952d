"""Shared mistakes: answers that agree where they are wrong.

Two accurate networks agree on nearly everything and mean nothing by it. What tells is the same
wrong answer to the same image, again and again, where others err elsewhere or otherwise. How often
two strangers would do that is computed image by image from the rest of the class: how hard the
image is, how often these two err, and how far wrong answers to it gather on one class. The chance
of as many shared mistakes is that of a sum of independent, unequal coins (Poisson-binomial), as in
the generalised binomial test for copied examinations (van der Linden and Sotaridona, Journal of
Educational and Behavioral Statistics 31(3), 2006). Networks err more alike than people do: the
expectation is raised by the factor that the class itself shows.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grader.similarity.model import Channel, Evidence, Strength

PairKey = tuple[str, str]
Floats = npt.NDArray[np.float64]

AGREEMENT = 0.995
OVERLAP = 0.8
CHANCE_PAIRS = 0.01  # expected in the whole class by chance: fewer make a pair worth a look
SURE_CHANCE_PAIRS = 1e-6  # networks that err often need not agree on all the rest
_WEAK_OVERLAP = 0.55
_LEAST_SHARED = 3
_LEAST_ITEMS = 10
_LEAST_CLASS = 4  # submissions: among fewer, nobody knows which mistakes are common
_PRIOR_ITEMS = 2.0  # how many answers of others the class's mean counts for, per image
_SURE = 0.97  # no chance per image is taken for higher, however hard the image
_CALIBRATING_PAIRS = 15


@dataclass(frozen=True, slots=True)
class SharedMistakes:
    """Two sets of answers. `items`: answered by both; `agreement`: share answered alike; `errors`:
    how many each has wrong; `shared`: wrong alike; `overlap`: shared over all that either has
    wrong; `expected`: shared mistakes of strangers like these; `chance_pairs`: pairs of the class
    that would share as many by chance."""

    items: int
    agreement: float
    errors: tuple[int, int]
    shared: int
    overlap: float
    expected: float
    chance_pairs: float


@dataclass(frozen=True, slots=True)
class _Sheet:
    """Everybody's answers as numbers: `answers` (N, I) int, -1 where missing, 0 where right, and
    from 1 on the wrong labels of each item."""

    keys: tuple[str, ...]
    answers: npt.NDArray[np.int64]

    @property
    def answered(self) -> npt.NDArray[np.bool_]:
        return self.answers >= 0

    @property
    def wrong(self) -> npt.NDArray[np.bool_]:
        return self.answers > 0


def relate_predictions(
    answers: Mapping[str, Mapping[str, str]], truth: Mapping[str, str]
) -> dict[PairKey, Evidence]:
    """Evidence per pair (left < right) whose mistakes are shared beyond chance.

    answers: submission → item → label; truth: item → label. Items without a truth count not. All
    pairs are counted by products of matrices (N × N); the chance is computed for those that share
    most of their mistakes.
    """
    sheet = _sheet(answers, truth)
    if len(sheet.keys) < 2:
        return {}
    shared, union = _shared_and_union(sheet)
    raised = _raised(sheet, shared)
    overlap = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    pairs = len(sheet.keys) * (len(sheet.keys) - 1) // 2
    related = {}
    for i, j in zip(*np.nonzero(np.triu(overlap >= _WEAK_OVERLAP, 1)), strict=True):
        if shared[i, j] < _LEAST_SHARED:
            continue
        measured = _measure(sheet, int(i), int(j), raised, pairs)
        evidence = judge_predictions(measured, len(sheet.keys))
        if evidence is not None:
            related[sheet.keys[i], sheet.keys[j]] = evidence
    return related


def judge_predictions(measured: SharedMistakes, students: int) -> Evidence | None:
    """The evidence in words; None where chance explains it."""
    if measured.items < _LEAST_ITEMS or measured.shared < _LEAST_SHARED:
        return None
    if measured.chance_pairs > CHANCE_PAIRS or measured.overlap < _WEAK_OVERLAP:
        return None
    sure = measured.agreement >= AGREEMENT or measured.chance_pairs <= SURE_CHANCE_PAIRS
    strong = measured.overlap >= OVERLAP and sure and students >= _LEAST_CLASS
    first, second = measured.errors
    return Evidence(
        channel=Channel.PREDICTIONS,
        code=f"{Channel.PREDICTIONS}.shared-mistakes",
        strength=Strength.STRONG if strong else Strength.WEAK,
        message=f"Of {measured.items} images, {first} and {second} are answered wrongly, and "
        f"{measured.shared} of these wrongly in the same way; strangers who err as often would "
        f"share about {measured.expected:.1f}.",
        meaning="Shared mistakes over all mistakes that either of the two makes. Agreement on "
        "right answers does not count: everybody who is accurate agrees.",
        honest="0.1 to 0.5 between networks trained apart; about 0.6 after light fine-tuning of "
        f"one network. Among {students} submissions that work apart, "
        f"{_few(measured.chance_pairs)} pairs would share as many mistakes.",
        value=round(measured.overlap, 4),
        unit="overlap",
        details={
            "items": measured.items,
            "agreement": round(measured.agreement, 5),
            "errors": [first, second],
            "shared": measured.shared,
            "expected_shared": round(measured.expected, 3),
            "chance_pairs": measured.chance_pairs,
        },
    )


def _few(number: float) -> str:
    return f"{number:.2g}" if number >= 1e-6 else "fewer than one in a million such classes'"


def _sheet(answers: Mapping[str, Mapping[str, str]], truth: Mapping[str, str]) -> _Sheet:
    keys = tuple(sorted(answers))
    items = sorted(truth)
    numbers = np.full((len(keys), len(items)), -1, np.int64)
    for column, item in enumerate(items):
        known = {truth[item]: 0}
        for row, key in enumerate(keys):
            label = answers[key].get(item)
            if label is not None:
                numbers[row, column] = known.setdefault(label, len(known))
    return _Sheet(keys, numbers)


def _shared_and_union(sheet: _Sheet) -> tuple[Floats, Floats]:
    """(N, N): mistakes that two share, and those of either, on items that both answered."""
    wrong, answered = sheet.wrong.astype(np.float64), sheet.answered.astype(np.float64)
    most = int(sheet.answers.max(initial=0))
    shared = np.zeros((len(sheet.keys), len(sheet.keys)))
    for label in range(1, most + 1):
        same = (sheet.answers == label).astype(np.float64)
        shared += same @ same.T
    either = wrong @ answered.T
    return shared, either + either.T - wrong @ wrong.T


def _chances(sheet: _Sheet, i: int, j: int) -> Floats:
    """(I,): per item the chance that strangers like i and j make the same mistake, judged from
    everybody else; 0 for items that one of them did not answer."""
    others = np.ones(len(sheet.keys), bool)
    others[[i, j]] = False
    rate = _error_rate(sheet.wrong[others], sheet.answered[others])
    hardness = (sheet.wrong[others].sum(axis=0) + _PRIOR_ITEMS * rate) / (
        sheet.answered[others].sum(axis=0) + _PRIOR_ITEMS
    )
    wrong_alike = _alike(sheet.answers[others])
    chance = wrong_alike
    for student in (i, j):
        own = _error_rate(sheet.wrong[[student]], sheet.answered[[student]])
        odds = hardness / (1 - hardness) * (own / (1 - own)) / (rate / (1 - rate))
        chance = chance * odds / (1 + odds)
    both: npt.NDArray[np.bool_] = sheet.answered[i] & sheet.answered[j]
    result: Floats = np.where(both, chance, 0.0)
    return result


def _error_rate(wrong: npt.NDArray[np.bool_], answered: npt.NDArray[np.bool_]) -> float:
    """In (0, 1), also where nobody errs."""
    return (float(wrong.sum()) + 0.5) / (float(answered.sum()) + 1.0)


def _alike(answers: npt.NDArray[np.int64]) -> Floats:
    """(I,): of two wrong answers to an item, the chance that they are the same one; the class's
    mean where few err."""
    same, both = np.zeros(answers.shape[1]), np.zeros(answers.shape[1])
    wrong = (answers > 0).sum(axis=0)
    both = wrong * (wrong - 1) / 2
    for label in range(1, int(answers.max(initial=0)) + 1):
        count = (answers == label).sum(axis=0)
        same += count * (count - 1) / 2
    mean = (same.sum() + 1.0) / (both.sum() + 2.0)
    alike: Floats = (same + _PRIOR_ITEMS * mean) / (both + _PRIOR_ITEMS)
    return alike


def _raised(sheet: _Sheet, shared: Floats) -> float:
    """By what factor the pairs of this class share more mistakes than the chances say (at least
    1): the median over an even sample of pairs."""
    first, second = np.triu_indices(len(sheet.keys), 1)
    if len(first) < _CALIBRATING_PAIRS:
        return 1.0
    sample = np.unique(np.linspace(0, len(first) - 1, 60).astype(int))
    ratios = []
    for number in sample:
        i, j = int(first[number]), int(second[number])
        expected = float(_chances(sheet, i, j).sum())
        if expected > 0.1:
            ratios.append(shared[i, j] / expected)
    return max(1.0, float(np.median(ratios))) if ratios else 1.0


def _measure(sheet: _Sheet, i: int, j: int, raised: float, pairs: int) -> SharedMistakes:
    ours, theirs = sheet.answers[i], sheet.answers[j]
    both = (ours >= 0) & (theirs >= 0)
    shared = int(((ours == theirs) & (ours > 0)).sum())
    errors = int(((ours > 0) & both).sum()), int(((theirs > 0) & both).sum())
    union = errors[0] + errors[1] - int(((ours > 0) & (theirs > 0)).sum())
    chances = np.minimum(raised * _chances(sheet, i, j), _SURE)
    return SharedMistakes(
        items=int(both.sum()),
        agreement=float((ours == theirs)[both].mean()) if both.any() else 0.0,
        errors=errors,
        shared=shared,
        overlap=shared / union if union else 0.0,
        expected=float(chances.sum()),
        chance_pairs=pairs * tail(chances, shared),
    )


def tail(chances: Floats, least: int) -> float:
    """P(at least `least` of independent events with these chances happen), by the exact recursion
    over events: O(events × least)."""
    if least <= 0:
        return 1.0
    # below[k] = P(k happened so far) for k < least; what reaches `least` is counted apart, so that
    # small tails are sums of small numbers and not one minus nearly one.
    below = np.zeros(least)
    below[0] = 1.0
    reached = 0.0
    for chance in chances[chances > 0]:
        reached += below[-1] * chance
        below[1:] = below[1:] * (1 - chance) + below[:-1] * chance
        below[0] *= 1 - chance
    return float(min(reached, 1.0))


def majority(answers: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """item → the answer of most, where the truth is not at hand."""
    counts: dict[str, Counter[str]] = {}
    for given in answers:
        for item, label in given.items():
            counts.setdefault(item, Counter())[label] += 1
    return {item: min(c, key=lambda label: (-c[label], label)) for item, c in counts.items()}
