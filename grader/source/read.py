"""Read one Python file: parse, scan, gather its facts. The tree is dropped afterwards."""

from __future__ import annotations

import ast
from functools import lru_cache

from grader.source.facts import CallShape, ModuleFacts, SearchPath
from grader.source.handed_names import find_handed_names
from grader.source.known_paths import follow_path
from grader.source.library_uses import find_library_uses
from grader.source.machine_ties import find_absolute_paths, find_argv_at_import, find_cuda_uses
from grader.source.opened_files import find_named_files, find_opened_files
from grader.source.parse import Unparsed, parse_source
from grader.source.scan import Assignment, Scan, Scope, Sighting

_PATH_LISTS = ("sys.path.append", "sys.path.insert", "sys.path.extend", "site.addsitedir")


# The check, the command line and the diagnosis of a failure each read the same few dozen files.
@lru_cache(maxsize=64)
def read_module(data: bytes, path: str, python: tuple[int, int]) -> ModuleFacts | Unparsed:
    """The facts of `data`, the content of `path`, or the reason why it could not be parsed."""
    parsed = parse_source(data, path, python)
    if isinstance(parsed, Unparsed):
        return parsed
    scan = Scan(path, parsed.tree)
    libraries = find_library_uses(scan)
    opened = find_opened_files(scan)
    return ModuleFacts(
        path=path,
        units=tuple(scan.units),
        imports=libraries.imports,
        open_imports=libraries.open_imports,
        search_paths=_search_paths(scan),
        uses=libraries.uses,
        pretrained=libraries.pretrained,
        calls=_call_shapes(scan),
        files=opened.files,
        vague_writes=opened.vague_writes,
        handed_names=find_handed_names(scan),
        named_files=find_named_files(scan),
        asked_for=opened.asked_for,
        absolute_paths=find_absolute_paths(scan),
        cuda=find_cuda_uses(scan),
        argv_at_import=find_argv_at_import(scan),
    )


def _search_paths(scan: Scan) -> tuple[SearchPath, ...]:
    """The folders that may hold modules: what is put into `sys.path`, by a call or otherwise."""
    folders: list[SearchPath] = []
    for call in scan.calls:
        if any(name in _PATH_LISTS for name in scan.resolve(call.node.func, call.scope)):
            for argument in call.node.args:
                folders += _folders_in(argument, call.scope, scan)
    changes: list[Sighting[Assignment] | Sighting[ast.AugAssign]]
    changes = [*scan.assignments, *scan.augmented]
    for change in changes:
        node, scope = change.node, change.scope
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if node.value is not None and any(_is_search_path(item, scope, scan) for item in targets):
            folders += _folders_in(node.value, scope, scan)
    return tuple(dict.fromkeys(folders))


def _is_search_path(target: ast.expr, scope: Scope, scan: Scan) -> bool:
    """Whether `target` is `sys.path`, or a slice of it as in `sys.path[0:0] = […]`."""
    if isinstance(target, ast.Subscript):
        target = target.value
    return "sys.path" in scan.resolve(target, scope)


def _folders_in(node: ast.expr, scope: Scope, scan: Scan) -> list[SearchPath]:
    """The folders that `node`, a path or a list of them, holds."""
    folders: list[SearchPath] = []
    waiting = [node]
    while waiting:
        item = waiting.pop()
        operands = _operands(item)
        if isinstance(item, (ast.List, ast.Tuple)):
            waiting += reversed(item.elts)
        elif any(isinstance(operand, ast.List) for operand in operands):
            waiting += operands
        else:
            folders += _followed(item, scope, scan)
    return folders


def _operands(node: ast.expr) -> list[ast.expr]:
    """`a + b + c` → c, b, a."""
    operands = []
    while isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        operands.append(node.right)
        node = node.left
    return [*operands, node]


def _followed(node: ast.expr, scope: Scope, scan: Scan) -> list[SearchPath]:
    path = follow_path(node, scope, scan)
    if path.text or path.anchor != "unknown":
        return [SearchPath(path.text, path.anchor)]
    # A way too long to follow still names the folder somewhere.
    return [
        SearchPath(item.value, "unknown")
        for item in ast.walk(node)
        if isinstance(item, ast.Constant) and isinstance(item.value, str)
    ]


def _call_shapes(scan: Scan) -> tuple[CallShape, ...]:
    shapes = {}
    for sighting in scan.calls:
        node = sighting.node
        function = node.func
        if isinstance(function, ast.Name):
            name = function.id
        elif isinstance(function, ast.Attribute):
            name = function.attr
        else:
            continue
        starred = any(isinstance(item, ast.Starred) for item in node.args)
        keywords = frozenset(item.arg for item in node.keywords if item.arg is not None)
        starred = starred or any(item.arg is None for item in node.keywords)
        resolved = next(iter(scan.resolve(function, sighting.scope)), "")
        shape = CallShape(name, resolved, len(node.args), keywords, starred)
        shapes[shape] = shape
    return tuple(shapes)
