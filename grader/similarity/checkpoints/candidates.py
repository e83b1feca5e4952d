"""Which pairs of a class are worth opening, found by their traces alone.

Equal hashes meet in a table. Directions are compared for a whole class at once, as one product of
small matrices. Filter profiles are sorted by their sum, and only neighbours are looked at: two
profiles cannot lie nearer to each other than their sums do. What grows with the square of the class
is thus one product of matrices with a few thousand columns.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
import numpy.typing as npt

from grader.similarity.checkpoints.describe import CheckpointTrace
from grader.similarity.checkpoints.match_weights import (
    estimated_cosine,
    match_by_direction,
    unit_sketches,
)
from grader.similarity.join_pairs import join_pairs

PairKey = tuple[str, str]
Grid = npt.NDArray[np.floating]

# Strangers' sketches agree by chance to about 0.1: what lies above is opened and measured.
_WORTH_OPENING = 0.35
# Measured on trained networks: strangers' profiles differ by 0.005 and more, those of copies with a
# tenth of noise by 0.003. Near ones are opened, their smallest weights first.
_NEAR_PROFILE = 0.02
_NEIGHBOURS = 2
_COMMON_SHARE = 0.5  # of the numbers: less in common is no relation between networks
# In a group of so many or more, a shared start can be told from a copy: see `beyond_start`.
GROUP_SIZE = 4
_BEYOND_START = 0.35
_NOTHING_LEFT = 1e-6
# A group this large joins every member to its first, and not everybody to everybody.
_LARGE_GROUP = 60
_MOST_OPENED = _LARGE_GROUP * (_LARGE_GROUP - 1) // 2  # pairs of one architecture
_NEAREST = 3  # of each checkpoint, where more pairs than that agree


@dataclass(frozen=True, slots=True)
class Candidates:
    """`to_open`: pairs (left < right) to be measured. `shared_start`: groups whose weights agree
    in pairs; `beyond_start`: for pairs of such a group, the cosine of what is left when the mean
    of the others is taken away; `class_cosines`: estimates of all pairs of equal architecture;
    `left_out`: pairs that agree as well, of which there are more than can be opened."""

    to_open: tuple[PairKey, ...]
    shared_start: tuple[tuple[str, ...], ...] = ()
    beyond_start: Mapping[PairKey, float] = field(default_factory=dict)
    estimates: Mapping[PairKey, float] = field(default_factory=dict)
    class_cosines: npt.NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    left_out: frozenset[PairKey] = frozenset()


def find_candidates(traces: Sequence[CheckpointTrace]) -> Candidates:
    """The pairs of `traces` that may be related; keys are unique."""
    by_key = {trace.key: trace for trace in sorted(traces, key=lambda trace: trace.key)}
    pairs: set[PairKey] = set(_with_equal_hashes(list(by_key.values())))
    groups: list[tuple[str, ...]] = []
    beyond: dict[PairKey, float] = {}
    estimates: dict[PairKey, float] = {}
    agree: set[PairKey] = set()
    all_cosines = []
    for bucket in _by_shapes(by_key.values()):
        cosines = _cosines(bucket)
        upper = np.triu_indices(len(bucket), 1)
        all_cosines.append(cosines[upper].astype(np.float32))
        near = {
            _key(bucket[i], bucket[j]): float(cosines[i, j])
            for i, j in zip(*upper, strict=True)
            if cosines[i, j] >= _WORTH_OPENING
        }
        estimates |= near
        for group in join_pairs(near):
            if len(group) >= GROUP_SIZE:
                groups.append(group)
                beyond |= _beyond_start([by_key[key] for key in group])
        agreeing = {
            key: (beyond.get(key, 1.0), near[key])
            for key in near
            if beyond.get(key, 1.0) >= _BEYOND_START
        }
        pairs |= _nearest(agreeing, by_key)
        agree |= set(agreeing)
        pairs |= set(_near_profiles(bucket))
    for key, estimate in _across_shapes(by_key.values()):
        estimates[key] = estimate
        pairs.add(key)
    return Candidates(
        to_open=tuple(sorted(pairs)),
        shared_start=tuple(groups),
        beyond_start=beyond,
        estimates=estimates,
        class_cosines=np.concatenate(all_cosines) if all_cosines else np.zeros(0, np.float32),
        left_out=frozenset(agree - pairs),
    )


def _nearest(
    agreeing: Mapping[PairKey, tuple[float, float]], by_key: Mapping[str, CheckpointTrace]
) -> set[PairKey]:
    """The pairs that are opened: all of them, or of hundreds of copies for each of them the nearest
    ones and the first of its group. Equal files, which need not be opened, count not."""
    equal = {key for key in agreeing if by_key[key[0]].sha256 == by_key[key[1]].sha256}
    different = sorted(agreeing.keys() - equal, key=lambda key: (agreeing[key], key), reverse=True)
    if len(different) <= _MOST_OPENED:
        return set(agreeing)
    chosen: set[PairKey] = set()
    held: Counter[str] = Counter()
    for left, right in different:
        if min(held[left], held[right]) < _NEAREST:
            chosen.add((left, right))
            held.update((left, right))
    known = set(different)
    for group in join_pairs(different):
        chosen |= known.intersection(_joined(group))
    return equal | chosen


def _key(first: CheckpointTrace, second: CheckpointTrace) -> PairKey:
    return (first.key, second.key) if first.key < second.key else (second.key, first.key)


def _joined(keys: Sequence[str]) -> Iterator[PairKey]:
    """Everybody with everybody, or in a large group everybody with the first."""
    ordered = sorted(set(keys))
    if len(ordered) <= _LARGE_GROUP:
        yield from combinations(ordered, 2)
    else:
        yield from ((ordered[0], other) for other in ordered[1:])


def _with_equal_hashes(traces: Sequence[CheckpointTrace]) -> Iterator[PairKey]:
    """Pairs that share a file or a weight, in whatever type the weight was saved."""
    holders: dict[str, list[str]] = defaultdict(list)
    for trace in traces:
        for digest in {trace.sha256, *(weight.half for weight in trace.weights)}:
            holders[digest].append(trace.key)
    seen: set[tuple[str, ...]] = set()
    for keys in holders.values():
        if len(keys) > 1 and tuple(keys) not in seen:
            seen.add(tuple(keys))
            yield from _joined(keys)


def _by_shapes(traces: Iterable[CheckpointTrace]) -> list[list[CheckpointTrace]]:
    """Checkpoints of one architecture together, in whatever order they keep their weights."""
    buckets: dict[tuple[tuple[int, ...], ...], list[CheckpointTrace]] = defaultdict(list)
    for trace in traces:
        if trace.weights:
            buckets[tuple(sorted(trace.shapes))].append(trace)
    return list(buckets.values())


def _cosines(bucket: Sequence[CheckpointTrace]) -> Grid:
    """(n, n): estimated cosine of every two, each weight counting by its numbers.

    Weights of one shape are taken in the order in which they are stored; copies that were put in
    another order are found by their hashes and profiles.
    """
    vectors = np.stack([_vector(trace) for trace in bucket])
    cosines: Grid = vectors @ vectors.T
    return cosines


def _vector(trace: CheckpointTrace) -> Grid:
    """(weights × SKETCH_SIZE,): of length 1, weights sorted by shape."""
    ordered = sorted(trace.weights, key=lambda weight: weight.shape)
    numbers = np.array([weight.numbers for weight in ordered], np.float64)
    scale = np.sqrt(numbers / numbers.sum())
    vector: Grid = (unit_sketches(ordered) * scale[:, None]).ravel()
    return vector


def _beyond_start(group: Sequence[CheckpointTrace]) -> dict[PairKey, float]:
    """Per pair of a group that shares a start, the cosine of what training added to it.

    The mean of all others stands for the start: what independent training adds has no direction
    in common, so that the mean keeps the start and little else. Between honest pairs what is left
    has a cosine of about 1 / (n - 1); between a copy and its source it is nearly 1.
    """
    vectors = np.stack([_vector(trace) for trace in group])
    products = vectors @ vectors.T
    others = len(group) - 2
    own = np.diag(products)
    row = products.sum(axis=1)
    first, second = np.triu_indices(len(group), 1)
    between = products[first, second]
    with_first = (row[first] - own[first] - between) / others
    with_second = (row[second] - own[second] - between) / others
    mean_squared = (
        products.sum() - 2 * (row[first] + row[second]) + own[first] + own[second] + 2 * between
    ) / others**2
    left = between - with_first - with_second + mean_squared
    first_length = own[first] - 2 * with_first + mean_squared
    second_length = own[second] - 2 * with_second + mean_squared
    lengths = np.sqrt(np.maximum(first_length, 0) * np.maximum(second_length, 0))
    # Where hardly anything is left, all of the group are one copy: nothing speaks for a start.
    cosines = np.divide(left, lengths, out=np.ones_like(left), where=lengths > _NOTHING_LEFT)
    return {
        _key(group[int(i)], group[int(j)]): float(cosine)
        for i, j, cosine in zip(first, second, cosines, strict=True)
    }


def _near_profiles(bucket: Sequence[CheckpointTrace]) -> Iterator[PairKey]:
    """For each checkpoint the nearest profiles, where they are near at all."""
    if len(bucket) < 2:
        return
    for row in (0, 1):  # lengths, and shares that no rescaling of a filter changes
        profiles = np.stack([_profile(trace, row) for trace in bucket])
        profiles /= max(float(profiles.mean()), _NOTHING_LEFT)
        sums = profiles.mean(axis=1)
        order = np.argsort(sums, kind="stable")
        for place, this in enumerate(order):
            end = np.searchsorted(sums[order], sums[this] + _NEAR_PROFILE, "right")
            beyond = order[place + 1 : end]
            distances = np.abs(profiles[beyond] - profiles[this]).mean(axis=1)
            for nearest in np.argsort(distances, kind="stable")[:_NEIGHBOURS]:
                if distances[nearest] < _NEAR_PROFILE:
                    yield _key(bucket[this], bucket[beyond[nearest]])


def _profile(trace: CheckpointTrace, row: int) -> Grid:
    """All filters of one shape together, sorted: the order of the weights does not matter."""
    by_shape: dict[tuple[int, ...], list[Grid]] = defaultdict(list)
    for weight in trace.weights:
        by_shape[weight.shape].append(weight.profile[row] / max(weight.profile[row].mean(), 1e-12))
    return np.concatenate([np.sort(np.concatenate(by_shape[shape])) for shape in sorted(by_shape)])


def _across_shapes(traces: Iterable[CheckpointTrace]) -> Iterator[tuple[PairKey, float]]:
    """Pairs of different architectures with much in common: another head, a layer more."""
    buckets = _by_shapes(traces)
    for ours, theirs in combinations(buckets, 2):
        if _common_share(ours[0], theirs[0]) < _COMMON_SHARE:
            continue
        sketches = sketches_by_shape(theirs)
        for one in ours:
            for place in np.flatnonzero(most_alike(one, sketches) >= _WORTH_OPENING):
                other = theirs[place]
                matches = match_by_direction(one.weights, other.weights)
                estimate = estimated_cosine(one.weights, other.weights, matches)
                if estimate >= _WORTH_OPENING:
                    yield _key(one, other), estimate


def most_alike(one: CheckpointTrace, others: Mapping[tuple[int, ...], Grid]) -> Grid:
    """(m,): a bound on the estimated cosine with each of `others`, whatever the match: every weight
    of the side that has fewer of a shape lies upon the best one, also where that one is taken."""
    total, numbers = np.zeros(1), 0
    for shape, (own,) in sketches_by_shape([one]).items():
        if shape in others:
            cosines = np.einsum("as,mbs->mab", own, others[shape])
            count, theirs = cosines.shape[1:]
            best = cosines.max(axis=2 if count <= theirs else 1)
            total = total + math.prod(shape) * best.sum(axis=1)
            numbers += math.prod(shape) * min(count, theirs)
    bound: Grid = total / max(numbers, 1)
    return bound


def sketches_by_shape(bucket: Sequence[CheckpointTrace]) -> dict[tuple[int, ...], Grid]:
    """Shape → (checkpoints, weights of this shape, SKETCH_SIZE), each of length 1."""
    shapes = set(bucket[0].shapes)
    return {
        shape: np.stack(
            [unit_sketches([w for w in one.weights if w.shape == shape]) for one in bucket]
        )
        for shape in shapes
    }


def _common_share(one: CheckpointTrace, other: CheckpointTrace) -> float:
    """How much of the smaller one's numbers lies in weights of shapes that both have."""
    common = Counter(one.shapes) & Counter(other.shapes)
    numbers = sum(math.prod(shape) * count for shape, count in common.items())
    smaller = min(sum(weight.numbers for weight in trace.weights) for trace in (one, other))
    return numbers / smaller
