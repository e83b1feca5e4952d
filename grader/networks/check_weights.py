"""Look at the numbers of a checkpoint: are they finite, and did training ever change them?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from grader.findings import found, listed
from grader.model import Finding
from grader.networks.read_shape import ReadLayers

Tensors = Mapping[str, npt.NDArray[Any]]


def check_weights(tensors: Tensors, layers: ReadLayers | None) -> tuple[Finding, ...]:
    """Findings about numbers that are not finite, not real, constant, or as initialised.

    `layers` None: the tensors are no residual network, and only the first question is asked.
    """
    findings = _not_finite(tensors)
    if layers is not None:
        findings = findings or _not_real(tensors, layers)
        findings = findings or _constant(tensors, layers) or _untrained(tensors, layers)
    return tuple(findings)


def _not_finite(tensors: Tensors) -> list[Finding]:
    counts = {
        name: int(np.count_nonzero(~np.isfinite(values)))
        for name, values in tensors.items()
        if values.dtype.kind == "f"
    }
    bad = {name: count for name, count in counts.items() if count}
    if not bad:
        return []
    return [
        found(
            "checkpoint.not-finite",
            f"{sum(bad.values())} numbers in {len(bad)} tensors are NaN or infinite: {listed(bad)}",
            evidence={"tensors": dict(list(bad.items())[:50])},
        )
    ]


def _not_real(tensors: Tensors, layers: ReadLayers) -> list[Finding]:
    names = [
        name
        for layer in (*layers.convs, layers.head)
        for name in layer.learned
        if tensors[name].dtype.kind != "f"
    ]
    if not names:
        return []
    return [
        found(
            "checkpoint.integer-weights",
            f"{listed(names)}: the numbers are {tensors[names[0]].dtype}",
            evidence={"tensors": names[:50]},
        )
    ]


def _constant(tensors: Tensors, layers: ReadLayers) -> list[Finding]:
    constant = [
        layer.weight
        for layer in (*layers.convs, layers.head)
        if tensors[layer.weight].size > 1 and np.ptp(tensors[layer.weight]) == 0
    ]
    if not constant:
        return []
    return [
        found(
            "checkpoint.constant-weights",
            f"{len(constant)} weights hold one and the same number throughout: {listed(constant)}",
            evidence={"tensors": constant[:50]},
        )
    ]


def _untrained(tensors: Tensors, layers: ReadLayers) -> list[Finding]:
    """Any training step moves running means off 0, and scales and shifts off 1 and 0."""
    norms = [conv.norm for conv in layers.convs if conv.norm is not None]
    scales = [(name, start) for n in norms for name, start in ((n.weight, 1.0), (n.bias, 0.0))]
    statistics = [(name, start) for n in norms for name, start in ((n.mean, 0.0), (n.var, 1.0))]
    for what, group in (("running statistics", statistics), ("scales and shifts", scales)):
        initial = [(name, start) for name, start in group if name is not None]
        if initial and all(np.all(tensors[name] == start) for name, start in initial):
            return [
                found(
                    "checkpoint.untrained",
                    f"all {len(initial)} {what} of the normalisations are as they were "
                    f"initialised: {listed(name for name, _ in initial)}",
                )
            ]
    return []
