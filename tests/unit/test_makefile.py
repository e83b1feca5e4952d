"""Every target that the Makefile promises is one."""

from __future__ import annotations

import re
from pathlib import Path

MAKEFILES = [
    Path(__file__).parents[2] / "Makefile",
    *(Path(__file__).parents[2] / "grader" / "assignments").glob("*/starter/Makefile"),
]


def test_no_phony_target_does_nothing() -> None:
    assert len(MAKEFILES) >= 3
    for path in MAKEFILES:
        text = path.read_text("utf-8")
        phony = re.findall(r"^\.PHONY: (.+)$", text, re.MULTILINE)
        rules = set(re.findall(r"^([\w-]+):", text, re.MULTILINE))
        assert {name for line in phony for name in line.split()} <= rules, path
