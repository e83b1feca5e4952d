"""The grader's own 6n+2 residual network, filled with a student's tensors.

He et al., "Deep Residual Learning for Image Recognition" (CVPR 2016), sections 3.3 and 4.2, with
the normalisation right after each convolution. What shapes cannot tell is declared in a `Form`:
eps 1e-5 in every normalisation, stride 1 in the first convolution, padding to the same size,
stride 2 at the entry of every stage but the first, a mean pool over all positions.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grader.networks.read_shape import ReadBlock, ReadNetwork
from grader.networks.tensor_groups import ReadConv, ReadNorm

EPS = 1e-5
# Group counts that students use; 32 is the paper's (Wu and He, "Group Normalization", ECCV 2018).
_GROUPS = (32, 16, 8, 4, 2)
# A first convolution this wide comes with a stride and a max pool in every network known.
_IMAGENET_STEM_PX = 5


@dataclass(frozen=True, slots=True)
class Form:
    """What the tensors leave open.

    `norm`: "batch" (with running statistics, as initialised where none are stored),
    "batch-statistics" (of the images at hand, as in training), "instance", "instance-running" (the
    statistics that it tracked, used in evaluation as batch normalisation does), "batch-instance",
    "layer" (over C, H, W), "layer-channels" (over C), "group" or "none"; `parameter_free`: such
    layers have no scale and shift, so that no tensor tells of them; `zero_padding`: new channels
    "after" the old ones or on "both-sides"; `stem_pool`: stride 2 and a 3×3 max pool of stride 2
    after the first convolution.
    """

    norm: str
    groups: int = 0
    zero_padding: str = "after"
    stem_pool: bool = False
    parameter_free: bool = False

    @property
    def kind(self) -> str:
        """The normalisation as in `ResNetShape.norm`, however its statistics are taken."""
        return self.norm if self.norm == "batch-instance" else self.norm.partition("-")[0]

    def __str__(self) -> str:
        parts = [f"{self.groups} groups" if self.norm == "group" else self.norm]
        if self.parameter_free:
            parts.append("without scale and shift")
        if self.zero_padding != "after":
            parts.append("zero-padding on both sides")
        if self.stem_pool:
            parts.append("strided first convolution and max pool")
        return ", ".join(parts)


def _sides(network: ReadNetwork, form: Form, side_px: int) -> Iterator[tuple[ReadConv, int]]:
    """Each convolution with the side of its output for images of side_px × side_px."""
    side = -(-side_px // 2) if form.stem_pool else side_px
    yield network.stem, side
    side = -(-side // 2) if form.stem_pool else side
    stage = network.blocks[0].stage
    for block in network.blocks:
        if block.stage != stage:
            stage, side = block.stage, -(-side // 2)
        for conv in (block.first, block.second, block.shortcut):
            if conv is not None:
                yield conv, side


def fits_images(network: ReadNetwork, form: Form, side_px: int) -> bool:
    """Whether the network takes images of that side: a scale per pixel ties it to one size."""
    return all(
        conv.norm is None
        or conv.norm.spatial is None
        or conv.norm.spatial == (conv.out_channels, side, side)
        for conv, side in _sides(network, form, side_px)
    )


def takes_any_size(network: ReadNetwork) -> bool:
    """Whether no normalisation has a scale per pixel."""
    return all(conv.norm is None or conv.norm.spatial is None for conv in network.convs)


def multiplications(network: ReadNetwork, form: Form, side_px: int) -> int:
    """Multiplications in the convolutions for one image of side_px × side_px."""
    return sum(
        conv.out_channels * conv.in_channels * conv.kernel_px**2 * side**2
        for conv, side in _sides(network, form, side_px)
    )


def possible_forms(network: ReadNetwork) -> tuple[Form, ...]:
    """Every form that the tensors allow, the most likely one first."""
    stored = next((conv.norm for conv in network.convs if conv.norm is not None), None)
    widths = {conv.out_channels for conv in network.convs}
    norms = []
    for kind in (way for norm in network.norms for way in _ways(norm, stored)):
        fitting = [g for g in _GROUPS if all(width % g == 0 for width in widths)]
        norms += [(kind, g) for g in fitting] if kind == "group" else [(kind, 0)]
    padded = any(_pads(block) for block in network.blocks)
    paddings = ("after", "both-sides") if padded else ("after",)
    pools = (True, False) if network.stem.kernel_px >= _IMAGENET_STEM_PX else (False,)
    return tuple(
        Form(kind, groups, padding, pool, stored is None and kind != "none")
        for pool in pools
        for padding in paddings
        for kind, groups in norms
    )


def _ways(norm: str, stored: ReadNorm | None) -> tuple[str, ...]:
    """How a normalisation of the kind `norm` may compute, by what it stored."""
    has_statistics = stored is not None and stored.mean is not None
    if norm == "batch":
        return ("batch",) if has_statistics else ("batch-statistics", "batch")
    if norm == "instance" and has_statistics:
        return "instance-running", "instance"
    if norm == "layer" and (stored is None or stored.spatial is None):
        return "layer", "layer-channels"
    return (norm,)


def _pads(block: ReadBlock) -> bool:
    return block.shortcut is None and block.first.in_channels != block.second.out_channels


# --------------------------------------------------------------------------- layers


class BatchInstanceNorm(nn.Module):
    """gate · BN(x) + (1 − gate) · IN(x), then scale and shift; x: (N, C, H, W).

    Nam and Kim, "Batch-Instance Normalization for Adaptively Style-Invariant Neural Networks"
    (NeurIPS 2018), eq. 3; the gate is clipped to [0, 1]. Without running statistics those of the
    images at hand are used.
    """

    running_mean: Tensor | None
    running_var: Tensor | None

    def __init__(self, channels: int, *, running: bool) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.gate = nn.Parameter(torch.ones(channels))
        self.register_buffer("running_mean", torch.zeros(channels) if running else None)
        self.register_buffer("running_var", torch.ones(channels) if running else None)

    def forward(self, x: Tensor) -> Tensor:
        batch = F.batch_norm(
            x, self.running_mean, self.running_var, training=self.running_mean is None, eps=EPS
        )
        instance = F.instance_norm(x, eps=EPS)
        gate = self.gate.clamp(0, 1).view(1, -1, 1, 1)
        mixed = gate * batch + (1 - gate) * instance
        return mixed * self.weight.view(1, -1, 1, 1) + self.bias.view(1, -1, 1, 1)


class LayerNormOverChannels(nn.Module):
    """Layer normalisation of each position over its channels; x: (N, C, H, W)."""

    def __init__(self, channels: int, *, affine: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels)) if affine else None
        self.bias = nn.Parameter(torch.zeros(channels)) if affine else None

    def forward(self, x: Tensor) -> Tensor:
        rows = x.permute(0, 2, 3, 1)
        return F.layer_norm(rows, rows.shape[-1:], self.weight, self.bias, EPS).permute(0, 3, 1, 2)


def _make_norm(conv: ReadConv, form: Form) -> nn.Module:
    norm, channels = conv.norm, conv.out_channels
    if norm is None and not form.parameter_free:
        return nn.Identity()
    affine = norm is not None and norm.weight is not None
    made: nn.Module
    if form.norm in {"batch", "batch-statistics", "instance-running"}:
        tracks = form.norm != "batch-statistics"
        made = nn.BatchNorm2d(channels, eps=EPS, affine=affine, track_running_stats=tracks)
    elif form.norm == "batch-instance":
        made = BatchInstanceNorm(channels, running=norm is not None and norm.mean is not None)
    elif form.norm == "instance":
        made = nn.InstanceNorm2d(channels, eps=EPS, affine=affine)
    elif form.norm == "layer" and norm is not None and norm.spatial is not None:
        made = nn.LayerNorm(list(norm.spatial), eps=EPS)
    elif form.norm == "layer-channels":
        made = LayerNormOverChannels(channels, affine=affine)
    else:
        made = nn.GroupNorm(form.groups or 1, channels, eps=EPS, affine=affine)
    return made


class ConvNorm(nn.Module):
    """A convolution that keeps the size (divided by its stride), and its normalisation."""

    def __init__(self, read: ReadConv, form: Form, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            read.in_channels,
            read.out_channels,
            read.kernel_px,
            stride=stride,
            padding=read.kernel_px // 2,
            bias=read.bias is not None,
        )
        self.norm = _make_norm(read, form)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x))  # type: ignore[no-any-return]


class ZeroPadding(nn.Module):
    """The parameter-free shortcut (option A): every stride-th position, new channels zero."""

    def __init__(self, in_channels: int, out_channels: int, stride: int, side: str) -> None:
        super().__init__()
        new = out_channels - in_channels
        before = new // 2 if side == "both-sides" else 0
        self.padding = (0, 0, 0, 0, before, new - before)
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x[:, :, :: self.stride, :: self.stride], self.padding)


class Block(nn.Module):
    """Two convolutions with a shortcut around them."""

    def __init__(self, read: ReadBlock, form: Form, stride: int) -> None:
        super().__init__()
        self.first = ConvNorm(read.first, form, stride)
        self.second = ConvNorm(read.second, form, 1)
        self.shortcut: nn.Module
        if read.shortcut is not None:
            self.shortcut = ConvNorm(read.shortcut, form, stride)
        elif _pads(read) or stride != 1:
            channels = (read.first.in_channels, read.second.out_channels)
            self.shortcut = ZeroPadding(*channels, stride, form.zero_padding)
        else:
            self.shortcut = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.first(x), inplace=True)
        y = self.second(y)
        y += self.shortcut(x)
        return F.relu(y, inplace=True)


class ResNet6n2(nn.Module):
    """images: (N, C, H, W) float32, normalised, of any size → logits (N, num_classes)."""

    def __init__(self, read: ReadNetwork, form: Form) -> None:
        super().__init__()
        self.form = form
        self.stem = ConvNorm(read.stem, form, 2 if form.stem_pool else 1)
        self.blocks = nn.Sequential(
            *(
                Block(block, form, 2 if block.stage and _enters(read, index) else 1)
                for index, block in enumerate(read.blocks)
            )
        )
        self.head = nn.Linear(
            read.head.in_channels, read.head.out_channels, bias=read.head.bias is not None
        )

    def forward(self, images: Tensor) -> Tensor:
        x = F.relu(self.stem(images), inplace=True)
        if self.form.stem_pool:
            x = F.max_pool2d(x, 3, stride=2, padding=1)
        x = self.blocks(x)
        return self.head(x.mean(dim=(2, 3)))  # type: ignore[no-any-return]


def _enters(read: ReadNetwork, index: int) -> bool:
    return index > 0 and read.blocks[index].stage != read.blocks[index - 1].stage


# --------------------------------------------------------------------------- filling


def name_mapping(read: ReadNetwork) -> dict[str, str]:
    """The grader's parameter and buffer names → the student's tensor names."""
    mapping: dict[str, str] = {}
    for own, conv in _places(read):
        mapping[f"{own}.conv.weight"] = conv.weight
        if conv.bias is not None:
            mapping[f"{own}.conv.bias"] = conv.bias
        if conv.norm is None:
            continue
        roles = {
            "weight": conv.norm.weight,
            "bias": conv.norm.bias,
            "gate": conv.norm.gate,
            "running_mean": conv.norm.mean,
            "running_var": conv.norm.var,
        }
        mapping |= {f"{own}.norm.{role}": name for role, name in roles.items() if name is not None}
    mapping["head.weight"] = read.head.weight
    if read.head.bias is not None:
        mapping["head.bias"] = read.head.bias
    return mapping


def _places(read: ReadNetwork) -> Iterator[tuple[str, ReadConv]]:
    yield "stem", read.stem
    for index, block in enumerate(read.blocks):
        yield f"blocks.{index}.first", block.first
        yield f"blocks.{index}.second", block.second
        if block.shortcut is not None:
            yield f"blocks.{index}.shortcut", block.shortcut


def build_resnet(
    read: ReadNetwork, tensors: Mapping[str, npt.NDArray[Any]], form: Form
) -> ResNet6n2:
    """The network in evaluation mode with the student's numbers, float32.

    `tensors`: the student's names → arrays; vectors may be stored as (1, C, 1, 1). Running
    statistics are left out where `form` does not use them.
    """
    network = ResNet6n2(read, form).eval()
    mapping = name_mapping(read)
    with torch.no_grad():
        for own, target in (*network.named_parameters(), *network.named_buffers()):
            if own not in mapping:
                continue  # a counter, or a scale or shift that the student left out: 1 and 0
            source = torch.from_numpy(tensors[mapping[own]].astype("float32"))
            target.copy_(source.reshape(target.shape))
    return network


def fold_batch_norm(network: ResNet6n2) -> ResNet6n2:
    """A copy whose running statistics are multiplied into the convolutions, channels last.

    y = γ (w∗x + b − μ) / √(σ² + ε) + β, computed in float64 and rounded once. Other
    normalisations depend on the image and stay as they are.
    """
    folded = copy.deepcopy(network)
    with torch.no_grad():
        for module in folded.modules():
            if not isinstance(module, ConvNorm) or not isinstance(module.norm, nn.BatchNorm2d):
                continue
            norm, conv = module.norm, module.conv
            if norm.running_mean is None or norm.running_var is None:
                continue
            scale = (norm.running_var.double() + norm.eps).rsqrt()
            shift = -norm.running_mean.double() * scale
            bias = torch.zeros_like(scale) if conv.bias is None else conv.bias.double() * scale
            if norm.affine:
                scale, shift, bias = (part * norm.weight for part in (scale, shift, bias))
                shift = shift + norm.bias
            conv.weight.copy_(conv.weight.double() * scale.view(-1, 1, 1, 1))
            conv.bias = nn.Parameter((bias + shift).float(), requires_grad=False)
            module.norm = nn.Identity()
    return folded.to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]
