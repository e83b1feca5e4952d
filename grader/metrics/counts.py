"""Counts that every metric is a function of, and the two kinds of metric.

A metric here is a function of counts, not of arrays: several metrics, baselines and two thousand
bootstrap resamples then share one pass over the data.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.integer]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

NO_ANSWER = -1
"""The prediction for an item that has none, or one that is no class: wrong, and of no class."""


# --------------------------------------------------------------------------- labels


@dataclass(frozen=True, slots=True)
class ClassCounts:
    """Per-class counts of N labelled items; leading dimensions, if any, are resamples.

    `true_positives`, `predicted`, `actual`: (..., K) int64; `total`: N.
    """

    true_positives: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    actual: npt.NDArray[np.int64]
    total: int


def validate_labels(preds: IntArray, targets: IntArray, num_classes: int) -> None:
    """Refuse what cannot be counted, on both sides alike: nothing is masked or clipped.

    preds: (..., N) integers in [-1, num_classes); targets: (..., N) integers in [0, num_classes).
    Raises ValueError that says which side is wrong and how.
    """
    if num_classes < 1:
        raise ValueError(f"num_classes has to be at least 1, not {num_classes}")
    for name, labels, lowest in (("preds", preds, NO_ANSWER), ("targets", targets, 0)):
        if not isinstance(labels, np.ndarray) or labels.dtype.kind not in "iu":
            kind = getattr(labels, "dtype", type(labels).__name__)
            raise ValueError(f"{name} have to be an array of integers, not {kind}")
        if labels.ndim == 0 or labels.shape[-1] == 0:
            raise ValueError(f"{name} are empty: there is nothing to measure")
        if int(labels.min()) < lowest or int(labels.max()) >= num_classes:
            raise ValueError(
                f"{name} have to lie in [{lowest}, {num_classes - 1}], "
                f"found {labels.min()} to {labels.max()}"
            )
    if preds.shape != targets.shape:
        raise ValueError(f"preds have the shape {preds.shape}, targets {targets.shape}")


def count_classes(preds: IntArray, targets: IntArray, num_classes: int) -> ClassCounts:
    """Count per class. preds, targets: (..., N) as `validate_labels` wants them."""
    validate_labels(preds, targets, num_classes)
    leading, total = preds.shape[:-1], preds.shape[-1]
    rows = preds.size // total
    # One bin per resample and class, and one per resample for what is to be left out.
    offsets = (np.arange(rows, dtype=np.int64) * (num_classes + 1))[:, None]
    left_out = np.int64(num_classes)
    flat_preds = preds.reshape(rows, total).astype(np.int64)
    flat_targets = targets.reshape(rows, total).astype(np.int64)

    def per_class(labels: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        bins = np.bincount((labels + offsets).ravel(), minlength=rows * (num_classes + 1))
        return bins.reshape(*leading, num_classes + 1)[..., :num_classes].astype(np.int64)

    return ClassCounts(
        true_positives=per_class(np.where(flat_preds == flat_targets, flat_targets, left_out)),
        predicted=per_class(np.where(flat_preds == NO_ANSWER, left_out, flat_preds)),
        actual=per_class(flat_targets),
        total=total,
    )


@dataclass(frozen=True, slots=True)
class LabelMetric:
    """A metric over labels: `of_counts` maps ClassCounts (..., K) to (...) float64 in [0, 1]."""

    of_counts: Callable[[ClassCounts], FloatArray]
    convention: str

    def __call__(self, preds: IntArray, targets: IntArray, num_classes: int) -> FloatArray:
        """preds, targets: (..., N) integers → (...) float64."""
        return self.of_counts(count_classes(preds, targets, num_classes))


# --------------------------------------------------------------------------- masks


@dataclass(frozen=True, slots=True)
class MaskCounts:
    """Pixel counts per image: all (N,) int64."""

    intersection: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    actual: npt.NDArray[np.int64]
    pixels: npt.NDArray[np.int64]

    def of_complement(self) -> MaskCounts:
        """The counts that the predictions with foreground and background exchanged would have."""
        return MaskCounts(
            intersection=self.actual - self.intersection,
            predicted=self.pixels - self.predicted,
            actual=self.actual,
            pixels=self.pixels,
        )


def count_masks(preds: Sequence[BoolArray], targets: Sequence[BoolArray]) -> MaskCounts:
    """Count foreground pixels of N pairs.

    preds, targets: N boolean arrays (H, W), or one (N, H, W); sizes may differ between images but
    not within a pair. Raises ValueError that names the pair.
    """
    if len(preds) != len(targets):
        raise ValueError(f"{len(preds)} predicted masks, but {len(targets)} true ones")
    if len(preds) == 0:
        raise ValueError("there are no masks to measure")
    counts = np.empty((4, len(preds)), dtype=np.int64)
    for index, (pred, target) in enumerate(zip(preds, targets, strict=True)):
        for name, mask in (("preds", pred), ("targets", target)):
            if not isinstance(mask, np.ndarray) or mask.dtype != np.bool_ or mask.ndim != 2:
                kind = f"{mask.dtype} {mask.shape}" if isinstance(mask, np.ndarray) else type(mask)
                raise ValueError(f"{name}[{index}] has to be a boolean (H, W) array, not {kind}")
        if pred.shape != target.shape or pred.size == 0:
            raise ValueError(
                f"pair {index}: the prediction is {pred.shape}, the target {target.shape}"
            )
        counts[0, index] = np.count_nonzero(pred & target)
        counts[1, index] = np.count_nonzero(pred)
        counts[2, index] = np.count_nonzero(target)
        counts[3, index] = pred.size
    return MaskCounts(*counts)


@dataclass(frozen=True, slots=True)
class MaskMetric:
    """A metric per image over masks: `of_counts` maps MaskCounts (N,) to (N,) float64 in [0, 1]."""

    of_counts: Callable[[MaskCounts], FloatArray]
    convention: str

    def __call__(self, preds: Sequence[BoolArray], targets: Sequence[BoolArray]) -> FloatArray:
        """preds, targets: N boolean masks (H, W) → (N,) float64."""
        return self.of_counts(count_masks(preds, targets))
