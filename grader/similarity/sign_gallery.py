"""The pictures of a report, which the grader has drawn → signatures of its masks."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

import cv2
import numpy as np

from grader.model import Gallery
from grader.similarity.masks import Mask, MaskSignature, sign_mask

_KEPT_TRUTHS = 512  # of 50 kB each at most


def sign_gallery(gallery: Iterable[Gallery]) -> dict[str, MaskSignature]:
    """Image → the signature of its mask, from the pictures of a report (`Report.gallery`), which
    the grader has drawn; images without a mask or without a truth are left out."""
    signatures = {}
    for image in gallery:
        if image.predicted_mask is None or image.truth is None:
            continue
        mask, true = _opened(image.predicted_mask), _true_mask(image.truth)
        if mask.shape == true.shape:
            signatures[image.name] = sign_mask(mask, true)
    return signatures


@lru_cache(maxsize=_KEPT_TRUTHS)
def _true_mask(picture: bytes) -> Mask:
    """The same for every submission of a class."""
    return _opened(picture)


def _opened(picture: bytes) -> Mask:
    pixels = cv2.imdecode(np.frombuffer(picture, np.uint8), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise ValueError("a picture of the gallery that is no image")
    return pixels > 0
