"""What students call their normalisations."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.networks.declared_norm import declared_norm, kept_under


@pytest.mark.parametrize(
    ("metadata", "norm"),
    [
        ({"norm": "bn"}, "batch"),
        ({"norm": "inbuilt", "epoch": 3}, "batch"),
        ({"config": {"normalization": "Batch_Instance_Norm"}}, "batch-instance"),
        ({"norm_layer": "GroupNorm"}, "group"),
        ({"norm": "nn"}, "none"),
        ({"norm": "weight"}, None),
        ({"norm": 3}, None),
        ({"state": {"config": {"model": {"norm": "gn"}}}}, "group"),
        ({"norm": "gn", "args": {"norm_layer": "GroupNorm"}}, "group"),
        ({"norm": "gn", "args": {"norm_layer": "LayerNorm"}}, None),
        ([{"norm": "bn"}, {"norm": "in"}], None),
        ({"norm": "none"}, "none"),
        # What is said of pixels is not said of layers.
        ({"normalization": "none"}, None),
        ({"normalisation": "None", "mean": [0.5, 0.5, 0.5]}, None),
        ({"normalization": "nn"}, "none"),
        ({"preprocessing": {"normalization": "none"}, "size": 256}, None),
        ({"preprocessing": {"normalization": "instance"}, "norm": "bn"}, "batch"),
        ({"eval_transforms": [{"norm": "instance"}]}, None),
        ({}, None),
    ],
)
def test_a_declaration_is_understood_or_is_none(metadata: dict[str, Any], norm: str | None) -> None:
    assert declared_norm(metadata) == norm


ALL_IN_ONE = {name: {"norm": name, "epochs": 50} for name in ("bn", "in", "gn")}


@pytest.mark.parametrize(("experiment", "norm"), [("bn", "batch"), ("IN", "instance")])
@pytest.mark.parametrize("metadata", [ALL_IN_ONE, {"epochs": 3, "experiments": ALL_IN_ONE}])
def test_what_is_kept_under_the_experiments_name_is_about_its_checkpoint(
    metadata: dict[str, Any], experiment: str, norm: str
) -> None:
    assert kept_under(experiment, metadata)
    assert declared_norm(metadata, experiment) == norm


def test_what_is_kept_under_other_names_decides_nothing() -> None:
    assert not kept_under("ln", ALL_IN_ONE)
    assert declared_norm(ALL_IN_ONE, "ln") is None
    assert declared_norm(ALL_IN_ONE) is None
    # Its own entry is there and silent: the others' say nothing of it.
    assert declared_norm({"bn": {"epochs": 3}, "gn": {"norm": "gn"}}, "bn") is None


def test_metadata_nested_a_thousand_times_are_not_followed() -> None:
    metadata: dict[str, Any] = {"norm": "bn"}
    for _ in range(5_000):
        metadata = {"a": [metadata]}
    assert declared_norm({**metadata, "norm": "gn"}, "gn") == "group"


json_values = st.recursive(
    st.none() | st.integers() | st.sampled_from(["bn", "gn", "none", "x"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["norm", "gn", "input", "a"]), inner, max_size=3)
    ),
)


@given(json_values)
def test_any_metadata_give_one_kind_or_none(metadata: Any) -> None:
    for experiment in ("", "gn"):
        assert declared_norm(metadata, experiment) in {None, "batch", "group", "none"}
