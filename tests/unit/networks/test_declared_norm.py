"""What students call their normalisations."""

from __future__ import annotations

from typing import Any

import pytest

from grader.networks.declared_norm import declared_norm


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
        ({}, None),
    ],
)
def test_a_declaration_is_understood_or_is_none(metadata: dict[str, Any], norm: str | None) -> None:
    assert declared_norm(metadata) == norm
