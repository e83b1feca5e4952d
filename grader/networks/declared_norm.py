"""Which normalisation a student says that a checkpoint has: in the file, or in a JSON beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KEYS = ("norm", "normalization", "normalisation", "norm_type", "norm_layer")
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


def declared_norm(metadata: Mapping[str, Any]) -> str | None:
    """A kind of normalisation as in `ResNetShape.norm`; None where nothing says one.

    `metadata`: names and values as saved beside the weights, at most one level deep.
    """
    levels = [metadata, *(value for value in metadata.values() if isinstance(value, Mapping))]
    for level in levels:
        for key in _KEYS:
            said = level.get(key)
            if isinstance(said, str):
                plain = "".join(char for char in said.casefold() if char.isalnum())
                if plain in _NAMES:
                    return _NAMES[plain]
    return None
