"""A tree → a sequence of tokens that renaming, formatting and spelling do not change.

The tree is written in pre-order, one token a node, in canonical form:

- a name bound anywhere in the submission is one and the same token; a name of a library is its
  full path (`nn.Conv2d` after `from torch import nn` → `torch.nn.Conv2d`); numbers stay; strings
  are one token, because they are what is edited first and what an assignment prescribes;
- `x += 1` is `x = x + 1`; `a > b` is `b < a`; `not a == b` is `a != b`; a constant stands right
  of `+`, `*` and `==`; `if not c: A else: B` is `if c: B else: A`; `A if c else B` is an `if`;
  keywords are sorted; comprehensions are one kind;
- docstrings, prints, logging, imports, annotations, `pass` and plain assignment targets are left
  out; a name that is bound once and used once, soon after, is replaced by what it stands for.

Because the order is pre-order, every subtree is a slice of the sequence, so statements, calls and
k-grams are all hashed from one array of prefix sums (grader/similarity/source/slice_hashes.py).
"""

# ruff: noqa: N802, N815 - handlers are called as the nodes that they write

from __future__ import annotations

import ast
import operator
from array import array
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import cache

from grader.similarity.source.symbols import BUILTINS, Names, Symbols, meaning_of_function

Number = int | float

# Kinds of features: how much context a feature holds.
STATEMENT, CALL, SHAPE = 0, 1, 2

_NOBODYS: frozenset[str] = frozenset()
_MIN_FEATURE_TOKENS = 3  # `x = y` says nothing
_UNIT_STATEMENTS = 40  # module-level code is cut into units of as many statements

_LARGEST, _LARGEST_POWER = 1e18, 64  # of numbers that are computed: beyond, nobody means them
_COMMUTES = (ast.Add, ast.Mult, ast.BitAnd, ast.BitOr, ast.BitXor)
_PLAIN = frozenset({ast.Expr, ast.Return, ast.Pass, ast.Raise, ast.Assert})
_PARTS = ("body", "orelse", "handlers", "finalbody", "cases")  # of a statement: its statements
_DEFINITIONS = frozenset({ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef})
_MIRRORED: dict[type[ast.cmpop], str] = {ast.Gt: "Lt", ast.GtE: "LtE"}
_INVERTED: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq,
    ast.Lt: ast.GtE,
    ast.LtE: ast.Gt,
    ast.Gt: ast.LtE,
    ast.GtE: ast.Lt,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
    ast.In: ast.NotIn,
    ast.NotIn: ast.In,
}
_TALK = frozenset({"print", "pprint", "display"})
# of an object of the student's, which may have any name, or of these libraries
_TALK_METHODS = frozenset({"debug", "info", "warning", "warn", "error", "critical", "exception"})
_TALK_LIBRARIES = frozenset({"logging", "warnings"})
_LEFT_OUT = ("Import", "ImportFrom", "Pass", "Nonlocal", "TypeAlias", "Delete")
# Names that nobody imports in a notebook's later cells or a broken file, and everybody means.
CUSTOMARY_ALIASES = {
    "np": "numpy",
    "plt": "matplotlib.pyplot",
    "pd": "pandas",
    "torch": "torch",
    "nn": "torch.nn",
    "cv2": "cv2",
}


def _numbers() -> array[int]:
    return array("i")


@dataclass(slots=True)
class Sequence:
    """The tokens of one text, its features and its units.

    `tokens`: one number a token. `marks` holds three numbers each: from which token on the tokens
    stand in which line and unit. `shapes` is a second sequence: of each call
    only callee and constants. `features` holds five numbers each: kind, start, end (a
    slice of `tokens`, of `shapes` for SHAPE), unit, first token. Units are functions, class bodies
    and stretches of module-level code.
    """

    tokens: array[int] = field(default_factory=_numbers)
    marks: array[int] = field(default_factory=_numbers)
    shapes: array[int] = field(default_factory=_numbers)
    features: array[int] = field(default_factory=_numbers)
    # (start, start of the value, end, where it is used) of what temporaries stand for
    inlines: list[tuple[int, int, int, int]] = field(default_factory=list)
    num_units: int = 0


class _Scope:
    """How often the names of a function are bound and used."""

    __slots__ = ("assigned", "loads", "position", "stores")

    def __init__(self) -> None:
        self.stores: dict[str, int] = {}
        self.loads: dict[str, int] = {}
        self.position: dict[str, int] = {}  # token of the last use
        self.assigned: dict[str, tuple[int, int, int]] = {}  # start, value's start, end

    def temporaries(self) -> Iterable[tuple[int, int, int, int]]:
        for name, (start, value, end) in self.assigned.items():
            if self.stores[name] == 1 and self.loads.get(name) == 1:
                used = self.position[name]
                if used >= end:
                    yield start, value, end, used


class Linearise:
    """Writes trees into `out`. One instance for a text; `names` are shared by the cells of a
    notebook. Nesting beyond Python's limit raises RecursionError."""

    def __init__(
        self,
        symbols: Symbols,
        names: Names,
        own_modules: frozenset[str],
    ) -> None:
        self.out = Sequence()
        self._symbols = symbols
        self._names = names
        self._bound = names.bound
        self._own_modules = own_modules
        self._aliases = names.aliases
        self._inner, self._outer = names.inner, names.outer
        self._hidden: frozenset[str] = _NOBODYS  # names of the module that functions use otherwise
        self._line = 1
        self._scope = _Scope()
        self._constants: dict[tuple[type, object], int] = {}
        self._functions = 0  # how deep in functions
        self._statements = 0  # in this unit
        self._in_class = False
        self._handlers: dict[type[ast.AST], Callable[..., None]] = {
            kind: getattr(self, name) for kind, name in _handlers().items()
        }
        self._marks = self.out.marks.extend
        self._features = self.out.features.extend
        self._nodes = symbols.nodes
        self._emit = self.out.tokens.append
        self._unit = self._new_unit()
        self._mark()

    def body(self, body: list[ast.stmt]) -> None:
        """Write statements: a whole module, or one statement of a broken one."""
        self._find_imports(body)
        self._body(body)

    def finished(self) -> Sequence:
        self.out.inlines += self._scope.temporaries()
        self._scope = _Scope()
        self._handlers.clear()  # they hold their holder, and workers look for no cycles
        return self.out

    # ------------------------------------------------------------------ what is written

    def _new_unit(self) -> int:
        unit = self.out.num_units
        self.out.num_units += 1
        self._statements = 0
        return unit

    def _mark(self) -> None:
        """The tokens from here on stand in this line and unit."""
        self._marks((len(self.out.tokens), self._line, self._unit))

    def _node(self, name: str) -> None:
        self._emit(self._nodes[name])

    def _feature(self, kind: int, start: int, end: int, place: int) -> None:
        self._features((kind, start, end, self._unit, place))

    def _expr(self, node: ast.AST) -> None:
        self._handlers[type(node)](node)

    def _generic(self, node: ast.AST) -> None:
        """A node without a rule: its type, then its children in order."""
        self._node(type(node).__name__)
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, list):
                if value and isinstance(value[0], ast.stmt):
                    self._body(value)
                else:
                    for item in value:
                        if isinstance(item, ast.AST):
                            self._expr(item)
            elif isinstance(value, ast.AST) and not isinstance(value, ast.expr_context):
                self._expr(value)

    def _nothing(self, node: ast.AST) -> None:
        """What says nothing about who wrote it."""

    # ------------------------------------------------------------------ imports

    def _find_imports(self, body: Iterable[ast.stmt]) -> None:
        for node in body:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                self._expr(node)
            elif isinstance(node, (ast.Try, ast.If, ast.With)):
                self._find_imports(node.body)

    def _on_Import(self, node: ast.Import) -> None:
        for alias in node.names:
            top = alias.name.partition(".")[0]
            if top in self._own_modules:
                self._bound.add(alias.asname or top)
            elif alias.asname:
                self._aliases[alias.asname] = alias.name
            else:
                self._aliases[top] = top

    def _on_ImportFrom(self, node: ast.ImportFrom) -> None:
        module = node.module or ""
        own = bool(node.level) or module.partition(".")[0] in self._own_modules
        for alias in node.names:
            name = alias.asname or alias.name
            if own:
                self._bound.add(name)
            else:
                self._aliases[name] = f"{module}.{alias.name}"

    # ------------------------------------------------------------------ statements

    def _body(self, body: list[ast.stmt]) -> None:
        handlers, tokens, mark = self._handlers, self.out.tokens, self._marks
        for node in body:
            self._line = line = node.lineno
            if not self._functions:
                self._statements += 1
                if self._statements > _UNIT_STATEMENTS:
                    self._unit = self._new_unit()
            mark((len(tokens), line, self._unit))
            handlers[type(node)](node)

    def _whole(self, node: ast.AST) -> None:
        """An expression that stands for a statement: a feature of its own."""
        kind = type(node)
        if kind is ast.Call:  # of a call there is a feature already
            self._handlers[kind](node)
            return
        tokens = self.out.tokens
        start = len(tokens)
        self._handlers[kind](node)
        end = len(tokens)
        if end - start >= _MIN_FEATURE_TOKENS:
            self._features((STATEMENT, start, end, self._unit, start))

    def _on_Expr(self, node: ast.Expr) -> None:
        value = node.value
        if isinstance(value, ast.Constant) or self._is_talk(value):
            return
        self._whole(value)

    def _is_talk(self, node: ast.expr) -> bool:
        """Whether the call only tells a person something."""
        if not isinstance(node, ast.Call):
            return False
        function = node.func
        if isinstance(function, ast.Name):
            return function.id in _TALK
        if not isinstance(function, ast.Attribute) or function.attr not in _TALK_METHODS:
            return False
        root = function.value
        library = self._aliases.get(root.id) if isinstance(root, ast.Name) else None
        return library is None or library in _TALK_LIBRARIES

    def _on_Assign(self, node: ast.Assign) -> None:
        self._assign(node.targets, node.value)

    def _on_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is None:
            self._target(node.target)
        else:
            self._assign([node.target], node.value)

    def _assign(self, targets: list[ast.expr], value: ast.expr) -> None:
        start = len(self.out.tokens)
        self._node("Assign")
        target = targets[0]
        first = not self._functions and len(targets) == 1 and type(target) is ast.Name
        if first and target.id not in self._names.assigned:  # type: ignore[attr-defined]
            self._stands_for(target.id, value)  # type: ignore[attr-defined]
        for target in targets:
            self._target(target)
        value_start = len(self.out.tokens)
        self._whole(value)
        if len(targets) == 1 and type(targets[0]) is ast.Name:
            self._scope.assigned[targets[0].id] = (start, value_start, len(self.out.tokens))

    def _stands_for(self, name: str, value: ast.expr) -> None:
        """A name of the module for a constant or for a function is that constant or function."""
        if isinstance(value, ast.Constant):
            text = isinstance(value.value, (str, bytes))
            meaning = "node Text" if text else f"value {_spelled(value.value)}"
        elif (number := _folded(value)) is not None:
            meaning = f"value {_spelled(number)}"
        elif (library := self._library_path(value)) is not None:
            self._aliases[name] = library
            return
        elif (module := _imported(value)) is not None:
            self._aliases[name] = module
            return
        elif isinstance(value, ast.Name) and value.id in BUILTINS - self._bound:
            meaning = meaning_of_function(value.id)
        else:
            return
        self._names.outer.constants[name] = meaning

    def _on_AugAssign(self, node: ast.AugAssign) -> None:
        target = node.target
        self._node("Assign")
        self._target(target)
        start = len(self.out.tokens)
        self._node("BinOp")
        self._node(type(node.op).__name__)
        self._expr(target)
        self._expr(node.value)
        self._feature(STATEMENT, start, len(self.out.tokens), start)

    def _target(self, node: ast.expr) -> None:
        """Only a target with an index is written: what a plain one is called says nothing."""
        kind = type(node)
        if kind is ast.Name:
            self._bind(node.id)  # type: ignore[attr-defined]
        elif kind is ast.Attribute:
            self._symbols.attrs.bound.add(node.attr)  # type: ignore[attr-defined]
        elif kind is ast.Subscript:
            self._whole(node)
        elif isinstance(node, (ast.Tuple, ast.List)):
            for item in node.elts:
                self._target(item)
        elif isinstance(node, ast.Starred):
            self._target(node.value)

    def _bind(self, name: str) -> None:
        self._bound.add(name)
        if not self._functions and name not in self._hidden:
            self._names.assign(name)
        if self._in_class:
            self._symbols.attrs.bound.add(name)
        stores = self._scope.stores
        stores[name] = stores.get(name, 0) + 1

    def _on_Global(self, node: ast.Global) -> None:
        for name in node.names:
            self._names.assign(name)

    def _on_Return(self, node: ast.Return) -> None:
        self._node("Return")
        if node.value is not None:
            self._whole(node.value)

    def _on_Assert(self, node: ast.Assert) -> None:
        self._node("Assert")
        self._whole(node.test)

    def _on_Raise(self, node: ast.Raise) -> None:
        self._node("Raise")
        if node.exc is not None:
            self._whole(node.exc)

    def _on_If(self, node: ast.If) -> None:
        self._node("If")
        test, body, orelse = node.test, node.body, node.orelse
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            test = test.operand
            if orelse:
                body, orelse = orelse, body
        self._whole(test)
        self._body(body)
        if orelse:
            self._node("Else")
            self._body(orelse)

    def _on_IfExp(self, node: ast.IfExp) -> None:
        self._node("If")
        test, body, orelse = node.test, node.body, node.orelse
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            test, body, orelse = test.operand, orelse, body
        self._expr(test)
        self._expr(body)
        self._node("Else")
        self._expr(orelse)

    def _on_While(self, node: ast.While) -> None:
        self._node("While")
        self._whole(node.test)
        self._body(node.body)
        self._body(node.orelse)

    def _on_For(self, node: ast.For | ast.AsyncFor) -> None:
        self._node("For")
        self._target(node.target)
        self._whole(node.iter)
        self._body(node.body)
        self._body(node.orelse)

    _on_AsyncFor = _on_For

    def _on_With(self, node: ast.With | ast.AsyncWith) -> None:
        self._node("With")
        for item in node.items:
            if item.optional_vars is not None:
                self._target(item.optional_vars)
            self._whole(item.context_expr)
        self._body(node.body)

    _on_AsyncWith = _on_With

    def _on_Try(self, node: ast.Try) -> None:
        self._node("Try")
        self._body(node.body)
        for handler in node.handlers:
            self._node("Except")
            if handler.name:
                self._bind(handler.name)
            if handler.type is not None:
                self._expr(handler.type)
            self._body(handler.body)
        self._body(node.orelse)
        self._body(node.finalbody)

    _on_TryStar = _on_Try

    def _on_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        symbols = self._symbols
        self._bound.add(node.name)
        if not node.name.startswith("__"):
            symbols.attrs.bound.add(node.name)
        outer = (self._unit, self._statements, self._scope, self._in_class, self._hidden)
        self._unit = self._new_unit()
        self._scope, self._in_class = _Scope(), False
        self._functions += 1
        self._mark()
        for decorator in node.decorator_list:
            self._whole(decorator)
        self._hidden |= _locals_of(node)
        self._line = node.lineno
        self._mark()
        self._node("Def")
        self._arguments(node.args)
        self._body(node.body)
        self.out.inlines += self._scope.temporaries()
        self._functions -= 1
        self._unit, self._statements, self._scope, self._in_class, self._hidden = outer
        self._mark()

    _on_AsyncFunctionDef = _on_FunctionDef

    def _arguments(self, arguments: ast.arguments) -> None:
        every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
        stores = self._scope.stores
        for argument in (*every, arguments.vararg, arguments.kwarg):
            if argument is not None:
                self._bound.add(argument.arg)
                stores[argument.arg] = stores.get(argument.arg, 0) + 1
        for default in (*arguments.defaults, *arguments.kw_defaults):
            if default is not None:
                self._expr(default)

    def _on_ClassDef(self, node: ast.ClassDef) -> None:
        self._bound.add(node.name)
        self._symbols.attrs.bound.add(node.name)
        outer = (self._unit, self._statements, self._scope, self._in_class, self._functions)
        self._unit = self._new_unit()
        self._scope, self._in_class, self._functions = _Scope(), True, 1
        self._mark()
        for decorator in node.decorator_list:
            self._whole(decorator)
        self._line = node.lineno
        self._mark()
        self._node("Class")
        for base in node.bases:
            self._expr(base)
        self._body(node.body)
        self._unit, self._statements, self._scope, self._in_class, self._functions = outer
        self._mark()

    # ------------------------------------------------------------------ expressions

    def _on_Name(self, node: ast.Name) -> None:
        name = node.id
        if name in self._hidden:
            space = self._inner
        elif name in self._aliases:
            self._emit(self._symbols.functions[self._aliases[name].rpartition(".")[2]])
            return
        else:
            space = self._outer
        scope, loads = self._scope, self._scope.loads
        loads[name] = loads.get(name, 0) + 1
        scope.position[name] = len(self.out.tokens)
        self._emit(space[name])

    def _on_Attribute(self, node: ast.Attribute) -> None:
        library = self._library_path(node)
        if library is not None:
            self._emit(self._symbols.functions[library.rpartition(".")[2]])
            return
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            self._emit(self._symbols.attrs[inner.attr])
            inner = inner.value
        self._expr(inner)

    def _library_path(self, node: ast.AST) -> str | None:
        """The full name of `alias.a.b`, when the alias is a library's."""
        root = node
        while type(root) is ast.Attribute:
            root = root.value
        if type(root) is not ast.Name or root.id not in self._aliases or root.id in self._hidden:
            return None
        parts: list[str] = []
        while type(node) is ast.Attribute:
            parts.append(node.attr)
            node = node.value
        parts.append(self._aliases[root.id])
        parts.reverse()
        return ".".join(parts)

    def _on_Constant(self, node: ast.Constant) -> None:
        self._emit(self._constant(node.value))

    def _constant(self, value: object) -> int:
        kind = type(value)
        if kind is str or kind is bytes:
            return self._nodes["Text"]
        key = (kind, value)  # 1, 1.0 and True are one key to a dictionary
        symbol = self._constants.get(key)
        if symbol is None:
            symbol = self._constants[key] = self._symbols.values[_spelled(value)]
        return symbol

    def _in_shape(self, node: ast.expr) -> int:
        """What a shape holds of an argument: its constant, or that there is one."""
        kind = type(node)
        if kind is ast.Name:
            name = node.id  # type: ignore[attr-defined]
            if name in self._hidden:
                return self._inner[name]
            if name not in self._aliases:
                return self._outer[name]  # a constant's name, as it turns out at the end
        elif kind is ast.Constant:
            return self._constant(node.value)  # type: ignore[attr-defined]
        elif kind in _COMPUTED and (number := _folded(node)) is not None:
            return self._constant(number)
        return self._nodes["?"]

    def _on_JoinedStr(self, node: ast.JoinedStr) -> None:  # noqa: ARG002 - text, whatever is in it
        self._node("Text")

    _on_TemplateStr = _on_JoinedStr

    def _on_UnaryOp(self, node: ast.UnaryOp) -> None:
        operand = node.operand
        number = _folded(node)
        if number is not None:
            self._emit(self._constant(number))
            return
        if isinstance(node.op, ast.Not) and isinstance(operand, ast.Compare):
            inverse = _INVERTED[type(operand.ops[0])]
            if len(operand.ops) == 1:
                self._compare(operand.left, inverse, operand.comparators[0])
                return
        self._node(type(node.op).__name__)
        self._expr(operand)

    def _on_BinOp(self, node: ast.BinOp) -> None:
        left, right = node.left, node.right
        if _is_text(left) and (type(node.op) is ast.Mod or _is_text(right)):
            self._node("Text")  # formatted, or cut in two
            return
        number = _folded(node) if type(right) in _FOLDED else None
        if number is not None:
            self._emit(self._constant(number))
            return
        if isinstance(left, ast.Constant) and isinstance(node.op, _COMMUTES):
            left, right = right, left
        nodes, emit, handlers = self._nodes, self._emit, self._handlers
        emit(nodes["BinOp"])
        emit(nodes[type(node.op).__name__])
        handlers[type(left)](left)
        handlers[type(right)](right)

    def _on_BoolOp(self, node: ast.BoolOp) -> None:
        self._node(type(node.op).__name__)
        for value in node.values:
            self._expr(value)

    def _on_Compare(self, node: ast.Compare) -> None:
        if len(node.ops) == 1:
            self._compare(node.left, type(node.ops[0]), node.comparators[0])
            return
        self._node("Compare")
        self._expr(node.left)
        for comparison, value in zip(node.ops, node.comparators, strict=True):
            self._node(type(comparison).__name__)
            self._expr(value)

    def _compare(self, left: ast.expr, operator: type[ast.cmpop], right: ast.expr) -> None:
        name = operator.__name__
        if operator in _MIRRORED:
            name = _MIRRORED[operator]
            left, right = right, left
        elif operator in (ast.Eq, ast.NotEq) and isinstance(left, ast.Constant):
            left, right = right, left
        self._node("Compare")
        self._node(name)
        self._expr(left)
        self._expr(right)

    def _on_Call(self, node: ast.Call) -> None:
        out, nodes, handlers, emit = self.out, self._nodes, self._handlers, self._emit
        tokens = out.tokens
        start = len(tokens)
        if node.lineno != self._line:
            self._line = node.lineno
            self._marks((start, self._line, self._unit))
        function = node.func
        if type(function) is ast.Call:
            function = _attribute(function)
        elif self._is_spelled_as_call(node):
            return
        emit(nodes["Call"])
        library = self._library_path(function)
        callee, arguments = self._callee(function, library, node.args)
        shape = [callee]
        for argument in arguments:
            shape.append(self._in_shape(argument))
            handlers[type(argument)](argument)
        # What a student calls a parameter says nothing, nor may it decide on the order.
        keywords = node.keywords
        if library is not None and len(keywords) > 1:
            keywords = sorted(keywords, key=_keyword_name)
        for keyword in keywords:
            spelling = keyword.arg if library is not None else None
            value = keyword.value
            shape.append(self._in_shape(value))
            emit(nodes[f"{spelling or '*'}="])
            handlers[type(value)](value)
        end = len(tokens)
        if end - start >= _MIN_FEATURE_TOKENS:
            self._features((CALL, start, end, self._unit, start))
        if len(shape) >= _MIN_FEATURE_TOKENS:
            shape_start = len(out.shapes)
            out.shapes.extend(shape)
            self._features((SHAPE, shape_start, shape_start + len(shape), self._unit, start))

    def _callee(
        self, function: ast.expr, library: str | None, arguments: list[ast.expr]
    ) -> tuple[int, list[ast.expr]]:
        """Write who is called; its symbol, and with what: a method is called with its object."""
        if library is not None:
            symbol = self._symbols.functions[library.rpartition(".")[2]]
            self._emit(symbol)
        elif type(function) is ast.Attribute:  # `x.sum(0)` is `torch.sum(x, 0)`
            symbol = self._symbols.methods[function.attr]
            self._emit(symbol)
            arguments = [function.value, *arguments]
        elif type(function) is ast.Name:
            symbol = self._in_shape(function)
            self._on_Name(function)
            if function.id == "super":
                arguments = []  # `super(X, self)` is `super()`
        else:
            symbol = self._nodes["Call"]
            self._expr(function)
        return symbol, arguments

    def _is_spelled_as_call(self, node: ast.Call) -> bool:
        """Whether it was a text or an attribute, which is written as such."""
        function = node.func
        if type(function) is ast.Attribute:
            if function.attr != "format" or not _is_text(function.value):
                return False
            self._node("Text")  # as an f-string
            return True
        if type(function) is not ast.Name or function.id != "getattr":
            return False
        attribute = _attribute(node)
        if attribute is node:
            return False
        self._expr(attribute)
        return True

    def _on_Subscript(self, node: ast.Subscript) -> None:
        self._emit(self._nodes["Subscript"])
        self._handlers[type(node.value)](node.value)
        self._handlers[type(node.slice)](node.slice)

    def _on_Starred(self, node: ast.Starred) -> None:
        self._expr(node.value)

    def _on_Await(self, node: ast.Await) -> None:
        self._expr(node.value)

    def _on_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._target(node.target)
        self._expr(node.value)

    def _on_Lambda(self, node: ast.Lambda) -> None:
        self._node("Lambda")
        outer = self._hidden
        self._hidden |= _parameters(node.args)
        self._arguments(node.args)
        self._expr(node.body)
        self._hidden = outer

    def _on_ListComp(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp) -> None:
        self._comprehension("Comprehension", node.generators, node.elt)

    _on_SetComp = _on_ListComp
    _on_GeneratorExp = _on_ListComp

    def _on_DictComp(self, node: ast.DictComp) -> None:
        self._comprehension("DictComprehension", node.generators, node.key, node.value)

    def _comprehension(
        self, name: str, generators: list[ast.comprehension], *values: ast.expr
    ) -> None:
        self._node(name)
        outer = self._hidden
        self._hidden |= {one for part in generators for one in _targets(part.target)}
        for value in values:
            self._expr(value)
        for generator in generators:
            self._target(generator.target)
            self._expr(generator.iter)
            for test in generator.ifs:
                self._expr(test)
        self._hidden = outer

    def _on_MatchAs(self, node: ast.MatchAs) -> None:
        self._node("MatchAs")
        if node.name:
            self._bind(node.name)
        if node.pattern is not None:
            self._expr(node.pattern)

    def _on_MatchStar(self, node: ast.MatchStar) -> None:
        self._node("MatchStar")
        if node.name:
            self._bind(node.name)


def _locals_of(function: ast.FunctionDef | ast.AsyncFunctionDef) -> set[str]:
    """The names that a function binds: in it they hide those of the module."""
    names, others = _parameters(function.args), set()
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop()
        kind = type(node)
        if kind in _PLAIN:
            continue
        if kind is ast.Assign:  # most statements are one
            for target in node.targets:  # type: ignore[attr-defined]
                if type(target) is ast.Name:
                    names.add(target.id)
                else:
                    names.update(_targets(target))
            continue
        if kind is not ast.If:  # which binds nothing itself
            names.update(_bound_by(node))
        if isinstance(node, (ast.Global, ast.Nonlocal)):
            others.update(node.names)
        elif kind not in _DEFINITIONS:
            for part in _PARTS:
                waiting += getattr(node, part, ())
    return names - others


def _bound_by(node: ast.AST) -> Iterator[str]:
    """The names that a statement other than an assignment binds itself, without its body."""
    if isinstance(node, (ast.AugAssign, ast.AnnAssign, ast.For, ast.AsyncFor)):
        yield from _targets(node.target)
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        yield node.name
    elif isinstance(node, (ast.With, ast.AsyncWith)):
        for item in node.items:
            if item.optional_vars is not None:
                yield from _targets(item.optional_vars)
    elif isinstance(node, ast.ExceptHandler) and node.name:
        yield node.name


def _parameters(arguments: ast.arguments) -> set[str]:
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
    return {argument.arg for argument in every}


def _targets(node: ast.expr) -> Iterator[str]:
    """The names that an assignment to `node` binds."""
    if isinstance(node, ast.Name):
        yield node.id
    elif isinstance(node, (ast.Tuple, ast.List)):
        for item in node.elts:
            yield from _targets(item)
    elif isinstance(node, ast.Starred):
        yield from _targets(node.value)


def _attribute(node: ast.Call) -> ast.expr:
    """`getattr(x, "y")` as x.y; every other call as it is."""
    if type(node.func) is ast.Name and node.func.id == "getattr":
        match node.args:
            case [value, ast.Constant(value=str() as name)]:
                return ast.Attribute(value, name, ast.Load())
    return node


def _imported(node: ast.expr) -> str | None:
    """The module that `__import__("x")` or `importlib.import_module("x")` gives."""
    match node:
        case ast.Call(
            func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
            args=[ast.Constant(value=str() as name), *_],
        ):
            return name
    return None


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (
        isinstance(node, ast.Constant) and isinstance(node.value, str)
    )


def _folded(node: ast.expr) -> Number | None:
    """The number that an expression of numbers stands for: 7 * 32 is 224."""
    number: object = None
    if isinstance(node, ast.Constant):
        number = node.value
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        operand = _folded(node.operand)
        number = None if operand is None else -operand
    elif isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        right = _folded(node.right)
        left = None if right is None else _folded(node.left)
        if left is not None and right is not None and max(abs(left), abs(right)) <= _LARGEST:
            try:
                number = _ARITHMETIC[type(node.op)](left, right)
            except ArithmeticError:
                return None
    return number if type(number) in (int, float) else None  # type: ignore[return-value]


def _power(base: Number, exponent: Number) -> object:
    return base**exponent if abs(exponent) <= _LARGEST_POWER else None


def _spelled(value: object) -> str:
    """A constant: one spelling for 1, 1.0 and 0x1, and for 0.3 and 0.1 * 3."""
    if isinstance(value, float):
        if not value.is_integer():
            return f"{value:.12g}"
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return hex(value)  # str() of a number of 5000 digits is refused
    return str(value)


_COMPUTED = frozenset({ast.UnaryOp, ast.BinOp})
_FOLDED = _COMPUTED | {ast.Constant}
_ARITHMETIC: dict[type[ast.operator], Callable[[Number, Number], object]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Pow: _power,
}


def _keyword_name(keyword: ast.keyword) -> str:
    return keyword.arg or ""


@cache
def _handlers() -> dict[type[ast.AST], str]:
    """The method that writes each kind of node; kinds that this Python lacks are left out."""
    methods = dict.fromkeys(_LEFT_OUT, "_nothing")
    methods |= {name[4:]: name for name in dir(Linearise) if name.startswith("_on_")}
    return dict.fromkeys(_kinds(ast.AST), "_generic") | {
        getattr(ast, kind): name for kind, name in methods.items() if hasattr(ast, kind)
    }


def _kinds(kind: type[ast.AST]) -> Iterator[type[ast.AST]]:
    for inner in kind.__subclasses__():
        yield inner
        yield from _kinds(inner)
