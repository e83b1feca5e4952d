"""Batch, instance, batch-instance, layer and group normalisation, from scratch.

All five scale and shift each *plane*, one image's map of one channel, by numbers that depend on the
planes' means m and variances v alone. They differ only in which planes share their numbers, which
here is an average over (N, C) numbers:

    batch       over N (Ioffe & Szegedy 2015, algorithm 1)
    instance    over nothing (Ulyanov, Vedaldi & Lempitsky 2017, equation 3)
    layer       over C (Ba, Kiros & Hinton 2016, equation 4)
    group       over the channels of a group (Wu & He 2018, equation 7)

With M = avg m and V = avg(v + (m − M)²), which squares nothing before it is centred,

    y = w · x̂ + b,    x̂ = r · (x − M),    r = 1/√(V + ε)

and, for L pixels a plane and gradients g of y summed over planes, S₀ = Σ g and S₁ = Σ g · x̂,

    ∂x = r · (w · g − avg(w · S₀)/L − x̂ · avg(w · S₁)/L),    ∂w = Σ S₁,    ∂b = Σ S₀.

Batch-instance normalisation (Nam & Kim 2018, equation 3) is the sum of two such terms.

Speed comes from few passes over the maps, and from passing in blocks: what a block needs for a
moment is kept in the cache, in the place of a result that is still to come, so that only results
take new memory.

Layers take (N, C, H, W) of any floating type and give the same shape, type and memory layout; half
precision is normalised in float32. First derivatives exist, which is what training and Grad-CAM
need. Where PyTorch has the layer, arguments, parameters, buffers and their names are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

BLOCK_BYTES = 2 * 1024 * 1024
"""Small enough to stay in a core's share of the cache, large enough that calls cost little."""

Average = Callable[[Tensor], Tensor]
"""Numbers of planes (N, C) → their averages, (N, C) or, where images share them, (1, C)."""

_PLANE = (2, 3)
_HALF = (torch.float16, torch.bfloat16)


def over_batch(numbers: Tensor) -> Tensor:
    """(N, C) → (1, C)."""
    return numbers.mean(0, keepdim=True)


def over_nothing(numbers: Tensor) -> Tensor:
    """(N, C) → (N, C)."""
    return numbers


def over_groups(groups: int) -> Average:
    """(N, C) → (N, C), the channels of each of `groups` groups having the same number."""

    def average(numbers: Tensor) -> Tensor:
        grouped = numbers.unflatten(1, (groups, -1))
        return grouped.mean(2, keepdim=True).expand_as(grouped).flatten(1)

    return average


# --------------------------------------------------------------------------- blocks of planes


def _layout(maps: Tensor) -> torch.memory_format:
    """Channels-last only where it differs from the ordinary layout."""
    if not maps.is_contiguous() and maps.is_contiguous(memory_format=torch.channels_last):
        return torch.channels_last
    return torch.contiguous_format


def _as_blocks(maps: Tensor) -> tuple[Tensor, ...]:
    """`maps` cut along its first dimension, after planes that follow each other in memory have
    been given one of their own each: (N, C, H, W) or (N·C, 1, H, W)."""
    if maps.is_contiguous():
        maps = maps.view(-1, 1, *maps.shape[2:])
    return maps.split(_block_length(maps))


def _block_length(maps: Tensor) -> int:
    """How many entries of the first dimension make a block."""
    if maps.device.type != "cpu":
        return maps.shape[0]  # one kernel at a time, each on all of it
    entry_bytes = maps[0].numel() * maps.element_size()
    return max(BLOCK_BYTES * torch.get_num_threads() // max(entry_bytes, 1), 1)


def _numbers_for(blocks: Sequence[Tensor], numbers: Tensor, planes: tuple[int, int]) -> Any:
    """`numbers` (N or 1, C), cut as `blocks` are, each (·, ·, 1, 1)."""
    spread = numbers.expand(planes).reshape(-1, blocks[0].shape[1], 1, 1)
    return spread.split(blocks[0].shape[0])


def _moments(maps: Tensor, room: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each plane, (N, C); `room`, like `maps`, is written over."""
    means, variances = [], []
    blocks = _as_blocks(maps)
    scratch = _as_blocks(room)[0]
    for block in blocks:
        mean = block.mean(_PLANE, keepdim=True)
        squares = torch.sub(block, mean, out=scratch[: len(block)]).square_()
        means.append(mean)
        variances.append(squares.mean(_PLANE))
    planes = maps.shape[:2]
    return torch.cat(means).view(planes), torch.cat(variances).view(planes)


def _scale_and_shift(maps: Tensor, scale: Tensor, shift: Tensor, out: Tensor) -> None:
    """out = scale · maps + shift, both (N or 1, C)."""
    blocks, planes = _as_blocks(maps), (maps.shape[0], maps.shape[1])
    cut = (_numbers_for(blocks, numbers, planes) for numbers in (scale, shift))
    for source, target, factor, offset in zip(blocks, _as_blocks(out), *cut, strict=True):
        torch.mul(source, factor, out=target).add_(offset)


class _Normalise(torch.autograd.Function):
    """(maps, b, ε, averages, weights …) → (y, m, v) with y = Σ over terms k of wₖ · x̂ₖ, plus b.

    Each of `averages` makes an x̂ with its weight (C,). m and v, (N, C), are for running statistics.
    """

    @staticmethod
    def forward(
        ctx: FunctionCtx,
        maps: Tensor,
        bias: Tensor,
        eps: float,
        averages: Sequence[Average],
        *weights: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        maps = maps.contiguous(memory_format=_layout(maps))
        out = torch.empty_like(maps)
        means, variances = _moments(maps, out)
        terms: list[Tensor] = []
        scale, shift = torch.zeros_like(bias), bias
        for average, weight in zip(averages, weights, strict=True):
            mean = average(means)
            rate = torch.rsqrt(average(variances + (means - mean).square()) + eps)
            scale = scale + rate * weight
            shift = shift - mean * rate * weight
            terms += [mean, rate]
        ctx.save_for_backward(maps, means, scale, *weights, *terms)
        ctx.averages = averages
        ctx.mark_non_differentiable(means, variances)
        _scale_and_shift(maps, scale, shift, out)
        return out, means, variances

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor, *_unused: Tensor) -> tuple[Any, ...]:
        maps, means, scale, *rest = ctx.saved_tensors
        count = len(ctx.averages)
        weights, terms = rest[:count], rest[count:]
        gradient = gradient.contiguous(memory_format=_layout(maps))
        d_maps = torch.empty_like(maps)
        sums, products = _gradient_sums(maps, means, gradient, d_maps)
        pixels = maps.shape[2] * maps.shape[3]
        slope, constant = torch.zeros_like(means), torch.zeros_like(means)
        d_weights = []
        for index, (average, weight) in enumerate(zip(ctx.averages, weights, strict=True)):
            mean, rate = terms[2 * index : 2 * index + 2]
            normalised = rate * (products + (means - mean) * sums)  # S₁
            d_weights.append(normalised.sum(0))
            steepness = rate.square() * average(weight * normalised) / pixels
            slope = slope - steepness
            constant = constant + steepness * mean - rate * average(weight * sums) / pixels
        if ctx.needs_input_grad[0]:
            _combine(gradient, scale, maps, slope, constant, d_maps)
        return d_maps if ctx.needs_input_grad[0] else None, sums.sum(0), None, None, *d_weights


def _gradient_sums(
    maps: Tensor, means: Tensor, gradient: Tensor, room: Tensor
) -> tuple[Tensor, Tensor]:
    """Σ g and Σ g · (x − m) of each plane, (N, C); `room`, like `maps`, is written over."""
    sums, products = [], []
    blocks, planes = _as_blocks(maps), (maps.shape[0], maps.shape[1])
    cut = _numbers_for(blocks, means, planes)
    scratch = _as_blocks(room)[0]
    for block, part, mean in zip(blocks, _as_blocks(gradient), cut, strict=True):
        sums.append(part.sum(_PLANE))
        centred = torch.sub(block, mean, out=scratch[: len(block)])
        products.append(centred.mul_(part).sum(_PLANE))
    return torch.cat(sums).view(planes), torch.cat(products).view(planes)


def _combine(
    gradient: Tensor, scale: Tensor, maps: Tensor, slope: Tensor, constant: Tensor, out: Tensor
) -> None:
    """out = scale · gradient + slope · maps + constant."""
    blocks, planes = _as_blocks(maps), (maps.shape[0], maps.shape[1])
    cut = (_numbers_for(blocks, numbers, planes) for numbers in (scale, slope, constant))
    for block, part, target, *numbers in zip(
        blocks, _as_blocks(gradient), _as_blocks(out), *cut, strict=True
    ):
        torch.mul(part, numbers[0], out=target)
        target.addcmul_(block, numbers[1]).add_(numbers[2])


class _NormaliseElements(torch.autograd.Function):
    """(maps, w, b, ε) → w · x̂ + b with statistics over (C, H, W), and w and b of that shape.

    With u = w · g, averages being over an image's C·L elements and sums over images,

        ∂x = r · (u − avg u − x̂ · avg(u · x̂)),    ∂w = Σ g · x̂,    ∂b = Σ g.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, maps: Tensor, weight: Tensor, bias: Tensor, eps: float) -> Tensor:
        layout = _layout(maps)
        maps = maps.contiguous(memory_format=layout)
        weight, bias = (t.unsqueeze(0).contiguous(memory_format=layout) for t in (weight, bias))
        normalised = torch.empty_like(maps)
        means, variances = _moments(maps, normalised)
        average = over_groups(1)
        mean = average(means)
        rate = torch.rsqrt(average(variances + (means - mean).square()) + eps)
        _scale_and_shift(maps, rate, -mean * rate, normalised)
        ctx.save_for_backward(normalised, rate[:, :1, None, None], weight)
        return torch.addcmul(bias, normalised, weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, gradient: Tensor) -> tuple[Tensor | None, ...]:
        normalised, rate, weight = ctx.saved_tensors
        gradient = gradient.contiguous(memory_format=_layout(normalised))
        d_maps = torch.empty_like(normalised)
        d_weight, d_bias = torch.zeros_like(weight), torch.zeros_like(weight)
        image, length = (1, 2, 3), _block_length(normalised)
        blocks = (t.split(length) for t in (gradient, normalised, rate, d_maps))
        for g, x, r, out in zip(*blocks, strict=True):
            d_bias += g.sum(0, keepdim=True)
            d_weight += (g * x).sum(0, keepdim=True)
            torch.mul(g, weight, out=out)
            slope = (out * x).mean(image, keepdim=True)
            out.sub_(out.mean(image, keepdim=True)).addcmul_(x, slope, value=-1).mul_(r)
        return d_maps, d_weight.squeeze(0), d_bias.squeeze(0), None


def _normalise(
    maps: Tensor, bias: Tensor, eps: float, terms: Sequence[tuple[Average, Tensor]]
) -> tuple[Tensor, Tensor, Tensor]:
    """`_Normalise` on any floating type: statistics of half precision in float32."""
    exact = maps.float() if maps.dtype in _HALF else maps
    averages = tuple(average for average, _ in terms)
    y, means, variances = _Normalise.apply(
        exact, bias, eps, averages, *(weight for _, weight in terms)
    )
    return y.to(maps.dtype), means, variances


# --------------------------------------------------------------------------- layers


def _require_maps(maps: Tensor, channels: int) -> None:
    if maps.dim() != 4 or maps.shape[1] != channels:
        raise ValueError(f"expected maps (N, {channels}, H, W), got {tuple(maps.shape)}")


class _Affine(nn.Module):
    """A weight and a bias of `shape`, or neither of them."""

    weight: Tensor | None
    bias: Tensor | None

    def __init__(self, shape: Sequence[int], eps: float, affine: bool) -> None:
        super().__init__()
        self.eps = eps
        self.affine = affine
        self.register_parameter("weight", nn.Parameter(torch.ones(*shape)) if affine else None)
        self.register_parameter("bias", nn.Parameter(torch.zeros(*shape)) if affine else None)

    def _scale_and_shift_for(self, maps: Tensor, channels: int) -> tuple[Tensor, Tensor]:
        """The weight and bias per channel; ones and zeros of the right type without them."""
        if self.weight is not None and self.bias is not None:
            return self.weight, self.bias
        kind = torch.float32 if maps.dtype in _HALF else maps.dtype
        ones = torch.ones(channels, dtype=kind, device=maps.device)
        return ones, torch.zeros_like(ones)


class _Running(_Affine):
    """Statistics that follow those of the batches seen in training mode, and in evaluation mode
    stand in for those of the first term.

    Raises ValueError for anything but (N, C, H, W), and in training for a mean of one value.
    """

    running_mean: Tensor | None
    running_var: Tensor | None
    num_batches_tracked: Tensor | None

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = True,
    ) -> None:
        super().__init__((num_features,), eps, affine)
        self.num_features = num_features
        self.momentum = momentum
        self.track_running_stats = track_running_stats
        tracked = track_running_stats
        self.register_buffer("running_mean", torch.zeros(num_features) if tracked else None)
        self.register_buffer("running_var", torch.ones(num_features) if tracked else None)
        self.register_buffer(
            "num_batches_tracked", torch.tensor(0, dtype=torch.long) if tracked else None
        )

    def _terms(self, weight: Tensor) -> list[tuple[Average, Tensor]]:
        """What the layer is a sum of."""
        raise NotImplementedError

    def _follow(self, means: Tensor, variances: Tensor, maps: Tensor) -> None:
        """Count a batch, and follow its statistics, which its planes' (N, C) come to.

        The momentum None means the plain average of all batches so far.
        """
        if self.num_batches_tracked is None:
            return
        self.num_batches_tracked += 1
        momentum = self.momentum
        share = 1.0 / float(self.num_batches_tracked) if momentum is None else momentum
        mean = means.mean(0)
        variance = (variances + (means - mean).square()).mean(0)
        self._move(mean, variance, maps.numel() // maps.shape[1], share)

    @torch.no_grad()
    def _move(self, mean: Tensor, variance: Tensor, count: int, share: float) -> None:
        """By `share` towards `mean` and the biased `variance` (C,) over `count` numbers each; what
        is kept is the unbiased variance."""
        if self.running_mean is None or self.running_var is None:
            return
        unbiased = variance * (count / (count - 1))
        self.running_mean.lerp_(mean.to(self.running_mean.dtype), share)
        self.running_var.lerp_(unbiased.to(self.running_var.dtype), share)

    def forward(self, maps: Tensor) -> Tensor:
        """maps: (N, C, H, W) → (N, C, H, W)."""
        _require_maps(maps, self.num_features)
        weight, bias = self._scale_and_shift_for(maps, self.num_features)
        terms = self._terms(weight)
        if self.training:
            _require_several(maps, terms)
        elif self.running_mean is not None and self.running_var is not None:
            scale = terms[0][1] * torch.rsqrt(self.running_var + self.eps)
            shift = bias - self.running_mean * scale
            if len(terms) == 1:
                return _apply_per_channel(maps, scale, shift)
            y, _, _ = _normalise(maps, shift, self.eps, terms[1:])
            return _apply_per_channel(maps, scale, torch.zeros_like(shift)).add_(y)
        y, means, variances = _normalise(maps, bias, self.eps, terms)
        if self.training:
            self._follow(means, variances, maps)
        return y

    def extra_repr(self) -> str:
        return (
            f"{self.num_features}, eps={self.eps}, momentum={self.momentum}, "
            f"affine={self.affine}, track_running_stats={self.track_running_stats}"
        )


def _apply_per_channel(maps: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
    """scale · maps + shift with both (C,): evaluation mode."""
    exact = maps.float() if maps.dtype in _HALF else maps
    scaled = exact * scale[:, None, None]
    return scaled.add_(shift[:, None, None]).to(maps.dtype)


def _require_several(maps: Tensor, terms: Sequence[tuple[Average, Tensor]]) -> None:
    across_images = all(average is over_batch for average, _ in terms)
    images, _, height, width = maps.shape
    if (images if across_images else 1) * height * width < 2:
        raise ValueError(
            "training mode needs more than one value for each mean, got maps of shape "
            f"{tuple(maps.shape)}"
        )


class BatchNorm(_Running):
    """Batch normalisation, as `torch.nn.BatchNorm2d` (Ioffe & Szegedy 2015, algorithms 1 and 2)."""

    def _terms(self, weight: Tensor) -> list[tuple[Average, Tensor]]:
        return [(over_batch, weight)]


class InstanceNorm(_Running):
    """Instance normalisation, as `torch.nn.InstanceNorm2d` with `affine` on (Ulyanov et al. 2017).

    With `track_running_stats` evaluation mode takes the mean of the instances' statistics, which
    training has followed; without it there is no difference between the modes.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float | None = 0.1,
        affine: bool = True,
        track_running_stats: bool = False,
    ) -> None:
        super().__init__(num_features, eps, momentum, affine, track_running_stats)

    def _terms(self, weight: Tensor) -> list[tuple[Average, Tensor]]:
        return [(over_nothing, weight)]

    def _follow(self, means: Tensor, variances: Tensor, maps: Tensor) -> None:
        if self.momentum is not None:  # PyTorch's counts no batches, either
            pixels = maps.shape[2] * maps.shape[3]
            self._move(means.mean(0), variances.mean(0), pixels, self.momentum)


class BatchInstanceNorm(_Running):
    """w · (ρ · x̂ of the batch + (1 − ρ) · x̂ of the instance) + b, with a gate ρ in [0, 1] for each
    channel that training learns (Nam & Kim 2018, equations 3 and 4).

    The gate starts at 1, plain batch normalisation, and is put back into [0, 1] after each step of
    the optimiser: whenever it is used or saved.
    """

    gate: Tensor

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float | None = 0.1) -> None:
        super().__init__(num_features, eps, momentum)
        self.gate = nn.Parameter(torch.ones(num_features))
        self.register_state_dict_pre_hook(lambda module, *_rest: module._clip_gate())

    def _clip_gate(self) -> None:
        # equation 4; behind autograd's back, since the optimiser's step was, too
        self.gate.data.clamp_(0.0, 1.0)

    def _terms(self, weight: Tensor) -> list[tuple[Average, Tensor]]:
        self._clip_gate()
        return [(over_batch, weight * self.gate), (over_nothing, weight * (1 - self.gate))]


class GroupNorm(_Affine):
    """Group normalisation, as `torch.nn.GroupNorm` (Wu & He 2018, equation 7).

    Raises ValueError when the channels do not divide into the groups.
    """

    def __init__(
        self, num_groups: int, num_channels: int, eps: float = 1e-5, affine: bool = True
    ) -> None:
        if num_groups < 1 or num_channels % num_groups:
            raise ValueError(f"{num_channels} channels do not divide into {num_groups} groups")
        super().__init__((num_channels,), eps, affine)
        self.num_groups = num_groups
        self.num_channels = num_channels
        self._average = over_groups(num_groups)

    def forward(self, maps: Tensor) -> Tensor:
        """maps: (N, C, H, W) → (N, C, H, W)."""
        _require_maps(maps, self.num_channels)
        weight, bias = self._scale_and_shift_for(maps, self.num_channels)
        return _normalise(maps, bias, self.eps, [(self._average, weight)])[0]

    def extra_repr(self) -> str:
        return f"{self.num_groups}, {self.num_channels}, eps={self.eps}, affine={self.affine}"


class LayerNorm(_Affine):
    """Layer normalisation over the channels and pixels of each image (Ba, Kiros & Hinton 2016).

    `normalized_shape` C: a weight and bias for each channel, which fits images of every size and is
    what Wu & He compare with (section 3.1). (C, H, W): one for each element, as in
    `torch.nn.LayerNorm((C, H, W))`.
    """

    def __init__(
        self, normalized_shape: int | Sequence[int], eps: float = 1e-5, affine: bool = True
    ) -> None:
        shape = (normalized_shape,) if isinstance(normalized_shape, int) else normalized_shape
        if len(shape) not in (1, 3):
            raise ValueError(f"expected C or (C, H, W), got {tuple(shape)}")
        super().__init__(shape, eps, affine)
        self.normalized_shape = tuple(shape)
        self._average = over_groups(1)

    def forward(self, maps: Tensor) -> Tensor:
        """maps: (N, C, H, W) → (N, C, H, W)."""
        channels = self.normalized_shape[0]
        _require_maps(maps, channels)
        whole = len(self.normalized_shape) == 3
        if whole and tuple(maps.shape[1:]) != self.normalized_shape:
            raise ValueError(f"expected (N, {self.normalized_shape}), got {tuple(maps.shape)}")
        if whole and self.weight is not None and self.bias is not None:
            exact = maps.float() if maps.dtype in _HALF else maps
            return _NormaliseElements.apply(exact, self.weight, self.bias, self.eps).to(maps.dtype)
        weight, bias = self._scale_and_shift_for(maps, channels)
        return _normalise(maps, bias, self.eps, [(self._average, weight)])[0]

    def extra_repr(self) -> str:
        return f"{self.normalized_shape}, eps={self.eps}, affine={self.affine}"
