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
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageFilter
from sklearn.metrics import jaccard_score
from torchmetrics.functional.classification import binary_jaccard_index

from grader.metrics.counts import count_masks
from grader.metrics.segmentation import foreground_iou
from grader.model import OutputSpec
from grader.readers.mask_image import read_mask_file, read_mask_images
from grader.readers.reading import Expected
from grader.sandbox.process import answer_of

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
        return [
            _row(
                "read and score pairs / decoding alone",
                lambda: [_read_and_score(a, b) for a, b in files],
                lambda: [(_to_array(a), _to_array(b)) for a, b in files],
                READ_GOAL,
            ),
            _row(
                "collect in the decoder's process and score / decoding alone",
                lambda: _collect_and_score(outputs, expected, targets),
                lambda: [(_to_array(a), _to_array(b)) for a, b in files],
                None,
            ),
            _row(
                "IoU of arrays / torchmetrics",
                lambda: foreground_iou(preds, targets),
                lambda: [_torch_iou(a, b) for a, b in masks],
                SCORE_GOAL,
            ),
            _row(
                "IoU of arrays / scikit-learn",
                lambda: foreground_iou(preds, targets),
                lambda: [jaccard_score(b.ravel(), a.ravel()) for a, b in masks],
                SCORE_GOAL,
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


def _row(
    name: str, ours: Callable[[], object], theirs: Callable[[], object], goal: float | None
) -> dict[str, Any]:
    """Pairs per second of both, measured turn about; the ratio is the median of the rounds'."""
    ours(), theirs()  # the first call of each pays for imports and caches
    rounds = [(_seconds(ours), _seconds(theirs)) for _ in range(ROUNDS)]
    ratio = statistics.median(other / own for own, other in rounds)
    return {
        "name": name,
        "ours": round(PAIRS / min(own for own, _ in rounds)),
        "theirs": round(PAIRS / min(other for _, other in rounds)),
        "unit": "pairs/s",
        "ratio": round(ratio, 2),
        "goal": "" if goal is None else f"≥ {goal:g}",
        "ok": goal is None or ratio >= goal,
    }


def _seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


if __name__ == "__main__":
    from tabulate import tabulate

    print(tabulate(run(), headers="keys"))
