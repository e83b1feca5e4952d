"""IoU and Dice: by hand, against scikit-learn and torchmetrics, on the real masks too."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image
from sklearn import metrics as sklearn_metrics
from torchmetrics.functional import classification as torch_metrics

from grader.metrics.baselines import centred_ellipse, everything_foreground
from grader.metrics.counts import count_masks
from grader.metrics.segmentation import dice, foreground_iou

Mask = npt.NDArray[np.bool_]

REAL_MASKS = Path(__file__).parents[4] / "shared/data/butterflies/MASKS/test"

needs_real_masks = pytest.mark.skipif(
    not REAL_MASKS.is_dir(), reason="the course's masks (shared/data/butterflies) are not here"
)


def pairs_of_masks() -> st.SearchStrategy[Mask]:
    """(2, H, W) boolean arrays: a prediction and a target of one size."""
    sides = st.tuples(st.just(2), st.integers(1, 12), st.integers(1, 12))
    return arrays.arrays(np.bool_, sides)


def test_by_hand() -> None:
    target = np.array([[1, 1, 0], [1, 1, 0]], dtype=bool)
    pred = np.array([[0, 1, 1], [0, 1, 1]], dtype=bool)
    assert foreground_iou([pred], [target]) == pytest.approx([2 / 6])
    assert dice([pred], [target]) == pytest.approx([2 * 2 / 8])


def test_the_conventions_for_empty_masks() -> None:
    empty, some = np.zeros((3, 4), bool), np.eye(3, 4, dtype=bool)
    preds, targets = [empty, empty, some], [empty, some, empty]
    assert foreground_iou(preds, targets).tolist() == [1.0, 0.0, 0.0]
    assert dice(preds, targets).tolist() == [1.0, 0.0, 0.0]
    assert "1 when both masks are empty, 0 when only one is" in foreground_iou.convention


@settings(deadline=None)
@given(pairs_of_masks())
def test_equal_to_scikit_learn(pair: Mask) -> None:
    pred, target = pair
    if not (pred | target).any():  # scikit-learn says 0 for two empty masks, pinned as 1 above
        return
    flat = target.ravel(), pred.ravel()
    iou = sklearn_metrics.jaccard_score(*flat, zero_division=0)
    assert foreground_iou([pred], [target])[0] == pytest.approx(iou, abs=1e-12)
    f1 = sklearn_metrics.f1_score(*flat, zero_division=0)
    assert dice([pred], [target])[0] == pytest.approx(f1, abs=1e-12)


@pytest.mark.usefixtures("torch_in_float64")
@settings(deadline=None)
@given(pairs_of_masks())
def test_equal_to_torchmetrics(pair: Mask) -> None:
    pred, target = pair
    if not (pred | target).any():
        return
    assert foreground_iou([pred], [target])[0] == pytest.approx(_torch_iou(pred, target), abs=1e-9)


def _torch_iou(pred: Mask, target: Mask) -> float:
    tensors = torch.from_numpy(pred.astype(np.int64)), torch.from_numpy(target.astype(np.int64))
    return float(torch_metrics.binary_jaccard_index(*tensors))


@given(pairs_of_masks())
def test_identities(pair: Mask) -> None:
    pred, target = pair
    iou, overlap = foreground_iou([pred], [target])[0], dice([pred], [target])[0]
    assert overlap == pytest.approx(2 * iou / (1 + iou))  # Dice as a function of IoU
    assert foreground_iou([target], [pred])[0] == iou
    assert foreground_iou([target], [target])[0] == 1.0
    complement = count_masks([pred], [target]).of_complement()
    assert foreground_iou.of_counts(complement)[0] == foreground_iou([~pred], [target])[0]


def test_sizes_may_differ_between_images_and_a_batch_is_its_images() -> None:
    generator = np.random.default_rng(3)
    masks = [generator.random(shape) < 0.5 for shape in ((4, 9), (7, 2), (1, 1))]
    others = [generator.random(mask.shape) < 0.5 for mask in masks]
    together = foreground_iou(masks, others).tolist()
    assert together == [foreground_iou([a], [b])[0] for a, b in zip(masks, others, strict=True)]
    stack = generator.random((2, 5, 6, 8)) < 0.5
    batched = foreground_iou(stack[0], stack[1]).tolist()  # type: ignore[arg-type]
    assert batched == foreground_iou(list(stack[0]), list(stack[1])).tolist()


@pytest.mark.parametrize(
    ("pred", "target", "message"),
    [
        (np.ones((2, 2)), np.ones((2, 2), bool), r"preds\[0\] .* not float64 \(2, 2\)"),
        (np.ones((2, 2), bool), np.ones((2, 2), np.uint8), r"targets\[0\] .* not uint8"),
        (np.ones((2, 2, 3), bool), np.ones((2, 2, 3), bool), r"preds\[0\] has to be a boolean"),
        (np.ones((2, 3), bool), np.ones((3, 2), bool), r"pair 0: .*\(2, 3\), the target \(3, 2\)"),
        (np.ones((0, 3), bool), np.ones((0, 3), bool), "pair 0"),
        ([[True]], np.ones((1, 1), bool), r"preds\[0\] .* not <class 'list'>"),
    ],
)
def test_both_sides_are_validated(pred: Mask, target: Mask, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        foreground_iou([pred], [target])


def test_numbers_of_masks_have_to_agree() -> None:
    mask = np.ones((2, 2), bool)
    with pytest.raises(ValueError, match="2 predicted masks, but 1 true ones"):
        foreground_iou([mask, mask], [mask])
    with pytest.raises(ValueError, match="no masks to measure"):
        foreground_iou([], [])


@pytest.mark.usefixtures("torch_in_float64")
@needs_real_masks
def test_equal_to_the_others_on_the_real_masks() -> None:
    targets = [
        np.asarray(Image.open(path).convert("L")) > 127
        for path in sorted(REAL_MASKS.glob("*/*.jpg"))
    ]
    preds = [np.roll(mask, (9, -14), (0, 1)) & ~np.eye(*mask.shape, dtype=bool) for mask in targets]
    ours, overlap = foreground_iou(preds, targets), dice(preds, targets)
    for index, (pred, target) in enumerate(zip(preds, targets, strict=True)):
        flat = target.ravel(), pred.ravel()
        assert ours[index] == pytest.approx(sklearn_metrics.jaccard_score(*flat), abs=1e-9)
        assert ours[index] == pytest.approx(_torch_iou(pred, target), abs=1e-9)
        assert overlap[index] == pytest.approx(sklearn_metrics.f1_score(*flat), abs=1e-9)


@needs_real_masks
def test_the_baselines_reach_what_the_course_measured() -> None:
    targets = [
        np.asarray(Image.open(path).convert("L")) > 127
        for path in sorted(REAL_MASKS.glob("*/*.jpg"))
    ]
    ellipse = [centred_ellipse(*mask.shape) for mask in targets]
    assert foreground_iou(ellipse, targets).mean() == pytest.approx(0.603, abs=5e-4)
    everything = [everything_foreground(*mask.shape) for mask in targets]
    assert foreground_iou(everything, targets).mean() == pytest.approx(
        np.mean([mask.mean() for mask in targets])
    )
