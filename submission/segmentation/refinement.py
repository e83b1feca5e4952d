"""A heatmap and the image's own colours → a mask.

A refinement maps pixels (H, W, 3) uint8 RGB, a heatmap (H, W) float32 ≥ 0 and the value that parts
it to a mask (H, W) bool.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import numpy.typing as npt

from segmentation.guided_filter import GuidedFilter
from segmentation.thresholds import Heatmap

Mask = npt.NDArray[np.bool_]
Pixels = npt.NDArray[np.uint8]
Probability = npt.NDArray[np.float32]
Refinement = Callable[[Pixels, Heatmap, float], Mask]


# --------------------------------------------------------------------------- shape


def largest_component(mask: Mask) -> Mask:
    """The 8-connected piece with the most pixels; an empty mask stays empty."""
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8))
    if count < 3:
        return mask
    return labels == 1 + int(np.argmax(statistics[1:, cv2.CC_STAT_AREA]))


def fill_holes(mask: Mask) -> Mask:
    """Background that cannot be reached from the border becomes foreground."""
    framed = np.pad((~mask).astype(np.uint8), 1, constant_values=1)
    cv2.floodFill(framed, None, (0, 0), 2)
    return framed[1:-1, 1:-1] != 2


def smooth_outline(mask: Mask) -> Mask:
    """Each pixel takes the majority of its 5×5 neighbourhood."""
    return cv2.medianBlur(mask.astype(np.uint8), 5) > 0


def one_piece(mask: Mask) -> Mask:
    """There is one subject and it has no holes."""
    return fill_holes(largest_component(smooth_outline(mask)))


# --------------------------------------------------------------------------- colour

_BINS = 24  # per Lab channel
_FLOOR = 1e-5  # the chance of a colour that was never seen


def _binomial_blur(histogram: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """(1, 2, 1)/4 along each axis; what leaves the cube is lost."""
    for axis in range(histogram.ndim):
        padded = np.pad(histogram, [(int(i == axis),) * 2 for i in range(histogram.ndim)])
        length = histogram.shape[axis]
        before, after = (
            np.take(padded, range(start, start + length), axis=axis) for start in (0, 2)
        )
        histogram = (before + 2 * histogram + after) / 4
    return histogram


def _colour_log_odds(
    bins: npt.NDArray[np.intp], foreground: Probability
) -> npt.NDArray[np.float64]:
    """log p(colour | foreground) − log p(colour | background), per colour bin."""
    chances = []
    for weight in (foreground, 1 - foreground):
        counts = np.bincount(bins.ravel(), weight.ravel(), _BINS**3)
        smooth = _binomial_blur(counts.reshape(_BINS, _BINS, _BINS)).ravel()
        chances.append(np.log(smooth / max(smooth.sum(), 1.0) + _FLOOR))
    return chances[0] - chances[1]


def colour_posterior(
    pixels: Pixels, heatmap: Heatmap, threshold: float, *, rounds: int = 5
) -> Probability:
    """The probability that each pixel belongs to the subject: (H, W) float32 in [0, 1].

    The heatmap gives the prior h²/(h² + t²), which is 1/2 at the threshold t. Then the colours of
    subject and background (smoothed Lab histograms, every pixel counted as far as it belongs)
    and the guided filter take turns, as in expectation maximisation: GrabCut's colour models
    without its hard decisions.
    """
    side = max(heatmap.shape)
    guided = GuidedFilter(
        pixels.astype(np.float32) / 255, radius_px=max(round(0.027 * side), 1), epsilon=1e-3
    )
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2LAB).astype(np.intp) * _BINS // 256
    bins = (lab[..., 0] * _BINS + lab[..., 1]) * _BINS + lab[..., 2]
    prior = 2 * (np.log(heatmap + 1e-6) - np.log(threshold + 1e-6))
    foreground = _sigmoid(prior)
    for _ in range(rounds):
        posterior = _sigmoid(prior + _colour_log_odds(bins, foreground)[bins])
        foreground = guided(posterior).clip(0, 1)
    return foreground


def _sigmoid(log_odds: npt.NDArray[np.floating]) -> Probability:
    return (1 / (1 + np.exp(-log_odds.clip(-30, 30)))).astype(np.float32)


def grab_cut(pixels: Pixels, foreground: Probability, *, sure: float, iterations: int) -> Mask:
    """GrabCut (Rother, Kolmogorov & Blake, SIGGRAPH 2004) between seeds from `foreground`: pixels
    below 1 − `sure` are background for good, those above `sure` foreground; the rest may change.

    Where one of the two has no pixel there is nothing to cut, and the seeds are the answer.
    """
    marks = np.where(foreground > 0.5, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    marks[foreground > sure] = cv2.GC_FGD
    marks[foreground < 1 - sure] = cv2.GC_BGD
    is_foreground = np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD))
    # five colours a side: fewer pixels than that cannot carry OpenCV's mixture models
    if min(is_foreground.sum(), (~is_foreground).sum()) < 5:
        return is_foreground
    cv2.setRNGSeed(0)  # its k-means draws starting points; the generator belongs to this thread
    bgr = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    models = np.zeros((1, 65)), np.zeros((1, 65))
    cv2.grabCut(bgr, marks, None, *models, iterations, cv2.GC_INIT_WITH_MASK)
    return np.isin(marks, (cv2.GC_FGD, cv2.GC_PR_FGD))


# --------------------------------------------------------------------------- whole refinements


def _threshold_only(_pixels: Pixels, heatmap: Heatmap, threshold: float) -> Mask:
    return heatmap > threshold


def _shape_only(_pixels: Pixels, heatmap: Heatmap, threshold: float) -> Mask:
    return one_piece(heatmap > threshold)


def _grab_cut_from_ranks(pixels: Pixels, heatmap: Heatmap, threshold: float) -> Mask:
    """The usual recipe: the top tenth is sure foreground, the bottom fifth sure background."""
    seeds = np.where(heatmap > threshold, np.float32(0.6), np.float32(0.4))
    seeds[heatmap > np.quantile(heatmap, 0.9)] = 1.0
    seeds[heatmap < np.quantile(heatmap, 0.2)] = 0.0
    return one_piece(grab_cut(pixels, seeds, sure=0.7, iterations=4))


def _colour_model(pixels: Pixels, heatmap: Heatmap, threshold: float) -> Mask:
    return one_piece(colour_posterior(pixels, heatmap, threshold) > 0.5)


def _colour_model_and_grab_cut(pixels: Pixels, heatmap: Heatmap, threshold: float) -> Mask:
    """The colour model decides nearly everywhere; one round of GrabCut draws the outline."""
    posterior = colour_posterior(pixels, heatmap, threshold)
    return one_piece(grab_cut(pixels, posterior, sure=0.7, iterations=1))


REFINEMENTS: dict[str, Refinement] = {
    "none": _threshold_only,
    "one piece": _shape_only,
    "GrabCut": _grab_cut_from_ranks,
    "colour model": _colour_model,
    "colour model + GrabCut": _colour_model_and_grab_cut,
}
