"""The report on a terminal."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from grader.findings import found
from grader.render.page import check_text, checks_text
from grader.render.printable import width_cells
from grader.render.text import text
from tests.unit.render.example_report import (
    example_check,
    example_report,
    failed_report,
    rejected_report,
)

ESCAPE = re.compile("\x1b\\[[0-9;]*m")


def test_marks_come_first_with_value_interval_and_baseline() -> None:
    lines = text(example_report()).split("\n")
    assert lines[0] == "2023AIB2080 · 2023AIB2080_A2.zip"
    assert "Marks 2.05 of 5.00" in lines[:6]
    row = next(line for line in lines if line.startswith("1 Image classification"))
    for cell in ("1.62 / 2.50", "0.7500", "0.5840 – 0.8750", "0.0833 majority class"):
        assert cell in row
    assert any("lies between 0.5000" in line for line in lines)


def test_findings_have_severity_place_message_and_hint() -> None:
    shown = text(example_report())
    assert "Findings: 5 warnings, 1 note" in shown
    assert "submission.csv:19: 2 images have rows with different labels" in shown
    assert "→ write one row per image" in shown
    assert "a limit was reached" in shown


def test_the_independent_evaluation_takes_two_lines() -> None:
    shown = text(example_report(), width_columns=120)
    start = shown.index("Independent evaluation")
    assert "95.8 %" in shown[start:]
    assert shown[start:].count("\n") == 1


@pytest.mark.parametrize("width", [40, 60, 80, 100, 140])
def test_no_line_is_wider_than_asked_for(width: int) -> None:
    for report in (example_report(), rejected_report(), failed_report()):
        shown = text(report, width_columns=width)
        too_wide = [line for line in shown.split("\n") if width_cells(line) > width]
        assert too_wide == []


def test_colour_changes_nothing_but_colour() -> None:
    plain, painted = text(example_report()), text(example_report(), ansi=True)
    assert "\x1b" not in plain
    assert "\x1b[1;33m" in painted
    assert ESCAPE.sub("", painted) == plain


def test_a_rejected_zip_says_so_and_why() -> None:
    shown = text(rejected_report())
    assert "Rejected: nothing was run" in shown
    assert "is a RAR archive" in shown
    assert "no entry number" in shown


def test_a_limit_is_named() -> None:
    assert "stopped after 900 s" in text(failed_report())


def test_a_check_ends_with_its_verdict() -> None:
    last = check_text(example_check()).split("\n")[-1]
    assert last == "2023AIB2080_A2.zip passes the check of ail721-a2"


def test_several_checks_stand_under_their_names() -> None:
    one, other = example_check(), replace(example_check(), zip_name="other.zip")
    assert checks_text((one,)) == check_text(one) + "\n"
    both = checks_text((one, other))
    assert both == (f"2023AIB2080_A2.zip:\n{check_text(one)}\n\nother.zip:\n{check_text(other)}\n")


def test_a_message_that_begins_with_its_file_does_not_lose_the_line() -> None:
    crash = found("run.crash", "train.py stops with KeyError: 'fc'", path="train.py", line=18)
    missing = found("run.exit-code", "train.py ends with exit code 1", path="train.py")
    other = found("run.crash", "train.py stops with KeyError: 'fc'", path="train", line=None)
    shown = check_text(replace(example_check(), findings=(crash, missing, other)))
    assert "train.py:18: train.py stops with KeyError" in shown
    assert "         train.py ends with exit code 1" in shown
    assert "train: train.py stops with KeyError" in shown
