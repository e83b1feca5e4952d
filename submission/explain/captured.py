"""Intermediate maps of a network during one forward pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

from torch import Tensor, nn


@contextmanager
def captured_maps(network: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """While open, every forward pass leaves the outputs of `layers` in the dictionary.

    Layer names are those of `network.named_modules()`; AttributeError for one that it lacks. The
    hooks are removed whatever happens.
    """
    maps: dict[str, Tensor] = {}

    def keep(name: str) -> Callable[[nn.Module, object, Tensor], Tensor]:
        def hook(_module: nn.Module, _inputs: object, output: Tensor) -> Tensor:
            maps[name] = output
            # the next layer gets a copy: an in-place ReLU would overwrite what is kept
            return output.clone()

        return hook

    with ExitStack() as hooks:
        for name in layers:
            handle = network.get_submodule(name).register_forward_hook(keep(name))
            hooks.callback(handle.remove)
        yield maps
