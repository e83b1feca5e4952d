"""The 6n+2 residual network of He et al., "Deep Residual Learning for Image Recognition"
(CVPR 2016), section 4.2, with the widths and the input size of the course.

    layer            map side   filters   weighted layers
    conv1            S          w1        1
    layer1 (n blocks) S         w1        2n
    layer2 (n blocks) S/2       w2        2n
    layer3 (n blocks) S/4       w3        2n
    mean pool, fc    1          r         1

The first block of layer2 and layer3 halves the map with a convolution of stride 2. Projection
shortcuts stand beside the main path and are not counted as layers, as in the paper.

With widths 32, 64, 128, batch normalisation, projection shortcuts and r = 100 outputs:

    n = 1:   8 layers,   320,260 parameters
    n = 2:  14 layers,   708,228 parameters
    n = 3:  20 layers, 1,096,196 parameters
    n = 5:  32 layers, 1,872,132 parameters
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from errors import SubmissionError

NormLayer = Callable[[int, int], nn.Module]
"""(channels, side of the feature map in pixels) → a normalisation module."""


def batch_norm(channels: int, size_px: int) -> nn.Module:  # noqa: ARG001 - layer norm needs it
    """Ioffe & Szegedy 2015; knows no map size."""
    return nn.BatchNorm2d(channels)


def no_norm(channels: int, size_px: int) -> nn.Module:  # noqa: ARG001 - the signature is shared
    """Leaves the maps alone: the "no normalisation" variant."""
    return nn.Identity()


class ZeroPaddingShortcut(nn.Module):
    """Option A of the paper: every `stride`-th pixel, the missing channels filled with zeros."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.missing = out_channels - in_channels
        self.stride = stride

    def forward(self, maps: Tensor) -> Tensor:
        """maps: (N, in, H, W) → (N, out, ⌈H/stride⌉, ⌈W/stride⌉)."""
        before = self.missing // 2
        kept = maps[:, :, :: self.stride, :: self.stride]
        return F.pad(kept, (0, 0, 0, 0, before, self.missing - before))


class BasicBlock(nn.Module):
    """Two 3×3 convolutions and a shortcut around them: relu(norm(conv(relu(norm(conv x)))) + s x).

    The shortcut is the identity wherever shapes allow it, else `shortcut` says how: "projection"
    (option B, a strided 1×1 convolution and a normalisation) or "zero-padding" (option A).
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int,
        *,
        norm_layer: NormLayer,
        shortcut: str,
        size_px: int,
    ) -> None:
        super().__init__()
        bias = norm_layer is no_norm  # a normalisation would subtract it again

        def conv(channels: int, kernel_px: int, step: int) -> nn.Conv2d:
            return nn.Conv2d(
                channels, out_channels, kernel_px, step, padding=kernel_px // 2, bias=bias
            )

        self.conv1 = conv(in_channels, 3, stride)
        self.bn1 = norm_layer(out_channels, size_px)
        self.conv2 = conv(out_channels, 3, 1)
        self.bn2 = norm_layer(out_channels, size_px)
        self.relu = nn.ReLU(inplace=True)
        self.shortcut: nn.Module
        if stride == 1 and in_channels == out_channels:
            self.shortcut = nn.Identity()
        elif shortcut == "projection":
            self.shortcut = nn.Sequential(
                conv(in_channels, 1, stride), norm_layer(out_channels, size_px)
            )
        else:
            self.shortcut = ZeroPaddingShortcut(in_channels, out_channels, stride)

    def forward(self, maps: Tensor) -> Tensor:
        """maps: (N, in, H, W) → (N, out, H/stride, W/stride)."""
        out = self.relu(self.bn1(self.conv1(maps)))
        return self.relu(self.bn2(self.conv2(out)) + self.shortcut(maps))


@dataclass(frozen=True)
class ResNetConfig:
    """Everything that fixes the shapes of a `ResNet`, as it stands in metadata.json."""

    n: int
    num_classes: int
    widths: tuple[int, int, int] = (32, 64, 128)
    in_channels: int = 3
    size_px: int = 224
    shortcut: str = "projection"

    def __post_init__(self) -> None:
        if self.n < 1:
            raise SubmissionError(f"n = {self.n}: a network has 6n+2 layers with n of at least 1")
        if self.num_classes < 2:
            raise SubmissionError(
                f"r = {self.num_classes}: a classifier needs at least two classes"
            )
        if self.shortcut not in ("projection", "zero-padding"):
            raise SubmissionError(
                f'shortcut "{self.shortcut}" is unknown; there are "projection" and "zero-padding"'
            )

    def to_json(self) -> dict[str, Any]:
        """What `ResNetConfig(**json)` takes again."""
        return asdict(self) | {"widths": list(self.widths)}


class ResNet(nn.Module):
    """The network of the table above.

    `norm_layer(channels, size_px)` makes each normalisation; its parameters carry the names
    `bn1`, `bn2` and `shortcut.1` whatever it is, so that checkpoints have one layout. The input
    side `config.size_px` matters only to a normalisation that learns one weight per pixel: with
    any other, images of every size are welcome.
    """

    def __init__(self, config: ResNetConfig, norm_layer: NormLayer = batch_norm) -> None:
        super().__init__()
        self.config = config
        stem, size_px = config.widths[0], config.size_px
        self.conv1 = nn.Conv2d(config.in_channels, stem, 3, padding=1, bias=norm_layer is no_norm)
        self.bn1 = norm_layer(stem, size_px)
        self.relu = nn.ReLU(inplace=True)
        in_channels = stem
        for index, channels in enumerate(config.widths):
            stride = 1 if index == 0 else 2
            size_px = -(-size_px // stride)
            blocks = []
            for block in range(config.n):
                blocks.append(
                    BasicBlock(
                        in_channels,
                        channels,
                        stride if block == 0 else 1,
                        norm_layer=norm_layer,
                        shortcut=config.shortcut,
                        size_px=size_px,
                    )
                )
                in_channels = channels
            self.add_module(f"layer{index + 1}", nn.Sequential(*blocks))
        self.fc = nn.Linear(in_channels, config.num_classes)
        self._initialise()

    def _initialise(self) -> None:
        """He et al., "Delving Deep into Rectifiers" (ICCV 2015), equation 10 with fan-out."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def features(self, images: Tensor) -> Tensor:
        """images: (N, C, S, S) float → last maps (N, w3, S/4, S/4)."""
        maps = self.relu(self.bn1(self.conv1(images)))
        for index in range(len(self.config.widths)):
            maps = self.get_submodule(f"layer{index + 1}")(maps)
        return maps

    def forward(self, images: Tensor) -> Tensor:
        """images: (N, C, S, S) float → logits (N, r)."""
        return self.fc(self.features(images).mean(dim=(2, 3)))


def count_layers(network: ResNet) -> int:
    """Weighted layers on the main path (convolutions and the fully connected one): 6n+2."""
    return sum(
        isinstance(module, nn.Conv2d | nn.Linear) and "shortcut" not in name
        for name, module in network.named_modules()
    )


def last_stage_layers(network: ResNet) -> list[str]:
    """The modules that give the feature maps of the last 2n layers: the normalised output of each
    block's first convolution, and the block's own output."""
    return [name for j in range(network.config.n) for name in (f"layer3.{j}.bn1", f"layer3.{j}")]


def count_parameters(network: nn.Module) -> int:
    """Numbers that training changes; running statistics are not among them."""
    return sum(parameter.numel() for parameter in network.parameters())


def config_from_state_dict(state_dict: Mapping[str, Tensor], size_px: int = 224) -> ResNetConfig:
    """Read n, r, widths and the shortcut kind from the shapes of a checkpoint.

    Raises SubmissionError, naming the tensor, for a checkpoint of another architecture.
    """

    def shape(key: str) -> torch.Size:
        if key not in state_dict:
            raise SubmissionError(
                f"the checkpoint has no tensor {key}, so it is not a 6n+2 ResNet of this project "
                f"(it holds {len(state_dict)} tensors, first: {next(iter(state_dict), 'none')})"
            )
        return state_dict[key].shape

    blocks: dict[int, set[int]] = {}
    for key in state_dict:
        if found := re.match(r"layer(\d+)\.(\d+)\.conv1\.weight$", key):
            blocks.setdefault(int(found[1]), set()).add(int(found[2]))
    depths = {len(indices) for indices in blocks.values()}
    if set(blocks) != {1, 2, 3} or len(depths) != 1:
        found_text = {f"layer{k}": len(v) for k, v in sorted(blocks.items())} or "no blocks"
        raise SubmissionError(
            f"a 6n+2 ResNet has three stages of n blocks each; the checkpoint has {found_text}"
        )
    projected = "layer2.0.shortcut.0.weight" in state_dict
    widths = tuple(shape(f"layer{stage}.0.conv1.weight")[0] for stage in (1, 2, 3))
    return ResNetConfig(
        n=depths.pop(),
        num_classes=shape("fc.weight")[0],
        widths=(widths[0], widths[1], widths[2]),
        in_channels=shape("conv1.weight")[1],
        size_px=size_px,
        shortcut="projection" if projected else "zero-padding",
    )
