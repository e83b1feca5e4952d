"""Fingerprints of a class → which functions share what, found through an inverted index.

Cost grows with matches, not with pairs. Features that occur in exactly the same functions are one
entry with the sum of their weights: a copied function is then one pair of places, not one for each
of its statements, and a class in which hundreds hold the same function stays cheap.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grader.similarity.mix import mixed
from grader.similarity.source.fingerprint import Fingerprint
from grader.similarity.source.slice_hashes import SliceHashes

Ints = npt.NDArray[np.int64]
Units = npt.NDArray[np.int32]
Floats = npt.NDArray[np.float64]

# Pairs of places that are looked at, at most, for each submission: beyond it, those shared features
# are left out that say least for the pairs that they cost.
_PLACES_A_SUBMISSION = 3000
_CHUNK_PLACES = 500_000


@dataclass(frozen=True, slots=True)
class Index:
    """All features of a class, sorted by hash, then by unit.

    `units` (m,) number the units of all submissions through; `owners` (num_units,) the submission
    of a unit; `groups` (m,) which hash; `starts`, `counts`, `spread` of each hash: its first row,
    its rows and how many submissions hold it.
    """

    names: tuple[str, ...]
    owners: Ints
    groups: Ints
    units: Ints
    kinds: npt.NDArray[np.uint8]
    sizes: npt.NDArray[np.uint16]
    starts: Ints
    counts: Ints
    spread: Ints

    @property
    def num_submissions(self) -> int:
        return len(self.names)


@dataclass(frozen=True, slots=True)
class Places:
    """Pairs of units of different submissions that share something: (p,) each, `left` < `right`,
    sorted by `left`, then by `right`.

    `shared` (num_weights, p): how much, under each weighting; `whole` (num_weights, num_units):
    how much a unit holds at all.
    """

    left: Units
    right: Units
    shared: Floats
    whole: Floats


def build_index(fingerprints: Sequence[Fingerprint]) -> Index:
    """The inverted index of a class, in the order of `fingerprints`."""
    offsets = np.cumsum([0, *(print_.num_units for print_ in fingerprints)])
    hashes = np.concatenate([np.zeros(0, np.uint64), *(f.hashes for f in fingerprints)])
    units = np.concatenate(
        [np.zeros(0, np.int64)]
        + [f.units + offset for f, offset in zip(fingerprints, offsets, strict=False)]
    )
    kinds = np.concatenate([np.zeros(0, np.uint8), *(f.kinds for f in fingerprints)])
    sizes = np.concatenate([np.zeros(0, np.uint16), *(f.sizes for f in fingerprints)])
    order = np.lexsort((units, hashes))
    hashes, units = hashes[order], units[order]
    new = changes(hashes)
    once = new | changes(units)  # a unit holds a feature or it does not
    order, hashes, units = order[once], hashes[once], units[once]
    owners = np.repeat(np.arange(len(fingerprints)), np.diff(offsets))
    new = changes(hashes)
    starts = np.flatnonzero(new)
    groups = np.cumsum(new) - 1
    first_of_owner = new | changes(owners[units])
    return Index(
        names=tuple(f.name for f in fingerprints),
        owners=owners,
        groups=groups,
        units=units,
        kinds=kinds[order],
        sizes=sizes[order],
        starts=starts,
        counts=np.diff(np.append(starts, len(hashes))),
        spread=np.bincount(groups[first_of_owner], minlength=len(starts)),
    )


def find_places(index: Index, weights: Floats) -> Places:
    """The pairs of units that share features, under each of the (num_weights, m) `weights`.

    A feature left out for cost is left out of `whole` too, so that shares stay shares.
    """
    num_units = len(index.owners)
    shared = index.spread > 1
    lists = SliceHashes(mixed(index.units.astype(np.uint64) + np.uint64(1)))(
        index.starts[shared], index.starts[shared] + index.counts[shared]
    )
    _, representative, entry = np.unique(lists, return_index=True, return_inverse=True)
    of_group = np.stack(
        [np.bincount(index.groups, row, len(index.starts)) / index.counts for row in weights]
    )
    of_entry: Floats = np.stack(
        [np.bincount(entry, row[shared], len(representative)) for row in of_group]
    ).astype(np.float64)
    counts = index.counts[shared][representative]
    cost = counts * (counts - 1) // 2
    order = np.argsort(-of_entry[0] / np.maximum(cost, 1), kind="stable")
    kept = np.zeros(len(order), np.bool_)
    kept[order] = np.cumsum(cost[order]) <= _PLACES_A_SUBMISSION * index.num_submissions
    counted = ~shared
    counted[shared] = kept[entry]
    rows = counted[index.groups]
    whole = np.stack(
        [np.bincount(index.units[rows], row[rows], minlength=num_units) for row in weights]
    )
    starts = index.starts[shared][representative]
    keys, sums = _summed(index, starts[kept], counts[kept], of_entry[:, kept], num_units)
    left = (keys // num_units).astype(np.int32)
    keys %= num_units
    return Places(left, keys.astype(np.int32), sums, whole.astype(np.float64))


def _summed(
    index: Index, starts: Ints, counts: Ints, weights: Floats, num_units: int
) -> tuple[Ints, Floats]:
    """Keys left · num_units + right, sorted, and the sums of what each pair shares."""
    keys: Ints = np.zeros(0, np.int64)
    sums: Floats = np.zeros((len(weights), 0))
    for entries, left, right in _unit_pairs(index, starts, counts):
        apart = index.owners[left] != index.owners[right]
        keys, order, place = _united(keys, left[apart] * num_units + right[apart])
        united = np.zeros((len(weights), len(keys)))
        for row, (old, weight) in enumerate(zip(sums, weights, strict=True)):
            values = np.concatenate([old, weight[entries[apart]]])
            united[row] = np.bincount(place, values[order], len(keys))
        sums = united
    return keys, sums


def _united(keys: Ints, more: Ints) -> tuple[Ints, Ints, Units]:
    """The different numbers of both, sorted; the order of all of them, and where in that order each
    lies among the different ones."""
    every = np.concatenate([keys, more])
    order = np.argsort(every, kind="stable")
    every = every[order]
    new = changes(every)
    return every[new], order, np.cumsum(new, dtype=np.int32) - np.int32(1)


def _unit_pairs(index: Index, starts: Ints, counts: Ints) -> Iterator[tuple[Ints, Ints, Ints]]:
    """(entry, left unit, right unit) of all pairs within each posting list, in chunks."""
    waiting: list[tuple[Ints, Ints, Ints]] = []
    length = 0
    for count in np.unique(counts):
        entries = np.flatnonzero(counts == count)
        first, second = np.triu_indices(int(count), 1)
        step = max(1, _CHUNK_PLACES // len(first))
        for begin in range(0, len(entries), step):
            some = entries[begin : begin + step]
            base = starts[some][:, None]
            left = index.units[base + first[None, :]].ravel()
            right = index.units[base + second[None, :]].ravel()
            waiting.append((np.repeat(some, len(first)), left, right))
            length += len(left)
            if length >= _CHUNK_PLACES:
                yield _together(waiting)
                waiting, length = [], 0
    if waiting:
        yield _together(waiting)


def _together(parts: list[tuple[Ints, Ints, Ints]]) -> tuple[Ints, Ints, Ints]:
    entries, left, right = zip(*parts, strict=True)
    return np.concatenate(entries), np.concatenate(left), np.concatenate(right)


def changes(values: npt.NDArray[np.generic]) -> npt.NDArray[np.bool_]:
    """Whether each value differs from the one before."""
    new = np.ones(len(values), np.bool_)
    new[1:] = values[1:] != values[:-1]
    return new
