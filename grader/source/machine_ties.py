"""What ties a program to its author's machine: absolute paths, a GPU taken for granted, and a
command line read while a module is being imported."""

from __future__ import annotations

import ast
import re

from grader.source.facts import AbsolutePath, ArgvUse, CudaUse
from grader.source.scan import (
    ARGV_GUARD,
    CUDA_GUARD,
    DISCARDED,
    ELSEWHERE,
    FILE_GUARD,
    MODULE_UNIT,
    TYPE_CHECKING,
    Scan,
    Sighting,
)

# Folders of people, of notebook services and of mounted disks; nothing that exists everywhere.
_ABSOLUTE = re.compile(
    r"(?:/(?:home|Users|content|kaggle|mnt|media|scratch|root|workspace|gdrive|storage)/[^\s/]"
    r"|[A-Za-z]:[\\/]+[^\s\\/:]|~/[^\s.])[^\n]*"
)
_LONGEST_PATH = 400
_QUESTIONS = {"exists", "isdir", "isfile", "is_dir", "is_file"}
_PARSERS = ("parse_args", "parse_known_args")


def find_absolute_paths(scan: Scan) -> tuple[AbsolutePath, ...]:
    """Literals that name a place on one machine, where nothing on the command line overrides
    them; help texts and defaults of options are left out."""
    overridden: set[int] = set()
    for sighting in scan.calls:
        function = sighting.node.func
        if isinstance(function, ast.Attribute) and function.attr in _QUESTIONS:
            # `if os.path.exists("/kaggle/input")` asks whether this is that machine
            overridden.update(id(node) for node in ast.walk(sighting.node))
        for keyword in sighting.node.keywords:
            if keyword.arg in ("default", "help", "description", "epilog", "usage", "metavar"):
                overridden.update(id(node) for node in ast.walk(keyword.value))
    for parameter in _parameter_defaults(scan):
        overridden.add(id(parameter))
    return tuple(
        AbsolutePath(sighting.node.value, sighting.node.lineno, sighting.unit)
        for sighting in scan.strings
        if isinstance(sighting.node.value, str)
        and len(sighting.node.value) <= _LONGEST_PATH
        and _ABSOLUTE.fullmatch(sighting.node.value)
        and not sighting.flags & (DISCARDED | ARGV_GUARD | FILE_GUARD | ELSEWHERE | TYPE_CHECKING)
        and id(sighting.node) not in overridden
    )


def _parameter_defaults(scan: Scan) -> list[ast.AST]:
    return [
        default
        for function in scan.functions
        for default in [*function.args.defaults, *function.args.kw_defaults]
        if default is not None
    ]


def find_cuda_uses(scan: Scan) -> tuple[CudaUse, ...]:
    """Calls and assignments that fail on a machine without a GPU, and ask nothing before."""
    found = []
    for sighting in scan.calls:
        if sighting.flags & (CUDA_GUARD | ELSEWHERE | TYPE_CHECKING):
            continue
        text = _cuda_call(scan, sighting)
        if text:
            found.append(CudaUse(text, sighting.node.lineno, sighting.unit))
    for assignment in scan.assignments:
        if assignment.flags & (CUDA_GUARD | ELSEWHERE | TYPE_CHECKING):
            continue
        node = assignment.node
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if (
                isinstance(target, ast.Name)
                and "device" in target.id.lower()
                and _is_cuda(node.value)
                and len(scan.bindings(target.id, assignment.scope)) == 1
            ):
                text = f"{target.id} = {ast.unparse(node.value)}" if node.value else target.id
                found.append(CudaUse(text, node.lineno, assignment.unit))
    return tuple(sorted(found, key=lambda use: use.line))


def _is_cuda(node: ast.AST | None) -> bool:
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"cuda(:\d+)?", node.value) is not None
    )


def _cuda_call(scan: Scan, sighting: Sighting[ast.Call]) -> str:
    node = sighting.node
    function = node.func
    if isinstance(function, ast.Attribute):
        if function.attr == "cuda" and not scan.resolve(function, sighting.scope):
            return ".cuda()"
        if function.attr == "to" and node.args and _is_cuda(node.args[0]):
            return f".to({ast.unparse(node.args[0])})"
    if "torch.device" in scan.resolve(function, sighting.scope):
        if node.args and _is_cuda(node.args[0]):
            return f"torch.device({ast.unparse(node.args[0])})"
        return ""
    for keyword in node.keywords:
        if keyword.arg in ("device", "map_location") and _is_cuda(keyword.value):
            return f"{keyword.arg}={ast.unparse(keyword.value)}"
    return ""


def find_argv_at_import(scan: Scan) -> tuple[ArgvUse, ...]:
    """Where the module's body, outside functions and the main guard, reads the command line."""
    found: dict[int, ArgvUse] = {}
    for sighting in scan.names:
        at_import = sighting.unit == MODULE_UNIT and sighting.scope.kind == "module"
        if at_import and "sys.argv" in scan.resolve(sighting.node, sighting.scope):
            found.setdefault(sighting.node.lineno, ArgvUse("sys.argv", sighting.node.lineno))
    for call in scan.calls:
        function = call.node.func
        if (
            call.unit == MODULE_UNIT
            and call.scope.kind == "module"
            and isinstance(function, ast.Attribute)
            and function.attr in _PARSERS
            and not call.node.args
            and not call.node.keywords
        ):
            found.setdefault(call.node.lineno, ArgvUse(f"{function.attr}()", call.node.lineno))
    return tuple(found[line] for line in sorted(found))
