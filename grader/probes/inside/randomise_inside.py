"""The program that runs in the sandbox: `CHECKPOINT OUT SEED`.

Draws every weight of two and more dimensions anew, with the spread that it had, and saves the
checkpoint in its own form: the model parameter randomisation of Adebayo et al. (NeurIPS 2018,
section 3.1), all layers at once. Only what `torch.load(weights_only=True)` opens is handled.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

_OPTIMISER = ("optim", "sched", "scaler")


def randomise(value: Any, generator: torch.Generator) -> int:
    """Draw the weights inside `value` anew, in place; returns how many tensors that were."""
    changed = 0
    entries = value.items() if isinstance(value, Mapping) else ()
    for key, held in entries:
        if any(word in str(key).lower() for word in _OPTIMISER):
            continue
        if isinstance(held, torch.Tensor):
            if held.is_floating_point() and held.dim() > 1:
                spread = float(held.detach().double().std())
                drawn = torch.randn(held.shape, generator=generator) * spread
                with torch.no_grad():
                    held.copy_(drawn.to(held.dtype))
                changed += 1
        else:
            changed += randomise(held, generator)
    return changed


def main(arguments: list[str]) -> int:
    """Run as a program; the exit code is 1 where nothing could be drawn anew."""
    source, target, seed = Path(arguments[0]), Path(arguments[1]), int(arguments[2])
    value = torch.load(source, map_location="cpu", weights_only=True)
    if not randomise(value, torch.Generator().manual_seed(seed)):
        return 1
    torch.save(value, target)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
