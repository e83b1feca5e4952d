"""The masks that a submission holds → small bitmaps. Its pictures are decoded by the grader's
confined decoder only, in a process of its own.
"""

from __future__ import annotations

from collections.abc import Set
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from grader.readers.decode_masks import MaskFile
from grader.readers.image_header import IMAGE_SUFFIXES
from grader.readers.mask_image import decode_frames
from grader.readers.reading import Launch
from grader.similarity.source.slice_hashes import text_hash
from grader.similarity.submission.read_material import Material

SIDE_PX = 96
MOST_MASKS = 64  # of a submission: those whose names have the smallest hashes, in every submission
Bitmap = npt.NDArray[np.uint8]


def read_masks(
    material: Material, folders: Set[str], given_out: Set[str], launch: Launch
) -> dict[str, Bitmap]:
    """Name without suffix → (SIDE_PX² / 8,) packed bits of the mask, its pixels taken at SIDE_PX ×
    SIDE_PX places.

    Masks are the pictures in `folders` (names), wherever these lie, but for files whose SHA-256 is
    in `given_out`. What cannot be decoded is left out: scoring says why. Raises InternalFault when
    the decoder does not start, SandboxError when it cannot be confined.
    """
    paths: dict[str, str] = {}
    for file in material.files:
        path = PurePosixPath(file.path)
        if (
            path.suffix.lower() in IMAGE_SUFFIXES
            and not folders.isdisjoint(path.parts[:-1])
            and file.sha256 not in given_out
        ):
            paths.setdefault(path.stem.casefold(), file.path)
    chosen = sorted(paths, key=text_hash)[:MOST_MASKS]
    files = [MaskFile(paths[name], SIDE_PX, SIDE_PX) for name in chosen]
    masks = {}
    for name, frame in zip(chosen, decode_frames(material.root, files, launch), strict=True):
        if not frame.code:
            levels = np.frombuffer(frame.levels, np.uint8)
            masks[name] = np.packbits(levels > frame.threshold)
    return masks
