"""Masks that lie in the zips → evidence. What most of the class drew stands for the truth.

Where too few drew different masks of an image, only equal ones are told.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from grader.similarity.masks import MaskSignature, Signatures, relate_masks, sign_mask
from grader.similarity.model import Evidence
from grader.similarity.submission.read_masks import SIDE_PX, Bitmap

PairKey = tuple[str, str]

_LEAST_DRAWN = 5  # different masks of an image, from which on most of them stand for a truth
_HOW = (
    f" These are the masks in the zips, compared at {SIDE_PX} × {SIDE_PX} places; what most of the "
    "class drew stands for the truth."
)


def relate_zip_masks(masks: Mapping[str, Mapping[str, Bitmap]]) -> dict[PairKey, Evidence]:
    """Evidence per pair (left < right); `masks`: submission → image → packed bits, all of one size.

    See `grader.similarity.masks` for what is worth a look.
    """
    signatures: dict[str, dict[str, MaskSignature]] = {name: {} for name in masks}
    for image in sorted({image for drawn in masks.values() for image in drawn}):
        held = {name: drawn[image] for name, drawn in masks.items() if image in drawn}
        for name, signature in _signed(held).items():
            signatures[name][image] = signature
    related = relate_masks(dict[str, Signatures](signatures))
    return {
        pair: replace(
            found,
            message=f"In the zips: {found.message}",
            meaning=found.meaning + _HOW,
            details={**found.details, "in_the_zips": True},
        )
        for pair, found in related.items()
    }


def _signed(held: Mapping[str, Bitmap]) -> dict[str, MaskSignature]:
    """The signatures of one image's masks. Equal ones have one vote on what the truth is."""
    bits = {name: np.unpackbits(packed).astype(np.bool_) for name, packed in held.items()}
    different = list({packed.tobytes(): bits[name] for name, packed in held.items()}.values())
    most = np.sum(different, axis=0) * 2 > len(different)
    signed = {name: sign_mask(mask, most) for name, mask in bits.items()}
    if len(different) >= _LEAST_DRAWN:
        return signed
    nothing = np.zeros(0, np.uint32)
    return {name: replace(one, errors=0, sample=nothing) for name, one in signed.items()}
