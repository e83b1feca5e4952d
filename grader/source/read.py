"""Read one Python file: parse, scan, gather its facts. The tree is dropped afterwards."""

from __future__ import annotations

import ast
from functools import lru_cache

from grader.source.facts import CallShape, ModuleFacts
from grader.source.library_uses import find_library_uses
from grader.source.machine_ties import find_absolute_paths, find_argv_at_import, find_cuda_uses
from grader.source.opened_files import find_named_files, find_opened_files
from grader.source.parse import Unparsed, parse_source
from grader.source.scan import Scan

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
    files, asked_for = find_opened_files(scan)
    return ModuleFacts(
        path=path,
        units=tuple(scan.units),
        imports=libraries.imports,
        open_imports=libraries.open_imports,
        search_paths=_search_paths(scan),
        uses=libraries.uses,
        pretrained=libraries.pretrained,
        calls=_call_shapes(scan),
        files=files,
        named_files=find_named_files(scan),
        asked_for=asked_for,
        absolute_paths=find_absolute_paths(scan),
        cuda=find_cuda_uses(scan),
        argv_at_import=find_argv_at_import(scan),
    )


def _search_paths(scan: Scan) -> tuple[str, ...]:
    """Every literal in a call that changes `sys.path`: folders that may hold modules."""
    folders = []
    for sighting in scan.calls:
        names = scan.resolve(sighting.node.func, sighting.scope)
        if any(name in _PATH_LISTS for name in names):
            folders += [
                item.value
                for argument in sighting.node.args
                for item in ast.walk(argument)
                if isinstance(item, ast.Constant) and isinstance(item.value, str)
            ]
    return tuple(dict.fromkeys(folders))


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
