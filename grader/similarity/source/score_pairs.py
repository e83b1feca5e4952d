"""What pairs of functions share → how similar two submissions are, as numbers from 0 to 1.

A feature weighs b² / B bits, b = log2((N + 1) / n), when n of N submissions hold it (compare50's
idea, sharpened: what many write says nothing), n counted as at least two, so that code found
nowhere else weighs as much as code found in just one other place; B is the most a feature can
weigh. Two functions that share m of the lesser one's w bits count with m · (m / w) · m / (m + K):
many bits in one place say more than the same bits scattered over a program, and a few bits say
nothing. Their sum, divided by what the submission holds, is its containment in the other; the
greater of both is the pair's.

The two channels are scored apart and the greater counts: dead code tears the k-grams of a copy
apart and leaves its statements whole; a copy with every expression rewritten keeps its order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from grader.similarity.source.fingerprint import AS_WRITTEN, GRAM
from grader.similarity.source.index import Index, Places, Units, changes, find_places
from grader.similarity.source.linearise import CALL, SHAPE, STATEMENT

_Number = TypeVar("_Number", bound=np.generic)
Floats = npt.NDArray[np.float64]

# Weightings, in this order: features in any order, k-grams, features without regard to idf.
ANY_ORDER, IN_ORDER, UNWEIGHTED = 0, 1, 2
_FEATURES = {STATEMENT: 1.0, CALL: 1.0, SHAPE: 0.5, AS_WRITTEN: 1.0}
_GRAMS = {GRAM: 1.0}

# K: with as many bits in one place, half of them count; in a class of 200 these are 9 features.
_ENOUGH = {ANY_ORDER: 60.0, IN_ORDER: 60.0, UNWEIGHTED: 10.0}
_WHOLE = 6  # the power of a containment with which K stops to matter
_EVERYWHERE = 8  # how sharply the idf-free weight falls when (nearly) everybody has a feature


@dataclass(frozen=True, slots=True)
class PairScores:
    """(N, N) each, symmetric, 0 on the diagonal.

    `score`: the ranking one. `contained`: the same without regard to how few bits a place has; 1
    when one's own code is all in the other. `unweighted`: free of idf: what shows when most of a
    class copied one source. `bits`: what is shared in the same places.
    """

    score: Floats
    contained: Floats
    unweighted: Floats
    bits: Floats


def score_pairs(index: Index) -> PairScores:
    """Score all pairs of a class at once."""
    number = index.num_submissions
    most = np.log2((number + 1) / 2) or 1.0
    idf = np.log2((number + 1) / np.maximum(index.spread, 2)) ** 2 / most
    common = np.maximum(index.spread - 1, 0) / max(number, 1)
    free = 1 - common**_EVERYWHERE
    features = _weights(index, _FEATURES)
    weights = np.stack(
        [
            idf[index.groups] * features,
            idf[index.groups] * _weights(index, _GRAMS),
            free[index.groups] * features,
        ]
    )
    places = find_places(index, weights)
    sides = (
        _Sums(index, places.left, places.right),
        _Sums(index, places.right, places.left),
    )
    whole = [np.bincount(index.owners, row, number).astype(np.float64) for row in places.whole]
    score = contained = bits = np.zeros((number, number))
    unweighted = score
    for weighting, enough in _ENOUGH.items():
        found = _matched(places, sides, weighting, enough)
        any_size = _contained(_matched(places, sides, weighting, 0.0), whole[weighting])
        concentrated = _contained(found, whole[weighting])
        # A whole program in another one scores 1, however short it is.
        of_weighting = concentrated + (any_size - concentrated) * any_size**_WHOLE
        if weighting == UNWEIGHTED:
            unweighted = of_weighting
            continue
        score = np.maximum(score, of_weighting)
        contained = np.maximum(contained, any_size)
        bits = np.maximum(bits, np.maximum(found, found.T))
    return PairScores(score, contained, unweighted, bits)


def _weights(index: Index, of_kind: dict[int, float]) -> Floats:
    """(m,) the weight of each row by its kind."""
    table = np.zeros(256)
    for kind, weight in of_kind.items():
        table[kind] = weight
    return table[index.kinds]


class _Sums:
    """Sums over a submission's units, of what is found of them in other submissions."""

    def __init__(self, index: Index, units: Units, others: Units) -> None:
        """`units`, `others` (p,): what is found of a unit stands in the other one."""
        number = index.num_submissions
        # Places are sorted by left and right, and units by submission: in the order of its units,
        # each side's keys are sorted.
        self._order: Units | None = None
        if (units[1:] < units[:-1]).any():
            self._order = np.argsort(units, kind="stable").astype(np.int32)
        keys = self._ordered(units) * np.int64(number) + self._ordered(index.owners[others])
        new = changes(keys)
        self._place = np.cumsum(new, dtype=np.int32) - np.int32(1)
        keys = keys[new]
        self._number = number
        self._unit = (keys // number).astype(np.int32)
        self._pair = index.owners[self._unit] * number + keys % number

    def _ordered(self, values: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
        return values if self._order is None else values[self._order]

    def __call__(self, counted: Floats, whole: Floats) -> Floats:
        """(N, N) of (p,) `counted`: a unit counts no more than it holds, wherever it is found."""
        found = np.minimum(
            np.bincount(self._place, self._ordered(counted), len(self._unit)), whole[self._unit]
        )
        matrix: Floats = np.bincount(self._pair, found, self._number**2).astype(np.float64)
        return matrix.reshape(self._number, self._number)


def _matched(places: Places, sides: tuple[_Sums, _Sums], weighting: int, enough: float) -> Floats:
    """(N, N): how much of the row's submission is in the column's."""
    shared = places.shared[weighting]
    whole = places.whole[weighting]
    lesser = np.minimum(whole[places.left], whole[places.right])
    counted = np.divide(shared, lesser, out=np.zeros_like(shared), where=lesser > 0)
    del lesser  # a class of hundreds has a million places
    np.minimum(counted, 1.0, out=counted)
    counted *= shared
    if enough:
        counted *= shared / (shared + enough)
    matrix, other = (side(counted, whole) for side in sides)
    return matrix + other


def _contained(matched: Floats, whole: Floats) -> Floats:
    share = np.divide(matched, whole[:, None], out=np.zeros_like(matched), where=whole[:, None] > 0)
    return np.clip(np.maximum(share, share.T), 0.0, 1.0)
