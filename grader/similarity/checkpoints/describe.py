"""A checkpoint's trace: what is kept of it so that a class can be searched without its weights.

Only weights (tensors of two or more dimensions) are sketched: biases, scales and running statistics
start alike in every network and would make strangers look related.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from grader.similarity.mix import mixed

Floats = npt.NDArray[np.float32]
Tensors = Mapping[str, npt.NDArray[Any]]

SKETCH_SIZE = 64
_TINY = 1e-12
_MOSTLY_CONSTANT = 0.5  # of the sum of squares explained by the mean
_COUNTER_SUFFIX = "num_batches_tracked"


@dataclass(frozen=True, slots=True)
class WeightTrace:
    """One weight. `exact` and `half`: hashes of its numbers as float32 and rounded to float16, so
    that a copy is found in whatever type it was saved; `sketch`: (SKETCH_SIZE,) float32, inner
    products of which estimate those of the weights; `profile`: (2, out) float32, per filter the
    length and the share l1 / (√n · l2), each row sorted.
    """

    name: str
    shape: tuple[int, ...]
    exact: str
    half: str
    sketch: Floats
    profile: Floats

    @property
    def numbers(self) -> int:
        return int(np.prod(self.shape))


@dataclass(frozen=True, slots=True)
class CheckpointTrace:
    """One checkpoint: `sha256` of its file, its weights in order, the training steps that its
    normalisations counted (None where they do not count), and its path in the submission."""

    key: str
    sha256: str
    weights: tuple[WeightTrace, ...]
    steps: int | None
    path: str = ""

    @property
    def shapes(self) -> tuple[tuple[int, ...], ...]:
        """What decides whether two checkpoints can be laid upon each other."""
        return tuple(weight.shape for weight in self.weights)


def describe_checkpoint(key: str, sha256: str, tensors: Tensors, path: str = "") -> CheckpointTrace:
    """The trace of `tensors` (name → array, in the checkpoint's order). Numbers that are not
    finite count as zero: such a network computes nothing, but it can still be somebody's copy."""
    weights = tuple(
        describe_weight(name, array) for name, array in tensors.items() if is_weight(array)
    )
    return CheckpointTrace(key, sha256, weights, counted_steps(tensors), path)


def is_weight(array: npt.NDArray[Any]) -> bool:
    """Whether this is a convolution's or a linear layer's weight: (out, in, …).

    What is nearly constant is a normalisation's scale per pixel, or was never trained: strangers
    agree on it.
    """
    if array.ndim < 2 or array.dtype.kind != "f" or 0 in array.shape:
        return False
    if sum(side > 1 for side in array.shape) < 2:
        return False
    values = clean(array)
    return float(values.mean()) ** 2 < _MOSTLY_CONSTANT * float(np.square(values).mean())


def describe_weight(name: str, array: npt.NDArray[Any]) -> WeightTrace:
    """The trace of one weight; `array`: (out, in, …), any float type."""
    values = clean(array)
    with np.errstate(over="ignore"):
        half = values.astype(np.float16)
    return WeightTrace(
        name=name,
        shape=values.shape,
        exact=_digest(values),
        half=_digest(half),
        sketch=_sketch(values.ravel()),
        profile=_profile(values.reshape(len(values), -1)),
    )


def clean(array: npt.NDArray[Any]) -> Floats:
    """`array` as contiguous float32 with finite numbers only."""
    with np.errstate(over="ignore", invalid="ignore"):
        values = np.ascontiguousarray(array, np.float32)
    return values if np.isfinite(values).all() else np.nan_to_num(values, posinf=0.0, neginf=0.0)


def counted_steps(tensors: Tensors) -> int | None:
    """The largest count of training batches that a batch normalisation keeps."""
    counts = [
        int(array.reshape(-1)[0])
        for name, array in tensors.items()
        if name.endswith(_COUNTER_SUFFIX) and array.dtype.kind in "iu" and array.size == 1
    ]
    return max(counts, default=None)


def _digest(values: npt.NDArray[Any]) -> str:
    # Adding zero makes -0.0 and 0.0 the same bytes.
    return hashlib.sha256((values + values.dtype.type(0)).tobytes()).hexdigest()


def _sketch(values: Floats) -> Floats:
    """A count sketch (Charikar, Chen and Farach-Colton, ICALP 2002): every number is added, with a
    fixed random sign, to a fixed random one of SKETCH_SIZE sums."""
    buckets, signs = _places(1 << max(len(values) - 1, 1).bit_length())
    size = len(values)
    sums = np.bincount(
        buckets[:size], weights=np.where(signs[:size], values, -values), minlength=SKETCH_SIZE
    )
    return sums.astype(np.float32)


@lru_cache(maxsize=4)
def _places(size: int) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.bool_]]:
    """Bucket and sign of each position, by SplitMix64: stored sketches stay comparable whatever
    becomes of a library's generators."""
    spread = mixed(np.arange(1, size + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15))
    buckets = (spread & np.uint64(SKETCH_SIZE - 1)).astype(np.uint8)
    return buckets, (spread >> np.uint64(32)) & np.uint64(1) == 1


def _profile(filters: Floats) -> Floats:
    """Both rows stay the same in whatever order filters and inputs come; the second also when a
    filter is multiplied by a number, which a normalisation behind it would take back out."""
    lengths = np.linalg.norm(filters, axis=1)
    sums = np.abs(filters).sum(axis=1)
    shares = np.divide(
        sums, lengths * np.sqrt(filters.shape[1]), out=np.zeros_like(sums), where=lengths > _TINY
    )
    return np.stack([np.sort(lengths), np.sort(shares)])
