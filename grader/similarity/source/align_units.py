"""Two fingerprints → the functions on both sides that share most: where there is no text to align.

An archive of earlier years holds hashes and line numbers only.
"""

from __future__ import annotations

import numpy as np

from grader.similarity.model import Region, Span
from grader.similarity.source.fingerprint import Fingerprint

_SHARE = 0.3  # of the lesser function's features; less is common by chance
_MIN_FEATURES = 4
_MAX_REGIONS = 100


def align_units(left: Fingerprint, right: Fingerprint) -> tuple[Region, ...]:
    """Each function of `left` beside the one of `right` that shares most with it."""
    shared = np.intersect1d(left.hashes, right.hashes)
    held_left, held_right = _units_of(left, shared), _units_of(right, shared)
    common: dict[tuple[int, int], int] = {}
    for value, units in held_left.items():
        for unit in units:
            for other in held_right[value]:
                common[unit, other] = common.get((unit, other), 0) + 1
    sizes_left = np.bincount(left.units, minlength=left.num_units)
    sizes_right = np.bincount(right.units, minlength=right.num_units)
    best: dict[int, tuple[int, int]] = {}
    for (unit, other), count in sorted(common.items()):
        lesser = min(sizes_left[unit], sizes_right[other])
        if count >= max(_MIN_FEATURES, _SHARE * lesser):
            best[unit] = max(best.get(unit, (0, 0)), (count, other))
    total = sum(count for count, _ in best.values())
    largest = sorted(best.items(), key=lambda item: -item[1][0])[:_MAX_REGIONS]
    regions = [
        Region(_span(left, unit), _span(right, other), count / total)
        for unit, (count, other) in largest
    ]
    return tuple(sorted(regions, key=lambda region: (region.left.path, region.left.first_line)))


def _units_of(print_: Fingerprint, shared: np.typing.NDArray[np.uint64]) -> dict[int, set[int]]:
    """Which units hold each of the shared features."""
    units: dict[int, set[int]] = {}
    inside = np.isin(print_.hashes, shared)
    for value, unit in zip(
        print_.hashes[inside].tolist(), print_.units[inside].tolist(), strict=True
    ):
        units.setdefault(value, set()).add(unit)
    return units


def _span(print_: Fingerprint, unit: int) -> Span:
    text, first, last = (int(value) for value in print_.unit_spans[unit])
    path, cell = print_.texts[text]
    return Span(path, first, last, cell or None)
