"""Hold the network that was read against the one that the assignment asks for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from grader.errors import UsageError
from grader.findings import found, listed
from grader.model import Finding, ResNetShape
from grader.networks.read_shape import ReadLayers

_WITHOUT_STATISTICS = "a scale and a shift without running statistics"
_Check = Callable[[ReadLayers, ResNetShape, Any], list[Finding]]


def check_architecture(
    layers: ReadLayers, shape: ResNetShape, constraints: Mapping[str, Any]
) -> tuple[Finding, ...]:
    """One finding for each way in which `shape` differs from `constraints`, naming a tensor.

    `constraints` are the definition's: `n`, `widths`, `kernel_px`, `in_channels`, `num_classes`
    (a number each, or a list), `shortcut` and `norm` (what is allowed). A number of classes that
    is not a number yet is not checked. Raises UsageError for a constraint that does not exist.
    """
    findings: list[Finding] = []
    for name, wanted in constraints.items():
        if name not in _CHECKS:
            raise UsageError(
                f"there is no constraint {name!r} for a residual network",
                hint=f"known constraints: {', '.join(sorted(_CHECKS))}",
            )
        findings += _CHECKS[name](layers, shape, wanted)
    return tuple(findings)


def _wrong(code: str, tensor: str, seen: str, wanted: str) -> Finding:
    return found(
        f"checkpoint.{code}",
        f"{tensor}: found {seen}, expected {wanted}",
        evidence={"tensor": tensor, "found": seen, "expected": wanted},
    )


def _check_depth(layers: ReadLayers, shape: ResNetShape, wanted: int) -> list[Finding]:
    depths = [stage.depth for stage in layers.stages]
    stages = len(layers.stages)
    odd = next((stage for stage in layers.stages if stage.depth != wanted), None)
    if odd is None:
        return []
    place = min(odd.depth, wanted)
    tensor = odd.convs[min(2 * place, len(odd.convs) - 1)].weight
    layers_wanted = 2 * wanted * stages + 2
    return [
        _wrong(
            "wrong-depth",
            tensor,
            f"stages of {_joined(depths)} blocks ({shape.layers} layers)",
            f"{wanted} blocks in each stage (n = {wanted}, {layers_wanted} layers)",
        )
    ]


def _check_widths(layers: ReadLayers, shape: ResNetShape, wanted: Sequence[int]) -> list[Finding]:
    wanted = tuple(wanted)
    if shape.widths != wanted:
        seen = zip(shape.widths, wanted, strict=False)
        place = next((i for i, (a, b) in enumerate(seen) if a != b), len(wanted))
        place = min(place, len(layers.stages) - 1)
        return [
            _wrong(
                "wrong-width",
                layers.stages[place].convs[0].weight,
                f"stages of {_joined(shape.widths)} filters",
                f"{_joined(wanted)}",
            )
        ]
    if layers.stem.out_channels != wanted[0]:
        return [
            _wrong(
                "wrong-width",
                layers.stem.weight,
                f"{layers.stem.out_channels} filters in the first convolution",
                str(wanted[0]),
            )
        ]
    return []


def _check_kernel(layers: ReadLayers, _shape: ResNetShape, wanted: int) -> list[Finding]:
    # A shortcut's 1×1 projection is the paper's own (section 3.3, option B).
    main = [layers.stem, *(conv for stage in layers.stages for conv in stage.convs)]
    odd = [conv for conv in main if conv.kernel_px != wanted]
    if not odd:
        return []
    sizes = sorted({conv.kernel_px for conv in odd})
    return [
        _wrong(
            "wrong-kernel",
            listed(conv.weight for conv in odd),
            f"filters of {_joined(f'{size}×{size}' for size in sizes)}",
            f"{wanted}×{wanted}",
        )
    ]


def _check_classes(layers: ReadLayers, shape: ResNetShape, wanted: Any) -> list[Finding]:
    if not isinstance(wanted, int) or shape.num_classes == wanted:
        return []
    return [
        _wrong(
            "wrong-classes", layers.head.weight, f"{shape.num_classes} outputs", f"{wanted} classes"
        )
    ]


def _check_input(layers: ReadLayers, shape: ResNetShape, wanted: int) -> list[Finding]:
    if shape.in_channels == wanted:
        return []
    return [
        _wrong(
            "wrong-input", layers.stem.weight, f"{shape.in_channels} input channels", str(wanted)
        )
    ]


def _check_shortcut(layers: ReadLayers, shape: ResNetShape, wanted: Any) -> list[Finding]:
    allowed = _as_list(wanted)
    entries = [stage for stage in layers.stages if stage.entered]
    if shape.shortcut in allowed or not entries:
        return []
    seen = shape.shortcut
    if seen == "unknown":
        seen = "a projection in some stages and none in others"
    return [_wrong("wrong-shortcut", entries[0].convs[0].weight, seen, " or ".join(allowed))]


def _check_norm(layers: ReadLayers, shape: ResNetShape, wanted: Any) -> list[Finding]:
    allowed = set(_as_list(wanted)) & set(layers.norms)
    norm = layers.stem.norm
    tensor = layers.stem.weight if norm is None else norm.names[0]
    if allowed:
        # What look-alikes are is told from the predictions.
        if allowed != {"batch"} or norm is None or norm.mean is not None:
            return []
        return [_wrong("no-statistics", tensor, _WITHOUT_STATISTICS, "a running mean and variance")]
    seen = {
        "none": "no normalisation",
        "unknown": _WITHOUT_STATISTICS,
    }.get(shape.norm, f"{shape.norm} normalisation")
    return [_wrong("wrong-norm", tensor, seen, f"{' or '.join(_as_list(wanted))} normalisation")]


def _as_list(wanted: Any) -> list[str]:
    return [wanted] if isinstance(wanted, str) else [str(value) for value in wanted]


def _joined(values: Any) -> str:
    return ", ".join(str(value) for value in values)


_CHECKS: dict[str, _Check] = {
    "n": _check_depth,
    "widths": _check_widths,
    "kernel_px": _check_kernel,
    "num_classes": _check_classes,
    "in_channels": _check_input,
    "shortcut": _check_shortcut,
    "norm": _check_norm,
}
