"""The program that runs in the sandbox: `CHECKPOINT OUT SEED LOADER`.

Draws every weight of two and more dimensions anew, with the spread that it had, and saves the
checkpoint in its own form: the model parameter randomisation of Adebayo et al. (NeurIPS 2018,
section 3.1), all layers at once. What `torch.load(weights_only=True)` does not open, the restricted
reader in the folder LOADER (`grader.networks.unpickle`) reads; then the weights are saved as plain
tensors under the keys that led to them, beside the plain values that were there.
"""

from __future__ import annotations

import argparse
import sys
import types
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch

_OPTIMISER = ("optim", "sched", "scaler")
_LOADER_PACKAGE = "unpickle"
_MAX_TENSOR_BYTES = 4 << 30
_NUMPY_TYPES = "?bhilqBHILQefd"


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


def open_checkpoint(path: Path, loader: Path) -> Any:
    """What `path` holds, in its own form as far as that runs no code. Raises ValueError."""
    try:
        with torch.serialization.safe_globals(_harmless()):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception:  # noqa: BLE001 - whatever torch makes of it, the restricted reader decides
        return _read_restricted(path, loader)


def _harmless() -> list[Any]:
    """What checkpoints hold beside tensors: NumPy's numbers, and settings of a command line."""
    scalar, array = np.float64(0).__reduce__()[0], np.zeros(1).__reduce__()[0]
    # The second names are those of NumPy 1.
    return [
        *(scalar, array, np.ndarray, np.dtype, argparse.Namespace),
        (scalar, "numpy.core.multiarray.scalar"),
        (array, "numpy.core.multiarray._reconstruct"),
        *(type(np.dtype(code)) for code in _NUMPY_TYPES),
    ]


def _read_restricted(path: Path, loader: Path) -> dict[str, Any]:
    package = sys.modules.setdefault(_LOADER_PACKAGE, types.ModuleType(_LOADER_PACKAGE))
    package.__path__ = [str(loader)]
    part = {
        name: import_module(f"{_LOADER_PACKAGE}.{name}")
        for name in ("container", "dense_tensors", "find_weights", "restricted_pickle")
    }
    container = part["container"].recognise(path, _MAX_TENSOR_BYTES)
    if container.refusal:
        raise ValueError(container.message)
    try:
        read = part["restricted_pickle"].read_restricted(path, container.records)
        weights = part["find_weights"].find_weights(read.value)
        if weights is None or weights.whole_module:
            raise ValueError("it is no dictionary of tensors")
        dense, refused = part["dense_tensors"].dense_tensors(weights.tensors, _MAX_TENSOR_BYTES)
    except (
        part["restricted_pickle"].UnreadableError,
        part["dense_tensors"].TooLargeError,
    ) as error:
        raise ValueError(str(error)) from error
    if refused:
        name, reason = next(iter(refused.items()))
        raise ValueError(f"{name}: {reason}")
    value: dict[str, Any] = {weights.prefix + name: tensor for name, tensor in dense.items()}
    keys = weights.wrapper.split(".") if weights.wrapper else []
    for key in reversed(keys):
        value = {key: value}
    return {**weights.metadata, **value} if keys else value


def main(arguments: list[str]) -> int:
    """Run as a program; the exit code is 1 where nothing could be drawn anew, and stderr says why.

    Raises OSError where the new checkpoint cannot be written.
    """
    source, target, seed, loader = arguments
    try:
        value = open_checkpoint(Path(source), Path(loader))
    except ValueError as error:
        sys.stderr.write(f"it was not opened: {error}\n")
        return 1
    if not randomise(value, torch.Generator().manual_seed(int(seed))):
        sys.stderr.write("it holds no weights in dictionaries\n")
        return 1
    torch.save(value, target)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
