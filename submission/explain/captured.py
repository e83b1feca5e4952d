"""Intermediate maps of a network, and how one logit depends on them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn


def maps_and_gradients(
    network: nn.Module, images: Tensor, targets: Tensor | None, layers: Sequence[str]
) -> tuple[Tensor, list[tuple[Tensor, Tensor]]]:
    """Logits (N, r), and for each of `layers` its maps and ∂ logit[target] / ∂ maps, both of the
    maps' shape.

    images: (N, C, H, W) float32; `targets`: (N,) int64, where None, or a negative one, means the
    predicted class. The network must be in evaluation mode. Raises AttributeError for a layer that
    it lacks.
    """
    with torch.enable_grad(), _captured_maps(network, layers) as maps:
        # the input asks for gradients, or a network with frozen weights would have none
        logits = network(images.detach().requires_grad_(True))
        classes = logits.argmax(1)
        if targets is not None:
            classes = torch.where(targets < 0, classes, targets)
        chosen = logits.gather(1, classes.unsqueeze(1)).sum()
        gradients = torch.autograd.grad(chosen, [maps[name] for name in layers])
    kept = [maps[name].detach() for name in layers]
    return logits.detach(), list(zip(kept, gradients, strict=True))


@contextmanager
def _captured_maps(network: nn.Module, layers: Sequence[str]) -> Iterator[dict[str, Tensor]]:
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
