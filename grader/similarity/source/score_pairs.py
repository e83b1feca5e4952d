"""What pairs of functions share → how similar two submissions are, as numbers from 0 to 1.

A feature weighs log2((N + 1) / n) bits when n of N submissions hold it (compare50's idea: what
everybody writes says nothing), n counted as at least two, so that code found nowhere else weighs
as much as code found in just one other place. Two functions that share m of the lesser one's w
bits count with m · (m / w)^P · m / (m + K): many bits in one place say more than the same bits
scattered over a program, and a few bits say nothing. Their sum, divided by what the submission
holds, is its containment in the other; the greater of both is the pair's.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grader.similarity.source.fingerprint import AS_WRITTEN, GRAM
from grader.similarity.source.index import Index, Places, find_places
from grader.similarity.source.linearise import CALL, SHAPE, STATEMENT

Floats = npt.NDArray[np.float64]

# Shares of the kinds of features; no unit.
_KIND_WEIGHTS = {STATEMENT: 1.0, CALL: 1.0, SHAPE: 0.5, GRAM: 1.0, AS_WRITTEN: 1.0}
CONCENTRATION = 1.0  # P
ENOUGH_BITS = 60.0  # K: with as much in one place, half of it counts
_EVERYWHERE = 8.0  # how sharply the idf-free weight falls when (nearly) everybody has a feature


@dataclass(frozen=True, slots=True)
class PairScores:
    """(N, N) each, symmetric, 0 on the diagonal.

    `score`: the ranking one, idf-weighted and concentrated. `contained`: idf-weighted, without
    regard to how few bits a place has; 1 when one's own code is all in the other. `unweighted`:
    free of idf, concentrated: what a class shows in which most copied one source. `bits`: what is
    shared in the same places.
    """

    score: Floats
    contained: Floats
    unweighted: Floats
    bits: Floats


def score_pairs(index: Index) -> PairScores:
    """Score all pairs of a class at once."""
    number = index.num_submissions
    kinds = np.zeros(256)
    for kind, weight in _KIND_WEIGHTS.items():
        kinds[kind] = weight
    idf = np.log2((number + 1) / np.maximum(index.spread, 2))
    idf *= idf / np.log2((number + 1) / 2)
    common = np.maximum(index.spread - 1, 0) / number
    free = 1 - common**_EVERYWHERE
    of_kind = kinds[index.kinds]
    weights = np.stack([idf[index.groups] * of_kind, free[index.groups] * of_kind])
    places = find_places(index, weights)
    whole: list[Floats] = [
        np.bincount(index.owners, row, number).astype(np.float64) for row in places.whole
    ]

    enough = np.log2((number + 1) / 2)  # one feature of two submissions only
    bits = _matched(index, places, 0, ENOUGH_BITS)
    contained = _contained(_matched(index, places, 0, 0.0), whole[0])
    concentrated = _contained(bits, whole[0])
    free_matched = _matched(index, places, 1, ENOUGH_BITS / max(enough, 1.0))
    # A whole program in another one scores 1, however short it is.
    score = concentrated + (contained - concentrated) * contained**6
    return PairScores(
        score=score,
        contained=contained,
        unweighted=_contained(free_matched, whole[1]),
        bits=np.maximum(bits, bits.T),
    )


def _matched(index: Index, places: Places, weighting: int, enough: float) -> Floats:
    """(N, N): how much of the row's submission is in the column's."""
    shared = places.shared[weighting]
    whole = places.whole[weighting]
    lesser = np.minimum(whole[places.left], whole[places.right])
    share = np.divide(shared, lesser, out=np.zeros_like(shared), where=lesser > 0)
    counted = shared * np.minimum(share, 1.0) ** CONCENTRATION
    if enough:
        counted *= shared / (shared + enough)
    matrix = _per_owner(index, places.left, places.right, counted, whole)
    return matrix + _per_owner(index, places.right, places.left, counted, whole)


def _per_owner(
    index: Index,
    units: npt.NDArray[np.int64],
    others: npt.NDArray[np.int64],
    counted: Floats,
    whole: Floats,
) -> Floats:
    """Sums over a submission's units; a unit counts no more than it holds, wherever it is found."""
    number = index.num_submissions
    keys, inverse = np.unique(units * number + index.owners[others], return_inverse=True)
    found = np.minimum(np.bincount(inverse, counted, len(keys)), whole[keys // number])
    pairs = index.owners[keys // number] * number + keys % number
    matrix: Floats = np.bincount(pairs, found, number * number).astype(np.float64)
    return matrix.reshape(number, number)


def _contained(matched: Floats, whole: Floats) -> Floats:
    share = np.divide(matched, whole[:, None], out=np.zeros_like(matched), where=whole[:, None] > 0)
    return np.clip(np.maximum(share, share.T), 0.0, 1.0)
