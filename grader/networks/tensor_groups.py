"""Sort a checkpoint's tensors into convolutions, linear layers and normalisations by their shapes.

Names are used for what they say about grouping (`layer1.0.bn1.weight` and `layer1.0.bn1.bias`
belong together) and, where they say it, about roles (`running_mean`, `gamma`); a checkpoint whose
names say nothing is read by the order of its tensors.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

Shape = tuple[int, ...]

# Roles of a normalisation's vectors, in the order in which `state_dict` gives them.
_ROLE_NAMES = (
    ("mean", re.compile(r"mean|avg", re.IGNORECASE)),
    ("var", re.compile(r"var|std", re.IGNORECASE)),
    ("gate", re.compile(r"rho|gate|lambda|mix", re.IGNORECASE)),
    ("weight", re.compile(r"weight|gamma|scale", re.IGNORECASE)),
    ("bias", re.compile(r"bias|beta|shift|offset", re.IGNORECASE)),
)
_ROLE_ORDERS = {
    2: ("weight", "bias"),
    3: ("weight", "bias", "gate"),
    4: ("weight", "bias", "mean", "var"),
    5: ("weight", "bias", "gate", "mean", "var"),
}
_LARGEST_NORM = max(_ROLE_ORDERS)
_COUNTER = re.compile(r"num_batches_tracked|counter|steps?$|epoch", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ReadNorm:
    """A normalisation: the names of its tensors by role. `spatial`: scale per pixel, (C, H, W)."""

    module: str
    position: int
    channels: int
    weight: str | None = None
    bias: str | None = None
    mean: str | None = None
    var: str | None = None
    gate: str | None = None
    spatial: Shape | None = None
    counter: str | None = None

    @property
    def kind(self) -> str:
        """What the tensors alone say; "unknown" where only a scale and a shift are stored.

        Instance, layer and group normalisation all look like that, and so does a batch
        normalisation without running statistics.
        """
        if self.gate is not None:
            return "batch-instance"
        if self.mean is not None and self.var is not None:
            return "batch"
        return "layer" if self.spatial is not None else "unknown"

    @property
    def learned(self) -> tuple[str, ...]:
        """What training changes by gradients: no running statistics."""
        every = (self.weight, self.bias, self.gate)
        return tuple(name for name in every if name is not None)

    @property
    def names(self) -> tuple[str, ...]:
        every = (self.weight, self.bias, self.gate, self.mean, self.var, self.counter)
        return tuple(name for name in every if name is not None)


@dataclass(frozen=True, slots=True)
class ReadConv:
    """A convolution (or a linear layer: `kernel_px` 0) and the normalisation that follows it."""

    module: str
    position: int
    weight: str
    bias: str | None
    out_channels: int
    in_channels: int
    kernel_px: int
    norm: ReadNorm | None = None

    @property
    def learned(self) -> tuple[str, ...]:
        """What training changes by gradients, its normalisation's included."""
        own = (self.weight,) if self.bias is None else (self.weight, self.bias)
        return own + (self.norm.learned if self.norm is not None else ())

    @property
    def names(self) -> tuple[str, ...]:
        own = (self.weight,) if self.bias is None else (self.weight, self.bias)
        return own + (self.norm.names if self.norm is not None else ())


@dataclass
class TensorGroups:
    """`convs` and `linears` in the order given; `norms` that lie in modules of their own."""

    convs: list[ReadConv] = field(default_factory=list)
    linears: list[ReadConv] = field(default_factory=list)
    norms: list[ReadNorm] = field(default_factory=list)
    others: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Tensor:
    name: str
    shape: Shape
    position: int
    is_matrix: bool = False

    @property
    def leaf(self) -> str:
        return self.name.rpartition(".")[2]

    @property
    def channels(self) -> int | None:
        return None if self.is_matrix else vector_length(self.shape)

    @property
    def is_weight(self) -> bool:
        return len(self.shape) in {2, 4} and self.channels is None


def vector_length(shape: Shape) -> int | None:
    """C of what is a vector: (C,), (1, C), (1, C, 1, 1) or (C, 1, 1); None for anything else."""
    if len(shape) == 1:
        return shape[0]
    if len(shape) == 2 and shape[0] == 1:
        return shape[1]
    if len(shape) == 4 and shape[0] == shape[2] == shape[3] == 1:
        return shape[1]
    if len(shape) == 3 and shape[1] == shape[2] == 1:
        return shape[0]
    return None


def module_of(name: str) -> str:
    """`layer1.0.bn1` of `layer1.0.bn1.weight`; "" for a name without a dot."""
    return name.rpartition(".")[0]


def group_tensors(shapes: Mapping[str, Shape]) -> TensorGroups:
    """Sort all tensors of `shapes` (name → shape, in the order of the checkpoint)."""
    groups = TensorGroups()
    modules: dict[str, list[_Tensor]] = {}
    beside: defaultdict[str, set[Shape]] = defaultdict(set)
    for name, shape in shapes.items():
        beside[module_of(name)].add(tuple(shape))
    for position, (name, shape) in enumerate(shapes.items()):
        module = module_of(name)
        # A row with a bias of one number beside it is a layer of one output.
        is_matrix = len(shape) == 2 and (1,) in beside[module]
        modules.setdefault(module, []).append(_Tensor(name, tuple(shape), position, is_matrix))
    for module, tensors in modules.items():
        if sum(tensor.is_weight for tensor in tensors) == 1:
            # Where keys were sorted or shuffled, a bias may stand before its weight.
            tensors.sort(key=lambda tensor: not tensor.is_weight)
        for run in _runs(tensors):
            _sort_run(run, module, groups)
    for members in (groups.convs, groups.linears, groups.norms):
        members.sort(key=lambda member: member.position)
    return groups


def _runs(tensors: Sequence[_Tensor]) -> Iterator[list[_Tensor]]:
    """Split a module's tensors before each weight, and where vectors change their length."""
    run: list[_Tensor] = []
    length: int | None = None
    for tensor in tensors:
        if not tensor.shape or _COUNTER.search(tensor.leaf):
            run.append(tensor)
            continue
        here = tensor.shape[0] if tensor.channels is None else tensor.channels
        if run and (tensor.is_weight or (length is not None and here != length)):
            yield run
            run = []
        run.append(tensor)
        length = here
    if run:
        yield run


def _sort_run(run: Sequence[_Tensor], module: str, groups: TensorGroups) -> None:
    """One weight with its bias and normalisation, or the vectors of one or more normalisations."""
    counters = [t for t in run if not t.shape or _COUNTER.search(t.leaf)]
    vectors = [t for t in run if t not in counters and not t.is_weight]
    if not run[0].is_weight:
        _add_norms(groups, vectors, counters, module)
        return
    bias: _Tensor | None = None
    # An odd vector is the convolution's own bias: normalisations come with two or four, unless
    # their names say that the third is a gate.
    if len(vectors) == 1 or (len(vectors) % 2 == 1 and len(_named_roles(vectors)) < len(vectors)):
        bias = vectors.pop(0)
    norm = None if len(vectors) > _LARGEST_NORM else _norm(vectors, module)
    _add_weight(groups, run[0], bias, norm, module)
    if norm is None:
        # More than one normalisation follows: a block that wrote its convolutions down first.
        _add_norms(groups, vectors, counters, module)


def _add_norms(
    groups: TensorGroups, vectors: Sequence[_Tensor], counters: Sequence[_Tensor], module: str
) -> None:
    size = 4 if len(vectors) > _LARGEST_NORM and len(vectors) % 4 == 0 else len(vectors)
    if not vectors:
        groups.others += [t.name for t in counters]
    for start in range(0, len(vectors), max(size, 1)):
        part = vectors[start : start + size]
        norm = _norm(part, module, counters[0].name if counters else None)
        if norm is None:
            groups.others += [t.name for t in part]
        else:
            groups.norms.append(norm)


def _add_weight(
    groups: TensorGroups,
    weight: _Tensor,
    bias: _Tensor | None,
    norm: ReadNorm | None,
    module: str,
) -> None:
    out_channels, in_channels, *kernel = weight.shape
    if len(kernel) == 2 and kernel[0] != kernel[1]:
        groups.others.append(weight.name)
        return
    layer = ReadConv(
        module=module,
        position=weight.position,
        weight=weight.name,
        bias=None if bias is None else bias.name,
        out_channels=out_channels,
        in_channels=in_channels,
        kernel_px=kernel[0] if kernel else 0,
        norm=norm,
    )
    (groups.convs if kernel else groups.linears).append(layer)


def _norm(vectors: Sequence[_Tensor], module: str, counter: str | None = None) -> ReadNorm | None:
    """The normalisation that `vectors` make up, or None when they make up none."""
    roles = _roles(vectors)
    if roles is None:
        return None
    spatial = next((t.shape for t in vectors if len(t.shape) == 3 and t.channels is None), None)
    first = vectors[0]
    channels = first.channels if first.channels is not None else first.shape[0]
    return ReadNorm(
        module=module,
        position=first.position,
        channels=channels,
        spatial=spatial,
        counter=counter,
        **roles,
    )


def _roles(vectors: Sequence[_Tensor]) -> dict[str, str] | None:
    named = _named_roles(vectors)
    if len(named) == len(vectors) and ({"weight", "bias"} <= set(named) or "mean" in named):
        return named if ("mean" in named) == ("var" in named) else None
    order = _ROLE_ORDERS.get(len(vectors))
    if order is None:
        return None
    return dict(zip(order, (tensor.name for tensor in vectors), strict=True))


def _named_roles(vectors: Sequence[_Tensor]) -> dict[str, str]:
    """Role → tensor name, as far as the last parts of the names tell."""
    named: dict[str, str] = {}
    for tensor in vectors:
        for role, pattern in _ROLE_NAMES:
            if pattern.search(tensor.leaf):
                named.setdefault(role, tensor.name)
                break
    return named
