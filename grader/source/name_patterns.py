"""What is sure of a name that a program puts together: `f"runs/epoch_{n}.npy"` begins with
`runs/epoch_` and ends in `.npy`.

Where `known_paths` asks for the whole path, this asks for as much of it as there is.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from typing import Any, NamedTuple

from grader.source.facts import Parameter, Pieces
from grader.source.known_paths import PATH_CLASSES, SAME_PATH, SAME_PATH_METHODS, parameter_of
from grader.source.scan import Scan, Scope

ANYTHING: Pieces = ("", "")
_MAX_STEPS = 24
_MAX_PIECES = 16
_MAX_ALTERNATIVES = 4
_LONGEST_TEXT = 300
_CONVERSION = re.compile(r"%(?:\(\w*\))?[-#0 +]*\d*(?:\.\d+)?[a-zA-Z]")
_FIELD = re.compile(r"\{[^{}]*\}")
_TOLD_WORDS = ("argv", "args")
_PARSERS = ("parse_args", "parse_known_args")


class NamePattern(NamedTuple):
    """`pieces`: the literal texts, with something unknown between each two. `parameter`: what is
    unknown at the end is this parameter. `told`: it comes from the command line.
    """

    pieces: Pieces
    parameter: Parameter | None = None
    told: bool = False


_ANY = NamePattern(ANYTHING)


def follow_name(node: ast.expr, scope: Scope, scan: Scan) -> tuple[NamePattern, ...]:
    """What is known of the text or path that `node` stands for: one pattern for each of the few
    values it may have (`"a" if x else "b"`)."""
    follower = _Follower(scan)
    found: list[NamePattern] = []
    waiting = [(node, scope)]
    while waiting:
        item, seen_from = waiting.pop()
        others = _alternatives(item, seen_from, scan)
        if others and follower.steps:
            follower.steps -= 1
            waiting += others
        else:
            found.append(follower.follow(item, seen_from))
            waiting += _default(item, seen_from, scan)
        if len(waiting) + len(found) > _MAX_ALTERNATIVES:
            return (_ANY,)
    return tuple(dict.fromkeys(found))


def _alternatives(node: ast.expr, scope: Scope, scan: Scan) -> list[tuple[ast.expr, Scope]]:
    if isinstance(node, ast.IfExp):
        return [(node.body, scope), (node.orelse, scope)]
    if isinstance(node, ast.BoolOp):
        return [(value, scope) for value in node.values]
    if isinstance(node, ast.Attribute):
        given = scan.attributes.get(node.attr, ())
        return list(given) if len(given) <= _MAX_ALTERNATIVES else []
    if isinstance(node, ast.Name):
        bindings = scan.bindings(node.id, scope)
        few = len(bindings) <= _MAX_ALTERNATIVES
        if few and all(binding.kind == "value" for binding in bindings):
            return [
                (binding.node, binding.scope)
                for binding in bindings
                if binding.node is not None and binding.scope is not None
            ]
    return []


def _default(node: ast.expr, scope: Scope, scan: Scan) -> list[tuple[ast.expr, Scope]]:
    """What a parameter stands for where a call leaves it out."""
    bindings = scan.bindings(node.id, scope) if isinstance(node, ast.Name) else []
    if len(bindings) == 1 and bindings[0].kind == "parameter":
        default, seen_from = bindings[0].node, bindings[0].scope
        if isinstance(default, ast.Constant) and seen_from is not None:
            return [(default, seen_from)]
    return []


class _Follower:
    """One question; `steps` bounds how far it leads."""

    def __init__(self, scan: Scan) -> None:
        self.scan = scan
        self.steps = _MAX_STEPS
        self.kinds: dict[type[ast.expr], Callable[[Any, Scope], NamePattern]] = {
            ast.Constant: self._constant,
            ast.JoinedStr: self._text,
            ast.FormattedValue: self._value,
            ast.BinOp: self._operator,
            ast.Call: self._call,
            ast.Name: self._name,
        }

    def follow(self, node: ast.expr, scope: Scope) -> NamePattern:
        handler = self.kinds.get(type(node), self._told)
        if not self.steps:
            return _ANY
        self.steps -= 1
        return handler(node, scope)

    def _constant(self, node: ast.Constant, _: Scope) -> NamePattern:
        value = node.value
        if isinstance(value, int) and value.bit_length() < 64:
            return NamePattern((str(value),))
        if isinstance(value, str) and len(value) <= _LONGEST_TEXT:
            return NamePattern((value,))
        return _ANY

    def _text(self, node: ast.JoinedStr, scope: Scope) -> NamePattern:
        return self._concatenated(node.values, scope)

    def _value(self, node: ast.FormattedValue, scope: Scope) -> NamePattern:
        plain = node.conversion == -1 and node.format_spec is None
        return self.follow(node.value, scope) if plain else _ANY

    def _name(self, node: ast.Name, scope: Scope) -> NamePattern:
        bindings = self.scan.bindings(node.id, scope)
        binding = bindings[0] if len(bindings) == 1 else None
        if binding is not None and binding.scope is not None:
            if binding.kind == "value" and binding.node is not None:
                return self.follow(binding.node, binding.scope)
            if binding.kind == "parameter":
                return NamePattern(ANYTHING, parameter_of(node.id, binding.scope))
        return self._told(node, scope)

    def _told(self, node: ast.expr, scope: Scope) -> NamePattern:
        """`args.out`, `sys.argv[2]`, `options["out"]` where a parser gave the options."""
        for _ in range(_MAX_STEPS):
            if isinstance(node, ast.Attribute):
                if any(word in node.attr.lower() for word in _TOLD_WORDS):
                    return _ANY._replace(told=True)
                node = node.value
            elif isinstance(node, ast.Subscript):
                node = node.value
            elif isinstance(node, ast.Call):
                node = node.func
            else:
                break
        if not isinstance(node, ast.Name):
            return _ANY
        told = any(word in node.id.lower() for word in _TOLD_WORDS) or any(
            isinstance(binding.node, ast.Call)
            and isinstance(binding.node.func, ast.Attribute)
            and binding.node.func.attr in _PARSERS
            for binding in self.scan.bindings(node.id, scope)[:_MAX_ALTERNATIVES]
        )
        return _ANY._replace(told=told)

    # ------------------------------------------------------------------ putting together

    def _operator(self, node: ast.BinOp, scope: Scope) -> NamePattern:
        if isinstance(node.op, ast.Add):
            return self._concatenated([node.left, node.right], scope)
        if isinstance(node.op, ast.Div):
            return self._joined([node.left, node.right], scope)
        if isinstance(node.op, ast.Mod):
            return self._filled_in(node.left, _CONVERSION, scope)
        return _ANY

    def _call(self, node: ast.Call, scope: Scope) -> NamePattern:
        for function in self.scan.resolve(node.func, scope)[:1]:
            if (function == "os.path.join" or function in PATH_CLASSES) and node.args:
                return self._joined(node.args, scope)
            if function in SAME_PATH and len(node.args) == 1:
                return self.follow(node.args[0], scope)
        if isinstance(node.func, ast.Attribute):
            return self._method(node.func.value, node.func.attr, node, scope)
        return self._told(node, scope)

    def _method(self, receiver: ast.expr, name: str, node: ast.Call, scope: Scope) -> NamePattern:
        if name in SAME_PATH_METHODS and not node.args:
            return self.follow(receiver, scope)
        if name == "joinpath":
            return self._joined([receiver, *node.args], scope)
        if name == "with_name" and len(node.args) == 1:
            return self.follow(node.args[0], scope)
        if name == "with_suffix" and len(node.args) == 1:
            return NamePattern(("", *self.follow(node.args[0], scope).pieces))
        if name == "format":
            return self._filled_in(receiver, _FIELD, scope)
        return self._told(node, scope)

    def _filled_in(self, node: ast.expr, gap: re.Pattern[str], scope: Scope) -> NamePattern:
        """`"epoch_%d.npy" % n`, `"epoch_{}.npy".format(n)`."""
        text = self.scan.constant(node, scope)
        if text is None or not isinstance(text.value, str) or len(text.value) > _LONGEST_TEXT:
            return _ANY
        pieces = tuple(gap.split(text.value))
        return NamePattern(pieces) if len(pieces) <= _MAX_PIECES else _ANY

    def _concatenated(self, nodes: list[ast.expr], scope: Scope) -> NamePattern:
        if len(nodes) > _MAX_PIECES:
            return _ANY
        pattern = NamePattern(("",))
        for node in nodes:
            added = self.follow(node, scope)
            pieces = append(pattern.pieces, added.pieces)
            pattern = NamePattern(pieces, added.parameter, pattern.told or added.told)
        return pattern if len(pattern.pieces) <= _MAX_PIECES else _ANY

    def _joined(self, nodes: list[ast.expr], scope: Scope) -> NamePattern:
        """Folders, and the name that decides: where it is told, so is the path."""
        if len(nodes) > _MAX_PIECES or any(isinstance(node, ast.Starred) for node in nodes):
            return _ANY
        pattern = self.follow(nodes[0], scope)
        for node in nodes[1:]:
            added = self.follow(node, scope)
            folder = pattern.pieces
            if not folder[-1].endswith("/"):
                folder = append(folder, ("/",))
            pattern = added._replace(pieces=append(folder, added.pieces))
        return pattern if len(pattern.pieces) <= _MAX_PIECES else _ANY


def append(left: Pieces, right: Pieces) -> Pieces:
    """The pieces of a text that begins with `left` and goes on with `right`."""
    return (*left[:-1], left[-1] + right[0], *right[1:])
