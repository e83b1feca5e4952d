"""Masks that are the same, or wrong in the same places, from a hundred bytes of each.

Everybody's masks lie near the truth, so that agreement alone says nothing. Compared are the places
where a mask differs from the truth. Whoever grades keeps a signature of each mask: a hash, how many
pixels are wrong, and which of them have the smallest hashes. Such a sample of the smallest
hashes of two sets tells how much of their union they share (bottom-k sketches: Broder, "On the
resemblance and containment of documents", 1997), so no mask has to be opened again.

    signatures = {name: sign_mask(predicted, true) for …}       # or sign_gallery's
    (folder / MASKS_FILE).write_text(signatures_json(signatures))
    relate_masks({submission: read_signatures(folder / MASKS_FILE) for …})
"""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from pathlib import Path

import numpy as np
import numpy.typing as npt

from grader.readers.json_file import parse_json
from grader.readers.regular_file import read_regular_file
from grader.similarity.mix import mixed
from grader.similarity.model import Channel, Evidence, Strength

PairKey = tuple[str, str]
Mask = npt.NDArray[np.bool_]
Sample = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float64]

AGREEMENT = 0.995
OVERLAP = 0.8
SAMPLE = 16  # hashes kept of each mask: of 200 masks 3200, and overlaps are known to 0.01
_FORMAT = 1
_MAX_FILE_BYTES = 64 << 20
_NONE = np.uint32(0xFFFFFFFF)  # fills up samples of fewer than SAMPLE errors
_NEAR = 0.6  # of two samples in common: all pairs with an overlap of OVERLAP have more
_UNUSUAL = 5.0  # robust standard deviations above what two of the class have in common
_LEAST_PAIRS = 10  # fewer tell nothing of what is usual
_LEAST_IMAGES = 5
_LEAST_IDENTICAL = 3
_LEAST_IDENTICAL_SHARE = 0.2
_COMMON_HOLDERS = 4  # a mask that so many have is a shape that the course suggested
_COMMON_SHARE = 0.1
_SAME_SCORE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class MaskSignature:
    """One mask beside its truth.

    `digest` names its pixels; empty for a mask of one value, which many have. `errors` of the
    `pixels` differ from the truth. `sample`: (≤ SAMPLE,) uint32, sorted: the smallest hashes of
    the places of the errors.
    """

    digest: str
    pixels: int
    errors: int
    sample: Sample


Signatures = Mapping[str, MaskSignature]  # image → its mask's


@dataclass(frozen=True, slots=True)
class SharedMasks:
    """Two sets of masks. `identical` of `images` to the last pixel; `agreement`: mean share of
    equal pixels; `overlap`: pixels wrong in both over pixels wrong in either; `nearest`: of how
    many images each one's errors are the nearest of the class to the other's; `usual`: what half
    of the class's pairs stay below, by the samples that they share; None for a single pair."""

    images: int
    identical: int
    agreement: float
    overlap: float
    nearest: int
    usual: float | None


def sign_mask(mask: Mask, true: Mask) -> MaskSignature:
    """The signature of a mask, (H, W) bool, beside the truth of the same shape.

    Raises ValueError when the shapes differ.
    """
    if mask.shape != true.shape:
        raise ValueError(f"a mask of {mask.shape} beside a truth of {true.shape}")
    wrong = np.flatnonzero(mask != true)
    hashes = _place_hashes(mask.size)[wrong]
    if len(hashes) > SAMPLE:
        hashes = np.partition(hashes, SAMPLE - 1)[:SAMPLE]
    plain = not mask.any() or bool(mask.all())
    pixels = repr(mask.shape).encode() + np.packbits(mask).tobytes()
    digest = "" if plain else hashlib.blake2b(pixels, digest_size=16).hexdigest()
    return MaskSignature(digest, mask.size, len(wrong), np.sort(hashes))


def signatures_json(signatures: Signatures) -> str:
    """The signatures of one submission as text; `read_signatures` reads it."""
    images = {
        name: [one.digest, one.pixels, one.errors, one.sample.astype(">u4").tobytes().hex()]
        for name, one in sorted(signatures.items())
    }
    return json.dumps({"format": _FORMAT, "images": images}, indent=0) + "\n"


def read_signatures(path: Path) -> dict[str, MaskSignature]:
    """What `signatures_json` wrote. Raises RefusedFileError or ValueError when it is nothing of
    the kind."""
    document = parse_json(read_regular_file(path, _MAX_FILE_BYTES))
    fields = document if isinstance(document, dict) else {}
    images = fields.get("images")
    if not isinstance(images, dict) or fields.get("format") != _FORMAT:
        raise ValueError(f"no signatures of masks of format {_FORMAT}")
    return {str(name): _signature(fields) for name, fields in images.items()}


def _signature(fields: object) -> MaskSignature:
    if not (
        isinstance(fields, list)
        and [type(field) for field in fields] == [str, int, int, str]
        and len(fields[3]) <= 8 * SAMPLE
    ):
        raise ValueError("a mask without its four numbers")
    digest, pixels, errors, sample = fields
    values = np.frombuffer(bytes.fromhex(sample), ">u4").astype(np.uint32)
    if not 0 <= errors <= pixels or len(values) != min(errors, SAMPLE):
        raise ValueError("a mask whose numbers do not fit together")
    return MaskSignature(digest, pixels, errors, np.sort(values))


@lru_cache(maxsize=8)
def _place_hashes(pixels: int) -> Sample:
    """(pixels,) the hash of each place, without the one that stands for nothing."""
    hashes = (mixed(np.arange(1, pixels + 1, dtype=np.uint64)) >> np.uint64(32)).astype(np.uint32)
    return np.minimum(hashes, _NONE - np.uint32(1))


def relate_masks(submissions: Mapping[str, Signatures]) -> dict[PairKey, Evidence]:
    """Evidence per pair (left < right) of submissions, from the signatures of their masks.

    Time grows with the images and with the square of the submissions, as products of matrices.
    """
    keys = sorted(key for key, given in submissions.items() if given)
    if len(keys) < 2:
        return {}
    identical = _identical(keys, submissions)
    near, nearest, usual = _near(keys, submissions)
    related = {}
    for left, right in sorted({*identical, *near}):
        measured = compare_signatures(
            submissions[left], submissions[right], nearest.get((left, right), 0), usual
        )
        uncommon = identical.get((left, right), 0)
        evidence = judge_masks(measured, uncommon, (left, right) in near, len(keys))
        if evidence is not None:
            related[left, right] = evidence
    return related


def compare_signatures(
    left: Signatures, right: Signatures, nearest: int = 0, usual: float | None = None
) -> SharedMasks:
    """The numbers of two submissions on the images of which both have a mask in one size."""
    items = [
        item for item in sorted(set(left) & set(right)) if left[item].pixels == right[item].pixels
    ]
    ours, theirs = [left[item] for item in items], [right[item] for item in items]
    same = np.array([a.digest == b.digest != "" for a, b in zip(ours, theirs, strict=True)], bool)
    pixels, first = (
        np.array([getattr(one, name) for one in ours]) for name in ("pixels", "errors")
    )
    second = np.array([one.errors for one in theirs])
    most = np.divide(
        np.minimum(first, second),
        np.maximum(first, second),
        out=np.ones(len(items)),
        where=np.maximum(first, second) > 0,
    )
    alike = np.where(same, 1.0, np.minimum(_resemblance(ours, theirs), most))
    union = (first + second) / (1 + alike)
    total = float(union.sum())
    apart = union * (1 - alike) / np.maximum(pixels, 1)
    return SharedMasks(
        images=len(items),
        identical=int(same.sum()),
        agreement=float(1 - apart.mean()) if items else 0.0,
        overlap=float((union * alike).sum()) / total if total else 0.0,
        nearest=nearest,
        usual=usual,
    )


def _resemblance(left: Sequence[MaskSignature], right: Sequence[MaskSignature]) -> Floats:
    """(I,) errors in both over errors in either, from samples: of the smallest hashes of the union,
    how many are in both."""
    both = np.sort(np.concatenate([_samples(left), _samples(right)], axis=1), axis=1)
    twice = (both[:, 1:] == both[:, :-1]) & (both[:, 1:] != _NONE)
    new = np.ones(both.shape, np.bool_)
    new[:, 1:] = ~twice
    new &= both != _NONE
    inside = (np.cumsum(new, axis=1) <= SAMPLE) & (both != _NONE)
    size = (new & inside).sum(axis=1)
    shared = (twice & inside[:, 1:]).sum(axis=1)
    alike: Floats = np.divide(shared, size, out=np.ones(len(both)), where=size > 0)
    return alike


def _samples(signatures: Sequence[MaskSignature]) -> npt.NDArray[np.uint32]:
    """(I, SAMPLE)."""
    samples = np.full((len(signatures), SAMPLE), _NONE)
    for row, one in zip(samples, signatures, strict=True):
        row[: len(one.sample)] = one.sample
    return samples


def judge_masks(
    measured: SharedMasks, uncommon: int, unusual: bool, submissions: int
) -> Evidence | None:
    """The evidence in words. `uncommon`: identical masks that hardly anybody else has; `unusual`:
    whether they have more errors in common than two of this class have."""
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
    if measured.overlap < OVERLAP or not unusual:
        return None
    if measured.agreement >= AGREEMENT:
        strength = Strength.STRONG
        where = (
            f"The masks agree on {measured.agreement:.2%} of the pixels, and where they are wrong "
            "they are wrong together."
        )
    elif measured.nearest >= 0.8 * measured.images:
        strength = Strength.WEAK
        where = "Where the masks are wrong, they are mostly wrong together."
    else:
        return None
    return _evidence(
        "shared-errors",
        strength,
        f"{where} {_nearness(measured, submissions)}",
        "Pixels that both have wrong over pixels that either has wrong.",
        _honest(measured),
        measured.overlap,
        measured,
    )


def same_scores(scores: Mapping[str, Mapping[str, float]]) -> dict[PairKey, Evidence]:
    """Evidence from values per image alone (item → IoU), where no signatures were kept.

    Equal masks have equal scores; of different masks hardly ever two have the same, except 0 and
    1, which are left out, and scores that many have.
    """
    held = {
        key: {item: round(value / _SAME_SCORE) for item, value in given.items() if 0 < value < 1}
        for key, given in scores.items()
    }
    related = {}
    for (left, right), count in _held_by_few(held).items():
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


# --------------------------------------------------------------------------- candidates


def _identical(keys: Sequence[str], submissions: Mapping[str, Signatures]) -> dict[PairKey, int]:
    """How many masks two have in common that hardly anybody else has."""
    return _held_by_few(
        {
            key: {item: one.digest for item, one in submissions[key].items() if one.digest}
            for key in keys
        }
    )


def _held_by_few(held: Mapping[str, Mapping[str, object]]) -> dict[PairKey, int]:
    """For how many items two (left < right) hold the same that hardly anybody else holds."""
    holders: dict[tuple[str, object], list[str]] = defaultdict(list)
    for key in sorted(held):
        for item, value in held[key].items():
            holders[item, value].append(key)
    most = max(_COMMON_HOLDERS, int(_COMMON_SHARE * len(held)))
    equal: dict[PairKey, int] = defaultdict(int)
    for keys in holders.values():
        if 1 < len(keys) <= most:
            for pair in combinations(keys, 2):
                equal[pair] += 1
    return equal


def _near(
    keys: Sequence[str], submissions: Mapping[str, Signatures]
) -> tuple[set[PairKey], dict[PairKey, int], float]:
    """Pairs whose samples have much in common, and clearly more than is usual in the class: what a
    truth drawn wrongly makes everybody do accuses nobody. On how many images each is the other's
    nearest. What half of the class's pairs have in common."""
    count = len(keys)
    shared, most = np.zeros((count, count)), np.zeros((count, count))
    nearest: dict[PairKey, int] = defaultdict(int)
    for item in sorted({item for key in keys for item in submissions[key]}):
        found = _in_common([submissions[key].get(item) for key in keys])
        for i, j in _mutual_nearest(found):
            nearest[keys[i], keys[j]] += 1
        shared += found
        sizes = np.diag(found)
        held = sizes > 0
        most += np.minimum(sizes[:, None], sizes[None, :]) * (held[:, None] & held[None, :])
    share = np.divide(shared, most, out=np.zeros_like(shared), where=most > 0)
    first, second = np.triu_indices(count, 1)
    shares = share[first, second]
    usual = float(np.median(shares))
    least = _NEAR
    if len(shares) >= _LEAST_PAIRS:
        scale = 1.4826 * float(np.median(np.abs(shares - usual)))  # of a normal distribution
        least = max(least, usual + _UNUSUAL * scale)
    near = {
        (keys[i], keys[j])
        for i, j in zip(first.tolist(), second.tolist(), strict=True)
        if share[i, j] >= least
    }
    return near, nearest, usual


def _in_common(signatures: Sequence[MaskSignature | None]) -> Floats:
    """(N, N): how many hashes the samples of one image have in common."""
    samples = [np.zeros(0, np.uint32) if one is None else one.sample for one in signatures]
    sizes = np.array([len(sample) for sample in samples])
    rows = np.repeat(np.arange(len(samples)), sizes)
    _, columns, holders = np.unique(
        np.concatenate(samples), return_inverse=True, return_counts=True
    )
    several = holders[columns] > 1  # what one alone has wrong is in common with nobody
    _, columns = np.unique(columns[several], return_inverse=True)
    held = np.zeros((len(samples), columns.max(initial=-1) + 1), np.float32)
    held[rows[several], columns] = 1
    common = (held @ held.T).astype(np.float64)
    np.fill_diagonal(common, sizes)
    return common


def _mutual_nearest(common: Floats) -> Iterator[tuple[int, int]]:
    """Pairs i < j each of which has most in common with the other."""
    others = common.copy()
    np.fill_diagonal(others, 0)
    closest = others.argmax(axis=1)
    for i, j in enumerate(closest.tolist()):
        if i < j and closest[j] == i and others[i, j] > 0:
            yield i, j


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
        text += f" Half of the pairs of this class have about {measured.usual:.2f} or less."
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
