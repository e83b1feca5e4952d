"""Statements that the grammar takes and Python's compiler refuses, for where they stand.

The compiler itself is not asked: it copies the body of a nested `finally` for each way out and
works out constants, so that a file of a few lines costs it gigabytes.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from typing import NamedTuple

_NO_FUNCTION, _FUNCTION, _ASYNC, _COMPREHENSION = range(4)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Misplaced(NamedTuple):
    """What is refused, in Python's own words."""

    line: int
    reason: str


class _Block(NamedTuple):
    statements: Sequence[ast.stmt]
    within: int
    in_loop: bool


def find_misplaced(tree: ast.Module, data: bytes) -> Misplaced | None:
    """The first statement of `tree`, whose source is `data`, that stands where Python allows none.

    Where Python's answer hangs on more than the place (`await` in a comprehension), nothing is
    said.
    """
    found = list(_misplaced_statements(tree))
    # Few files hold any of these words, and looking at every expression takes longer than parsing.
    if b"await" in data or b"yield" in data:
        found += _misplaced_expressions(tree)
    return min(found, default=None)


def _misplaced_statements(tree: ast.Module) -> Iterator[Misplaced]:
    head = _last_line_of_head(tree)
    blocks = [_Block(tree.body, _NO_FUNCTION, False)]
    while blocks:
        block = blocks.pop()
        for statement in block.statements:
            reason = _refusal(statement, block)
            if _is_future(statement) and statement.lineno > head:
                reason = "from __future__ imports must occur at the beginning of the file"
            if reason:
                yield Misplaced(statement.lineno, reason)
            blocks += _blocks_of(statement, block)


def _last_line_of_head(tree: ast.Module) -> int:
    """The line of the last `from __future__ import` at the beginning; 0 where there is none."""
    head = 0
    for statement in tree.body[ast.get_docstring(tree, clean=False) is not None :]:
        if not _is_future(statement):
            break
        head = statement.lineno
    return head


def _is_future(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.ImportFrom) and (statement.module, statement.level) == (
        "__future__",
        0,
    )


def _refusal(statement: ast.stmt, block: _Block) -> str:
    reason = ""
    match statement:
        case ast.Return() if block.within == _NO_FUNCTION:
            reason = "'return' outside function"
        case ast.Break() if not block.in_loop:
            reason = "'break' outside loop"
        case ast.Continue() if not block.in_loop:
            reason = "'continue' not properly in loop"
        case ast.AsyncFor() if block.within != _ASYNC:
            reason = "'async for' outside async function"
        case ast.AsyncWith() if block.within != _ASYNC:
            reason = "'async with' outside async function"
        case ast.Try(handlers=[*earlier, _]) if any(one.type is None for one in earlier):
            reason = "default 'except:' must be last"
    return reason


def _blocks_of(statement: ast.stmt, block: _Block) -> Iterator[_Block]:
    """The blocks inside of `statement`."""
    match statement:
        case ast.FunctionDef(body=body):
            yield _Block(body, _FUNCTION, False)
        case ast.AsyncFunctionDef(body=body):
            yield _Block(body, _ASYNC, False)
        case ast.ClassDef(body=body):
            yield _Block(body, _NO_FUNCTION, False)
        case ast.For() | ast.AsyncFor() | ast.While():
            yield block._replace(statements=statement.body, in_loop=True)
            yield block._replace(statements=statement.orelse)
        case ast.If(body=body, orelse=orelse):
            yield block._replace(statements=body)
            yield block._replace(statements=orelse)
        case ast.With(body=body) | ast.AsyncWith(body=body):
            yield block._replace(statements=body)
        case ast.Try() | ast.TryStar():
            for body in (statement.body, statement.orelse, statement.finalbody):
                yield block._replace(statements=body)
            for handler in statement.handlers:
                yield block._replace(statements=handler.body)
        case ast.Match(cases=cases):
            for case in cases:
                yield block._replace(statements=case.body)


def _misplaced_expressions(tree: ast.Module) -> Iterator[Misplaced]:
    nodes: list[tuple[ast.AST, int]] = [(tree, _NO_FUNCTION)]
    while nodes:
        node, within = nodes.pop()
        if isinstance(node, ast.Await) and within == _NO_FUNCTION:
            yield Misplaced(node.lineno, "'await' outside function")
        elif isinstance(node, ast.Await) and within == _FUNCTION:
            yield Misplaced(node.lineno, "'await' outside async function")
        elif isinstance(node, ast.Yield | ast.YieldFrom) and within == _NO_FUNCTION:
            yield Misplaced(node.lineno, "'yield' outside function")
        elif isinstance(node, ast.YieldFrom) and within == _ASYNC:
            yield Misplaced(node.lineno, "'yield from' inside async function")
        inside = _within(node, within)
        if inside == within or isinstance(node, _COMPREHENSIONS):
            nodes += [(child, inside) for child in ast.iter_child_nodes(node)]
            continue
        # Decorators and defaults belong to where the function is defined.
        body = getattr(node, "body", [])
        own = {id(child) for child in (body if isinstance(body, list) else [body])}
        nodes += [
            (child, inside if id(child) in own else within) for child in ast.iter_child_nodes(node)
        ]


def _within(node: ast.AST, within: int) -> int:
    """What the body of `node` is within."""
    if isinstance(node, ast.FunctionDef | ast.Lambda):
        return _FUNCTION
    if isinstance(node, ast.AsyncFunctionDef):
        return _ASYNC
    if isinstance(node, ast.ClassDef):
        return _NO_FUNCTION
    return _COMPREHENSION if isinstance(node, _COMPREHENSIONS) else within
