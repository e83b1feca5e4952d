"""Photographs with heatmaps over them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from plots.png import to_png

OPACITY = 0.45


@dataclass(frozen=True)
class Explained:
    """An image (S, S, 3) uint8 and its heatmap (h, w) in [0, 1], with a line to stand above."""

    pixels: npt.NDArray[np.uint8]
    heatmap: npt.NDArray[np.float32]
    caption: str


def superimpose(explained: Explained) -> npt.NDArray[np.uint8]:
    """The heatmap, coloured from blue to red, over the image: (S, S, 3) uint8."""
    from matplotlib import colormaps  # noqa: PLC0415 - predicting need not wait for it

    side = explained.pixels.shape[:2]
    grey = Image.fromarray((explained.heatmap * 255).round().astype(np.uint8))
    large = np.asarray(grey.resize(side[::-1], Image.Resampling.BILINEAR))
    colours = (colormaps["jet"](large)[..., :3] * 255).astype(np.float32)
    mixed = OPACITY * colours + (1 - OPACITY) * explained.pixels
    return mixed.round().astype(np.uint8)


def draw_grid(title: str, rows: Sequence[tuple[str, Sequence[Explained]]], columns: int) -> bytes:
    """A PNG: for each row its name, then images with their maps; what is missing stays empty."""
    from matplotlib.figure import Figure  # noqa: PLC0415 - predicting need not wait for it

    figure = Figure(figsize=(1.75 * columns, 2.1 * len(rows) + 0.4), layout="constrained")
    figure.suptitle(_drawable(title))
    grid = figure.subplots(len(rows), columns, squeeze=False)
    for axes_row, (name, explained) in zip(grid, rows, strict=True):
        for index, axes in enumerate(axes_row):
            axes.set_xticks([])
            axes.set_yticks([])
            if index == 0:
                axes.set_ylabel(name)
            if index < len(explained):
                axes.imshow(superimpose(explained[index]))
                axes.set_title(_drawable(explained[index].caption), fontsize=7)
            else:
                axes.set_frame_on(False)
    return to_png(figure)


def _drawable(text: str) -> str:
    """matplotlib draws no bytes of a file name that are no UTF-8."""
    return text.encode(errors="backslashreplace").decode()
