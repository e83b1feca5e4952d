"""What sets of masks give away, and that honest ones are left alone."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from grader.stages.diagnose_masks import diagnose_masks

Masks = dict[str, np.ndarray]


@pytest.fixture
def truth() -> Masks:
    generator = np.random.default_rng(4)
    masks = {}
    for number in range(6):
        mask = np.zeros((40, 40), dtype=bool)
        top, left = generator.integers(0, 8, 2)
        mask[top : top + 25, left : left + 9] = True
        masks[f"img_{number}"] = mask
    return masks


def codes(masks: Masks, truth: Masks) -> list[str]:
    return [finding.code for finding in diagnose_masks(masks, truth)]


def changed(truth: Masks, change: Callable[[np.ndarray], np.ndarray]) -> Masks:
    return {stem: change(mask) for stem, mask in truth.items()}


def test_good_and_mediocre_masks_are_left_alone(truth: Masks) -> None:
    assert codes(truth, truth) == []
    assert codes(changed(truth, lambda mask: np.roll(mask, 3, 0)), truth) == []
    noise = np.random.default_rng(0)
    assert codes(changed(truth, lambda mask: mask ^ (noise.random(mask.shape) < 0.3)), truth) == []


def test_inverted_masks(truth: Masks) -> None:
    (finding,) = diagnose_masks(changed(truth, np.logical_not), truth)
    assert finding.code == "mask.inverted"
    assert finding.evidence == {"iou": 0.0, "iou_if_corrected": 1.0}
    assert "1.0000 instead of 0.0000" in finding.message


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (np.transpose, "exchanging rows and columns"),
        (np.fliplr, "mirroring them left to right"),
        (np.flipud, "mirroring them top to bottom"),
        (lambda mask: mask[::-1, ::-1], "turning them upside down"),
    ],
)
def test_turned_masks(truth: Masks, change: Callable[[np.ndarray], np.ndarray], words: str) -> None:
    (finding,) = diagnose_masks(changed(truth, change), truth)
    assert finding.code == "mask.turned"
    assert finding.message.startswith(f"{words} makes the mean IoU of 6 masks 1.0000 instead")


def test_masks_that_are_not_square_are_not_transposed() -> None:
    truth = {name: np.eye(4, 6, k=k, dtype=bool) for k, name in enumerate("abc")}
    assert codes(truth, truth) == []


def test_small_wrong_masks_are_not_inverted_ones(truth: Masks) -> None:
    def corner(mask: np.ndarray) -> np.ndarray:
        small = np.zeros_like(mask)
        small[30:, 30:] = True
        return small

    found = codes(changed(truth, corner), truth)
    assert found == ["result.identical-masks"]


def test_one_mask_for_all(truth: Masks) -> None:
    same = dict.fromkeys(truth, truth["img_0"])
    assert codes(same, truth) == ["result.identical-masks"]


def test_empty_and_full_masks_are_counted(truth: Masks) -> None:
    empty, full = np.zeros((40, 40), bool), np.ones((40, 40), bool)
    masks = truth | {"img_0": empty, "img_1": full, "img_2": full}
    found = diagnose_masks(masks, truth)
    assert [(finding.code, finding.message) for finding in found] == [
        ("result.empty-masks", "masks without any foreground: 1 of 6 (img_0)"),
        ("result.full-masks", "masks without any background: 2 of 6 (img_1, img_2)"),
    ]


def test_nothing_says_nothing(truth: Masks) -> None:
    assert codes({}, truth) == []
    assert codes({"img_0": ~truth["img_0"]}, truth) == []  # one alone may be an accident
