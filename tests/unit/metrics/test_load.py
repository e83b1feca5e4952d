"""The registry of metrics."""

from __future__ import annotations

import subprocess
import sys

import pytest

from grader.errors import UsageError
from grader.metrics import METRICS
from grader.metrics.counts import LabelMetric, MaskMetric
from grader.metrics.evidence import HeatmapMetric, LayerMetric
from grader.metrics.load import load_metric


@pytest.mark.parametrize("name", sorted(METRICS))
def test_every_registered_metric_loads_and_states_its_convention(name: str) -> None:
    metric = load_metric(name)
    assert isinstance(metric, LabelMetric | MaskMetric | HeatmapMetric | LayerMetric)
    assert len(metric.convention) > 30


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"there is no metric 'segmentation\.jacard'") as caught:
        load_metric("segmentation.jacard")
    assert all(name in caught.value.hint for name in METRICS)


def test_an_entry_that_is_no_metric_is_a_programming_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(METRICS, "wrong", "grader.metrics.classification:confusion_matrix")
    with pytest.raises(TypeError, match="is not a metric but function"):
        load_metric("wrong")


def test_the_names_are_known_without_importing_numpy() -> None:
    program = "import sys, grader.metrics, grader.readers; assert 'numpy' not in sys.modules"
    subprocess.run([sys.executable, "-c", program], check=True)
