"""Masks: pieces, holes, colours; each against a slow or obvious answer."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from segmentation.guided_filter import GuidedFilter
from segmentation.overlap import centred_ellipse, foreground_iou
from segmentation.refinement import (
    REFINEMENTS,
    colour_posterior,
    fill_holes,
    grab_cut,
    largest_component,
)
from segmentation.subject import mask_side_px, segment
from segmentation.thresholds import THRESHOLDS, otsu

MASKS = hnp.arrays(bool, hnp.array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=12))


def flood(mask: np.ndarray, start: tuple[int, int], diagonal: bool) -> set[tuple[int, int]]:
    """The piece of True around `start`, pixel by pixel."""
    steps = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if diagonal or 0 in (y, x)]
    seen, todo = {start}, [start]
    while todo:
        y, x = todo.pop()
        for dy, dx in steps:
            place = (y + dy, x + dx)
            inside = 0 <= place[0] < mask.shape[0] and 0 <= place[1] < mask.shape[1]
            if inside and mask[place] and place not in seen:
                seen.add(place)
                todo.append(place)
    return seen


@settings(max_examples=60, deadline=None)
@given(MASKS)
def test_largest_component_is_one_whole_piece_and_none_is_larger(mask: np.ndarray) -> None:
    kept = largest_component(mask)
    pieces = [flood(mask, tuple(place), diagonal=True) for place in np.argwhere(mask)]
    assert kept.sum() == max((len(piece) for piece in pieces), default=0)
    assert {tuple(place) for place in np.argwhere(kept)} in [*pieces, set()]


@settings(max_examples=60, deadline=None)
@given(MASKS)
def test_holes_are_what_the_border_cannot_reach(mask: np.ndarray) -> None:
    outside = np.pad(~mask, 1, constant_values=True)
    reached = flood(outside, (0, 0), diagonal=False)
    expected = np.ones_like(outside)
    for place in reached:
        expected[place] = False
    assert np.array_equal(fill_holes(mask), expected[1:-1, 1:-1])


def test_otsu_parts_two_heaps_where_the_variance_between_is_largest() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(2, 0.3, 700), rng.normal(6, 0.5, 300)])
    heatmap = values.astype(np.float32).reshape(25, 40)

    def between(t: float) -> float:
        low, high = values[values <= t], values[values > t]
        return len(low) * len(high) * (low.mean() - high.mean()) ** 2

    best = max(np.linspace(values.min() + 0.1, values.max() - 0.1, 500), key=between)
    assert between(otsu(heatmap)) == pytest.approx(between(best), rel=1e-3)


def test_a_flat_map_has_no_foreground() -> None:
    flat = np.full((8, 8), 3.0, np.float32)
    assert not (flat > otsu(flat)).any()


def slow_guided_filter(
    guide: np.ndarray, plane: np.ndarray, radius: int, epsilon: float
) -> np.ndarray:
    """Equations 14 and 15 of the paper window by window, and the mean of all windows."""
    height, width = plane.shape
    size = 2 * radius + 1
    pad = ((radius, radius), (radius, radius))
    wide_guide = np.pad(guide, (*pad, (0, 0)), mode="symmetric").astype(np.float64)
    wide_plane = np.pad(plane, pad, mode="symmetric").astype(np.float64)
    slopes, offsets = np.zeros((height, width, 3)), np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            colours = wide_guide[y : y + size, x : x + size].reshape(-1, 3)
            values = wide_plane[y : y + size, x : x + size].ravel()
            spread = np.cov(colours.T, bias=True) + epsilon * np.eye(3)
            shared = ((colours - colours.mean(0)) * (values - values.mean())[:, None]).mean(0)
            slopes[y, x] = np.linalg.solve(spread, shared)
            offsets[y, x] = values.mean() - slopes[y, x] @ colours.mean(0)
    offsets = np.pad(offsets, pad, mode="symmetric")
    slopes = np.pad(slopes, (*pad, (0, 0)), mode="symmetric")
    result = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            mean_slope = slopes[y : y + size, x : x + size].mean((0, 1))
            result[y, x] = mean_slope @ guide[y, x] + offsets[y : y + size, x : x + size].mean()
    return result


def test_guided_filter_equals_the_paper_window_by_window() -> None:
    rng = np.random.default_rng(1)
    guide = rng.random((9, 11, 3)).astype(np.float32)
    plane = rng.random((9, 11)).astype(np.float32)
    fast = GuidedFilter(guide, radius_px=2, epsilon=0.01)(plane)
    np.testing.assert_allclose(fast, slow_guided_filter(guide, plane, 2, 0.01), atol=2e-4)


def test_guided_filter_keeps_a_constant() -> None:
    guide = np.random.default_rng(2).random((16, 16, 3)).astype(np.float32)
    out = GuidedFilter(guide, radius_px=3, epsilon=1e-3)(np.full((16, 16), 0.3, np.float32))
    np.testing.assert_allclose(out, 0.3, atol=1e-4)


@pytest.fixture
def scene() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A red ellipse on green, its mask, and a heatmap that knows only its middle."""
    rng = np.random.default_rng(3)
    y, x = np.mgrid[:96, :96]
    truth = ((y - 50) / 34) ** 2 + ((x - 44) / 22) ** 2 < 1
    pixels = np.where(truth[..., None], [200, 50, 40], [60, 140, 70])
    pixels = (pixels + rng.normal(0, 12, pixels.shape)).clip(0, 255).astype(np.uint8)
    heatmap = np.exp(-(((y - 46) / 20) ** 2 + ((x - 48) / 16) ** 2)) + 0.15
    return pixels, truth, heatmap.astype(np.float32)


def test_the_subject_is_found_from_a_rough_heatmap(
    scene: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    pixels, truth, heatmap = scene
    assert foreground_iou(segment(pixels, heatmap), truth) > 0.97
    assert foreground_iou(heatmap > otsu(heatmap), truth) < 0.8


def test_a_small_heatmap_gives_a_mask_with_the_image_s_own_edges(
    scene: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    pixels, truth, heatmap = scene
    small = cv2.resize(heatmap, (32, 24), interpolation=cv2.INTER_AREA)
    mask = segment(pixels, small)
    assert mask.shape == truth.shape
    assert foreground_iou(mask, truth) > 0.97


def test_masks_are_made_at_the_network_s_side_or_a_larger_one() -> None:
    assert mask_side_px(224) == 224
    assert mask_side_px(80) == mask_side_px(64) > 80


def test_the_same_image_gives_the_same_mask(
    scene: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    pixels, _, heatmap = scene
    first = segment(pixels, heatmap)
    cv2.setRNGSeed(12345)
    assert np.array_equal(segment(pixels, heatmap), first)


def test_colour_posterior_is_a_probability_and_helps(
    scene: tuple[np.ndarray, np.ndarray, np.ndarray],
) -> None:
    pixels, truth, heatmap = scene
    posterior = colour_posterior(pixels, heatmap, otsu(heatmap))
    assert posterior.dtype == np.float32
    assert posterior.min() >= 0
    assert posterior.max() <= 1
    assert foreground_iou(posterior > 0.5, truth) > 0.95


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_grab_cut_without_two_sides_returns_its_seeds(value: float) -> None:
    pixels = np.zeros((8, 8, 3), np.uint8)
    foreground = np.full((8, 8), value, np.float32)
    mask = grab_cut(pixels, foreground, sure=0.7, iterations=1)
    assert np.array_equal(mask, foreground > 0.5)


@pytest.mark.parametrize("refinement", REFINEMENTS)
@pytest.mark.parametrize("threshold", THRESHOLDS)
@settings(max_examples=6, deadline=None)
@given(
    side=st.sampled_from([(1, 1), (2, 9), (16, 16)]),
    colours=st.integers(1, 3),
    seed=st.integers(0, 99),
    flat=st.booleans(),
)
def test_every_combination_survives_any_image(
    refinement: str, threshold: str, side: tuple[int, int], colours: int, seed: int, flat: bool
) -> None:
    rng = np.random.default_rng(seed)
    palette = rng.integers(0, 256, (colours, 3), dtype=np.uint8)
    pixels = palette[rng.integers(0, colours, side)]
    heatmap = np.zeros(side, np.float32) if flat else rng.random(side).astype(np.float32)
    mask = REFINEMENTS[refinement](pixels, heatmap, THRESHOLDS[threshold](heatmap))
    assert mask.shape == side
    assert mask.dtype == bool


def test_iou_of_known_masks() -> None:
    a = np.array([[1, 1, 0], [0, 0, 0]], bool)
    b = np.array([[0, 1, 1], [0, 0, 0]], bool)
    assert foreground_iou(a, b) == pytest.approx(1 / 3)
    assert foreground_iou(a, a) == 1
    assert foreground_iou(~a & a, b & ~b) == 1
    assert foreground_iou(a & ~a, b) == 0


def test_the_centred_ellipse_has_the_area_of_an_ellipse() -> None:
    share = centred_ellipse(224, 224).mean()
    assert share == pytest.approx(np.pi * 100 * 90 / 224**2, abs=2e-3)
