"""What can be known, without running it, of the path that an expression stands for.

A path is followed through `os.path.join`, `pathlib`, `+`, `/`, f-strings, names that are
assigned once, and defaults of parameters. What stays unknown is not guessed.
"""

from __future__ import annotations

import ast
import posixpath
from collections.abc import Callable
from typing import Any, NamedTuple

from grader.source.facts import Parameter, ParameterDefault
from grader.source.scan import Scan, Scope

PATH_CLASSES = {"pathlib.Path", "pathlib.PurePath", "pathlib.PosixPath", "pathlib.PurePosixPath"}
SAME_PATH = {
    "os.path.abspath",
    "os.path.realpath",
    "os.path.normpath",
    "os.fspath",
    "builtins.str",
}
SAME_PATH_METHODS = {"resolve", "absolute", "as_posix"}
_MAX_STEPS = 12


class KnownPath(NamedTuple):
    """A path as far as it is known: `text` below `anchor`.

    `anchor`: "cwd", "file" (the folder of the module itself) or "unknown". `is_object`: a
    `pathlib.Path`. `default`: the path holds only while this parameter is left out.
    """

    text: str
    anchor: str
    is_object: bool = False
    default: ParameterDefault | None = None


UNKNOWN = KnownPath("", "unknown")
_HERE = KnownPath("", "cwd")


def follow_path(node: ast.expr, scope: Scope, scan: Scan) -> KnownPath:
    """The path that `node`, read in `scope`, stands for."""
    return _Follower(scan).follow(node, scope)


class _Follower:
    """One question; `steps` bounds how far names lead from one to the next."""

    def __init__(self, scan: Scan) -> None:
        self.scan = scan
        self.steps = _MAX_STEPS
        self.kinds: dict[type[ast.expr], Callable[[Any, Scope], KnownPath]] = {
            ast.Constant: self._constant,
            ast.Name: self._name,
            ast.Call: self._call,
            ast.BinOp: self._operator,
            ast.JoinedStr: self._joined,
            ast.Attribute: self._parent,
            ast.Subscript: self._ancestor,
        }

    def follow(self, node: ast.expr, scope: Scope) -> KnownPath:
        handler = self.kinds.get(type(node))
        if handler is None or not self.steps:
            return UNKNOWN
        self.steps -= 1
        return handler(node, scope)

    # ------------------------------------------------------------------ literals and names

    def _constant(self, node: ast.Constant, _: Scope) -> KnownPath:
        if not isinstance(node.value, str) or node.value.startswith(("/", "~")):
            return UNKNOWN
        return KnownPath(node.value, "cwd")

    def _joined(self, node: ast.JoinedStr, scope: Scope) -> KnownPath:
        """`f"{folder}/labels.json"`: what follows the first slash after the last value."""
        last = node.values[-1] if node.values else None
        if not isinstance(last, ast.Constant) or not isinstance(last.value, str):
            return UNKNOWN
        if len(node.values) == 1:
            return self._constant(last, scope)
        head, slash, tail = last.value.partition("/")
        first = node.values[0]
        if len(node.values) == 2 and isinstance(first, ast.FormattedValue) and slash and not head:
            return _combine(self.follow(first.value, scope), KnownPath(tail.lstrip("/"), "cwd"))
        return KnownPath(tail, "unknown") if tail else UNKNOWN

    def _name(self, node: ast.Name, scope: Scope) -> KnownPath:
        bindings = self.scan.bindings(node.id, scope)
        binding = bindings[0] if len(bindings) == 1 else None
        if binding is None or binding.node is None or binding.scope is None:
            return UNKNOWN
        if binding.kind == "value":
            return self.follow(binding.node, binding.scope)
        if isinstance(binding.node, ast.Constant):
            path = self.follow(binding.node, binding.scope)
            default = parameter_default(node.id, binding.scope)
            if default is not None and path.text:
                return path._replace(default=default)
        return UNKNOWN

    # ------------------------------------------------------------------ functions

    def _call(self, node: ast.Call, scope: Scope) -> KnownPath:
        if any(isinstance(item, ast.Starred) for item in node.args):
            return UNKNOWN
        functions = self.scan.resolve(node.func, scope)
        if not functions:
            return self._method(node, scope)
        function = functions[0]
        path = UNKNOWN
        if function == "os.path.join" and node.args:
            path = self._join(node.args, scope)
        elif function in PATH_CLASSES:
            path = self._join(node.args, scope) if node.args else _HERE
            path = path._replace(is_object=True)
        elif function in SAME_PATH and len(node.args) == 1:
            path = self.follow(node.args[0], scope)
        elif function == "os.path.dirname" and len(node.args) == 1:
            path = self._dirname(node.args[0], scope)
        elif function in ("os.getcwd", "pathlib.Path.cwd"):
            path = _HERE._replace(is_object=function != "os.getcwd")
        return path if path is not UNKNOWN else self._method(node, scope)

    def _method(self, node: ast.Call, scope: Scope) -> KnownPath:
        if not isinstance(node.func, ast.Attribute):
            return UNKNOWN
        if node.func.attr in SAME_PATH_METHODS and not node.args:
            return self.follow(node.func.value, scope)
        if node.func.attr == "joinpath" and node.args:
            left = self.follow(node.func.value, scope)
            return _combine(left, self._join(node.args, scope))
        if node.func.attr == "with_name" and len(node.args) == 1:
            beside = self._dirname(node.func.value, scope)
            return _combine(beside, self.follow(node.args[0], scope))
        return UNKNOWN

    def _dirname(self, node: ast.expr, scope: Scope) -> KnownPath:
        if self._is_this_file(node, scope):
            return KnownPath("", "file")
        return _above(self.follow(node, scope))

    def _parent(self, node: ast.Attribute, scope: Scope) -> KnownPath:
        if node.attr != "parent":
            return UNKNOWN
        return self._dirname(node.value, scope)._replace(is_object=True)

    def _ancestor(self, node: ast.Subscript, scope: Scope) -> KnownPath:
        """`Path(__file__).parents[1]`."""
        folders, number = node.value, node.slice
        if (
            not isinstance(folders, ast.Attribute)
            or folders.attr != "parents"
            or not isinstance(number, ast.Constant)
            or not isinstance(number.value, int)
            or not 0 <= number.value < _MAX_STEPS
            or not self._is_this_file(folders.value, scope)
        ):
            return UNKNOWN
        return KnownPath("/".join([".."] * number.value), "file", is_object=True)

    def _is_this_file(self, node: ast.expr, scope: Scope) -> bool:
        """Whether `node` is `__file__`, however wrapped or called."""
        for _ in range(_MAX_STEPS):
            if isinstance(node, ast.Name):
                bindings = self.scan.bindings(node.id, scope)
                binding = bindings[0] if len(bindings) == 1 else None
                if binding is None or binding.kind != "value" or binding.scope is None:
                    break
                assert binding.node is not None  # a value has an expression
                node, scope = binding.node, binding.scope
            if not isinstance(node, ast.Call):
                break
            if isinstance(node.func, ast.Attribute) and node.func.attr in SAME_PATH_METHODS:
                node = node.func.value
                continue
            functions = self.scan.resolve(node.func, scope)
            if len(node.args) != 1 or not any(
                function in SAME_PATH or function in PATH_CLASSES for function in functions
            ):
                break
            node = node.args[0]
        return isinstance(node, ast.Name) and node.id == "__file__"

    # ------------------------------------------------------------------ joining

    def _operator(self, node: ast.BinOp, scope: Scope) -> KnownPath:
        left = self.follow(node.left, scope)
        right = self.follow(node.right, scope)
        if isinstance(node.op, ast.Div):
            return _combine(left, right)._replace(is_object=True)
        if isinstance(node.op, ast.Add):
            if left.text and left.anchor == "cwd" and right.text and right.anchor == "cwd":
                return KnownPath(left.text + right.text, "cwd")
            # `folder + "/labels.json"`: a literal that starts with a slash goes below the folder.
            tail = self.scan.constant(node.right, scope)
            if tail is not None and isinstance(tail.value, str) and tail.value.startswith("/"):
                return _combine(left, KnownPath(tail.value.lstrip("/"), "cwd"))
        return UNKNOWN

    def _join(self, nodes: list[ast.expr], scope: Scope) -> KnownPath:
        path = self.follow(nodes[0], scope)
        for node in nodes[1:]:
            path = _combine(path, self.follow(node, scope))
        return path


def _above(path: KnownPath) -> KnownPath:
    """The folder that holds `path`; not known where it lies above what is known."""
    text = posixpath.normpath(path.text) if path.text else "."
    climbs = text.rpartition("/")[2] in (".", "..")
    if path.anchor == "unknown" or (path.anchor == "cwd" and climbs):
        return UNKNOWN
    if climbs:
        return path._replace(text=posixpath.normpath(posixpath.join(text, "..")))
    return path._replace(text=posixpath.dirname(text))


def _combine(left: KnownPath, right: KnownPath) -> KnownPath:
    """`left / right`. A right side that is unknown swallows the left one."""
    if right.anchor != "cwd":
        return right
    text = posixpath.join(left.text, right.text) if left.text else right.text
    return KnownPath(
        text, left.anchor, left.is_object or right.is_object, left.default or right.default
    )


def parameter_of(name: str, scope: Scope) -> Parameter | None:
    """Which parameter of the function whose scope this is `name` is."""
    function = scope.node
    if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return None
    parameters = [item.arg for item in [*function.args.posonlyargs, *function.args.args]]
    called, is_method = function.name, False
    owner = scope.parent.node if scope.parent else None
    if isinstance(owner, ast.ClassDef):
        if not any(getattr(item, "id", "") == "staticmethod" for item in function.decorator_list):
            parameters = parameters[1:]
        is_method = called != "__init__"
        if not is_method:
            called = owner.name
    position = parameters.index(name) if name in parameters else len(parameters)
    return Parameter(called, position, name, is_method)


def parameter_default(name: str, scope: Scope) -> ParameterDefault | None:
    """How a call can override the parameter `name` of the function whose scope this is."""
    parameter = parameter_of(name, scope)
    return None if parameter is None else ParameterDefault(*parameter[:3])
