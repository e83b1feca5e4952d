"""A cell that no spreadsheet runs."""

from __future__ import annotations

from decimal import Decimal

import pytest

from grader.render.csv_cell import csv_cell


@pytest.mark.parametrize(
    "formula",
    [
        "=1+1",
        "+1",
        "-1+cmd|' /C calc'!A0",
        "@SUM(1)",
        "\t=1",
        "\r=1",
        "\n=HYPERLINK()",
        "  =1",
        "\u00a0=1",
        "＝1+1",
        "\ufeff=1",
        "'=1",
        '"=1',
        "|calc",
    ],
)
def test_a_formula_gets_an_apostrophe_or_a_visible_sign_in_front(formula: str) -> None:
    cell = csv_cell(formula)
    assert cell[0] == "'" or not cell.lstrip()[0].isascii() or cell.startswith("<U+")
    assert "\n" not in cell
    assert "\r" not in cell


@pytest.mark.parametrize("text", ["ADONIS", "a=b", "3 + 4", "x@y.org", "蝴蝶"])
def test_ordinary_text_stays(text: str) -> None:
    assert csv_cell(text) == text


def test_numbers_stay_numbers_and_nothing_is_empty() -> None:
    assert [csv_cell(n) for n in (-3, -0.5, Decimal("-2.25"), None)] == ["-3", "-0.5", "-2.25", ""]
