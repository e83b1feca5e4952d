"""The program that runs in the sandbox: `OUT SCRIPT [ARGUMENT …]`.

Runs the student's SCRIPT as Python would, and notes which layers are really computed: how many
distinct convolutions, and how many distinct modules in which a ready-made normalisation of PyTorch
ran, whatever the modules are called. Written to OUT as JSON when the script ends, however it ends.
"""

from __future__ import annotations

import atexit
import json
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

_READY_MADE = re.compile(r"(batch|instance|layer|group|rms)_norm")
_CONVOLUTION = re.compile(r"conv")
_MAX_NAMES = 20


class LayersSeen(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Attributes every convolution and ready-made normalisation to the module that it runs in."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.running: list[nn.Module] = []
        self.convolutions: dict[int, str] = {}
        self.ready_made: dict[int, str] = {}
        # Modules are kept alive, so that no two share an id.
        self.kept: list[nn.Module] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = func.overloadpacket.__name__
        if self.running and "backward" not in name:
            module = self.running[-1]
            if _READY_MADE.search(name):
                self._note(self.ready_made, module)
            elif _CONVOLUTION.search(name):
                self._note(self.convolutions, module)
        return func(*args, **(kwargs or {}))

    def _note(self, seen: dict[int, str], module: nn.Module) -> None:
        if id(module) not in seen:
            seen[id(module)] = type(module).__name__
            self.kept.append(module)


def follow_modules(seen: LayersSeen) -> None:
    """Let `seen` know which module is being called."""
    call = nn.Module.__call__

    def followed(self: nn.Module, *args: Any, **kwargs: Any) -> Any:
        seen.running.append(self)
        try:
            return call(self, *args, **kwargs)
        finally:
            seen.running.pop()

    nn.Module.__call__ = followed  # type: ignore[method-assign]


def main(arguments: list[str]) -> None:
    """Run as a program."""
    out, script = Path(arguments[0]), arguments[1]
    seen = LayersSeen()
    follow_modules(seen)

    def write() -> None:
        told = {
            "convolutions": len(seen.convolutions),
            "ready_made": len(seen.ready_made),
            "classes": sorted(set(seen.ready_made.values()))[:_MAX_NAMES],
        }
        out.write_text(json.dumps(told), encoding="ascii")

    atexit.register(write)
    torch.set_num_threads(1)
    sys.argv = arguments[1:]
    sys.path[0] = str(Path(script).resolve().parent)
    with seen:
        runpy.run_path(script, run_name="__main__")


if __name__ == "__main__":
    main(sys.argv[1:])
