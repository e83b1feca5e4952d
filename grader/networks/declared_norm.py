"""Which normalisation a student says that a checkpoint has: in the file, or in a JSON beside it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

_ALSO_OF_PIXELS = frozenset({"normalization", "normalisation"})
_KEYS = frozenset({"norm", "norm_type", "norm_layer"}) | _ALSO_OF_PIXELS
# What stands under such a key is done to images, before any layer.
_OF_THE_INPUT = re.compile(
    r"preproc|transform|augment|^(input|image|pixel|data|dataset|data_?loader)s?$"
)
# Deeper than anybody writes settings; a stranger's file may be nested a thousand times.
_MAX_DEPTH = 12
_NAMES: Mapping[str, str] = {
    "bn": "batch",
    "inbuilt": "batch",
    "builtin": "batch",
    "batch": "batch",
    "batchnorm": "batch",
    "batchnorm2d": "batch",
    "in": "instance",
    "instance": "instance",
    "instancenorm": "instance",
    "bin": "batch-instance",
    "batchinstance": "batch-instance",
    "batchinstancenorm": "batch-instance",
    "ln": "layer",
    "layer": "layer",
    "layernorm": "layer",
    "gn": "group",
    "group": "group",
    "groupnorm": "group",
    "nn": "none",
    "none": "none",
    "nonorm": "none",
}


def declared_norm(metadata: Any, experiment: str = "") -> str | None:
    """A kind of normalisation as in `ResNetShape.norm`; None where nothing says one, or where
    several different ones are said.

    `metadata`: names and values as saved beside the weights. Where some are kept under a key that
    is called as `experiment`, only those are about its checkpoint.
    """
    own = list(_kept_under(experiment.casefold(), metadata)) if experiment else []
    said = {norm for part in own or [metadata] for norm in _said(part)}
    return said.pop() if len(said) == 1 else None


def kept_under(experiment: str, metadata: Any) -> bool:
    """Whether some of `metadata` are kept under a key that is called as `experiment`."""
    return any(True for _ in _kept_under(experiment.casefold(), metadata))


def _kept_under(key: str, value: Any, depth: int = 0) -> Iterator[Any]:
    """The mappings that stand under `key`, wherever in `value`."""
    for name, held in _entries(value, depth):
        if name.casefold() == key and isinstance(held, Mapping):
            yield held
        else:
            yield from _kept_under(key, held, depth + 1)


def _said(value: Any, depth: int = 0) -> Iterator[str]:
    """Every normalisation of a network's layers that `value` names, wherever in it."""
    for name, held in _entries(value, depth):
        key = name.casefold()
        if not isinstance(held, str):
            if _OF_THE_INPUT.search(key) is None:
                yield from _said(held, depth + 1)
        elif key in _KEYS:
            plain = "".join(char for char in held.casefold() if char.isalnum())
            # "normalization: none" is also what is said of pixels that are left as they are.
            if plain in _NAMES and not (plain == "none" and key in _ALSO_OF_PIXELS):
                yield _NAMES[plain]


def _entries(value: Any, depth: int) -> Iterator[tuple[str, Any]]:
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        yield from ((str(name), held) for name, held in value.items())
    elif isinstance(value, list | tuple):
        yield from (("", held) for held in value)
