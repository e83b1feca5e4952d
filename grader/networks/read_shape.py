"""Read a 6n+2 residual network off the shapes of its tensors, whatever their names.

He et al., "Deep Residual Learning for Image Recognition" (CVPR 2016), section 4.2: a first
convolution, stages of n blocks of two convolutions whose filters grow from stage to stage, a mean
pool and a fully connected layer. Widths are distinct, so a convolution's channels alone tell its
stage and whether it enters the stage; only the order *within* a stage has to come from the order
of the tensors, or from the numbers in their names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from grader.findings import found, listed
from grader.model import Finding, ResNetShape
from grader.networks.tensor_groups import (
    ReadConv,
    ReadNorm,
    Shape,
    TensorGroups,
    group_tensors,
    module_of,
    vector_length,
)

_SHORTCUT_NAMES = re.compile(r"short|skip|down|proj|ident|resid|match|adjust", re.IGNORECASE)
_LOOK_ALIKE = ("instance", "layer", "group")
_NORM_CLASSES = (
    ("batch-instance", re.compile(r"batch_?instance|\bBIN\b", re.IGNORECASE)),
    ("instance", re.compile(r"instance_?norm", re.IGNORECASE)),
    ("group", re.compile(r"group_?norm", re.IGNORECASE)),
    ("layer", re.compile(r"layer_?norm", re.IGNORECASE)),
    ("batch", re.compile(r"batch_?norm", re.IGNORECASE)),
)


@dataclass(frozen=True, slots=True)
class ReadBlock:
    """Two convolutions and what goes around them; `shortcut` None: identity or zero-padding."""

    stage: int
    first: ReadConv
    second: ReadConv
    shortcut: ReadConv | None


@dataclass(frozen=True, slots=True)
class ReadNetwork:
    """A residual network with the student's tensor names in the grader's places.

    `norms`: every kind of normalisation that it may have.
    """

    shape: ResNetShape
    stem: ReadConv
    blocks: tuple[ReadBlock, ...]
    head: ReadConv
    norms: tuple[str, ...]

    @property
    def convs(self) -> tuple[ReadConv, ...]:
        """Every convolution, in the order in which an image meets them."""
        listed_convs = [self.stem]
        for block in self.blocks:
            listed_convs += [block.first, block.second]
            if block.shortcut is not None:
                listed_convs.append(block.shortcut)
        return tuple(listed_convs)


@dataclass(frozen=True, slots=True)
class ReadStage:
    """Main convolutions of one width; the first of `convs` enters the stage where `entered`.

    `certain`: False where that first one and its shortcut look alike.
    """

    width: int
    convs: tuple[ReadConv, ...]
    shortcuts: tuple[ReadConv, ...]
    entered: bool
    certain: bool = True

    @property
    def depth(self) -> int:
        """Number of blocks."""
        return len(self.convs) // 2


@dataclass(frozen=True, slots=True)
class ReadLayers:
    """The layers by their place in a residual network, the order within a stage not yet vouched.

    `norms`: every kind of normalisation that their tensors may be, the likeliest first.
    """

    stem: ReadConv
    stages: tuple[ReadStage, ...]
    head: ReadConv
    norms: tuple[str, ...] = ()

    @property
    def convs(self) -> tuple[ReadConv, ...]:
        """Every convolution."""
        inner = (conv for stage in self.stages for conv in (*stage.convs, *stage.shortcuts))
        return (self.stem, *inner)

    def with_convs(self, changed: Mapping[str, ReadConv]) -> ReadLayers:
        """The same layers with the convolutions of `changed` (by weight name) in their places."""
        return ReadLayers(
            changed[self.stem.weight],
            tuple(
                replace(
                    stage,
                    convs=tuple(changed[conv.weight] for conv in stage.convs),
                    shortcuts=tuple(changed[conv.weight] for conv in stage.shortcuts),
                )
                for stage in self.stages
            ),
            self.head,
            self.norms,
        )


@dataclass(frozen=True, slots=True)
class ShapeReading:
    """`network` is None where the tensors cannot be run as one; the rest may be known even then."""

    network: ReadNetwork | None
    layers: ReadLayers | None
    shape: ResNetShape | None
    findings: tuple[Finding, ...]


class _Broken(Exception):
    """The chain of convolutions ends where a residual network's would go on."""

    def __init__(self, message: str, tensor: str | None = None) -> None:
        super().__init__(message)
        self.tensor = tensor


def read_shape(
    shapes: Mapping[str, Shape], classes: Mapping[str, str] | None = None
) -> ShapeReading:
    """Read `shapes` (tensor name → shape, in the order of the checkpoint).

    `classes`: module path → class name, known for whole pickled modules; it only tells kinds of
    normalisation apart that look alike. Nothing is raised: what does not fit is a finding.
    """
    broken: _Broken | None = None
    partial: ShapeReading | None = None
    for order in _orders(shapes):
        try:
            reading = _read(order, classes or {})
        except _Broken as error:
            broken = broken or error
            continue
        if reading.network is not None:
            return reading
        partial = partial or reading
    if partial is not None:
        return partial
    assert broken is not None
    message = str(broken) if broken.tensor is None else f"{broken.tensor}: {broken}"
    return ShapeReading(
        None,
        None,
        None,
        (
            found(
                "checkpoint.not-a-resnet",
                message,
                evidence={} if broken.tensor is None else {"tensor": broken.tensor},
            ),
        ),
    )


# --------------------------------------------------------------------------- order


def _orders(shapes: Mapping[str, Shape]) -> list[dict[str, Shape]]:
    """The orders that may be the network's: as stored, and by the numbers in the names.

    A module's tensors are always written together. Where they are not, the keys were shuffled;
    where they stand in the alphabet's order, "10" came before "2".
    """
    names = list(shapes)
    natural = sorted(names, key=_natural)
    stored_first = _contiguous(names) and names != sorted(names)
    orders = [names, natural] if stored_first else [natural, names]
    return [{name: shapes[name] for name in order} for order in orders]


def _natural(name: str) -> list[tuple[int, int, str]]:
    """A key that sorts `layer2` before `layer10`."""
    return [
        (0, int(part), "") if part.isdecimal() else (1, 0, part)
        for part in re.split(r"(\d{1,9})", name)
        if part
    ]


def _contiguous(names: Sequence[str]) -> bool:
    """Whether the names of each module, at every depth, stand together."""
    left: set[str] = set()
    previous: tuple[str, ...] = ()
    for name in names:
        parts = name.split(".")[:-1]
        scopes = tuple(".".join(parts[:depth]) for depth in range(1, len(parts) + 1))
        left.update(scope for scope in previous if scope not in scopes)
        if left.intersection(scopes):
            return False
        previous = scopes
    return True


# --------------------------------------------------------------------------- the chain


def _read(shapes: Mapping[str, Shape], classes: Mapping[str, str]) -> ShapeReading:
    groups = group_tensors(shapes)
    layers, spare = _layers(groups, shapes)
    normed, spare_norms, findings = _with_norms(layers.convs, groups.norms)
    layers = layers.with_convs(normed)
    norm, noted = _one_norm(layers.convs, classes)
    findings += noted
    layers = replace(layers, norms=_possible_norms(norm, layers.convs, classes))
    shape = _shape(layers, norm, shapes)
    extra = [
        *groups.others,
        *(name for spare_norm in spare_norms for name in spare_norm.names),
        *(name for layer in spare for name in layer.names),
    ]
    findings += _extra(extra, shapes)
    blocks = _blocks(layers.stages)
    if blocks is None:
        findings.append(
            found(
                "checkpoint.ambiguous-order",
                "the tensors have the shapes of a residual network, but neither their order nor "
                "their names say which convolution comes first",
            )
        )
    # Three numbers beside the weights are the mean or std of an input; anything else computes.
    harmless = all(vector_length(shapes[name]) == shape.in_channels > 1 for name in extra)
    # An even filter has no middle, so that no padding keeps the size.
    centred = all(conv.kernel_px % 2 for conv in layers.convs)
    obstacles = _NOT_RUNNABLE & {finding.code for finding in findings}
    if blocks is None or not harmless or not centred or obstacles:
        return ShapeReading(None, layers, shape, tuple(findings))
    network = ReadNetwork(shape, layers.stem, blocks, layers.head, layers.norms)
    return ShapeReading(network, layers, shape, tuple(findings))


_NOT_RUNNABLE = frozenset({"checkpoint.pre-activation", "checkpoint.mixed-norm"})


def _layers(groups: TensorGroups, shapes: Mapping[str, Shape]) -> tuple[ReadLayers, list[ReadConv]]:
    """The layers in their places, and those that fit nowhere. Raises _Broken."""
    try:
        stem, stages, spare = _chain(groups.convs)
        head, spare = _head(groups.linears, spare, stages[-1].width, shapes)
    except _Broken as error:
        points = [conv for conv in groups.convs if conv.kernel_px == 1]
        if 2 * len(points) > len(groups.convs):
            raise _Broken(
                f"{len(points)} of {len(groups.convs)} convolutions are 1×1: these are bottleneck "
                "blocks, where a 6n+2 network has blocks of two convolutions of one size",
                points[0].weight,
            ) from error
        raise
    return ReadLayers(stem, tuple(stages), head), spare


@dataclass(frozen=True, slots=True)
class _Entry:
    """How a stage is entered: its first convolution (None: the image's), the shortcuts beside."""

    first: ReadConv | None
    shortcuts: tuple[ReadConv, ...]
    certain: bool


def _chain(convs: Sequence[ReadConv]) -> tuple[ReadConv, list[ReadStage], list[ReadConv]]:
    """(first convolution, stages, convolutions that fit nowhere). Raises _Broken."""
    if not convs:
        raise _Broken("it holds no convolution (no tensor of four dimensions)")
    stem = _stem(convs)
    points = [conv for conv in convs if conv.kernel_px == 1 and conv is not stem]
    main = [conv for conv in convs if conv.kernel_px > 1 and conv is not stem]
    stages: list[ReadStage] = []
    width, entry = stem.out_channels, _Entry(None, (), True)
    while True:
        own = [conv for conv in main if conv.in_channels == conv.out_channels == width]
        leaving = [c for c in main if c.in_channels == width and c.out_channels != width]
        own_points = [c for c in points if c.in_channels == c.out_channels == width]
        inside = own if entry.first is None else [entry.first, *own]
        if len(inside) % 2 == 1:
            raise _Broken(
                f"there are {len(inside)} convolutions of {width} filters, where blocks of two "
                "would give an even number",
                inside[-1].weight,
            )
        if inside:
            stages.append(
                ReadStage(
                    width,
                    tuple(inside),
                    (*entry.shortcuts, *own_points),
                    entry.first is not None,
                    entry.certain,
                )
            )
        if not leaving:
            break
        entry = _leave(width, leaving, main, points, stages)
        width = leaving[0].out_channels
    if not stages:
        raise _Broken(
            f"after the first convolution ({stem.out_channels} filters) no block of two follows",
            stem.weight,
        )
    used = {stem.weight}
    used.update(conv.weight for stage in stages for conv in (*stage.convs, *stage.shortcuts))
    return stem, stages, [conv for conv in convs if conv.weight not in used]


def _stem(convs: Sequence[ReadConv]) -> ReadConv:
    """The convolution that takes what no other one gives: the image."""
    given = {conv.out_channels for conv in convs}
    fresh = [conv for conv in convs if conv.in_channels not in given]
    # Squeeze-and-excitation also has 1×1 convolutions of odd widths.
    return min(fresh or convs, key=lambda conv: (conv.kernel_px == 1, conv.in_channels > 4))


def _leave(
    width: int,
    leaving: Sequence[ReadConv],
    main: Sequence[ReadConv],
    points: Sequence[ReadConv],
    stages: Sequence[ReadStage],
) -> _Entry:
    """What goes from `width` to the next one. Raises _Broken."""
    targets = sorted({conv.out_channels for conv in leaving})
    if len(targets) > 1:
        raise _Broken(
            f"from {width} channels the network goes on to {listed(map(str, targets))} filters "
            "at once",
            leaving[-1].weight,
        )
    target = targets[0]
    if target in {stage.width for stage in stages}:
        raise _Broken(f"the network returns to {target} filters", leaving[0].weight)
    beside = [c for c in points if c.in_channels == width and c.out_channels == target]
    if len(leaving) > 2 or len(beside) > 1 or (len(leaving) == 2 and beside):
        raise _Broken(
            f"{len(leaving) + len(beside)} convolutions go from {width} to {target} channels, "
            "where a block has one and its shortcut at most one more",
            leaving[-1].weight,
        )
    if len(leaving) == 1:
        return _Entry(leaving[0], tuple(beside), True)
    second = next((c for c in main if c.in_channels == c.out_channels == target), None)
    return _tell_apart(leaving[0], leaving[1], second)


def _tell_apart(one: ReadConv, other: ReadConv, second: ReadConv | None) -> _Entry:
    """Which of two equal convolutions is the block's first, and which its shortcut.

    By name, else by who shares a module with the block's second one, else by position: what stands
    after the block's second convolution is the shortcut.
    """
    for first, shortcut in ((one, other), (other, one)):
        if _SHORTCUT_NAMES.search(shortcut.weight) and not _SHORTCUT_NAMES.search(first.weight):
            return _Entry(first, (shortcut,), True)
    if second is None:
        return _Entry(one, (other,), False)
    scope = module_of(second.module)
    for first, shortcut in ((one, other), (other, one)):
        if module_of(first.module) == scope != module_of(shortcut.module):
            return _Entry(first, (shortcut,), True)
    return _Entry(one, (other,), other.position > second.position)


def _head(
    linears: Sequence[ReadConv],
    spare: Sequence[ReadConv],
    width: int,
    shapes: Mapping[str, Shape],
) -> tuple[ReadConv, list[ReadConv]]:
    """(the output layer, layers that fit nowhere). Raises _Broken when there is none."""
    fitting = [layer for layer in linears if layer.in_channels == width]
    fitting = fitting or [c for c in spare if c.kernel_px == 1 and c.in_channels == width]
    if fitting:
        head, chain = fitting[-1], {fitting[-1].weight}
        # Hidden layers are extra ones; what the last of them gives are the outputs.
        while after := [c for c in linears if c.in_channels == head.out_channels]:
            if after[-1].weight in chain:
                break
            head = after[-1]
            chain.add(head.weight)
        return head, [layer for layer in (*spare, *linears) if layer is not head]
    if not linears:
        raise _Broken(
            f"there is no output layer: a matrix of r × {width} is expected after the last stage"
        )
    last = linears[0]
    if last.in_channels % width == 0:
        side = last.in_channels // width
        raise _Broken(
            f"it has {last.in_channels} inputs, {side} for each of {width} filters: a mean pool "
            f"over all positions leaves {width}",
            last.weight,
        )
    raise _Broken(
        f"it has the shape {tuple(shapes[last.weight])}; after {width} filters and a mean pool, "
        f"r × {width} is expected",
        last.weight,
    )


# --------------------------------------------------------------------------- blocks


def _blocks(stages: Sequence[ReadStage]) -> tuple[ReadBlock, ...] | None:
    """The blocks in the order of the network, or None where the order cannot be told."""
    blocks: list[ReadBlock] = []
    reached = -1
    for number, stage in enumerate(stages):
        positions = [conv.position for conv in stage.convs]
        in_order = min(positions) >= reached and positions[0] == min(positions)
        if not in_order or not stage.certain:
            return None
        reached = max(positions)
        pairs = list(zip(stage.convs[::2], stage.convs[1::2], strict=True))
        around = _shortcuts(stage, len(pairs))
        if around is None:
            return None
        blocks += [
            ReadBlock(number, first, second, shortcut)
            for (first, second), shortcut in zip(pairs, around, strict=True)
        ]
    return tuple(blocks)


def _shortcuts(stage: ReadStage, count: int) -> list[ReadConv | None] | None:
    """The shortcut of each block of `stage`, or None where that cannot be told."""
    entering = stage.convs[0].in_channels if stage.entered else stage.width
    at_entry = [c for c in stage.shortcuts if c.in_channels == entering != stage.width]
    others = [c for c in stage.shortcuts if c not in at_entry]
    first: list[ReadConv | None] = [*at_entry] if stage.entered else []
    if stage.entered and not at_entry:
        first = [None]
    rest = count - len(first)
    if not others:
        return [*first, *([None] * rest)]
    if len(others) == rest:
        return [*first, *others]
    if len(others) == 1 and not stage.entered:
        return [others[0], *([None] * (rest - 1))]
    return None


# --------------------------------------------------------------------------- normalisation


def _with_norms(
    convs: Sequence[ReadConv], norms: Sequence[ReadNorm]
) -> tuple[dict[str, ReadConv], list[ReadNorm], list[Finding]]:
    """Weight name → convolution with its normalisation; normalisations that belong to none.

    First by the module that holds both, there by the numbers in their names (`conv2`, `bn2`) and
    then by their order; what is left over, by the order of the whole checkpoint.
    """
    normed = {conv.weight: conv for conv in convs}
    free = [norm for norm in norms if not any(norm is conv.norm for conv in convs)]
    findings: list[Finding] = []

    def pair(conv: ReadConv, norm: ReadNorm) -> None:
        if conv.out_channels != norm.channels:
            return
        normed[conv.weight] = replace(conv, norm=norm)
        free.remove(norm)

    for scope in dict.fromkeys(module_of(norm.module) for norm in norms if norm.module):
        here = [c for c in convs if module_of(c.module) == scope and c.norm is None and c.module]
        beside = [norm for norm in norms if module_of(norm.module) == scope and norm.module]
        matched = _match(here, beside)
        early = [
            norm for conv, norm in matched if norm.channels == conv.in_channels != conv.out_channels
        ]
        if early:
            findings.append(
                found(
                    "checkpoint.pre-activation",
                    f"{early[0].names[0]} has {early[0].channels} entries, as many as the "
                    "convolution beside it has inputs: normalisation comes before the "
                    "convolution, where the assignment has it after",
                )
            )
        for conv, norm in matched:
            pair(conv, norm)
    for channels in dict.fromkeys(norm.channels for norm in free):
        left = [norm for norm in free if norm.channels == channels]
        open_convs = [
            conv for conv in normed.values() if conv.norm is None and conv.out_channels == channels
        ]
        plain = [conv for conv in open_convs if conv.kernel_px > 1]
        chosen = open_convs if len(open_convs) == len(left) else plain
        if len(chosen) == len(left):
            chosen.sort(key=lambda conv: conv.position)
            for conv, norm in zip(chosen, left, strict=True):
                pair(conv, norm)
    return normed, free, findings


def _match(convs: Sequence[ReadConv], norms: Sequence[ReadNorm]) -> list[tuple[ReadConv, ReadNorm]]:
    """Pairs within one module: equal numbers in the names first, then order."""
    by_number: dict[str, list[ReadConv]] = {}
    for conv in convs:
        by_number.setdefault(_number(conv.module), []).append(conv)
    pairs: list[tuple[ReadConv, ReadNorm]] = []
    for norm in norms:
        alike = by_number.get(_number(norm.module), [])
        same = [other for other in norms if _number(other.module) == _number(norm.module)]
        if len(alike) == len(same) == 1:
            pairs.append((alike[0], norm))
    left_convs = [conv for conv in convs if not any(conv is pair[0] for pair in pairs)]
    left_norms = [norm for norm in norms if not any(norm is pair[1] for pair in pairs)]
    if len(left_convs) == len(left_norms):
        pairs += zip(left_convs, left_norms, strict=True)
    return pairs


def _number(module: str) -> str:
    """`2` of `layer1.0.conv2`; a name that is only a number is a place, not a number."""
    leaf = module.rpartition(".")[2]
    return f"place {leaf}" if leaf.isdecimal() else "".join(re.findall(r"\d+", leaf))


def _one_norm(convs: Sequence[ReadConv], classes: Mapping[str, str]) -> tuple[str, list[Finding]]:
    """The kind of normalisation that most convolutions have, and what does not keep to it."""
    kinds: dict[str, list[ReadConv]] = {}
    for conv in convs:
        kinds.setdefault(_norm_kind(conv.norm, classes), []).append(conv)
    main = {kind: sum(conv.kernel_px > 1 for conv in having) for kind, having in kinds.items()}
    usual = max(kinds, key=lambda kind: (main[kind], len(kinds[kind])))
    if kinds.keys() == {"none"}:
        # Layers without tensors of their own are in the list of a whole module's classes.
        told = {_kind_named(name) for name in classes.values()} - {None}
        return (told.pop() or "none") if len(told) == 1 else "none", []
    findings: list[Finding] = []
    for kind in [kind for kind in kinds if kind != usual]:
        names = [conv.weight for conv in kinds[kind]]
        if kind == "none" and not main[kind]:
            code, what = "checkpoint.bare-shortcut", "shortcuts have no normalisation"
        elif kind == "none":
            code, what = "checkpoint.missing-norm", "convolutions have no normalisation"
        else:
            code, what = "checkpoint.mixed-norm", f"normalisations are {kind} and not {usual}"
        message = f"{len(names)} of {len(convs)} {what}: {listed(names)}"
        findings.append(found(code, message, evidence={"tensors": names}))
    return usual, findings


def _norm_kind(norm: ReadNorm | None, classes: Mapping[str, str]) -> str:
    """By its class where that is known, else by its tensors, else by its name."""
    if norm is None:
        return "none"
    said = classes.get(norm.module, "")
    if not said and norm.kind == "unknown":
        said = norm.module.rpartition(".")[2]
    return _kind_named(said) or norm.kind


def _kind_named(name: str) -> str | None:
    """The normalisation that a class or a module is called after."""
    return next((kind for kind, pattern in _NORM_CLASSES if pattern.search(name)), None)


def _possible_norms(
    usual: str, convs: Sequence[ReadConv], classes: Mapping[str, str]
) -> tuple[str, ...]:
    """Every normalisation that stores what `convs` have, the likeliest first.

    Without scale and shift, instance, layer and group normalisation store nothing; batch
    normalisation stores no running statistics where they are no buffers; instance normalisation
    stores some where it tracks them (`track_running_stats`). A class settles it, but for group
    normalisation in one group, which is layer normalisation; a name does not: all variants may have
    a `batchnorm1`.
    """
    norms = [conv.norm for conv in convs if conv.norm is not None]
    told = [name for norm in norms if (name := _kind_named(classes.get(norm.module, "")))]
    stored = {norm.kind for norm in norms}
    if not norms and usual == "none":
        possible: tuple[str, ...] = ("none", *_LOOK_ALIKE)
    elif stored == {"unknown"} and usual != "none" and not told:
        possible = (*_LOOK_ALIKE, "batch")
    elif stored == {"batch"} and usual != "none" and not told:
        possible = ("batch", "instance")
    else:
        possible = ("group", "layer") if usual == "group" else (usual,)
    return possible


# --------------------------------------------------------------------------- what was read


def _shape(layers: ReadLayers, norm: str, shapes: Mapping[str, Shape]) -> ResNetShape:
    stages = layers.stages
    projected = {
        any(conv.in_channels == stage.convs[0].in_channels for conv in stage.shortcuts)
        for stage in stages
        if stage.entered
    }
    shortcut = {frozenset({True}): "projection", frozenset({False}): "zero-padding"}
    learned = {name for layer in (*layers.convs, layers.head) for name in layer.learned}
    return ResNetShape(
        n=stages[0].depth,
        num_classes=layers.head.out_channels,
        widths=tuple(stage.width for stage in stages),
        kernel_px=stages[0].convs[0].kernel_px,
        in_channels=layers.stem.in_channels,
        shortcut=shortcut.get(frozenset(projected), "unknown"),
        norm=norm,
        layers=2 * sum(stage.depth for stage in stages) + 2,
        parameters=sum(math.prod(shapes[name]) for name in learned),
    )


def _extra(names: Sequence[str], shapes: Mapping[str, Shape]) -> list[Finding]:
    if not names:
        return []
    first = f"{names[0]} {tuple(shapes[names[0]])}"
    more = "" if len(names) == 1 else f" and {len(names) - 1} more"
    return [
        found(
            "checkpoint.extra-tensors",
            f"{len(names)} tensor{'s' if len(names) > 1 else ''} beside those of a 6n+2 residual "
            f"network: {first}{more}",
            evidence={"tensors": list(names[:50])},
        )
    ]
