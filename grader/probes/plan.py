"""What a normalisation layer is asked: arrays and checks, the same for every submission.

Maps are small and not square, so that mixed-up axes show. The numbers are float32, so that inside
and outside start from the same ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from grader.probes.normalization import Array, Call

CHANNELS, GROUPS, HEIGHT, WIDTH = 16, 4, 5, 7
SIZES = {"channels": CHANNELS, "groups": GROUPS, "height": HEIGHT, "width": WIDTH}
# Where a mean of squares minus a squared mean has no digits left in float32.
_LARGE_MEAN = 1000.0


@dataclass(frozen=True, slots=True)
class Check:
    """One call. `steps` name the arrays of the training steps before it, `input` its own;
    `tolerance` is a share of the largest magnitude of the exact answer."""

    id: str
    title: str
    mode: str
    input: str
    steps: tuple[str, ...] = ()
    affine: bool = False
    gradient: bool = False
    weights: str = ""
    dtype: str = "float32"
    tolerance: float = 1e-4

    def asked(self) -> dict[str, Any]:
        """What the program inside is told."""
        told = asdict(self)
        del told["title"], told["tolerance"]
        return told


CHECKS = (
    Check("train-8", "training mode, batch of 8", "train", "eight"),
    Check("eval-8", "evaluation mode before any training, batch of 8", "eval", "eight"),
    Check("train-1", "training mode, batch of 1", "train", "one"),
    Check("eval-1", "evaluation mode before any training, batch of 1", "eval", "one"),
    Check("affine", "scale and shift", "train", "eight", affine=True),
    Check(
        "running",
        "evaluation mode after three training steps",
        "eval",
        "one",
        steps=("eight", "second", "third"),
        affine=True,
    ),
    Check(
        "gradient",
        "gradients of the maps and the parameters",
        "train",
        "eight",
        affine=True,
        gradient=True,
        weights="upstream",
        tolerance=1e-3,
    ),
    Check("large-mean", "maps with a mean of 1000", "train", "far", tolerance=1e-2),
)


def make_arrays(seed: int) -> dict[str, npt.NDArray[np.float32]]:
    """Name → float32 array; the same for the same seed."""
    generator = np.random.default_rng(seed)

    def maps(count: int) -> npt.NDArray[np.float32]:
        shape = (count, CHANNELS, HEIGHT, WIDTH)
        spread = generator.uniform(0.5, 2.0, (count, CHANNELS, 1, 1))
        centre = generator.normal(0.0, 1.0, (count, CHANNELS, 1, 1))
        return (generator.normal(0.0, 1.0, shape) * spread + centre).astype(np.float32)

    eight = maps(8)
    return {
        "eight": eight,
        "one": maps(1),
        "second": maps(8),
        "third": maps(8),
        "far": (eight + np.float32(_LARGE_MEAN)).astype(np.float32),
        "upstream": maps(8),
        "weight": generator.uniform(0.5, 1.5, CHANNELS).astype(np.float32),
        "bias": generator.normal(0.0, 1.0, CHANNELS).astype(np.float32),
        "gate": generator.uniform(0.1, 0.9, CHANNELS).astype(np.float32),
    }


def call_of(check: Check, arrays: Mapping[str, npt.NDArray[np.float32]]) -> Call:
    """The same check for the exact answer."""
    wide: dict[str, Array] = {name: array.astype(np.float64) for name, array in arrays.items()}
    names = ("weight", "bias", "gate")
    return Call(
        maps=wide[check.input],
        training=check.mode == "train",
        steps=[wide[step] for step in check.steps],
        affine={name: wide[name] for name in names} if check.affine else {},
        upstream=wide[check.weights] if check.gradient else None,
    )
