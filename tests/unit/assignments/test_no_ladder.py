"""An assignment is a folder of data: no code of the grader asks which one it is."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from grader.assignments.load import builtin_ids

GRADER = Path(__file__).parents[3] / "grader"
MODULES = sorted(path for path in GRADER.rglob("*.py") if "starter" not in path.parts)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(GRADER)))
def test_no_module_compares_with_an_assignments_id(path: Path) -> None:
    tree = ast.parse(path.read_text("utf-8"))
    ids = set(builtin_ids())

    for node in ast.walk(tree):
        if isinstance(node, ast.Compare | ast.match_case | ast.Dict):
            texts = {n.value for n in ast.walk(node) if isinstance(n, ast.Constant)}
            assert not texts & ids, f"{path}:{getattr(node, 'lineno', '?')}"
        if isinstance(node, ast.Compare):
            parts = [ast.unparse(part) for part in (node.left, *node.comparators)]
            assert "assignment.id" not in parts, f"{path}:{node.lineno}"
