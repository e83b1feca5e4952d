"""Which weight of one checkpoint lies upon which of another, whatever they are called."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from grader.similarity.checkpoints.align import best_assignment
from grader.similarity.checkpoints.describe import WeightTrace

Match = tuple[int, int]  # positions in the two sequences
Grid = npt.NDArray[np.floating]
_Closeness = Callable[[Sequence[WeightTrace], Sequence[WeightTrace]], Grid]

_NO_PARTNER = -1e6
_TINY = 1e-12


def match_by_direction(
    left: Sequence[WeightTrace], right: Sequence[WeightTrace]
) -> tuple[Match, ...]:
    """Weights of equal shapes, matched so that their sketches agree best: names and order of the
    two checkpoints mean nothing."""
    return _match(left, right, _sketch_cosines)


def match_by_profile(
    left: Sequence[WeightTrace], right: Sequence[WeightTrace]
) -> tuple[Match, ...]:
    """As `match_by_direction`, by what a reordering of channels leaves alone."""
    return _match(left, right, _profile_closeness)


def match_in_order(left: Sequence[WeightTrace], right: Sequence[WeightTrace]) -> tuple[Match, ...]:
    """Weights of equal shapes in the order in which they are stored."""
    theirs = _by_shape(right)
    return tuple(
        sorted(
            match
            for shape, rows in _by_shape(left).items()
            for match in zip(rows, theirs.get(shape, ()), strict=False)
        )
    )


def estimated_cosine(
    left: Sequence[WeightTrace], right: Sequence[WeightTrace], matches: Sequence[Match]
) -> float:
    """The mean cosine of the matched weights by their numbers, from sketches: see
    `grader.similarity.checkpoints.compare`; right to about ± 0.05."""
    if not matches:
        return 0.0
    cosines = [
        float(unit_sketches([left[i]])[0] @ unit_sketches([right[j]])[0]) for i, j in matches
    ]
    return float(np.average(cosines, weights=[left[i].numbers for i, _ in matches]))


def matched_share(
    left: Sequence[WeightTrace], right: Sequence[WeightTrace], matches: Sequence[Match]
) -> float:
    """How much of the smaller checkpoint's numbers is matched at all, 0 to 1."""
    smaller = min(sum(w.numbers for w in left), sum(w.numbers for w in right))
    return sum(left[i].numbers for i, _ in matches) / smaller if smaller else 0.0


def _match(
    left: Sequence[WeightTrace], right: Sequence[WeightTrace], closeness_of: _Closeness
) -> tuple[Match, ...]:
    ours, theirs = _by_shape(left), _by_shape(right)
    matches = []
    for shape, rows in ours.items():
        columns = theirs.get(shape, [])
        if not columns:
            continue
        size = max(len(rows), len(columns))
        # What has no partner is matched with nothing, at a price below that of every partner.
        profit = np.full((size, size), _NO_PARTNER)
        profit[: len(rows), : len(columns)] = closeness_of(
            [left[i] for i in rows], [right[j] for j in columns]
        )
        chosen = best_assignment(profit)
        matches += [
            (i, columns[chosen[row]]) for row, i in enumerate(rows) if chosen[row] < len(columns)
        ]
    return tuple(sorted(matches))


def _by_shape(weights: Sequence[WeightTrace]) -> dict[tuple[int, ...], list[int]]:
    positions: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for position, weight in enumerate(weights):
        positions[weight.shape].append(position)
    return positions


def _sketch_cosines(ours: Sequence[WeightTrace], theirs: Sequence[WeightTrace]) -> Grid:
    return unit_sketches(ours) @ unit_sketches(theirs).T


def unit_sketches(weights: Sequence[WeightTrace]) -> Grid:
    """(weights, SKETCH_SIZE), each row of length 1."""
    sketches = np.stack([weight.sketch for weight in weights])
    unit: Grid = sketches / np.maximum(np.linalg.norm(sketches, axis=1, keepdims=True), _TINY)
    return unit


def _profile_closeness(ours: Sequence[WeightTrace], theirs: Sequence[WeightTrace]) -> Grid:
    return -np.array([[profile_difference(a, b) for b in theirs] for a in ours])


def profile_difference(left: WeightTrace, right: WeightTrace) -> float:
    """Mean distance of the sorted filter profiles, relative to their mean: the smaller of that of
    the lengths and that of the shares, because a normalisation may take the lengths back out."""
    differences = np.abs(left.profile - right.profile).mean(axis=1)
    sizes = 0.5 * (left.profile.mean(axis=1) + right.profile.mean(axis=1))
    return float((differences / np.maximum(sizes, _TINY)).min())
