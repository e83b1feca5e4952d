"""Masks that are the same, or wrong in the same places.

Everybody's masks lie near the truth, so that agreement alone says nothing. Compared are the pixels
where a mask differs from the truth; without a truth the majority of the class stands for it. A
small thumbnail of these errors finds the pairs, which are then compared pixel by pixel.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
import numpy.typing as npt

from grader.similarity.model import Channel, Evidence, Strength

PairKey = tuple[str, str]
Mask = npt.NDArray[np.bool_]
# Opens the masks of a submission again: key → item → mask; called for candidates only.
FetchMasks = Callable[[str], Mapping[str, Mask]]

AGREEMENT = 0.995
OVERLAP = 0.8
THUMBNAIL_PX = 12
_NEAR_ERRORS = 0.7  # cosine of two submissions' thumbnails of errors
_LEAST_IMAGES = 5
_LEAST_IDENTICAL = 3
_LEAST_IDENTICAL_SHARE = 0.2
_COMMON_HOLDERS = 4  # a mask that so many have is a shape that the course suggested
_COMMON_SHARE = 0.1
_SAME_SCORE = 1e-9


@dataclass(frozen=True, slots=True)
class MaskTrace:
    """A submission's masks: `digests`: item → hash of its pixels, without masks that are all of
    one value; `errors`: item → (THUMBNAIL_PX, THUMBNAIL_PX) float32, mean of mask minus truth."""

    key: str
    digests: Mapping[str, str]
    errors: Mapping[str, npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class SharedMasks:
    """Two sets of masks. `identical` of `images` to the last pixel; `agreement`: mean share of
    equal pixels; `overlap`: pixels wrong in both over pixels wrong in either; `nearest`: of how
    many images each one's errors are the nearest of the class to the other's."""

    images: int
    identical: int
    agreement: float
    overlap: float
    nearest: int
    usual: float | None  # 95th percentile of the class: cosine of two thumbnails of errors


def describe_masks(key: str, masks: Mapping[str, Mask], truth: Mapping[str, Mask]) -> MaskTrace:
    """The trace of `masks` (item → (H, W) bool) beside `truth`; items without a true mask of the
    same size are left out."""
    digests, errors = {}, {}
    for item, mask in masks.items():
        true = truth.get(item)
        if true is None or true.shape != mask.shape:
            continue
        if mask.any() and not mask.all():
            digests[item] = hashlib.sha256(np.packbits(mask).tobytes()).hexdigest()
        errors[item] = _thumbnail(mask.astype(np.float32) - true.astype(np.float32))
    return MaskTrace(key, digests, errors)


def relate_masks(
    traces: Sequence[MaskTrace], fetch: FetchMasks, truth: Mapping[str, Mask]
) -> dict[PairKey, Evidence]:
    """Evidence per pair (left < right). `fetch` opens masks for candidates only."""
    ordered = sorted(traces, key=lambda trace: trace.key)
    identical = _identical(ordered)
    near, nearest, usual = _near_errors(ordered)
    related = {}
    for left, right in sorted({*identical, *near}):
        measured = compare_masks(
            fetch(left), fetch(right), truth, nearest.get((left, right), 0), usual
        )
        evidence = judge_masks(measured, identical.get((left, right), 0), len(ordered))
        if evidence is not None:
            related[left, right] = evidence
    return related


def compare_masks(
    left: Mapping[str, Mask],
    right: Mapping[str, Mask],
    truth: Mapping[str, Mask],
    nearest: int = 0,
    usual: float | None = None,
) -> SharedMasks:
    """Pixel by pixel, on the items that all three have in one size."""
    agreements = []
    identical = both_wrong = either_wrong = 0
    for item in sorted(set(left) & set(right) & set(truth)):
        ours, theirs, true = left[item], right[item], truth[item]
        if not ours.shape == theirs.shape == true.shape:
            continue
        agreements.append(float((ours == theirs).mean()))
        identical += int(agreements[-1] == 1.0)
        our_errors, their_errors = ours != true, theirs != true
        both_wrong += int((our_errors & their_errors).sum())
        either_wrong += int((our_errors | their_errors).sum())
    return SharedMasks(
        images=len(agreements),
        identical=identical,
        agreement=float(np.mean(agreements)) if agreements else 0.0,
        overlap=both_wrong / either_wrong if either_wrong else 0.0,
        nearest=nearest,
        usual=usual,
    )


def judge_masks(measured: SharedMasks, uncommon: int, submissions: int) -> Evidence | None:
    """The evidence in words. `uncommon`: identical masks that hardly anybody else has."""
    if measured.images < _LEAST_IMAGES:
        return None
    if uncommon >= max(_LEAST_IDENTICAL, _LEAST_IDENTICAL_SHARE * measured.images):
        return _evidence(
            "identical",
            Strength.STRONG,
            f"{measured.identical} of {measured.images} masks are equal to the last pixel, "
            f"{uncommon} of them masks that hardly anybody else has.",
            "Share of images whose masks are equal to the last pixel; masks of one value and "
            "those that many have are not counted.",
            "0 between programs written apart. The same checkpoint and the same published method "
            "give it.",
            measured.identical / measured.images,
            measured,
        )
    if measured.agreement >= AGREEMENT and measured.overlap >= OVERLAP:
        return _evidence(
            "shared-errors",
            Strength.STRONG,
            f"The masks agree on {measured.agreement:.2%} of the pixels, and where they are wrong "
            f"they are wrong together. {_nearness(measured, submissions)}",
            "Pixels that both have wrong over pixels that either has wrong.",
            _honest(measured),
            measured.overlap,
            measured,
        )
    if measured.overlap >= OVERLAP and measured.nearest >= 0.8 * measured.images:
        return _evidence(
            "shared-errors",
            Strength.WEAK,
            "Where the masks are wrong, they are mostly wrong together. "
            f"{_nearness(measured, submissions)}",
            "Pixels that both have wrong over pixels that either has wrong.",
            _honest(measured),
            measured.overlap,
            measured,
        )
    return None


def same_scores(scores: Mapping[str, Mapping[str, float]]) -> dict[PairKey, Evidence]:
    """Evidence from values per image alone (item → IoU), where the masks are not at hand.

    Equal masks have equal scores; of different masks hardly ever two have the same, except 0 and
    1, which are left out, and scores that many have.
    """
    holders: dict[tuple[str, int], list[str]] = defaultdict(list)
    for key in sorted(scores):
        for item, value in scores[key].items():
            if 0 < value < 1:
                holders[item, round(value / _SAME_SCORE)].append(key)
    equal: dict[PairKey, int] = defaultdict(int)
    for keys in holders.values():
        if 1 < len(keys) <= _common(len(scores)):
            for pair in combinations(keys, 2):
                equal[pair] += 1
    related = {}
    for (left, right), count in equal.items():
        images = len(set(scores[left]) & set(scores[right]))
        if images < _LEAST_IMAGES:
            continue
        if count >= max(_LEAST_IDENTICAL, _LEAST_IDENTICAL_SHARE * images):
            related[left, right] = Evidence(
                channel=Channel.MASKS,
                code=f"{Channel.MASKS}.same-scores",
                strength=Strength.STRONG,
                message=f"{count} of {images} masks have the same IoU to nine digits, as masks "
                "that are equal to the last pixel have.",
                meaning="Share of images whose masks have the same IoU, which hardly anybody else "
                "has; 0 and 1 are not counted.",
                honest="0 or 1 image between programs written apart. The same checkpoint and the "
                "same published method give it.",
                value=round(count / images, 4),
                unit="share",
                details={"images": images, "same_scores": count},
            )
    return related


def majority_masks(masks: Sequence[Mapping[str, Mask]]) -> dict[str, Mask]:
    """item → what most masks of one size say of each pixel: stands for a truth not at hand."""
    by_item: dict[str, list[Mask]] = defaultdict(list)
    for given in masks:
        for item, mask in given.items():
            if not by_item[item] or by_item[item][0].shape == mask.shape:
                by_item[item].append(mask)
    return {item: np.mean(stack, axis=0) > 0.5 for item, stack in by_item.items()}


# --------------------------------------------------------------------------- candidates


def _common(submissions: int) -> int:
    return max(_COMMON_HOLDERS, int(_COMMON_SHARE * submissions))


def _identical(traces: Sequence[MaskTrace]) -> dict[PairKey, int]:
    """How many masks two have in common that hardly anybody else has."""
    holders: dict[tuple[str, str], list[str]] = defaultdict(list)
    for trace in traces:
        for item, digest in trace.digests.items():
            holders[item, digest].append(trace.key)
    equal: dict[PairKey, int] = defaultdict(int)
    for keys in holders.values():
        if 1 < len(keys) <= _common(len(traces)):
            for pair in combinations(keys, 2):
                equal[pair] += 1
    return equal


def _near_errors(
    traces: Sequence[MaskTrace],
) -> tuple[set[PairKey], dict[PairKey, int], float | None]:
    """Pairs whose errors point the same way; on how many images each is the other's nearest; and
    the usual closeness of the class (95th percentile of the pairs' cosines)."""
    items = sorted({item for trace in traces for item in trace.errors})
    if len(traces) < 2 or not items:
        return set(), {}, None
    blank = np.zeros(THUMBNAIL_PX**2, np.float32)
    total = np.zeros((len(traces), len(traces)))
    nearest: dict[PairKey, int] = defaultdict(int)
    for item in items:
        errors = np.stack(
            [trace.errors[item].ravel() if item in trace.errors else blank for trace in traces]
        )
        products = errors @ errors.T
        total += products
        for i, j in _mutual_nearest(products):
            nearest[traces[i].key, traces[j].key] += 1
    lengths = np.sqrt(np.maximum(np.diag(total), 1e-12))
    cosines = total / lengths[:, None] / lengths[None, :]
    first, second = np.triu_indices(len(traces), 1)
    near = {
        (traces[i].key, traces[j].key)
        for i, j in zip(first.tolist(), second.tolist(), strict=True)
        if cosines[i, j] >= _NEAR_ERRORS
    }
    return near, nearest, float(np.quantile(cosines[first, second], 0.95))


def _mutual_nearest(products: npt.NDArray[np.floating]) -> Iterator[tuple[int, int]]:
    """Pairs i < j each of which is the other's nearest; `products`: (N, N) inner products."""
    own = np.diag(products)
    distances = own[:, None] + own[None, :] - 2 * products
    np.fill_diagonal(distances, np.inf)
    closest = distances.argmin(axis=1)
    for i, j in enumerate(closest.tolist()):
        if i < j and closest[j] == i:
            yield i, j


def _thumbnail(errors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Means over a grid of THUMBNAIL_PX × THUMBNAIL_PX cells."""
    rows = np.linspace(0, errors.shape[0], THUMBNAIL_PX + 1).astype(int)
    columns = np.linspace(0, errors.shape[1], THUMBNAIL_PX + 1).astype(int)
    sums = np.pad(errors, ((1, 0), (1, 0))).cumsum(axis=0, dtype=np.float64).cumsum(axis=1)
    corners = sums[np.ix_(rows, columns)]
    cells = corners[1:, 1:] - corners[:-1, 1:] - corners[1:, :-1] + corners[:-1, :-1]
    areas = np.maximum(np.outer(np.diff(rows), np.diff(columns)), 1)
    thumbnail: npt.NDArray[np.float32] = (cells / areas).astype(np.float32)
    return thumbnail


# --------------------------------------------------------------------------- words


def _nearness(measured: SharedMasks, submissions: int) -> str:
    if submissions < 4 or not measured.nearest:
        return ""
    return (
        f"On {measured.nearest} of {measured.images} images each one's errors are the nearest to "
        f"the other's among {submissions} submissions."
    )


def _honest(measured: SharedMasks) -> str:
    text = "0.1 to 0.5 between networks trained apart, 0.6 after light fine-tuning of one."
    if measured.usual is not None:
        text += (
            " In this class, 95 of 100 pairs have errors that agree by a cosine of "
            f"{max(measured.usual, 0):.2f} or less."
        )
    return text


def _evidence(
    name: str,
    strength: Strength,
    message: str,
    meaning: str,
    honest: str,
    value: float,
    measured: SharedMasks,
) -> Evidence:
    return Evidence(
        channel=Channel.MASKS,
        code=f"{Channel.MASKS}.{name}",
        strength=strength,
        message=message.strip(),
        meaning=meaning,
        honest=honest,
        value=round(value, 4),
        unit="share" if name == "identical" else "overlap",
        details={
            "images": measured.images,
            "identical": measured.identical,
            "agreement": round(measured.agreement, 5),
            "error_overlap": round(measured.overlap, 4),
            "nearest": measured.nearest,
        },
    )
