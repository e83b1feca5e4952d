"""What a row of labels says about how it came about: constant, in another order, one row off."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from grader.findings import found
from grader.metrics.counts import NO_ANSWER
from grader.model import Finding

_MIN_ITEMS = 8
_MIN_GAIN = 0.3
# How often random labels may look like this, all orders that are tried together.
_MAX_CHANCE = 1e-3


def diagnose_labels(
    preds: npt.NDArray[np.int64],
    targets: npt.NDArray[np.int64],
    classes: Sequence[str],
    listing: Sequence[int],
) -> list[Finding]:
    """Findings about predictions (N,) of targets (N,), both class numbers.

    `listing`: the items' numbers in the order in which the images are listed.
    """
    if len(preds) < _MIN_ITEMS or len(set(targets.tolist())) < 2:
        return []
    given = set(preds.tolist())
    if len(given) == 1 and NO_ANSWER not in given:
        message = f"all {len(preds)} images have the label {classes[given.pop()]}"
        return [found("result.constant-labels", message)]
    readings = [("result.class-order", *reading) for reading in _orders(preds, classes)]
    readings += [("result.shifted-rows", *reading) for reading in _shifts(preds, listing)]
    right = int((preds == targets).sum())
    hits = [int((other == targets).sum()) for _, _, other in readings]
    best = int(np.argmax(hits))
    if not _is_telling(hits[best], right, targets, len(readings)):
        return []
    code, words, _ = readings[best]
    message = (
        f"{hits[best]} of {len(preds)} labels are right instead of {right}, if {words}; they were "
        "measured as they are"
    )
    return [found(code, message)]


def _is_telling(hits: int, right: int, targets: npt.NDArray[np.int64], tried: int) -> bool:
    """Whether `hits` is much more than `right`, and more than guessing would give by chance."""
    count = len(targets)
    if hits < right + _MIN_GAIN * count:
        return False
    guess = float(np.bincount(targets).max()) / count
    return binomial_tail(hits, count, guess) * tried < _MAX_CHANCE


def binomial_tail(hits: int, count: int, share: float) -> float:
    """The probability of `hits` or more of `count`, each with the probability `share` in (0, 1)."""
    # Each term from its logarithm: above 1,029 images a coefficient is larger than any float.
    coefficients = math.lgamma(count + 1)
    return sum(
        math.exp(
            coefficients
            - math.lgamma(k + 1)
            - math.lgamma(count - k + 1)
            + k * math.log(share)
            + (count - k) * math.log1p(-share)
        )
        for k in range(hits, count + 1)
    )


def _shifts(
    preds: npt.NDArray[np.int64], listing: Sequence[int]
) -> list[tuple[str, npt.NDArray[np.int64]]]:
    """The predictions one place further in the listing: (in words, class numbers)."""
    shifted = []
    for step, words in ((-1, "next"), (1, "previous")):
        moved = np.empty_like(preds)
        moved[list(listing)] = np.roll(preds[list(listing)], step)
        shifted.append((f"each image takes the label of the {words} one", moved))
    return shifted


def _orders(
    preds: npt.NDArray[np.int64], classes: Sequence[str]
) -> list[tuple[str, npt.NDArray[np.int64]]]:
    """The predictions under other orders of the classes: (in words, class numbers)."""
    count = len(classes)
    answered = preds != NO_ANSWER
    mapped = [
        (
            f"class numbers are taken as {shift} too high"
            if shift <= count // 2
            else f"class numbers are taken as {count - shift} too low",
            np.where(answered, (preds - shift) % count, NO_ANSWER),
        )
        for shift in range(1, count)
    ]
    for words, key in (
        ("the classes are taken as sorted without regard to case", str.casefold),
        ("the classes are taken as sorted backwards", None),
    ):
        names = sorted(classes, key=key) if key is not None else sorted(classes, reverse=True)
        number = {name: place for place, name in enumerate(classes)}
        # What the student's program called class k is the k-th name of its own order.
        own_to_ours = np.array([number[name] for name in names], dtype=np.int64)
        ours_to_own = np.argsort(own_to_ours)
        for direction, table in (("", own_to_ours), (" in the training set", ours_to_own)):
            mapped.append((words + direction, np.where(answered, table[preds], NO_ANSWER)))
    return mapped
