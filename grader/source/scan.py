"""Walk a syntax tree once and keep what later questions need: places, scopes and guards.

Names are resolved as Python resolves them (local, enclosing, module, built-in), through import
aliases (`import torchvision.models as m`), plain assignments (`m = torchvision.models`),
`getattr(torchvision, "models")` and `importlib.import_module("torchvision.models")`. A name that
could also be something else resolves to nothing: silence is better than a false accusation.

The walk keeps its own stack, so that a tree as deep as the parser allows cannot overflow it.
"""

from __future__ import annotations

import ast
import builtins
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, NamedTuple, TypeVar

# What surrounds a place; a place inside a function is told apart by its scope.
MAIN_GUARD = 1  # under `if __name__ == "__main__":`
TYPE_CHECKING = 2  # under `if TYPE_CHECKING:` or `if False:`, never run
IMPORT_GUARD = 4  # a failing import is caught here, or this is what is done instead
FILE_GUARD = 8  # a missing file is caught here, or was asked for before
CUDA_GUARD = 16  # something about the device was asked for before
ARGV_GUARD = 32  # depends on what the command line holds
DISCARDED = 64  # a bare expression statement: a docstring, or a string used as a comment
CONDITIONAL = 128  # runs only where a condition holds, or where something was raised
ELSEWHERE = 256  # runs only on another kind of machine than the course's
BEGINS = 512  # a literal that more text follows
CONTINUES = 1024  # a literal that follows other text

_CATCH_ALL = {"Exception", "BaseException"}
_CATCHES = (
    (IMPORT_GUARD, {"ImportError", "ModuleNotFoundError"} | _CATCH_ALL),
    (FILE_GUARD, {"FileNotFoundError", "OSError", "IOError", "EnvironmentError"} | _CATCH_ALL),
    (CUDA_GUARD, {"RuntimeError", "AssertionError"} | _CATCH_ALL),
)
_FILE_QUESTIONS = {"exists", "isfile", "isdir", "is_file", "is_dir", "glob", "listdir", "lexists"}
_GPU_QUESTIONS = {"is_available", "device_count"}
_CUDA_WORDS = ("cuda", "gpu", "device", "is_available", "mps")
_ARGV_WORDS = ("argv", "args", "argc")
# `if find_spec("tqdm"):` and `if sys.version_info >= (3, 11):` choose between two ways to import.
_IMPORT_QUESTIONS = {"find_spec", "find_loader", "version_info", "__package__"}
_NOTEBOOK_WORDS = ("colab", "kaggle", "notebook", "jupyter", "ipython", "ipykernel")
_MACHINE_QUESTIONS = {
    ("sys", "modules"),
    ("sys", "platform"),
    ("os", "name"),
    ("platform", "system"),
}
_COURSE_SYSTEM = {"linux", "linux2", "posix"}
_BUILTINS = frozenset(dir(builtins))

# An alias of an alias of an alias …: longer chains than this are not ordinary student code.
_MAX_ALIASES = 6
_MAX_BINDINGS = 16
_MAX_ATTRIBUTES = 64
# `not` of `not` of `not` …, and a name for a name for a name: deeper questions stay unanswered.
_MAX_QUESTIONS = 12

Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda
Assignment = ast.Assign | ast.AnnAssign | ast.NamedExpr
Comprehension = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
N = TypeVar("N", bound=ast.AST)
# `raise` is none of them: a program that refuses to run without a GPU takes one for granted.
_LEAVING = (ast.Return, ast.Continue, ast.Break)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Binding(NamedTuple):
    """One way in which a scope gives a name a meaning.

    `kind`: "import" (`target` is the dotted name), "value" (`node` is the assigned expression,
    seen from `scope`), "parameter" (`node` is its default, if any) or "other".
    """

    kind: str
    target: str = ""
    node: ast.expr | None = None
    scope: Scope | None = None


class Scope:
    """A module, function, class or comprehension, and what its names are bound to."""

    __slots__ = ("bindings", "kind", "module_names", "node", "parent", "unit")

    def __init__(self, kind: str, parent: Scope | None, node: ast.AST, unit: int) -> None:
        self.kind = kind
        self.parent = parent
        self.node = node
        self.unit = unit
        self.bindings: dict[str, list[Binding]] = {}
        self.module_names: set[str] = set()  # declared `global`

    @property
    def module(self) -> Scope:
        scope = self
        while scope.parent is not None:
            scope = scope.parent
        return scope

    def bind(self, name: str, binding: Binding) -> None:
        scope = self.module if name in self.module_names else self
        scope.bindings.setdefault(name, []).append(binding)


class Unit:
    """A piece of code that runs as a whole: the module's body, its main guard, or a function.

    `words` are the names and attributes it mentions; `parent` is the unit that defines it;
    `owner` is the class of a method. `hooked`: a framework may call it without naming it, because
    it is decorated or a method of a class with bases.
    """

    __slots__ = ("hooked", "name", "owner", "parent", "words")

    def __init__(self, name: str, parent: int | None, owner: str, hooked: bool) -> None:
        self.name = name
        self.parent = parent
        self.owner = owner
        self.hooked = hooked
        self.words: set[str] = set()


MODULE_UNIT = 0
MAIN_UNIT = 1


class Sighting(NamedTuple, Generic[N]):
    """A node, the scope it is seen from, and what guards it (the flags above)."""

    node: N
    scope: Scope
    flags: int

    @property
    def unit(self) -> int:
        """Index into `Scan.units`."""
        if self.scope.unit == MODULE_UNIT and self.flags & MAIN_GUARD:
            return MAIN_UNIT
        return self.scope.unit


class Scan:
    """What the walk over one module found, in source order."""

    def __init__(self, path: str, tree: ast.Module) -> None:
        self.path = path
        self.tree = tree
        self.imports: list[Sighting[ast.Import | ast.ImportFrom]] = []
        self.calls: list[Sighting[ast.Call]] = []
        # names being read: the outermost attribute of a chain, or a bare name
        self.names: list[Sighting[ast.Attribute] | Sighting[ast.Name]] = []
        self.strings: list[Sighting[ast.Constant]] = []  # of a joined string: its first piece
        self.assignments: list[Sighting[Assignment]] = []
        self.augmented: list[Sighting[ast.AugAssign]] = []
        self.subscripts: list[Sighting[ast.Subscript]] = []
        self.tests: list[Sighting[ast.Compare]] = []
        self.functions: list[Function] = []
        self.defaults: list[tuple[str, ast.expr, Scope]] = []  # of parameters, seen from inside
        self.star_imports: list[str] = []
        self.units: list[Unit] = [Unit("", None, "", False), Unit("", None, "", False)]
        self.scope = Scope("module", None, tree, MODULE_UNIT)
        self._answers: dict[int, tuple[str, ...]] = {}
        self._resolved: dict[tuple[Scope, str, int], tuple[str, ...]] = {}
        _Walk(self).walk(tree)

    # ------------------------------------------------------------------ questions

    def resolve(self, node: ast.AST, scope: Scope) -> tuple[str, ...]:
        """The dotted names of libraries and built-ins that `node` may stand for, as written.

        `("torchvision.models.resnet18",)`, `("builtins.open",)`; a relative import keeps its
        dots. Empty when it is, or could be, anything else.
        """
        # Every question about a call begins with what it calls: ask once. The tree outlives us.
        key = id(node)
        if key not in self._answers:
            self._answers[key] = self._resolve(node, scope, _MAX_ALIASES)
        return self._answers[key]

    def constant(self, node: ast.AST, scope: Scope) -> ast.Constant | None:
        """The literal that `node` is, or that the name `node` was given once and for all."""
        if isinstance(node, ast.Constant):
            return node
        if isinstance(node, ast.Name):
            bindings = self.bindings(node.id, scope)
            if len(bindings) == 1 and bindings[0].kind == "value":
                value = bindings[0].node
                return value if isinstance(value, ast.Constant) else None
        return None

    def bindings(self, name: str, scope: Scope) -> list[Binding]:
        """Everything that `name`, read in `scope`, may have been bound to."""
        current: Scope | None = scope
        while current is not None:
            # A class's names are not seen from the functions inside it.
            if (current is scope or current.kind != "class") and name not in current.module_names:
                found = current.bindings.get(name)
                if found:
                    return found
            current = current.parent
        return []

    @cached_property
    def attributes(self) -> Mapping[str, Sequence[tuple[ast.expr, Scope]]]:
        """Attribute → what it is given, on whatever object: `self.path = path`, `path = "x"` in a
        class."""
        given: dict[str, list[tuple[ast.expr, Scope]]] = {}
        for node, scope, _ in self.assignments:
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                if node.value is not None and isinstance(target, ast.Attribute):
                    given.setdefault(target.attr, []).append((node.value, scope))
                elif node.value is not None and scope.kind == "class":
                    name = target.id if isinstance(target, ast.Name) else ""
                    given.setdefault(name, []).append((node.value, scope))
        return given

    def _resolve(self, node: ast.AST, scope: Scope, aliases: int) -> tuple[str, ...]:
        tail: list[str] = []
        while isinstance(node, ast.Attribute) and len(tail) < _MAX_ATTRIBUTES:
            tail.append(node.attr)
            node = node.value
        if isinstance(node, ast.Name):
            heads = self._resolve_name(node.id, scope, aliases)
        elif isinstance(node, ast.Call) and aliases:
            heads = self._resolve_call(node, scope, aliases)
        else:
            heads = ()
        if not tail:
            return heads
        suffix = ".".join(reversed(tail))
        return tuple(f"{head}.{suffix}" for head in heads)

    def _resolve_name(self, name: str, scope: Scope, aliases: int) -> tuple[str, ...]:
        key = (scope, name, aliases)
        if key not in self._resolved:
            self._resolved[key] = ()  # what a name is bound to by way of itself is nothing
            self._resolved[key] = self._resolve_bindings(name, scope, aliases)
        return self._resolved[key]

    def _resolve_bindings(self, name: str, scope: Scope, aliases: int) -> tuple[str, ...]:
        bindings = self.bindings(name, scope)
        if not bindings:
            if name in _BUILTINS:
                return (f"builtins.{name}",)
            return tuple(f"{module}.{name}" for module in self.star_imports[:_MAX_BINDINGS])
        if len(bindings) > _MAX_BINDINGS:
            return ()
        targets: dict[str, None] = {}
        for binding in bindings:
            found = self._targets(binding, aliases)
            if found is None:
                return ()
            targets.update(dict.fromkeys(found))
        return tuple(targets)[:_MAX_BINDINGS]

    def _targets(self, binding: Binding, aliases: int) -> tuple[str, ...] | None:
        """What one binding makes of a name; None when that is not known."""
        if binding.kind == "import":
            return (binding.target,)
        if binding.kind != "value" or binding.node is None or binding.scope is None:
            return None
        if isinstance(binding.node, ast.Constant) and binding.node.value is None:
            return ()  # `except ImportError: cv2 = None`
        return (aliases and self._resolve(binding.node, binding.scope, aliases - 1)) or None

    def _resolve_call(self, node: ast.Call, scope: Scope, aliases: int) -> tuple[str, ...]:
        if not isinstance(node.func, (ast.Name, ast.Attribute)) or not node.args:
            return ()
        for function in self._resolve(node.func, scope, aliases - 1):
            if function == "builtins.getattr" and len(node.args) >= 2:
                attribute = self.constant(node.args[1], scope)
                if attribute is not None and isinstance(attribute.value, str):
                    objects = self._resolve(node.args[0], scope, aliases - 1)
                    return tuple(f"{item}.{attribute.value}" for item in objects)
            module = imported_by_call(function, node, self, scope)
            if isinstance(module, str):
                return (module.split(".")[0] if function == "builtins.__import__" else module,)
        return ()


IMPORTING_CALLS = ("importlib.import_module", "builtins.__import__", "importlib.__import__")


def imported_by_call(function: str, node: ast.Call, scan: Scan, scope: Scope) -> str | None:
    """The literal module name that a call of `function` imports, or None."""
    if function not in IMPORTING_CALLS or not node.args:
        return None
    name = scan.constant(node.args[0], scope)
    if name is None or not isinstance(name.value, str):
        return None
    if name.value.startswith(".") and len(node.args) > 1:
        package = scan.constant(node.args[1], scope)
        if package is not None and isinstance(package.value, str):
            return package.value + name.value
    return name.value


class _Walk:
    """The one walk over a module; fills a `Scan`."""

    def __init__(self, scan: Scan) -> None:
        self.scan = scan
        self.stack: list[tuple[ast.AST, Scope, int]] = []
        self.machines = _Machines(scan)

    def walk(self, tree: ast.Module) -> None:
        self._push(tree.body, self.scan.scope, 0)
        handlers: dict[type[ast.AST], Callable[[Any, Scope, int], None]] = {
            ast.FunctionDef: self._function,
            ast.AsyncFunctionDef: self._function,
            ast.Lambda: self._function,
            ast.ClassDef: self._class,
            ast.Import: self._import,
            ast.ImportFrom: self._import_from,
            ast.If: self._if,
            ast.IfExp: self._if,
            ast.While: self._if,
            ast.BoolOp: self._bool_op,
            ast.BinOp: self._operator,
            ast.Try: self._try,
            ast.TryStar: self._try,
            ast.With: self._with,
            ast.AsyncWith: self._with,
            ast.Expr: self._expression,
            ast.Assign: self._assign,
            ast.AnnAssign: self._assign,
            ast.NamedExpr: self._assign,
            ast.AugAssign: self._rebinds,
            ast.For: self._rebinds,
            ast.AsyncFor: self._rebinds,
            ast.Delete: self._delete,
            ast.Global: self._global,
            ast.Nonlocal: self._nothing,
            ast.Attribute: self._attribute,
            ast.Name: self._name,
            ast.Constant: self._constant,
            ast.JoinedStr: self._joined,
            ast.Call: self._call,
            ast.Subscript: self._subscript,
            ast.Compare: self._compare,
            ast.match_case: self._case,
            ast.MatchAs: self._capture,
            ast.MatchStar: self._capture,
            ast.MatchMapping: self._capture,
            **dict.fromkeys(_COMPREHENSIONS, self._comprehension),
        }
        while self.stack:
            node, scope, flags = self.stack.pop()
            handler = handlers.get(type(node))
            if handler is None:
                self._push(ast.iter_child_nodes(node), scope, flags)
            else:
                handler(node, scope, flags)

    def _push(self, nodes: Iterable[ast.AST], scope: Scope, flags: int) -> None:
        """Walk `nodes` next, in their order; what an `if` leaves by guards what follows it."""
        steps = []
        for node in nodes:
            steps.append((node, scope, flags))
            if isinstance(node, ast.If) and isinstance(node.body[-1], _LEAVING):
                flags |= _asked(node.test) & CUDA_GUARD
                if self.machines.elsewhere(node.test, scope) is False:
                    flags |= IMPORT_GUARD | ELSEWHERE
        self.stack.extend(reversed(steps))

    def _nothing(self, node: ast.AST, scope: Scope, flags: int) -> None:
        """A statement that names things without using them."""

    # ------------------------------------------------------------------ scopes

    def _function(self, node: Function, scope: Scope, flags: int) -> None:
        self.scan.functions.append(node)
        unit = scope.unit
        if not isinstance(node, ast.Lambda):
            scope.bind(node.name, Binding("other"))
            owner = scope.node if isinstance(scope.node, ast.ClassDef) else None
            unit = len(self.scan.units)
            self.scan.units.append(
                Unit(
                    node.name,
                    MAIN_UNIT if scope.unit == MODULE_UNIT and flags & MAIN_GUARD else scope.unit,
                    owner.name if owner else "",
                    bool(node.decorator_list or (owner and owner.bases)),
                )
            )
        inner = Scope("function", scope, node, unit)
        arguments = node.args
        plain = [*arguments.posonlyargs, *arguments.args]
        defaults: list[ast.expr | None] = [None] * (len(plain) - len(arguments.defaults))
        defaults += arguments.defaults
        for argument, default in [
            *zip(plain, defaults, strict=True),
            *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
        ]:
            inner.bind(argument.arg, Binding("parameter", argument.arg, default, inner))
            if default is not None:
                self.scan.defaults.append((argument.arg, default, inner))
        for extra in (arguments.vararg, arguments.kwarg):
            if extra is not None:
                inner.bind(extra.arg, Binding("other"))
        if isinstance(node, ast.Lambda):
            self._push([node.body], inner, flags)
        else:
            # A function's body runs when it is called, whatever guards its definition; a guard
            # around the definition still says that the author thought of the case.
            self._push(node.body, inner, flags)
            self._push(node.decorator_list, scope, flags)
            annotations = [item.annotation for item in [*plain, *arguments.kwonlyargs]]
            self._push(
                [item for item in [*annotations, node.returns] if item is not None], scope, flags
            )
        self._push([item for item in defaults if item is not None], scope, flags)
        self._push([item for item in arguments.kw_defaults if item is not None], scope, flags)

    def _class(self, node: ast.ClassDef, scope: Scope, flags: int) -> None:
        scope.bind(node.name, Binding("other"))
        inner = Scope("class", scope, node, scope.unit)
        self._push(node.body, inner, flags)
        self._push([*node.decorator_list, *node.bases, *node.keywords], scope, flags)

    def _comprehension(self, node: Comprehension, scope: Scope, flags: int) -> None:
        inner = Scope("comprehension", scope, node, scope.unit)
        for generator in node.generators:
            self._bind_targets(generator.target, inner)
        self._push(ast.iter_child_nodes(node), inner, flags)

    # ------------------------------------------------------------------ imports

    def _import(self, node: ast.Import, scope: Scope, flags: int) -> None:
        self.scan.imports.append(Sighting(node, scope, flags))
        for alias in node.names:
            if alias.asname:
                scope.bind(alias.asname, Binding("import", alias.name))
            else:
                top = alias.name.split(".")[0]
                scope.bind(top, Binding("import", top))

    def _import_from(self, node: ast.ImportFrom, scope: Scope, flags: int) -> None:
        self.scan.imports.append(Sighting(node, scope, flags))
        module = "." * node.level + (node.module or "")
        for alias in node.names:
            if alias.name != "*":
                joint = "" if module.endswith(".") else "."
                scope.bind(
                    alias.asname or alias.name, Binding("import", f"{module}{joint}{alias.name}")
                )
            elif not node.level:
                self.scan.star_imports.append(module)

    # ------------------------------------------------------------------ guards

    def _if(self, node: ast.If | ast.IfExp | ast.While, scope: Scope, flags: int) -> None:
        asked = _asked(node.test)
        body = node.body if isinstance(node.body, list) else [node.body]
        orelse = node.orelse if isinstance(node.orelse, list) else [node.orelse]
        elsewhere = self.machines.elsewhere(node.test, scope)
        # What stands after `if not torch.cuda.is_available():` is as deliberate as what is in it.
        otherwise = asked & ~(MAIN_GUARD | TYPE_CHECKING)
        if asked & MAIN_GUARD:
            otherwise |= IMPORT_GUARD  # how a script imports, and how its package does
        asked |= self.machines.asks_for_gpu(node.test, scope)
        otherwise |= asked & CUDA_GUARD
        if elsewhere:
            asked |= IMPORT_GUARD | ELSEWHERE
        elif elsewhere is not None:
            otherwise |= IMPORT_GUARD | ELSEWHERE
        self._push(orelse, scope, flags | otherwise)
        self._push(body, scope, flags | asked | self._switched_off(node.test, scope))
        self._push([node.test], scope, flags)

    def _switched_off(self, test: ast.expr, scope: Scope) -> int:
        """Under `if RESUME:`, where the file begins with `RESUME = False`, files may be absent."""
        if not isinstance(test, ast.Name):
            return 0
        bindings = self.scan.bindings(test.id, scope)
        is_off = bool(bindings) and all(
            binding.scope is self.scan.scope
            and isinstance(binding.node, ast.Constant)
            and not binding.node.value
            for binding in bindings[:_MAX_BINDINGS]
        )
        return FILE_GUARD if is_off else 0

    def _bool_op(self, node: ast.BoolOp, scope: Scope, flags: int) -> None:
        later = flags
        steps = []
        for value in node.values:
            steps.append((value, scope, later))
            later |= _asked(value) & ~(MAIN_GUARD | TYPE_CHECKING) | CONDITIONAL
            later |= self.machines.asks_for_gpu(value, scope)
        self.stack.extend(reversed(steps))

    def _try(self, node: ast.Try | ast.TryStar, scope: Scope, flags: int) -> None:
        caught = 0
        for handler in node.handlers:
            names = _exception_names(handler.type)
            for flag, exceptions in _CATCHES:
                if handler.type is None or names & exceptions:
                    caught |= flag
        self._push(node.finalbody, scope, flags)
        self._push(node.orelse, scope, flags)
        for handler in reversed(node.handlers):
            if handler.name:
                scope.bind(handler.name, Binding("other"))
            self._push(handler.body, scope, flags | caught | CONDITIONAL)
            if handler.type is not None:
                self._push([handler.type], scope, flags)
        self._push(node.body, scope, flags | caught)

    def _case(self, node: ast.match_case, scope: Scope, flags: int) -> None:
        self._push(node.body, scope, flags | CONDITIONAL)
        self._push([item for item in (node.pattern, node.guard) if item], scope, flags)

    def _with(self, node: ast.With | ast.AsyncWith, scope: Scope, flags: int) -> None:
        caught = 0
        for item in node.items:
            if item.optional_vars is not None:
                self._bind_targets(item.optional_vars, scope)
            call = item.context_expr
            if isinstance(call, ast.Call) and _last_name(call.func) == "suppress":
                names = {_last_name(argument) for argument in call.args}
                for flag, exceptions in _CATCHES:
                    if names & exceptions:
                        caught |= flag
        self._push(node.body, scope, flags | caught)
        self._push([item.context_expr for item in node.items], scope, flags)

    # ------------------------------------------------------------------ names and values

    def _expression(self, node: ast.Expr, scope: Scope, flags: int) -> None:
        if isinstance(node.value, (ast.Constant, ast.JoinedStr)):
            flags |= DISCARDED
        self._push([node.value], scope, flags)

    def _assign(self, node: Assignment, scope: Scope, flags: int) -> None:
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        if node.value is not None:
            for target in targets:
                self._bind_value(target, node.value, scope)
            self.scan.assignments.append(Sighting(node, scope, flags))
        self._push(ast.iter_child_nodes(node), scope, flags)

    def _bind_value(self, target: ast.expr, value: ast.expr, scope: Scope) -> None:
        if isinstance(target, ast.Name):
            scope.bind(target.id, Binding("value", "", value, scope))
        elif (
            isinstance(target, (ast.Tuple, ast.List))
            and isinstance(value, (ast.Tuple, ast.List))
            and len(target.elts) == len(value.elts)
            and not any(isinstance(item, ast.Starred) for item in [*target.elts, *value.elts])
        ):
            for left, right in zip(target.elts, value.elts, strict=True):
                self._bind_value(left, right, scope)
        else:
            self._bind_targets(target, scope)

    def _rebinds(
        self, node: ast.AugAssign | ast.For | ast.AsyncFor, scope: Scope, flags: int
    ) -> None:
        if isinstance(node, ast.AugAssign):
            self.scan.augmented.append(Sighting(node, scope, flags))
        self._bind_targets(node.target, scope)
        self._push(ast.iter_child_nodes(node), scope, flags)

    def _bind_targets(self, target: ast.AST, scope: Scope) -> None:
        for node in ast.walk(target):
            # `torch.backends.cudnn.benchmark = True` and `sys.path += […]` leave torch and sys be.
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                scope.bind(node.id, Binding("other"))

    def _capture(
        self, node: ast.MatchAs | ast.MatchStar | ast.MatchMapping, scope: Scope, flags: int
    ) -> None:
        name = node.rest if isinstance(node, ast.MatchMapping) else node.name
        if name:
            scope.bind(name, Binding("other"))
        self._push(ast.iter_child_nodes(node), scope, flags)

    def _delete(self, node: ast.Delete, scope: Scope, flags: int) -> None:
        self._push(node.targets, scope, flags)

    def _global(self, node: ast.Global, scope: Scope, _: int) -> None:
        if scope.parent is not None:
            scope.module_names.update(node.names)

    def _attribute(self, node: ast.Attribute, scope: Scope, flags: int) -> None:
        sighting = Sighting(node, scope, flags)
        self.scan.names.append(sighting)
        words = self.scan.units[sighting.unit].words
        inner: ast.expr = node
        while isinstance(inner, ast.Attribute):
            words.add(inner.attr)
            inner = inner.value
        if isinstance(inner, ast.Name):
            self._word(inner.id, scope, words)
        else:
            self._push([inner], scope, flags)

    def _name(self, node: ast.Name, scope: Scope, flags: int) -> None:
        if isinstance(node.ctx, ast.Load):
            sighting = Sighting(node, scope, flags)
            self.scan.names.append(sighting)
            self._word(node.id, scope, self.scan.units[sighting.unit].words)

    def _word(self, name: str, scope: Scope, words: set[str]) -> None:
        words.add(name)
        for binding in self.scan.bindings(name, scope)[:_MAX_BINDINGS]:
            if binding.kind == "import":  # `from labels import load as l`: l is load
                words.add(binding.target.rsplit(".", 1)[-1])

    def _constant(self, node: ast.Constant, scope: Scope, flags: int) -> None:
        if isinstance(node.value, str):
            self.scan.strings.append(Sighting(node, scope, flags))

    def _joined(self, node: ast.JoinedStr, scope: Scope, flags: int) -> None:
        # Only the first piece can start a path; later pieces follow a value.
        pieces = [value for value in node.values[1:] if not isinstance(value, ast.Constant)]
        self._push(node.values[:1], scope, flags | BEGINS if pieces else flags)
        self._push(pieces, scope, flags)

    def _operator(self, node: ast.BinOp, scope: Scope, flags: int) -> None:
        before = after = flags
        if isinstance(node.op, ast.Add):
            if isinstance(node.left, ast.Constant):
                before |= BEGINS
            if isinstance(node.right, (ast.Constant, ast.JoinedStr)):
                after |= CONTINUES
        self._push([node.right], scope, after)
        self._push([node.left], scope, before)

    def _call(self, node: ast.Call, scope: Scope, flags: int) -> None:
        self.scan.calls.append(Sighting(node, scope, flags))
        self._push([node.func, *node.args, *node.keywords], scope, flags)

    def _subscript(self, node: ast.Subscript, scope: Scope, flags: int) -> None:
        self.scan.subscripts.append(Sighting(node, scope, flags))
        self._push([node.value, node.slice], scope, flags)

    def _compare(self, node: ast.Compare, scope: Scope, flags: int) -> None:
        self.scan.tests.append(Sighting(node, scope, flags))
        self._push([node.left, *node.comparators], scope, flags)


def _asked(test: ast.expr) -> int:
    """What an `if` asks about: the guards that hold under it."""
    if _is_main_guard(test):
        return MAIN_GUARD
    if isinstance(test, ast.Constant):
        return 0 if test.value else TYPE_CHECKING
    if _last_name(test) == "TYPE_CHECKING":
        return TYPE_CHECKING
    flags = CONDITIONAL
    for word in _words_in(test):
        lower = word.lower()
        if word in _IMPORT_QUESTIONS:
            flags |= IMPORT_GUARD
        if word in _FILE_QUESTIONS:
            flags |= FILE_GUARD
        if any(part in lower for part in _CUDA_WORDS):
            flags |= CUDA_GUARD
        if any(part in lower for part in _ARGV_WORDS):
            flags |= ARGV_GUARD
    return flags


class _Machines:
    """Which questions ask for another kind of machine than the course's: a notebook service, a
    laptop's operating system, a GPU. Each name's value is looked at once."""

    def __init__(self, scan: Scan) -> None:
        self.scan = scan
        self.named: dict[int, bool | None] = {}
        self.gpus: dict[int, bool] = {}

    def asks_for_gpu(self, test: ast.expr, scope: Scope) -> int:
        """CUDA_GUARD where a name in `test` was given `torch.cuda.is_available()`, else 0."""
        if isinstance(test, ast.UnaryOp):
            test = test.operand
        for value in test.values if isinstance(test, ast.BoolOp) else [test]:
            bindings = self.scan.bindings(value.id, scope) if isinstance(value, ast.Name) else []
            for binding in bindings[:_MAX_BINDINGS]:
                key = id(binding.node)
                if key not in self.gpus:
                    words = _words_in(binding.node) if binding.node is not None else ()
                    self.gpus[key] = not _GPU_QUESTIONS.isdisjoint(words)
                if self.gpus[key]:
                    return CUDA_GUARD
        return 0

    def elsewhere(
        self, test: ast.expr, scope: Scope, questions: int = _MAX_QUESTIONS
    ) -> bool | None:
        """True: `test` holds only elsewhere; False: it fails only there; None: it says neither."""
        if not questions:
            return None
        if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
            return _opposite(self.elsewhere(test.operand, scope, questions - 1))
        if isinstance(test, ast.BoolOp):
            answers = {self.elsewhere(value, scope, questions - 1) for value in test.values}
            # One that holds only elsewhere decides an `and`, one that fails only there an `or`.
            decisive = isinstance(test.op, ast.And)
            if decisive in answers:
                return decisive
            return None if None in answers else not decisive
        if isinstance(test, ast.Name) and not _is_notebook(test.id):
            return self._named(test.id, scope, questions)
        return _elsewhere(test)

    def _named(self, name: str, scope: Scope, questions: int) -> bool | None:
        bindings = self.scan.bindings(name, scope)
        binding = bindings[0] if len(bindings) == 1 else None
        if binding is None or binding.kind != "value" or binding.node is None:
            return None
        key = id(binding.node)
        if key not in self.named:
            self.named[key] = None  # what a name is bound to by way of itself is nothing
            self.named[key] = self.elsewhere(binding.node, binding.scope or scope, questions - 1)
        return self.named[key]


def _opposite(answer: bool | None) -> bool | None:
    return None if answer is None else not answer


def _elsewhere(test: ast.expr) -> bool | None:
    """The answer for a question without `not`, `and` and `or`."""
    is_notebook = any(map(_is_notebook, _words_in(test)))
    if not is_notebook and not any(map(_is_machine_question, ast.walk(test))):
        return None
    is_elsewhere = is_notebook or _COURSE_SYSTEM.isdisjoint(map(str.lower, _words_in(test)))
    if isinstance(test, ast.Compare) and isinstance(test.ops[0], (ast.NotEq, ast.NotIn, ast.IsNot)):
        return not is_elsewhere
    return is_elsewhere


def _is_notebook(word: str) -> bool:
    return any(part in word.lower() for part in _NOTEBOOK_WORDS)


def _is_machine_question(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in _MACHINE_QUESTIONS
    )


def _is_main_guard(test: ast.expr) -> bool:
    if not isinstance(test, ast.Compare) or len(test.comparators) != 1:
        return False
    sides = [test.left, test.comparators[0]]
    return any(isinstance(side, ast.Name) and side.id == "__name__" for side in sides) and any(
        isinstance(side, ast.Constant) and side.value == "__main__" for side in sides
    )


def _words_in(test: ast.expr) -> Iterator[str]:
    for node in ast.walk(test):
        if isinstance(node, ast.Name):
            yield node.id
        elif isinstance(node, ast.Attribute):
            yield node.attr
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _exception_names(node: ast.expr | None) -> set[str]:
    if node is None:
        return set()
    items = node.elts if isinstance(node, ast.Tuple) else [node]
    return {_last_name(item) for item in items}


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
