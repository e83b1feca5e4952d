"""Smooth a map so that its edges are those of the image: He, Sun & Tang, "Guided Image
Filtering" (IEEE TPAMI 35, 2013), equations 14 to 16, with a colour guide."""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Plane = npt.NDArray[np.float32]


class GuidedFilter:
    """The part that depends on the guide alone is computed once, here.

    guide: (H, W, 3) float32 in [0, 1]; `radius_px` of the square window; `epsilon` is the
    variance below which a window counts as flat.
    """

    def __init__(self, guide: Plane, radius_px: int, epsilon: float) -> None:
        self.channels = [np.ascontiguousarray(guide[..., index]) for index in range(3)]
        self.window = (2 * radius_px + 1, 2 * radius_px + 1)
        self.means = [self._mean(channel) for channel in self.channels]

        def covariance(i: int, j: int) -> Plane:
            product = self._mean(self.channels[i] * self.channels[j])
            return product - self.means[i] * self.means[j] + (epsilon if i == j else 0.0)

        # the inverse of each pixel's symmetric 3×3 matrix, by cofactors
        a, b, c = covariance(0, 0), covariance(0, 1), covariance(0, 2)
        d, e, f = covariance(1, 1), covariance(1, 2), covariance(2, 2)
        aa, bb, cc = d * f - e * e, c * e - b * f, b * e - c * d
        dd, ee, ff = a * f - c * c, b * c - a * e, a * d - b * b
        determinant = a * aa + b * bb + c * cc
        self.inverse = [
            [part / determinant for part in row]
            for row in ((aa, bb, cc), (bb, dd, ee), (cc, ee, ff))
        ]

    def _mean(self, plane: Plane) -> Plane:
        return cv2.blur(plane, self.window, borderType=cv2.BORDER_REFLECT)

    def __call__(self, plane: Plane) -> Plane:
        """plane: (H, W) float32 → the same, smoothed where the guide is smooth."""
        mean = self._mean(plane)
        covariances = [
            self._mean(channel * plane) - own_mean * mean
            for channel, own_mean in zip(self.channels, self.means, strict=True)
        ]
        slopes = [
            row[0] * covariances[0] + row[1] * covariances[1] + row[2] * covariances[2]
            for row in self.inverse
        ]
        offset = mean
        for slope, own_mean in zip(slopes, self.means, strict=True):
            offset = offset - slope * own_mean
        result = self._mean(offset)
        for slope, channel in zip(slopes, self.channels, strict=True):
            result = result + self._mean(slope) * channel
        return result
