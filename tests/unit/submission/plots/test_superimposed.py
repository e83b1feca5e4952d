"""Grids of images with their maps."""

from __future__ import annotations

import numpy as np
from plots.superimposed import Explained, draw_grid


def test_a_class_name_that_is_no_utf8_is_drawn() -> None:
    pixels, heatmap = np.zeros((8, 8, 3), np.uint8), np.zeros((2, 2), np.float32)
    image = Explained(pixels, heatmap, "caf\udce9\n90 % sure")
    drawn = draw_grid("caf\udce9", [("right", [image]), ("wrong", [])], columns=2)
    assert drawn.startswith(b"\x89PNG")
