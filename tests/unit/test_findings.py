"""The catalogue holds every code that is used, uses every code that it holds, and is documented."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from grader.findings import CATALOGUE, found
from grader.model import CaseStatus
from grader.render.catalogue import catalogue_markdown

ROOT = Path(__file__).parents[2]
AREAS = "zip|layout|source|run|labels|mask|checkpoint|result|class|similar|grader"
CODE = re.compile(rf"(?:{AREAS})\.[a-z0-9]+(?:-[a-z0-9]+)*")
# Strings of that shape that are something else: file names and dotted module names.
NO_CODE = re.compile(r".*\.(py|pth|pt|csv|json|toml|txt|html|js|sqlite)$")


def _literals() -> dict[str, str]:
    used: dict[str, str] = {}
    for path in (ROOT / "grader").rglob("*.py"):
        if path.name == "findings.py" or "starter" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for code in CODE.findall(node.value) if CODE.fullmatch(node.value) else []:
                    used.setdefault(code, f"{path.relative_to(ROOT)}:{node.lineno}")
    for path in (ROOT / "grader" / "assignments").rglob("*.schema.json"):
        for code in re.findall(rf'"({CODE.pattern})"', path.read_text("utf-8")):
            used.setdefault(code, str(path.relative_to(ROOT)))
    return used


def test_every_code_in_the_source_is_in_the_catalogue() -> None:
    unknown = {
        code: place
        for code, place in _literals().items()
        if code not in CATALOGUE and not NO_CODE.match(code) and not code.startswith("grader.")
    }
    assert not unknown


def test_every_code_of_the_catalogue_is_used() -> None:
    used = set(_literals()) | {f"run.{status.value}" for status in CaseStatus if status.is_limit}
    # Where a room makes many findings of one area, it writes the name alone: "wrong-depth".
    architecture = (ROOT / "grader" / "networks" / "check_architecture.py").read_text("utf-8")
    used |= {f"checkpoint.{name}" for name in re.findall(r'"([a-z-]+)"', architecture)}
    assert sorted(set(CATALOGUE) - used) == []


@pytest.mark.parametrize("status", [status for status in CaseStatus if status.is_limit])
def test_every_limit_has_a_finding_that_blames_the_limit(status: CaseStatus) -> None:
    assert found(f"run.{status.value}", "").fault.value == "limit"


def test_every_entry_says_what_to_do() -> None:
    for code, entry in CATALOGUE.items():
        assert entry.title, code
        assert len(entry.hint) > 8, code
        assert not entry.title.endswith("."), code


def test_the_page_of_findings_is_up_to_date() -> None:
    page = (ROOT / "docs" / "findings.md").read_text("utf-8")
    assert page == catalogue_markdown() + "\n", (
        "run: grader findings --format markdown > docs/findings.md"
    )
