"""The exact answers of normalisation layers, in float64 numpy, forward and backward.

Sources: batch: Ioffe and Szegedy (ICML 2015), algorithms 1 and 2; instance: Ulyanov et al. (2016),
equation 7; batch-instance: Nam and Kim (NeurIPS 2018), equation 3; layer: Ba et al. (2016),
equation 3 over (C, H, W); group: Wu and He (ECCV 2018), equations 1 to 4.

All arrays are (N, C, H, W) float64; parameters are (C,).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

MOMENTUM = 0.1


@dataclass(frozen=True, slots=True)
class Convention:
    """What the papers leave open, or what students get wrong; the first ones listed are right.

    `divisor`: of the variance that normalises, "n" or "n-1"; `eps_in`: under the root or beside it;
    `over`: for layer normalisation "image" (C, H, W) or "channels" (C at each position);
    `running`: the variance that the running one follows; `evaluates_by`: "running" statistics or
    those of the "batch"; `momentum`: weight of the new statistics; `has_affine`: whether scale and
    shift are applied; `clips`: whether the gate is kept in [0, 1].
    """

    eps: float = 1e-5
    divisor: str = "n"
    eps_in: str = "root"
    over: str = "image"
    groups: int = 0
    running: str = "n-1"
    evaluates_by: str = "running"
    momentum: float = MOMENTUM
    has_affine: bool = True
    starts_at: float = 1.0  # of the gate

    def describe(self) -> str:
        """What differs from PyTorch's own layers, in words; "" where nothing does."""
        usual = Convention(groups=self.groups, starts_at=self.starts_at)
        said = {
            "eps": f"ε = {self.eps:g}",
            "divisor": "the variance is divided by n − 1 (torch.var's default), not by n",
            "eps_in": "ε is added to the standard deviation, not under the root",
            "over": "each position is normalised over its channels",
            "running": "the running variance follows the biased variance",
            "evaluates_by": "evaluation mode uses the statistics of the images at hand",
            "momentum": f"running statistics move by {self.momentum:g} of the new ones",
            "has_affine": "scale and shift are not applied",
        }
        return "; ".join(
            text for name, text in said.items() if getattr(self, name) != getattr(usual, name)
        )


@dataclass(frozen=True, slots=True)
class Subject:
    """A kind of normalisation: `kind` as in `ResNetShape.norm`; what a student may do otherwise."""

    kind: str
    has_running: bool = False
    right: tuple[Mapping[str, object], ...] = ()
    wrong: tuple[Mapping[str, object], ...] = ()

    def conventions(self, base: Convention, channels: int) -> list[Convention]:
        """Every right one, the most usual first."""
        listed = [base]
        if self.kind == "group":
            divisors = [g for g in range(1, channels + 1) if channels % g == 0]
            listed += [replace(base, groups=g) for g in divisors if g != base.groups]
        for changes in self.right:
            listed += [replace(known, **changes) for known in list(listed)]  # type: ignore[arg-type]
        return list(dict.fromkeys(listed))

    def mistakes(self, firm: Convention) -> list[Convention]:
        """`firm` with what students get wrong, one thing or two."""
        single = [{**changes} for changes in self.wrong]
        double = [{**one, **other} for one, other in combinations(self.wrong, 2)]
        return [replace(firm, **changes) for changes in single + double]  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class Call:
    """What a check asks: `steps` in training mode first, then one call on `maps`."""

    maps: Array
    training: bool
    steps: Sequence[Array]
    affine: Mapping[str, Array] = field(default_factory=dict)
    upstream: Array | None = None  # of the loss, for gradients


_EPS = tuple({"eps": eps} for eps in (1e-8, 1e-6, 1e-4, 1e-3, 0.0))
_WRONG = (
    {"divisor": "n-1"},
    {"eps_in": "beside"},
    {"has_affine": False},
)
_RUNNING_RIGHT = ({"running": "n"},)
_RUNNING_WRONG = (
    {"evaluates_by": "batch"},
    {"momentum": 0.9},
    {"momentum": 0.01},
)
BATCH = Subject("batch", True, (*_EPS, *_RUNNING_RIGHT), (*_WRONG, *_RUNNING_WRONG))
INSTANCE = Subject("instance", False, _EPS, _WRONG)
BATCH_INSTANCE = Subject(
    "batch-instance", True, (*_EPS, *_RUNNING_RIGHT), (*_WRONG, *_RUNNING_WRONG)
)
LAYER = Subject("layer", False, (*_EPS, {"over": "channels"}), _WRONG)
GROUP = Subject("group", False, _EPS, _WRONG)


def exact(subject: Subject, convention: Convention, call: Call) -> dict[str, Array]:
    """ "output" and, where the call has `upstream`, "grad.input", "grad.weight", "grad.bias" and,
    for batch-instance normalisation, "grad.gate"."""
    channels = call.maps.shape[1]
    weight = call.affine.get("weight", np.ones(channels))[None, :, None, None]
    bias = call.affine.get("bias", np.zeros(channels))[None, :, None, None]
    if not convention.has_affine:
        weight, bias = np.ones_like(weight), np.zeros_like(bias)
    gate = call.affine.get("gate", np.full(channels, convention.starts_at))
    gate = np.clip(gate, 0.0, 1.0)[None, :, None, None]
    parts = _parts(subject, convention, call)
    mixed = sum((share * part.normal for share, part in _shares(parts, gate)), np.zeros(1))
    results: dict[str, Array] = {"output": mixed * weight + bias}
    if call.upstream is None:
        return results
    upstream = call.upstream * weight
    results["grad.input"] = sum(
        (part.backward(upstream * share) for share, part in _shares(parts, gate)), np.zeros(1)
    )
    over = (0, 2, 3)
    results["grad.weight"] = (call.upstream * mixed).sum(axis=over)
    results["grad.bias"] = call.upstream.sum(axis=over)
    if len(parts) > 1:
        difference = parts[0].normal - parts[1].normal
        results["grad.gate"] = (upstream * difference).sum(axis=over)
    return results


# --------------------------------------------------------------------------- inside


@dataclass(frozen=True, slots=True)
class _Normal:
    """Maps without mean and with variance one; `is_own`: by their own statistics."""

    normal: Array
    inverse: Array
    axes: tuple[int, ...]
    shape: tuple[int, ...]
    is_own: bool
    divisor_is_n: bool

    def backward(self, upstream: Array) -> Array:
        """The gradient by the maps; upstream is the one by `normal`."""
        if not self.is_own:
            return upstream * self.inverse
        shaped = upstream.reshape(self.shape)
        normal = self.normal.reshape(self.shape)
        count = np.prod([self.shape[axis] for axis in self.axes])
        mean = shaped.mean(axis=self.axes, keepdims=True)
        along = (shaped * normal).sum(axis=self.axes, keepdims=True)
        along = along / (count if self.divisor_is_n else count - 1)
        gradient = (shaped - mean - normal * along) * self.inverse
        return np.asarray(gradient.reshape(upstream.shape))


def _shares(parts: Sequence[_Normal], gate: Array) -> list[tuple[Array, _Normal]]:
    if len(parts) == 1:
        return [(np.ones(1), parts[0])]
    return [(gate, parts[0]), (1.0 - gate, parts[1])]


def _parts(subject: Subject, convention: Convention, call: Call) -> list[_Normal]:
    count, channels, height, width = call.maps.shape
    if subject.kind in {"batch", "batch-instance"}:
        batch = _batch(convention, call)
        if subject.kind == "batch":
            return [batch]
        return [batch, _own(call.maps, (2, 3), call.maps.shape, convention)]
    if subject.kind == "instance":
        return [_own(call.maps, (2, 3), call.maps.shape, convention)]
    if subject.kind == "layer" and convention.over == "channels":
        return [_own(call.maps, (1,), call.maps.shape, convention)]
    groups = 1 if subject.kind == "layer" else convention.groups
    shape = (count, groups, channels // groups, height, width)
    return [_own(call.maps, (2, 3, 4), shape, convention)]


def _own(
    maps: Array, axes: tuple[int, ...], shape: tuple[int, ...], convention: Convention
) -> _Normal:
    shaped = maps.reshape(shape)
    mean = shaped.mean(axis=axes, keepdims=True)
    variance = shaped.var(axis=axes, keepdims=True, ddof=0 if convention.divisor == "n" else 1)
    inverse = _inverse(variance, convention)
    normal = ((shaped - mean) * inverse).reshape(maps.shape)
    return _Normal(normal, inverse, axes, shape, True, convention.divisor == "n")


def _batch(convention: Convention, call: Call) -> _Normal:
    over = (0, 2, 3)
    if call.training or convention.evaluates_by == "batch":
        return _own(call.maps, over, call.maps.shape, convention)
    mean = np.zeros((1, call.maps.shape[1], 1, 1))
    variance = np.ones_like(mean)
    for step in call.steps:
        new = step.var(axis=over, keepdims=True, ddof=1 if convention.running == "n-1" else 0)
        rate = convention.momentum
        mean = (1 - rate) * mean + rate * step.mean(axis=over, keepdims=True)
        variance = (1 - rate) * variance + rate * new
    inverse = _inverse(variance, convention)
    return _Normal((call.maps - mean) * inverse, inverse, over, call.maps.shape, False, True)


def _inverse(variance: Array, convention: Convention) -> Array:
    if convention.eps_in == "root":
        return np.asarray(1.0 / np.sqrt(variance + convention.eps))
    return np.asarray(1.0 / (np.sqrt(variance) + convention.eps))
