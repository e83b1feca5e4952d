"""Two checkpoints opened and measured, weight by weight."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from grader.similarity.checkpoints.align import aligned_cosine
from grader.similarity.checkpoints.describe import CheckpointTrace, Floats, clean
from grader.similarity.checkpoints.match_weights import (
    Match,
    match_by_direction,
    match_by_profile,
    match_in_order,
    matched_share,
    profile_difference,
)

Tensors = Mapping[str, npt.NDArray[Any]]

# Where the weights agree as they stand, no other order of channels has to be looked for.
_AGREES = 0.5
_NEARLY_EQUAL = 0.9
_ALIGNED_NUMBERS = 4 << 20  # of a weight; larger ones would take minutes to align
# After so many weights that agree so little in any order, there is no order to be found.
_ENOUGH_WEIGHTS, _HOPELESS = 2, 0.6
_TINY = 1e-12

_NOISE_SPREAD = 0.05  # noise takes the same share of every layer, to this part of it
_NOISE_KURTOSIS = 0.3
_NOISE_NUMBERS = 20_000  # fewer do not tell noise from training
_Z_NONE, _Z_SURE = 3.0, 6.0


@dataclass(frozen=True, slots=True)
class Direction:
    """Which of two came first, "left" or "right", and why the data say so."""

    first: str
    reason: str


@dataclass(frozen=True, slots=True)
class CheckpointComparison:
    """What two checkpoints have in common. Shares are of the numbers that were compared.

    `matched`: of the smaller one's numbers, those that lie in weights of equal shape; `same`: those
    in weights equal to the last bit; `rounded`: those in weights equal after rounding to float16;
    `cosine`: of all weights as they stand; `layers`: (left name, right name, cosine) in order;
    `profile`: relative difference of the sorted filter profiles; `aligned`: cosine after the best
    reordering of channels, None where it was not looked for; `noise`: standard deviation of the
    difference relative to that of the weights where the difference looks like noise, else None.
    """

    matched: float
    same: float
    rounded: float
    cosine: float
    layers: tuple[tuple[str, str, float], ...]
    profile: float
    aligned: float | None = None
    noise: float | None = None
    directions: tuple[Direction, ...] = field(default=())


def compare_checkpoints(
    left: CheckpointTrace, left_tensors: Tensors, right: CheckpointTrace, right_tensors: Tensors
) -> CheckpointComparison:
    """Measure two checkpoints. Without a weight of equal shapes every number is 0."""
    by_direction = match_by_direction(left.weights, right.weights)
    if not by_direction:
        return CheckpointComparison(0.0, 0.0, 0.0, 0.0, (), 1.0)
    loaded = [
        (clean(left_tensors[left.weights[i].name]), clean(right_tensors[right.weights[j].name]))
        for i, j in by_direction
    ]
    layers = tuple(
        (left.weights[i].name, right.weights[j].name, _cosine(a, b))
        for (i, j), (a, b) in zip(by_direction, loaded, strict=True)
    )
    cosine = _cosine_of_all(loaded)
    by_profile = match_by_profile(left.weights, right.weights)
    noise = _noise(loaded) if cosine >= _NEARLY_EQUAL else None
    return CheckpointComparison(
        matched=matched_share(left.weights, right.weights, by_direction),
        same=_share(left, right, by_direction, "exact"),
        rounded=_share(left, right, by_direction, "half"),
        cosine=cosine,
        layers=layers,
        profile=_profile(left, right, by_profile),
        aligned=None
        if cosine >= _AGREES
        else _best_aligned(left, left_tensors, right, right_tensors, by_profile),
        noise=noise,
        directions=tuple(_directions(left, right, loaded, cosine, noise)),
    )


def _share(
    left: CheckpointTrace, right: CheckpointTrace, matches: Sequence[Match], which: str
) -> float:
    """The share of matched numbers whose weights have one hash in common."""
    equal = total = 0
    for i, j in matches:
        ours, theirs = left.weights[i], right.weights[j]
        total += ours.numbers
        if getattr(ours, which) == getattr(theirs, which):
            equal += ours.numbers
    return equal / total


def _cosine(a: Floats, b: Floats) -> float:
    lengths = math.sqrt(float(np.vdot(a, a)) * float(np.vdot(b, b)))
    return float(np.vdot(a, b)) / lengths if lengths > _TINY else 0.0


def _cosine_of_all(loaded: Sequence[tuple[Floats, Floats]]) -> float:
    """Every weight counts by its numbers and not by its scale, which differs between layers: the
    first layer's numbers are ten times those of the last."""
    counts = [a.size for a, _ in loaded]
    return float(np.average([_cosine(a, b) for a, b in loaded], weights=counts))


def _profile(left: CheckpointTrace, right: CheckpointTrace, matches: Sequence[Match]) -> float:
    """Mean over all filters: see `profile_difference`."""
    differences = [profile_difference(left.weights[i], right.weights[j]) for i, j in matches]
    return float(np.average(differences, weights=[left.weights[i].shape[0] for i, _ in matches]))


def _best_aligned(
    left: CheckpointTrace,
    left_tensors: Tensors,
    right: CheckpointTrace,
    right_tensors: Tensors,
    by_profile: Sequence[Match],
) -> float | None:
    """Weights of one shape lie upon each other as they are stored or, where a copy keeps them in
    another order, by their profiles, which noise may mix up."""
    in_order = match_in_order(left.weights, right.weights)
    best = _aligned(left, left_tensors, right, right_tensors, in_order)
    if best is None or best >= _NEARLY_EQUAL or tuple(by_profile) == in_order:
        return best
    other = _aligned(left, left_tensors, right, right_tensors, by_profile)
    return best if other is None else max(best, other)


def _aligned(
    left: CheckpointTrace,
    left_tensors: Tensors,
    right: CheckpointTrace,
    right_tensors: Tensors,
    matches: Sequence[Match],
) -> float | None:
    """The small weights first: strangers are told by them, and the large ones take long."""
    cosines: list[float] = []
    counts: list[int] = []
    for i, j in sorted(matches, key=lambda match: left.weights[match[0]].numbers):
        ours, theirs = left.weights[i], right.weights[j]
        if ours.numbers > _ALIGNED_NUMBERS:
            break
        cosines.append(
            aligned_cosine(clean(left_tensors[ours.name]), clean(right_tensors[theirs.name]))
        )
        counts.append(ours.numbers)
        if len(cosines) >= _ENOUGH_WEIGHTS and np.mean(cosines) < _HOPELESS:
            break
    return float(np.average(cosines, weights=counts)) if counts else None


# --------------------------------------------------------------------------- who came first


def _directions(
    left: CheckpointTrace,
    right: CheckpointTrace,
    loaded: Sequence[tuple[Floats, Floats]],
    cosine: float,
    noise: float | None,
) -> list[Direction]:
    """Only what cannot as well be the other way round, of weights that agree as they stand."""
    if cosine < _NEARLY_EQUAL or all(np.array_equal(a, b) for a, b in loaded):
        return []
    found = []
    for first, pairs in (("left", loaded), ("right", [(b, a) for a, b in loaded])):
        for kind, rounding in (("float16", _to_half), ("bfloat16", _to_brain)):
            if _is_rounded(pairs, rounding):
                reason = f"the other's numbers are these, rounded to {kind}: rounding loses digits"
                found.append(Direction(first, reason))
        if _is_pruned(pairs):
            reason = "the other has the same numbers but for some that were set to zero"
            found.append(Direction(first, reason))
        if noise is not None and _was_added_to(pairs):
            reason = "the difference is noise that stands at right angles to these weights only"
            found.append(Direction(first, reason))
    if found:
        return found
    if left.steps is not None and right.steps is not None and left.steps != right.steps:
        first, other = ("left", "right") if left.steps < right.steps else ("right", "left")
        fewer, more = sorted((left.steps, right.steps))
        reason = (
            f"its normalisations counted {fewer:,} training batches, those of the {other} one "
            f"{more:,}; fits further training of the {first} one, and any count can be reset"
        )
        found.append(Direction(first, reason))
    return found


def _to_half(values: Floats) -> Floats:
    with np.errstate(over="ignore"):
        return values.astype(np.float16).astype(np.float32)


def _to_brain(values: Floats) -> Floats:
    """Rounded to bfloat16, ties to even."""
    bits = values.view(np.uint32)
    rounded = bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))
    return (rounded & np.uint32(0xFFFF0000)).view(np.float32)


def _is_rounded(pairs: Sequence[tuple[Floats, Floats]], rounding: Any) -> bool:
    """Whether the second is the first, rounded, and the first itself is not round."""
    return all(np.array_equal(rounding(a), b) for a, b in pairs) and any(
        not np.array_equal(a, b) for a, b in pairs
    )


def _is_pruned(pairs: Sequence[tuple[Floats, Floats]]) -> bool:
    """Whether the second differs from the first by zeros only."""
    zeros = 0
    for a, b in pairs:
        differs = a != b
        if b[differs].any():
            return False
        zeros += int(np.count_nonzero(differs))
    return zeros > 0


def _noise(loaded: Sequence[tuple[Floats, Floats]]) -> float | None:
    """The relative size of a difference that looks like noise: normally distributed, and in
    every layer the same share of the weights' spread, or the same in all numbers."""
    differences = [b - a for a, b in loaded]
    if sum(d.size for d in differences) < _NOISE_NUMBERS:
        return None
    spreads = np.array([float(d.std()) for d in differences])
    if spreads.min() <= 0:
        return None
    sizes = np.array([float(a.std()) for a, _ in loaded])
    counts = np.array([d.size for d in differences])
    enough = counts >= 500  # smaller ones vary by chance
    if enough.sum() < 2:
        return None
    shares = spreads / np.maximum(sizes, _TINY)
    kept = shares[enough], spreads[enough]
    if not any(values.std() < _NOISE_SPREAD * values.mean() for values in kept):
        return None
    scaled = np.concatenate([d.ravel() / s for d, s in zip(differences, spreads, strict=True)])
    squares = scaled * scaled  # a fourth power would take ten times as long
    kurtosis = float((squares * squares).mean() / squares.mean() ** 2 - 3)
    return float(np.average(shares, weights=counts)) if abs(kurtosis) < _NOISE_KURTOSIS else None


def _was_added_to(pairs: Sequence[tuple[Floats, Floats]]) -> bool:
    """Whether the difference is uncorrelated with the first of each pair and not with the second:
    noise knows nothing of what it is added to, and is a part of the sum."""
    z_first, z_second = 0.0, 0.0
    count = 0
    for a, b in pairs:
        difference = b - a
        scale = math.sqrt(difference.size) * difference.size
        z_first += _cosine(difference, a) * scale
        z_second += _cosine(difference, b) * scale
        count += difference.size**2
    return abs(z_first) / math.sqrt(count) < _Z_NONE and abs(z_second) / math.sqrt(count) > _Z_SURE
