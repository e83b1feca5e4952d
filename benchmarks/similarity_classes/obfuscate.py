"""What a copier does to a program, as transformations of its syntax tree.

Every function takes and returns {path: source text} and a random generator. The programs need not
run afterwards; they read like programs that were edited.
"""

from __future__ import annotations

import ast
import builtins
import copy
import random
from collections.abc import Callable

Files = dict[str, str]
Obfuscator = Callable[[Files, random.Random], Files]

_WORDS = tuple(
    "data value item result temp buf node part info state field entry unit step ref obj cur nxt "  # noqa: SIM905
    "acc tmp vec mat arr num idx ptr key tag grp seq blk lyr feat outp inp src dst img lbl".split()
)
_REMARKS = (
    "compute the result",
    "loop over everything",
    "keep shapes consistent",
    "as explained in the lecture",
    "TODO: clean this up",
    "this part took some time",
    "see the paper for details",
)
_FRAMEWORK = {"forward", "self", "cls", "main", "super", "args", "kwargs"}


def _trees(files: Files) -> dict[str, ast.Module]:
    return {path: ast.parse(text) for path, text in files.items()}


def _texts(trees: dict[str, ast.Module]) -> Files:
    return {
        path: ast.unparse(ast.fix_missing_locations(tree)) + "\n" for path, tree in trees.items()
    }


def _bodies(tree: ast.AST) -> list[list[ast.stmt]]:
    """Every list of statements in the tree."""
    found = []
    for node in ast.walk(tree):
        for name in ("body", "orelse", "finalbody"):
            value = getattr(node, name, None)
            if isinstance(value, list) and value and isinstance(value[0], ast.stmt):
                found.append(value)
    return found


def verbatim(files: Files, rng: random.Random) -> Files:
    """The same bytes."""
    del rng
    return dict(files)


def comments(files: Files, rng: random.Random) -> Files:
    """Other comments, other blank lines, other line breaks."""
    edited = {}
    for path, text in _texts(_trees(files)).items():
        lines = []
        for line in text.splitlines():
            indent = line[: len(line) - len(line.lstrip())]
            if rng.random() < 0.15 and not line.lstrip().startswith(("elif", "else", "except")):
                lines.append(f"{indent}# {rng.choice(_REMARKS)}")
            lines.append(line)
            if rng.random() < 0.1:
                lines.append("")
        edited[path] = "\n".join(lines) + "\n"
    return edited


class _Rename(ast.NodeTransformer):
    def __init__(self, names: dict[str, str], attrs: dict[str, str], imported: set[str]) -> None:
        self.names, self.attrs, self.imported = names, attrs, imported

    def visit_Name(self, node: ast.Name) -> ast.Name:
        node.id = self.names.get(node.id, node.id)
        return node

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.arg = self.names.get(node.arg, node.arg)
        node.annotation = None
        return node

    def visit_Attribute(self, node: ast.Attribute) -> ast.Attribute:
        self.generic_visit(node)
        root: ast.expr = node
        while isinstance(root, ast.Attribute):
            root = root.value
        if not (isinstance(root, ast.Name) and root.id in self.imported):
            node.attr = self.attrs.get(node.attr, node.attr)
        return node

    def _definition(self, node: ast.FunctionDef | ast.ClassDef) -> ast.AST:
        self.generic_visit(node)
        node.name = self.attrs.get(node.name) or self.names.get(node.name, node.name)
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._definition(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._definition(node)

    def visit_Call(self, node: ast.Call) -> ast.Call:
        own = (isinstance(node.func, ast.Name) and node.func.id in self.names) or (
            isinstance(node.func, ast.Attribute) and node.func.attr in self.attrs
        )
        self.generic_visit(node)
        if own:
            for keyword in node.keywords:
                keyword.arg = self.names.get(keyword.arg or "", keyword.arg)
        return node


def renames(files: Files, rng: random.Random) -> Files:
    """Another name for everything that the program binds."""
    trees = _trees(files)
    names: dict[str, str] = {}
    attrs: dict[str, str] = {}
    imported = {
        (alias.asname or alias.name).partition(".")[0]
        for tree in trees.values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for alias in node.names
    }

    def fresh(name: str, table: dict[str, str]) -> None:
        if name in table or name in _FRAMEWORK or name.startswith("__") or name in imported:
            return
        new = f"{rng.choice(_WORDS)}_{rng.choice(_WORDS)}{len(names) + len(attrs)}"
        table[name] = new.title().replace("_", "") if name[:1].isupper() else new

    for tree in trees.values():
        for node in ast.walk(tree):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                fresh(node.id, names)
            elif isinstance(node, ast.arg):
                fresh(node.arg, names)
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                fresh(node.name, names)
                if node.name in names:
                    attrs[node.name] = names[node.name]
                if isinstance(node, ast.ClassDef):
                    fields = [
                        part for part in node.body if isinstance(part, ast.Assign | ast.AnnAssign)
                    ]
                    for name in (part for field in fields for part in ast.walk(field)):
                        if isinstance(name, ast.Name) and isinstance(name.ctx, ast.Store):
                            fresh(name.id, names)
                            if name.id in names:
                                attrs[name.id] = names[name.id]
            elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
                fresh(node.attr, attrs)
    for name in set(names) & set(dir(builtins)):
        del names[name]
    rename = _Rename(names, attrs, imported)
    return _texts({path: rename.visit(tree) for path, tree in trees.items()})


def function_order(files: Files, rng: random.Random) -> Files:
    """Functions and classes of a file, and methods of a class, in another order."""
    trees = _trees(files)
    for tree in trees.values():
        for holder in [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))]:
            places = [
                i
                for i, node in enumerate(holder.body)
                if isinstance(node, ast.FunctionDef | ast.ClassDef)
            ]
            moved = [holder.body[i] for i in places]
            rng.shuffle(moved)
            for i, node in zip(places, moved, strict=True):
                holder.body[i] = node
    return _texts(trees)


def _touched(node: ast.stmt) -> tuple[set[str], set[str]]:
    """Names that a statement reads and that it writes; objects count as written when called."""
    reads, writes = set(), set()
    for part in ast.walk(node):
        if isinstance(part, ast.Name):
            (reads if isinstance(part.ctx, ast.Load) else writes).add(part.id)
        elif isinstance(part, ast.Attribute) and isinstance(part.ctx, ast.Store):
            writes.add("." + part.attr)
        elif isinstance(part, ast.Attribute):
            reads.add("." + part.attr)
    return reads, writes


def statement_order(files: Files, rng: random.Random) -> Files:
    """Neighbours that do not depend on each other change places."""
    trees = _trees(files)
    for tree in trees.values():
        for body in _bodies(tree):
            for i in range(len(body) - 1):
                first, second = body[i], body[i + 1]
                simple = (ast.Assign, ast.AugAssign)
                if not (isinstance(first, simple) and isinstance(second, simple)):
                    continue
                reads_1, writes_1 = _touched(first)
                reads_2, writes_2 = _touched(second)
                clash = writes_1 & (reads_2 | writes_2) or writes_2 & reads_1
                if not clash and rng.random() < 0.7:
                    body[i], body[i + 1] = second, first
    return _texts(trees)


def _dead_statement(rng: random.Random, serial: int) -> str:
    word, other = rng.choice(_WORDS), rng.choice(_WORDS)
    name = f"{word}_{serial}"
    low, high = rng.randint(2, 99), rng.randint(100, 999)
    return rng.choice(
        (
            f"{name} = [{other} * {low} for {other} in range({high}) if {other} % {low} == 1]",
            f"{name} = {low} + {high} * len('{other}')",
            f"if {low} > {high}:\n    {name} = sum(range({high}))\n    raise ValueError({name})",
            f"{name} = dict({other}={low}, {word}={high})\n{name}.update({word}={low})",
            f"for {name} in range(0):\n    {other}_{serial} = {name} ** {low}",
            f"{name} = str({high}).zfill({low})\n{name} = {name}.strip('{other}')",
            f"while False:\n    {name} = max({low}, {high})",
            f"{name} = lambda {other}: {other} - {low}",
        )
    )


def _with_dead_code(files: Files, rng: random.Random, share: float) -> Files:
    """`share` of the statements of the result do nothing."""
    trees = _trees(files)
    chance = share / (1 - share)
    serial = 0
    for tree in trees.values():
        for body in _bodies(tree):
            grown: list[ast.stmt] = []
            for node in body:
                wanted = chance
                while rng.random() < wanted:
                    if not (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):
                        grown += ast.parse(_dead_statement(rng, serial)).body
                        serial += 1
                    wanted -= 1
                grown.append(node)
            body[:] = grown
    return _texts(trees)


def dead_code(files: Files, rng: random.Random) -> Files:
    """A third of the statements do nothing."""
    return _with_dead_code(files, rng, 0.33)


def much_dead_code(files: Files, rng: random.Random) -> Files:
    """70 % of the statements do nothing."""
    return _with_dead_code(files, rng, 0.7)


class _ControlFlow(ast.NodeTransformer):
    def __init__(self, rng: random.Random) -> None:
        self.rng = rng

    def visit_If(self, node: ast.If) -> ast.AST:
        self.generic_visit(node)
        if node.orelse and not isinstance(node.orelse[0], ast.If) and self.rng.random() < 0.7:
            node.test = ast.UnaryOp(ast.Not(), node.test)
            node.body, node.orelse = node.orelse, node.body
        return node

    def visit_For(self, node: ast.For) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        call = node.iter
        plain = (
            isinstance(call, ast.Call)
            and isinstance(call.func, ast.Name)
            and call.func.id == "range"
            and len(call.args) == 1
            and isinstance(node.target, ast.Name)
            and not node.orelse
            and not any(isinstance(part, ast.Continue) for part in ast.walk(node))
        )
        if not plain or self.rng.random() < 0.3:
            return node
        name = node.target.id
        step = ast.parse(f"{name} = {name} + 1").body
        loop = ast.While(
            ast.Compare(ast.Name(name, ast.Load()), [ast.Lt()], [call.args[0]]),
            [*node.body, *step],
            [],
        )
        return [*ast.parse(f"{name} = 0").body, loop]

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        mirrored = {ast.Lt: ast.Gt, ast.Gt: ast.Lt, ast.LtE: ast.GtE, ast.GtE: ast.LtE}
        operator = mirrored.get(type(node.ops[0]))
        if len(node.ops) == 1 and operator and self.rng.random() < 0.6:
            return ast.Compare(node.comparators[0], [operator()], [node.left])
        return node

    def visit_AugAssign(self, node: ast.AugAssign) -> ast.AST:
        if isinstance(node.target, ast.Name) and self.rng.random() < 0.8:
            value = ast.BinOp(ast.Name(node.target.id, ast.Load()), node.op, node.value)
            return ast.Assign([node.target], value, lineno=node.lineno)
        return node

    def visit_Assign(self, node: ast.Assign) -> ast.AST:
        if isinstance(node.value, ast.IfExp) and self.rng.random() < 0.8:
            choice = node.value
            return ast.If(
                choice.test,
                [ast.Assign(node.targets, choice.body, lineno=node.lineno)],
                [ast.Assign(copy.deepcopy(node.targets), choice.orelse, lineno=node.lineno)],
            )
        return node


def control_flow(files: Files, rng: random.Random) -> Files:
    """Branches exchanged, `for` as `while`, comparisons mirrored, `+=` spelled out."""
    return _texts({path: _ControlFlow(rng).visit(tree) for path, tree in _trees(files).items()})


def split_over_files(files: Files, rng: random.Random) -> Files:
    """Top-level definitions move to other files."""
    result = {}
    for path, tree in _trees(files).items():
        stem = path.rsplit("/", 1)[-1].removesuffix(".py")
        imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
        parts: dict[str, list[ast.stmt]] = {}
        rest: list[ast.stmt] = []
        for node in tree.body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                part = f"{rng.choice(_WORDS)}_{stem}_{rng.randint(0, 2)}"
                parts.setdefault(part, []).append(node)
            else:
                rest.append(node)
        for part, nodes in parts.items():
            result[f"lib/{part}.py"] = ast.Module([*imports, *nodes], [])
            names = [ast.alias(node.name) for node in nodes]
            rest.insert(0, ast.ImportFrom(f"lib.{part}", names, 0))
        result[path] = ast.Module(rest, [])
    return _texts(result)


class _Temporaries(ast.NodeTransformer):
    """Pulls inner calls and sums out of the statements of a body."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.serial = 0

    def pull(self, body: list[ast.stmt]) -> None:
        grown: list[ast.stmt] = []
        for node in body:
            if isinstance(node, ast.Assign | ast.Return | ast.Expr) and node.value is not None:
                before: list[ast.stmt] = []
                node.value = self._outer(node.value, before)
                grown += before
            grown.append(node)
        body[:] = grown

    def _outer(self, node: ast.expr, before: list[ast.stmt]) -> ast.expr:
        if isinstance(node, ast.Call):
            node.args = [self._inner(argument, before) for argument in node.args]
        elif isinstance(node, ast.BinOp):
            node.left, node.right = self._inner(node.left, before), self._inner(node.right, before)
        return node

    def _inner(self, node: ast.expr, before: list[ast.stmt]) -> ast.expr:
        if not isinstance(node, ast.Call | ast.BinOp | ast.Subscript) or self.rng.random() < 0.25:
            return node
        value = self._outer(node, before)
        name = f"{self.rng.choice(_WORDS)}_{self.serial}"
        self.serial += 1
        before.append(ast.Assign([ast.Name(name, ast.Store())], value, lineno=0))
        return ast.Name(name, ast.Load())


def temporaries(files: Files, rng: random.Random) -> Files:
    """Inner expressions get names of their own, on lines of their own."""
    trees = _trees(files)
    for tree in trees.values():
        puller = _Temporaries(rng)
        for body in _bodies(tree):
            puller.pull(body)
    return _texts(trees)


def chain(*steps: Obfuscator) -> Obfuscator:
    """One after the other."""

    def everything(files: Files, rng: random.Random) -> Files:
        for step in steps:
            files = step(files, rng)
        return files

    return everything


all_combined = chain(
    function_order, statement_order, control_flow, dead_code, renames, split_over_files, comments
)
all_and_temporaries = chain(
    function_order, statement_order, control_flow, temporaries, dead_code, renames, comments
)


def excerpt(files: Files, rng: random.Random, share: float) -> Files:
    """Whole functions and methods that make up about `share` of the lines, as one module each."""
    pool: list[tuple[ast.stmt, int]] = []
    imports: list[ast.stmt] = []
    for tree in _trees(files).values():
        for node in tree.body:
            size = (node.end_lineno or 0) - node.lineno + 1
            if isinstance(node, ast.Import | ast.ImportFrom):
                imports.append(node)
            elif isinstance(node, ast.ClassDef) and size > 60:
                pool += [
                    (part, (part.end_lineno or 0) - part.lineno + 1)
                    for part in node.body
                    if isinstance(part, ast.FunctionDef)
                ]
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                pool.append((node, size))
    rng.shuffle(pool)
    wanted = share * sum(text.count("\n") for text in files.values())
    taken: list[ast.stmt] = []
    for node, size in pool:
        if wanted <= 0:
            break
        taken.append(node)
        wanted -= size
    return _texts({"extra.py": ast.Module([*imports, *taken], [])})


def grafted(host: Files, excerpted: Files, rng: random.Random) -> Files:
    """An honest program with someone else's definitions in it, scattered over its files."""
    trees = _trees(host)
    for tree in _trees(excerpted).values():
        for node in tree.body:
            target = trees[rng.choice(sorted(trees))]
            if isinstance(node, ast.Import | ast.ImportFrom):
                target.body.insert(0, node)
                continue
            places = [
                i
                for i, other in enumerate(target.body)
                if isinstance(other, ast.FunctionDef | ast.ClassDef)
            ]
            target.body.insert(rng.choice(places) if places else len(target.body), node)
    return _texts(trees)


STANDARD: dict[str, Obfuscator] = {
    "verbatim": verbatim,
    "comments": comments,
    "renames": renames,
    "function order": function_order,
    "statement order": statement_order,
    "dead code": dead_code,
    "control flow": control_flow,
    "all combined": all_combined,
    "split over files": chain(renames, split_over_files),
}
HARD: dict[str, Obfuscator] = {
    "70 % dead code": chain(much_dead_code, renames),
    "temporaries": chain(temporaries, renames),
}
