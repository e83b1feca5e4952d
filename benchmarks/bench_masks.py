"""Reading and scoring masks, beside decoding alone and beside the libraries that courses use.

    python -m benchmarks.bench_masks

A pair is a mask of a student and a mask of the course, both three-channel JPEGs of 224 × 224 with
grey edges, as the course ships them. *Decoding alone* is Pillow to an array, twice. Reading adds
the header before decoding, the rule of binarisation, its quirks and the score. The decoder's own
process costs a start of Python, whatever the number of masks; the truth is decoded once for a
whole class there, as in `grader score`.
"""

from __future__ import annotations

import io
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageFilter
from sklearn.metrics import jaccard_score
from torchmetrics.functional.classification import binary_jaccard_index

from benchmarks.measuring import speed_row, table
from grader.metrics.counts import count_masks
from grader.metrics.segmentation import foreground_iou
from grader.model import OutputSpec
from grader.readers.mask_image import read_mask_file, read_mask_images
from grader.readers.reading import Expected
from grader.sandbox.helper import answer_of

PAIRS = 200
SIDE_PX = 224
ROUNDS = 7
READ_GOAL = 0.7
SCORE_GOAL = 1.0

Mask = npt.NDArray[np.bool_]


def run() -> list[dict[str, Any]]:
    generator = np.random.default_rng(0)
    files = [(_mask_file(generator), _mask_file(generator)) for _ in range(PAIRS)]
    masks = [(_decode_with_pillow(a), _decode_with_pillow(b)) for a, b in files]
    preds, targets = (list(side) for side in zip(*masks, strict=True))
    with tempfile.TemporaryDirectory() as name:
        outputs = Path(name)
        expected = _lay(outputs, [pred for pred, _ in files])
        paired = partial(speed_row, count=PAIRS, unit="pairs/s", rounds=ROUNDS)
        return [
            paired(
                "read and score pairs / decoding alone",
                lambda: [_read_and_score(a, b) for a, b in files],
                lambda: [(_to_array(a), _to_array(b)) for a, b in files],
                at_least=READ_GOAL,
            ),
            paired(
                "collect in the decoder's process and score / decoding alone",
                lambda: _collect_and_score(outputs, expected, targets),
                lambda: [(_to_array(a), _to_array(b)) for a, b in files],
                at_least=None,
            ),
            paired(
                "IoU of arrays / torchmetrics",
                lambda: foreground_iou(preds, targets),
                lambda: [_torch_iou(a, b) for a, b in masks],
                at_least=SCORE_GOAL,
            ),
            paired(
                "IoU of arrays / scikit-learn",
                lambda: foreground_iou(preds, targets),
                lambda: [jaccard_score(b.ravel(), a.ravel()) for a, b in masks],
                at_least=SCORE_GOAL,
            ),
        ]


def _mask_file(generator: np.random.Generator) -> bytes:
    """A blob as a three-channel JPEG with grey edges."""
    noise = generator.random((8, 8)) * 255
    blob = Image.fromarray(noise.astype(np.uint8)).resize(
        (SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC
    )
    mask = blob.point([0] * 110 + [255] * 146).filter(ImageFilter.BoxBlur(1)).convert("RGB")
    written = io.BytesIO()
    mask.save(written, "JPEG", quality=90)
    return written.getvalue()


def _to_array(data: bytes) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)))


def _decode_with_pillow(data: bytes) -> Mask:
    return np.asarray(Image.open(io.BytesIO(data)).convert("L")) > 127


def _read_and_score(pred: bytes, target: bytes) -> float:
    pair = read_mask_file(pred, "a.jpg").mask, read_mask_file(target, "b.jpg").mask
    return float(foreground_iou.of_counts(count_masks(pair[:1], pair[1:]))[0])


def _lay(outputs: Path, preds: list[bytes]) -> Expected:
    (outputs / "seg_maps").mkdir()
    names = [f"img_{number:03d}.jpg" for number in range(len(preds))]
    for name, data in zip(names, preds, strict=True):
        (outputs / "seg_maps" / name).write_bytes(data)
    sizes = {name[:-4]: (SIDE_PX, SIDE_PX) for name in names}
    return Expected(names=tuple(names), sizes_px=sizes, classes=(), launch=answer_of)


def _collect_and_score(outputs: Path, expected: Expected, targets: list[Mask]) -> float:
    reading = read_mask_images(
        outputs, OutputSpec("masks", "seg_maps", "mask_images", {}), expected
    )
    preds = [read.mask for read in reading.value.values()]
    return float(foreground_iou(preds, targets).mean())


def _torch_iou(pred: Mask, target: Mask) -> float:
    return float(binary_jaccard_index(torch.from_numpy(pred), torch.from_numpy(target)))


if __name__ == "__main__":
    print(table(run()))
