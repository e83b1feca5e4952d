"""Options of the command line that have a default, and whether the program takes their values as
they come."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple

from grader.source.scan import (
    ARGV_GUARD,
    ELSEWHERE,
    FILE_GUARD,
    TYPE_CHECKING,
    Scan,
    Scope,
    Sighting,
)

FILE_QUESTIONS = {"exists", "isdir", "isfile", "is_dir", "is_file", "lexists"}
_DECLARING_METHODS = {"add_argument", "add_option"}
_DECLARING_FUNCTION = "click.option"
# What the parsed arguments are called where they are handed from function to function.
_NAMESPACES = {"args", "opt", "opts", "options", "flags", "arguments", "parsed"}
_PARSERS = {"parse_args", "parse_known_args"}
_MAX_UNITS = 100  # that read one name: nobody writes more


class OptionDefault(NamedTuple):
    """`--train_dir` with `default=value`; `destination` is what the program reads it by: an
    attribute (`.train_dir`, with its dot), or the name of a parameter."""

    flags: tuple[str, ...]
    destination: str
    value: ast.expr
    scope: Scope


def find_option_defaults(scan: Scan) -> list[OptionDefault]:
    """The options (not the plain arguments) that may be left out and then have a default."""
    found = []
    for sighting in scan.calls:
        if not _declares(sighting, scan):
            continue
        flags = tuple(_texts(sighting, scan))
        keywords = {keyword.arg: keyword.value for keyword in sighting.node.keywords}
        default = keywords.get("default")
        if default is None or not flags or not all(flag.startswith("-") for flag in flags):
            continue
        if _constant(keywords.get("required"), sighting.scope, scan) is True:
            continue
        named = _constant(keywords.get("dest"), sighting.scope, scan)
        destination = named if isinstance(named, str) else _destination(flags)
        if isinstance(sighting.node.func, ast.Attribute) and _is_method(sighting.node.func):
            destination = f".{destination}"
        found.append(OptionDefault(flags, destination, default, sighting.scope))
    return found


def is_namespace(node: ast.expr, scope: Scope, scan: Scan) -> bool:
    """Whether `node` holds what a parser of the command line has read."""
    if isinstance(node, ast.Attribute):  # self.args
        return node.attr.lower() in _NAMESPACES
    if not isinstance(node, ast.Name):
        return False
    bindings = scan.bindings(node.id, scope)
    value = bindings[0].node if len(bindings) == 1 and bindings[0].kind == "value" else None
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Attribute):
        return value.func.attr in _PARSERS
    return node.id.lower() in _NAMESPACES


class ValuesRead:
    """Which names and attributes (`.train_dir`) a module reads without asking about them before."""

    def __init__(self, scan: Scan) -> None:
        self._settled = changed_values(scan)
        self._settled.update(
            word for sighting in scan.calls for word in _asked_about(sighting.node)
        )
        self._units: dict[str, set[int]] = {}
        unsure = FILE_GUARD | ARGV_GUARD | ELSEWHERE | TYPE_CHECKING
        for place in scan.names:
            if not place.flags & unsure:
                for word in _words(place.node):
                    units = self._units.setdefault(word, set())
                    if len(units) < _MAX_UNITS:
                        units.add(place.unit)

    def units(self, name: str) -> frozenset[int]:
        """The units that read `name` as it comes; none where a file question is asked of it, or
        where it is given another value."""
        return frozenset() if name in self._settled else frozenset(self._units.get(name, ()))


def _declares(sighting: Sighting[ast.Call], scan: Scan) -> bool:
    function = sighting.node.func
    if isinstance(function, ast.Attribute) and _is_method(function):
        return True
    return _DECLARING_FUNCTION in scan.resolve(function, sighting.scope)


def _is_method(function: ast.Attribute) -> bool:
    return function.attr in _DECLARING_METHODS


def _texts(sighting: Sighting[ast.Call], scan: Scan) -> Iterator[str]:
    for argument in sighting.node.args:
        value = _constant(argument, sighting.scope, scan)
        yield value if isinstance(value, str) else ""


def _constant(node: ast.expr | None, scope: Scope, scan: Scan) -> object:
    constant = scan.constant(node, scope) if node is not None else None
    return constant.value if constant is not None else None


def _destination(flags: tuple[str, ...]) -> str:
    """As argparse, optparse and click name it: after the first long flag."""
    first = next((flag for flag in flags if flag.startswith("--")), flags[0])
    return first.lstrip("-").replace("-", "_")


def changed_values(scan: Scan) -> set[str]:
    """Attributes (`.device`) and keys (`device`) that the module gives another value, by
    `args.device = …`, `setattr(args, "device", …)`, `set_defaults` and `config["device"] = …`."""
    changed: set[str] = set()
    for assignment in scan.assignments:
        node = assignment.node
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Attribute):
                changed.add(f".{target.attr}")
            elif isinstance(target, ast.Subscript):
                changed.add(str(_constant(target.slice, assignment.scope, scan)))
    for sighting in scan.calls:
        call, function = sighting.node, sighting.node.func
        if isinstance(function, ast.Attribute) and function.attr == "set_defaults":
            changed.update(f".{keyword.arg}" for keyword in call.keywords)
        elif len(call.args) > 1 and "builtins.setattr" in scan.resolve(function, sighting.scope):
            changed.add(f".{_constant(call.args[1], sighting.scope, scan)}")
    return changed


def _asked_about(node: ast.Call) -> Iterator[str]:
    """The names in `os.path.isdir(args.train_dir)` and `Path(folder).exists()`."""
    function = node.func
    word = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if word in FILE_QUESTIONS:
        for part in ast.walk(node):
            if isinstance(part, (ast.Attribute, ast.Name)):
                yield f".{part.attr}" if isinstance(part, ast.Attribute) else part.id


def _words(node: ast.Attribute | ast.Name) -> Iterator[str]:
    inner: ast.expr = node
    while isinstance(inner, ast.Attribute):
        yield f".{inner.attr}"
        inner = inner.value
    if isinstance(inner, ast.Name):
        yield inner.id
