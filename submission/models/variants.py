"""The normalisations that a network may have, by the names of the command line."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from errors import SubmissionError
from models.normalization import (
    BatchInstanceNorm,
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
)
from models.resnet import NormLayer, batch_norm, no_norm

NORMS = ("inbuilt", "bn", "in", "bin", "ln", "gn", "nn")
TITLES = {
    "inbuilt": "batch (built-in)",
    "bn": "batch",
    "in": "instance",
    "bin": "batch-instance",
    "ln": "layer",
    "gn": "group",
    "nn": "none",
}
GROUPS = 8
"""Two to eight channels a group at widths of 16 to 64, where the usual 32 groups do not fit."""

_OWN = {"bn": BatchNorm, "in": InstanceNorm, "bin": BatchInstanceNorm, "ln": LayerNorm}


def norm_layer(name: str, groups: int = GROUPS) -> NormLayer:
    """What a `ResNet` makes its normalisations with. Raises SubmissionError for another name."""
    if name == "inbuilt":
        return batch_norm
    if name == "nn":
        return no_norm

    def group(channels: int, _size_px: int) -> nn.Module:
        if channels % groups:
            raise SubmissionError(f"--groups {groups}: {channels} filters do not divide into them")
        return GroupNorm(groups, channels)

    def own(channels: int, _size_px: int) -> nn.Module:
        return _OWN[name](channels)

    if name == "gn":
        return group
    if name not in _OWN:
        raise SubmissionError(f'no normalisation "{name}"; there are: {", ".join(NORMS)}')
    return own


def norm_in(state_dict: Mapping[str, Tensor]) -> str | None:
    """The normalisation that a checkpoint's tensors tell; None where three have the same ones
    (instance, layer, group)."""
    names = {key.rpartition(".")[2] for key in state_dict if key.startswith("bn1.")}
    if not names:
        return "nn"
    if "gate" in names:
        return "bin"
    return "inbuilt" if "running_mean" in names else None
