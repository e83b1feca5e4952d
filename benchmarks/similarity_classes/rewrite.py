"""What a copier does who understands the program: the same thing said in another way.

A second family of transformations, of another kind than those of `obfuscate`, and written after the
engine: it was measured on them, not made for them. Functions are taken apart and put together,
loops become comprehensions and back, methods become functions, calls are spelled as the library's
other spelling, numbers become sums. As there, the programs need not run; they read like programs.
"""

from __future__ import annotations

import ast
import copy
import random
from collections.abc import Callable

from benchmarks.similarity_classes.obfuscate import Files, Obfuscator, chain, comments, renames

_Trees = dict[str, ast.Module]


def _rewritten(change: Callable[[ast.Module, random.Random], ast.AST]) -> Obfuscator:
    """An obfuscator that changes each file's tree by itself."""

    def every_file(files: Files, rng: random.Random) -> Files:
        texts = {}
        for path, text in files.items():
            tree = change(ast.parse(text), rng)
            texts[path] = ast.unparse(ast.fix_missing_locations(tree)) + "\n"
        return texts

    every_file.__doc__ = change.__doc__
    return every_file


def _bodies(tree: ast.AST) -> list[list[ast.stmt]]:
    return [
        value
        for node in ast.walk(tree)
        for name in ("body", "orelse", "finalbody")
        if isinstance(value := getattr(node, name, None), list)
        and value
        and isinstance(value[0], ast.stmt)
    ]


def _call(function: str, *args: ast.expr, **keywords: ast.expr) -> ast.Call:
    name = ast.parse(function, mode="eval").body
    return ast.Call(name, list(args), [ast.keyword(key, value) for key, value in keywords.items()])


def _dotted(node: ast.AST) -> str:
    return ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""


# ------------------------------------------------------------------------------- functions


def _names(nodes: list[ast.stmt], context: type[ast.expr_context]) -> list[str]:
    found = {
        part.id
        for node in nodes
        for part in ast.walk(node)
        if isinstance(part, ast.Name) and isinstance(part.ctx, context)
    }
    return sorted(found)


def _outline(tree: ast.Module, rng: random.Random) -> ast.AST:
    """Stretches of a function's statements become functions of their own."""
    made: list[ast.stmt] = []
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    for function in functions:
        body = function.body
        if len(body) < 5 or rng.random() < 0.2:
            continue
        size = rng.randint(2, max(2, len(body) // 2))
        start = rng.randint(0, len(body) - size - 1)
        part, rest = body[start : start + size], body[start + size :]
        leaves = (ast.Return, ast.Break, ast.Continue, ast.Yield, ast.Global, ast.Nonlocal)
        if any(isinstance(node, leaves) for one in part for node in ast.walk(one)):
            continue
        before = set(_names(body[:start], ast.Store)) | {a.arg for a in function.args.args}
        wanted = [name for name in _names(part, ast.Load) if name in before]
        given = [name for name in _names(part, ast.Store) if name in _names(rest, ast.Load)]
        name = f"_{function.name.strip('_')}_{rng.choice(('part', 'step', 'helper', 'stage'))}"
        call: ast.expr = _call(name, *(ast.Name(one, ast.Load()) for one in wanted))
        result: list[ast.stmt] = []
        if given:
            value = ast.Tuple([ast.Name(one, ast.Load()) for one in given], ast.Load())
            target = ast.Tuple([ast.Name(one, ast.Store()) for one in given], ast.Store())
            result = [ast.Return(value if len(given) > 1 else value.elts[0])]
            statement: ast.stmt = ast.Assign([target if len(given) > 1 else target.elts[0]], call)
        else:
            statement = ast.Expr(call)
        arguments = ast.arguments([], [ast.arg(one) for one in wanted], None, [], [], None, [])
        made.append(ast.FunctionDef(name, arguments, [*part, *result], []))
        body[start : start + size] = [statement]
    places = [i for i, node in enumerate(tree.body) if isinstance(node, ast.FunctionDef)]
    at = places[0] if places else len(tree.body)
    tree.body[at:at] = made
    return tree


class _Put(ast.NodeTransformer):
    def __init__(self, values: dict[str, ast.expr]) -> None:
        self.values = values

    def visit_Name(self, node: ast.Name) -> ast.expr:
        value = self.values.get(node.id)
        return node if value is None else copy.deepcopy(value)


class _Inline(ast.NodeTransformer):
    def __init__(self, functions: dict[str, ast.FunctionDef]) -> None:
        self.functions = functions

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        function = self.functions.get(_dotted(node.func))
        if function is None or node.keywords or len(node.args) != len(function.args.args):
            return node
        values = dict(zip((a.arg for a in function.args.args), node.args, strict=True))
        value = copy.deepcopy(function.body[-1].value)  # type: ignore[attr-defined]
        inlined: ast.expr = _Put(values).visit(value)
        return inlined


def _inline(tree: ast.Module, rng: random.Random) -> ast.AST:
    """Functions of one expression are put where they are called; names used once likewise."""
    short = {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and len(node.body) == 1
        and isinstance(node.body[0], ast.Return)
        and node.body[0].value is not None
    }
    tree = _Inline(short).visit(tree)
    for body in _bodies(tree):
        at = 0
        while at + 1 < len(body):
            node, after = body[at], body[at + 1]
            plain = isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
            if plain and isinstance(after, ast.Assign | ast.Return | ast.Expr):
                name = node.targets[0].id
                uses = [n for n in ast.walk(tree) if isinstance(n, ast.Name) and n.id == name]
                here = [n for n in ast.walk(after) if isinstance(n, ast.Name) and n.id == name]
                if len(uses) == 2 and len(here) == 1 and rng.random() < 0.8:
                    body[at + 1] = _Put({name: node.value}).visit(after)
                    del body[at]
                    continue
            at += 1
    return tree


def _as_class(tree: ast.Module, rng: random.Random) -> ast.AST:
    """The functions of a file become static methods of a class."""
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    if len(functions) < 2:
        return tree
    name = rng.choice(("Toolbox", "Helpers", "Pipeline", "Routines"))
    own = {function.name for function in functions if function.name != "main"}

    class Qualify(ast.NodeTransformer):
        def visit_Name(self, node: ast.Name) -> ast.expr:
            if node.id in own and isinstance(node.ctx, ast.Load):
                return ast.Attribute(ast.Name(name, ast.Load()), node.id, ast.Load())
            return node

    moved = [node for node in functions if node.name in own]
    first = tree.body.index(functions[0])
    tree.body = [node for node in tree.body if node not in moved]
    for node in moved:
        node.decorator_list.append(ast.Name("staticmethod", ast.Load()))
    holder = ast.ClassDef(name, [], [], list(moved), [])
    tree.body.insert(min(first, len(tree.body)), holder)
    return Qualify().visit(tree)


def _as_functions(tree: ast.Module, rng: random.Random) -> ast.AST:
    """Methods of plain classes become functions that are given the object, as a dictionary."""
    del rng
    body: list[ast.stmt] = []
    for node in tree.body:
        if not isinstance(node, ast.ClassDef) or node.bases:
            body.append(node)
            continue
        for part in node.body:
            if isinstance(part, ast.FunctionDef):
                part.name = f"{node.name.lower()}_{part.name.strip('_')}"
                _Keys().visit(part)
            body.append(part)
    tree.body = body
    return tree


class _Keys(ast.NodeTransformer):
    """`self.x` → `state["x"]`."""

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id == "self":
            return ast.Subscript(ast.Name("state", ast.Load()), ast.Constant(node.attr), node.ctx)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.arg = "state" if node.arg == "self" else node.arg
        return node


# ------------------------------------------------------------------------------- loops


def _appends(node: ast.stmt, name: str) -> ast.Call | None:
    value = node.value if isinstance(node, ast.Expr) else None
    if isinstance(value, ast.Call) and _dotted(value.func) == f"{name}.append":
        return value
    return None


def _to_comprehensions(tree: ast.Module, rng: random.Random) -> ast.AST:
    """`xs = []` and a loop that appends → a comprehension, also with one condition."""
    del rng
    for body in _bodies(tree):
        for at in range(len(body) - 1):
            node, loop = body[at], body[at + 1]
            if not (
                isinstance(node, ast.Assign)
                and isinstance(node.targets[0], ast.Name)
                and isinstance(node.value, ast.List)
                and not node.value.elts
                and isinstance(loop, ast.For)
                and len(loop.body) == 1
            ):
                continue
            inner, tests = loop.body[0], []
            if isinstance(inner, ast.If) and len(inner.body) == 1 and not inner.orelse:
                tests, inner = [inner.test], inner.body[0]
            call = _appends(inner, node.targets[0].id)
            if call is not None:
                generator = ast.comprehension(loop.target, loop.iter, tests, 0)
                node.value = ast.ListComp(call.args[0], [generator])
                body[at + 1] = ast.Pass()
    return tree


def _to_loops(tree: ast.Module, rng: random.Random) -> ast.AST:
    """A comprehension that is assigned or returned → a list and a loop that appends."""
    serial = 0
    for body in _bodies(tree):
        grown: list[ast.stmt] = []
        for node in body:
            found = next(
                (
                    part
                    for part in (ast.walk(node) if _is_plain(node) else ())
                    if isinstance(part, ast.ListComp | ast.GeneratorExp | ast.DictComp)
                    and len(part.generators) == 1
                ),
                None,
            )
            if found is None or rng.random() < 0.1:
                grown.append(node)
                continue
            name, serial = f"collected_{serial}", serial + 1
            load = ast.Name(name, ast.Load())
            if isinstance(found, ast.DictComp):
                empty: ast.expr = ast.Dict([], [])
                place = ast.Subscript(load, found.key, ast.Store())
                inner: ast.stmt = ast.Assign([place], found.value)
            else:
                empty = ast.List([], ast.Load())
                inner = ast.Expr(_call(f"{name}.append", found.elt))
            generator = found.generators[0]
            for test in generator.ifs:
                inner = ast.If(test, [inner], [])
            grown.append(ast.Assign([ast.Name(name, ast.Store())], empty))
            grown.append(ast.For(generator.target, generator.iter, [inner], []))
            grown.append(_Replace(found, load).visit(node))
        body[:] = grown
    return tree


def _is_plain(node: ast.stmt) -> bool:
    return isinstance(node, ast.Assign | ast.Return | ast.Expr)


class _Replace(ast.NodeTransformer):
    def __init__(self, old: ast.AST, new: ast.AST) -> None:
        self.old, self.new = old, new

    def visit(self, node: ast.AST) -> ast.AST:
        return self.new if node is self.old else self.generic_visit(node)


# ------------------------------------------------------------------------------- spelling

_METHODS = frozenset(
    "relu sum mean max min abs sqrt exp log reshape flatten permute squeeze unsqueeze argmax "  # noqa: SIM905
    "clamp softmax sigmoid tanh matmul cumsum std var transpose".split()
)
_LIBRARIES = ("torch", "F", "np", "nn.functional", "torch.nn.functional")
_SIGNATURES = {
    "nn.Conv2d": ("in_channels", "out_channels", "kernel_size", "stride", "padding"),
    "nn.Linear": ("in_features", "out_features"),
    "nn.BatchNorm2d": ("num_features",),
    "nn.MaxPool2d": ("kernel_size", "stride", "padding"),
    "nn.Dropout": ("p",),
    "DataLoader": ("dataset", "batch_size"),
    "np.clip": ("a", "a_min", "a_max"),
    "cv2.resize": ("src", "dsize"),
    "cv2.GaussianBlur": ("src", "ksize", "sigmaX"),
    "cv2.threshold": ("src", "thresh", "maxval", "type"),
    "os.makedirs": ("name",),
}
_SAME = {
    "F.relu": "torch.relu",
    "torch.relu": "F.relu",
    "torch.cat": "torch.concat",
    "np.concatenate": "np.concat",
    "torch.clip": "torch.clamp",
    "torch.clamp": "torch.clip",
    "np.array": "np.asarray",
    "np.asarray": "np.array",
    "torch.abs": "torch.absolute",
    "np.abs": "np.absolute",
}


class _Methods(ast.NodeTransformer):
    def __init__(self, rng: random.Random, imported: set[str]) -> None:
        self.rng, self.imported = rng, imported

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        name = _dotted(node.func)
        library, _, method = name.rpartition(".")
        if self.rng.random() < 0.15:
            return node
        if library in _LIBRARIES and method in _METHODS and node.args:
            first, *others = node.args
            node.func = ast.Attribute(first, method, ast.Load())
            node.args = others
        elif name in _SAME:
            node.func = ast.parse(_SAME[name], mode="eval").body
        elif (
            isinstance(node.func, ast.Attribute)
            and method in _METHODS
            and library.partition(".")[0] not in self.imported
            and "torch" in self.imported
        ):
            node.args.insert(0, node.func.value)
            node.func = ast.parse(f"torch.{method}", mode="eval").body
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "float" and not node.args:
            return _call_on(node.func.value, "to", ast.parse("torch.float32", mode="eval").body)
        elif isinstance(node.func, ast.Attribute) and node.func.attr == "view":
            node.func.attr = "reshape"
        elif name == "len" and self.rng.random() < 0.4:
            shape = ast.Attribute(node.args[0], "shape", ast.Load())
            return ast.Subscript(shape, ast.Constant(0), ast.Load())
        return node


def _call_on(value: ast.expr, method: str, *args: ast.expr) -> ast.Call:
    return ast.Call(ast.Attribute(value, method, ast.Load()), list(args), [])


def _method_style(tree: ast.Module, rng: random.Random) -> ast.AST:
    """`torch.relu(x)` ↔ `x.relu()` ↔ `F.relu(x)`, `view` ↔ `reshape`, `len(x)` ↔ `x.shape[0]`."""
    imported = {
        (alias.asname or alias.name).partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }
    return _Methods(rng, imported).visit(tree)


class _Keywords(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.Call:
        self.generic_visit(node)
        names = _SIGNATURES.get(_dotted(node.func).removeprefix("torch."))
        if names is None or any(isinstance(part, ast.Starred) for part in node.args):
            return node
        known = {keyword.arg: keyword.value for keyword in node.keywords}
        if node.args:
            named = [ast.keyword(n, v) for n, v in zip(names, node.args, strict=False)]
            node.args, node.keywords = node.args[len(named) :], [*named, *node.keywords]
            node.keywords.reverse()
        else:
            while (name := names[len(node.args) : len(node.args) + 1]) and name[0] in known:
                node.args.append(known.pop(name[0]))
            node.keywords = [k for k in node.keywords if k.arg in known]
        return node


def _keywords(tree: ast.Module, rng: random.Random) -> ast.AST:
    """Arguments by position ↔ by name, in another order."""
    del rng
    return _Keywords().visit(tree)


class _Numbers(ast.NodeTransformer):
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.constants: list[ast.stmt] = []

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        value = node.value
        if type(value) is int and value > 3 and self.rng.random() < 0.7:
            part = self.rng.randint(1, value - 1)
            half = next((d for d in (2, 3, 4, 7) if value % d == 0), None)
            if half and self.rng.random() < 0.5:
                return ast.BinOp(ast.Constant(value // half), ast.Mult(), ast.Constant(half))
            return ast.BinOp(ast.Constant(part), ast.Add(), ast.Constant(value - part))
        if type(value) is float and self.rng.random() < 0.7:
            name = f"SETTING_{len(self.constants)}"
            self.constants.append(ast.Assign([ast.Name(name, ast.Store())], node))
            return ast.Name(name, ast.Load())
        return node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        return node


def _numbers(tree: ast.Module, rng: random.Random) -> ast.AST:
    """Whole numbers become sums and products, others constants of the module."""
    numbers = _Numbers(rng)
    tree = numbers.visit(tree)
    at = next((i for i, n in enumerate(tree.body) if isinstance(n, _DEFINITIONS)), len(tree.body))
    tree.body[at:at] = numbers.constants
    return tree


_DEFINITIONS = (ast.FunctionDef, ast.ClassDef)


class _Texts(ast.NodeTransformer):
    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
        text, values = "", []
        for part in node.values:
            if isinstance(part, ast.FormattedValue):
                spec = ast.unparse(part.format_spec)[2:-1] if part.format_spec else ""
                text += "{:" + spec + "}" if spec else "{}"
                values.append(part.value)
            elif isinstance(part, ast.Constant):
                text += str(part.value)
        return _call_on(ast.Constant(text), "format", *values)


def _texts(tree: ast.Module, rng: random.Random) -> ast.AST:
    """f-strings → `.format`; messages and docstrings in another language."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and " " in node.value:
            words = ("das", "ergebnis", "wird", "hier", "gespeichert", "und", "berechnet")
            node.value = " ".join(rng.choice(words) for _ in node.value.split())
    return _Texts().visit(tree)


class _Imports(ast.NodeTransformer):
    """`nn.X` → `X`, imported by name; `import torch.nn.functional as F` → its long path."""

    def __init__(self) -> None:
        self.wanted: dict[str, set[str]] = {}

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.value, ast.Name) and node.value.id == "nn":
            self.wanted.setdefault("torch.nn", set()).add(node.attr)
            return ast.Name(node.attr, node.ctx)
        if isinstance(node.value, ast.Name) and node.value.id == "F":
            return ast.Attribute(
                ast.parse("torch.nn.functional", mode="eval").body, node.attr, node.ctx
            )
        return node


def _imports(tree: ast.Module, rng: random.Random) -> ast.AST:
    """Other imports: by name where by module, by the long path where by a short one."""
    del rng
    imports = _Imports()
    tree = imports.visit(tree)
    lines: list[ast.stmt] = [
        ast.ImportFrom(module, [ast.alias(name) for name in sorted(names)], 0)
        for module, names in imports.wanted.items()
    ]
    tree.body[:0] = lines
    return tree


# ------------------------------------------------------------------------------- flow


def _flow(tree: ast.Module, rng: random.Random) -> ast.AST:
    """`if` at the end of a function → guard and return; assignments in pairs; `with` → decorator;
    conditions in two steps; parameters with types."""
    for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
        last = function.body[-1]
        if isinstance(last, ast.If) and not last.orelse and rng.random() < 0.8:
            guard = ast.If(ast.UnaryOp(ast.Not(), last.test), [ast.Return()], [])
            function.body[-1:] = [guard, *last.body]
        for argument in function.args.args:
            if argument.arg != "self" and rng.random() < 0.5:
                argument.annotation = ast.Name(rng.choice(("int", "object", "list")), ast.Load())
        withs = [node for node in function.body if isinstance(node, ast.With)]
        if len(withs) == 1 and "no_grad" in ast.unparse(withs[0].items[0]):
            at = function.body.index(withs[0])
            function.decorator_list.append(withs[0].items[0].context_expr)
            function.body[at : at + 1] = withs[0].body
    for body in _bodies(tree):
        at = 0
        while at + 1 < len(body):
            one, two = body[at], body[at + 1]
            if (
                isinstance(one, ast.Assign)
                and isinstance(two, ast.Assign)
                and isinstance(one.targets[0], ast.Name)
                and isinstance(two.targets[0], ast.Name)
                and one.targets[0].id not in ast.unparse(two)
                and rng.random() < 0.6
            ):
                target = ast.Tuple([one.targets[0], two.targets[0]], ast.Store())
                body[at : at + 2] = [ast.Assign([target], ast.Tuple([one.value, two.value]))]
            elif (
                isinstance(one, ast.If)
                and isinstance(one.test, ast.BoolOp)
                and isinstance(one.test.op, ast.And)
                and not one.orelse
            ):
                first, *others = one.test.values
                rest = others[0] if len(others) == 1 else ast.BoolOp(ast.And(), others)
                one.test, one.body = first, [ast.If(rest, one.body, [])]
            at += 1
    return tree


class _Containers(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        name = _dotted(node.func)
        plain = not any(isinstance(part, ast.Starred) for part in node.args)
        if name == "nn.Sequential" and len(node.args) > 1 and plain:
            node.args = [ast.Starred(ast.List(node.args, ast.Load()), ast.Load())]
        elif name == "dict" and node.keywords and not node.args:
            keys: list[ast.expr | None] = [ast.Constant(k.arg) for k in node.keywords]
            return ast.Dict(keys, [k.value for k in node.keywords])
        elif name == "os.path.join":
            joined = _call("Path", node.args[0])
            for part in node.args[1:]:
                joined = ast.BinOp(joined, ast.Div(), part)  # type: ignore[assignment]
            return _call("str", joined)
        return node

    def visit_Dict(self, node: ast.Dict) -> ast.expr:
        self.generic_visit(node)
        keys = [key.value for key in node.keys if isinstance(key, ast.Constant)]
        if len(keys) == len(node.keys) and all(str(key).isidentifier() for key in keys) and keys:
            values = zip(keys, node.values, strict=True)
            return _call("dict", **{str(key): value for key, value in values})
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        if isinstance(node.op, ast.Pow) and getattr(node.right, "value", None) == 2:
            return ast.BinOp(node.left, ast.Mult(), copy.deepcopy(node.left))
        return node


def _containers(tree: ast.Module, rng: random.Random) -> ast.AST:
    """`dict(a=1)` ↔ `{"a": 1}`, `os.path.join` → `Path /`, `x ** 2` → `x * x`, lists unpacked."""
    del rng
    return _Containers().visit(tree)


REWRITES: dict[str, Obfuscator] = {
    "outlined functions": _rewritten(_outline),
    "inlined functions": _rewritten(_inline),
    "functions as a class": _rewritten(_as_class),
    "classes as functions": _rewritten(_as_functions),
    "loops as comprehensions": _rewritten(_to_comprehensions),
    "comprehensions as loops": _rewritten(_to_loops),
    "method style": _rewritten(_method_style),
    "keyword arguments": _rewritten(_keywords),
    "numbers": _rewritten(_numbers),
    "texts": _rewritten(_texts),
    "imports": _rewritten(_imports),
    "flow": _rewritten(_flow),
    "containers": _rewritten(_containers),
}

some_rewrites = chain(
    REWRITES["method style"], REWRITES["outlined functions"], REWRITES["keyword arguments"]
)
most_rewrites = chain(
    REWRITES["comprehensions as loops"],
    REWRITES["method style"],
    REWRITES["containers"],
    REWRITES["inlined functions"],
    REWRITES["keyword arguments"],
    REWRITES["flow"],
    REWRITES["outlined functions"],
    REWRITES["functions as a class"],
    REWRITES["texts"],
    REWRITES["imports"],
)
all_rewrites = chain(
    most_rewrites, REWRITES["loops as comprehensions"], REWRITES["numbers"], comments
)
WHOLE: dict[str, Obfuscator] = {
    **{name: chain(change, renames) for name, change in REWRITES.items()},
    "most of these": chain(most_rewrites, renames),
    "all of these": chain(all_rewrites, renames),
}
PARTIAL: dict[str, Obfuscator] = {
    "some rewrites": chain(some_rewrites, renames),
    "most rewrites": chain(most_rewrites, renames),
    "all rewrites": chain(all_rewrites, renames),
}
