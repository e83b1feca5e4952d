"""The house's import rules, held by reading the imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Who may import whom: a room may import itself, the rooms right of it, and the floor.
FLOOR = {"frozen", "model", "errors", "findings", "whole_file", "__init__"}
ALLOWED: dict[str, set[str]] = {
    "cli": {
        "score",
        "check",
        "starter",
        "integrations",
        "assignments",
        "render",
        "stages",
        "sandbox",
        "packing",
        "classroom",
        "similarity",
    },
    "classroom": {
        "score",
        "render",
        "stages",
        "sandbox",
        "assignments",
        "readers",
        "similarity",
        "provenance",
        "packing",
    },
    "similarity": {"stages", "sandbox", "readers", "source", "render", "metrics"},
    "experiments": {"stages", "source", "sandbox", "readers", "networks", "metrics"},
    "score": {"experiments", "provenance", "render", "stages", "sandbox"},
    "check": {"stages", "sandbox"},
    "starter": set(),
    "integrations": set(),
    "provenance": {"sandbox"},
    # render/site draws the records of a class, render/similarity the types of similarity/model.py
    "render": {"metrics", "readers", "sandbox", "classroom", "similarity"},
    "stages": {"probes", "assignments", "source", "sandbox", "readers", "networks", "metrics"},
    "packing": {"source", "stages", "readers"},
    "assignments": {"readers", "networks", "metrics", "source", "probes"},
    "probes": set(),
    "source": set(),
    "sandbox": set(),
    "readers": set(),
    "networks": {"readers"},
    "metrics": set(),
    "findings": {"model"},
    "errors": set(),
    "model": set(),
    "frozen": set(),
    "whole_file": set(),
    "__init__": set(),
}
TENSOR_ROOMS = {"networks"}
TENSOR_MODULES = {
    "grader/stages/measure_heatmaps.py",
    "grader/stages/evaluate_checkpoint.py",
    "grader/readers/safetensors_file.py",
}


def _modules() -> list[Path]:
    return sorted(p for p in (ROOT / "grader").rglob("*.py") if "starter" not in p.parts)


def _imports(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            if node.module in {"grader"}:
                yield from ((f"grader.{alias.name}", node.lineno) for alias in node.names)
            else:
                yield node.module, node.lineno


def _room(path: Path) -> str:
    relative = path.relative_to(ROOT / "grader")
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_imports_only_what_its_room_may(path: Path) -> None:
    room = _room(path)
    allowed = ALLOWED[room] | FLOOR | {room}
    wrong = [
        f"{path.name}:{line} imports {name}"
        for name, line in _imports(path)
        if name.startswith("grader.")
        and name.split(".")[1] not in allowed
        and not (name.split(".")[1].startswith("__"))
    ]
    assert not wrong
    assert not [
        f"{path.name}:{line}" for name, line in _imports(path) if name.split(".")[0] == "submission"
    ]


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_only_process_uses_subprocess_and_only_the_cli_prints_or_exits(path: Path) -> None:
    relative = path.relative_to(ROOT).as_posix()
    if relative != "grader/sandbox/process.py":
        assert not [line for name, line in _imports(path) if name == "subprocess"]
    if relative.startswith("grader/cli/") or "inside" in relative:
        return  # what runs inside the sandbox is a program of its own
    assert not [line for name, line in _imports(path) if name == "click"]
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            assert called not in {"print", "input", "sys.exit", "exit", "quit"}, (
                f"{relative}:{node.lineno} calls {called}"
            )


@pytest.mark.parametrize(
    "path",
    sorted((ROOT / "submission").rglob("*.py")),
    ids=lambda path: str(path.relative_to(ROOT)),
)
def test_the_submission_never_imports_the_grader(path: Path) -> None:
    assert not [line for name, line in _imports(path) if name.split(".")[0] == "grader"]


@pytest.mark.parametrize("path", _modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_torch_is_imported_only_where_tensors_are_used(path: Path) -> None:
    relative = path.relative_to(ROOT).as_posix()
    if _room(path) in TENSOR_ROOMS or relative in TENSOR_MODULES or "inside" in path.stem:
        return
    assert not [
        line for name, line in _imports(path) if name.split(".")[0] in {"torch", "torchvision"}
    ]


@pytest.mark.parametrize("arguments", [["--help"], ["assignments", "list"], ["check", "--help"]])
def test_these_commands_start_without_torch(arguments: list[str]) -> None:
    program = (
        "import sys\n"
        "from grader.cli import main\n"
        f"sys.argv = ['grader', *{arguments!r}]\n"
        "try:\n    main()\n"
        "except SystemExit as end:\n    assert end.code in (0, None), end.code\n"
        "heavy = sorted({'torch', 'torchvision'} & set(sys.modules))\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, cwd=ROOT)
