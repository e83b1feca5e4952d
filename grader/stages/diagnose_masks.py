"""What a set of masks says about how it came about: inverted, turned, all the same, empty, full."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from grader.findings import found, listed
from grader.metrics.counts import BoolArray, count_masks
from grader.metrics.segmentation import foreground_iou
from grader.model import Finding

# A gain of the mean IoU that no honest change of a threshold gives away.
_MIN_GAIN = 0.1
_MIN_MASKS = 2

_TURNS: Mapping[str, Callable[[BoolArray], BoolArray]] = {
    "exchanging rows and columns": lambda mask: mask.T,
    "mirroring them left to right": lambda mask: mask[:, ::-1],
    "mirroring them top to bottom": lambda mask: mask[::-1],
    "turning them upside down": lambda mask: mask[::-1, ::-1],
}


def diagnose_masks(
    masks: Mapping[str, BoolArray], true_masks: Mapping[str, BoolArray]
) -> list[Finding]:
    """Findings about masks (H, W) by staged stem, each with a true mask of the same size.

    Nothing is corrected: that a course should ask the student is all that these say.
    """
    if not masks:
        return []
    findings = list(_uniform(masks))
    kept = {stem: mask for stem, mask in masks.items() if mask.any() and not mask.all()}
    if len(kept) < _MIN_MASKS:
        return findings
    preds, targets = list(kept.values()), [true_masks[stem] for stem in kept]
    counts = count_masks(preds, targets)
    mean = float(foreground_iou.of_counts(counts).mean())
    if len(kept) == len(masks) and _are_one(preds):
        message = f"all {len(masks)} masks are the same, pixel by pixel"
        findings.append(found("result.identical-masks", message))
    everything = float(np.mean([target.mean() for target in targets]))
    inverted = float(foreground_iou.of_counts(counts.of_complement()).mean())
    # The inverse of a small wrong mask is nearly everything: to be telling, it has to beat that.
    explained = [("mask.inverted", "exchanging foreground and background", inverted)]
    if inverted < everything + _MIN_GAIN:
        explained = []
    explained += [
        ("mask.turned", words, float(foreground_iou(turned, targets).mean()))
        for words, turn in _TURNS.items()
        if _same_shapes(turned := [turn(mask) for mask in preds], targets)
    ]
    code, words, better = max(explained, key=lambda one: one[2])
    if better >= mean + _MIN_GAIN:
        message = (
            f"{words} makes the mean IoU of {len(kept)} masks {better:.4f} instead of "
            f"{mean:.4f}; they were measured as they are"
        )
        evidence = {"iou": mean, "iou_if_corrected": better}
        findings.append(found(code, message, evidence=evidence))
    return findings


def _are_one(masks: Sequence[BoolArray]) -> bool:
    """Whether one mask was written for every image, resized where images differ in size.

    Sizes with one image say nothing; at least half of the masks have to be compared.
    """
    of_size: dict[tuple[int, ...], list[bytes]] = {}
    for mask in masks:
        of_size.setdefault(mask.shape, []).append(mask.tobytes())
    compared = [group for group in of_size.values() if len(group) >= _MIN_MASKS]
    return all(len(set(group)) == 1 for group in compared) and 2 * sum(map(len, compared)) >= len(
        masks
    )


def _same_shapes(masks: Sequence[BoolArray], others: Sequence[BoolArray]) -> bool:
    return all(mask.shape == other.shape for mask, other in zip(masks, others, strict=True))


def _uniform(masks: Mapping[str, BoolArray]) -> list[Finding]:
    findings = []
    for code, words, value in (
        ("result.empty-masks", "masks without any foreground", False),
        ("result.full-masks", "masks without any background", True),
    ):
        stems = [stem for stem, mask in masks.items() if bool(np.all(mask == value))]
        if stems:
            message = f"{words}: {len(stems)} of {len(masks)} ({listed(stems)})"
            findings.append(found(code, message))
    return findings
