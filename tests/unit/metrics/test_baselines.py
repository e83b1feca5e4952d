"""The trivial answers, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from grader.metrics.baselines import centred_ellipse, everything_foreground, majority_class


def test_everything_is_foreground() -> None:
    mask = everything_foreground(3, 5)
    assert mask.shape == (3, 5)
    assert mask.dtype == np.bool_
    assert mask.all()


def test_the_ellipse_has_the_stated_axes() -> None:
    mask = centred_ellipse(224, 224)
    assert mask[112, 112 - 100]
    assert mask[112, 112 + 100]
    assert not mask[112, 112 - 101]
    assert mask[112 - 90, 112]
    assert mask[112 + 90, 112]
    assert not mask[112 + 91, 112]
    assert mask.sum() == pytest.approx(math.pi * 100 * 90, rel=2e-3)


def test_the_ellipse_is_stretched_with_the_image() -> None:
    mask = centred_ellipse(448, 112)
    assert mask.shape == (448, 112)
    assert mask[224 - 180, 56]
    assert not mask[224 - 182, 56]
    assert mask[224, 56 + 50]
    assert not mask[224, 56 + 51]
    assert mask.mean() == pytest.approx(centred_ellipse(224, 224).mean(), rel=5e-3)


def test_the_majority_is_the_first_of_equals() -> None:
    assert majority_class(np.array([3, 1, 1, 3, 0])) == 1
    assert majority_class(np.array([2])) == 2
    with pytest.raises(ValueError, match="one row of targets"):
        majority_class(np.array([], dtype=np.int64))
