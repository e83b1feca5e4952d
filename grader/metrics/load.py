"""Find a metric by the name that a definition gives it."""

from __future__ import annotations

from importlib import import_module

from grader.errors import UsageError
from grader.metrics import METRICS
from grader.metrics.counts import LabelMetric, MaskMetric
from grader.metrics.evidence import HeatmapMetric, LayerMetric

Metric = LabelMetric | MaskMetric | LayerMetric | HeatmapMetric


def load_metric(name: str) -> Metric:
    """The metric registered as `name` in `grader.metrics.METRICS`.

    Raises UsageError that lists the known names when there is none.
    """
    if name not in METRICS:
        raise UsageError(
            f"there is no metric {name!r}", hint=f"known metrics: {', '.join(sorted(METRICS))}"
        )
    module, _, attribute = METRICS[name].partition(":")
    metric = getattr(import_module(module), attribute)
    if not isinstance(metric, Metric):
        raise TypeError(f"{METRICS[name]} is not a metric but {type(metric).__name__}")
    return metric
