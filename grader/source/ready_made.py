"""Where a submission's source names a ready-made normalisation of PyTorch, without running it."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

_CLASS = re.compile(r"^(Sync)?(Batch|Instance|Lazy\w+|Layer|Group|RMS)Norm([123]d)?$")
_FUNCTION = re.compile(r"^(native_)?(batch|instance|layer|group|rms)_norm$")
# What PyTorch's modules are called where they are imported as usual.
_OWNERS = frozenset({"nn", "torch", "F", "functional"})
_MAX_FILE_BYTES = 1 << 20


def ready_made_norms(top: Path, paths: list[str]) -> list[tuple[str, int, str]]:
    """(path, line, name) for every use in the Python files `paths` below `top`, in their order.

    A use is an attribute of `nn`, `torch` or `functional`, or a name imported from `torch.nn`.
    What does not parse holds none.
    """
    uses: list[tuple[str, int, str]] = []
    for path in paths:
        try:
            data = (top / path).read_bytes()
            tree = ast.parse(data) if len(data) <= _MAX_FILE_BYTES else ast.Module([], [])
        except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
            continue
        found = {(line, name) for line, name in _uses(tree)}
        uses += [(path, line, name) for line, name in sorted(found)]
    return uses


def _uses(tree: ast.Module) -> Iterator[tuple[int, str]]:
    imported = {
        alias.asname or alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("torch.nn")
        for alias in node.names
        if _CLASS.match(alias.name) or _FUNCTION.match(alias.name)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and _is_ready_made(node.attr):
            owner = node.value
            last = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if last in _OWNERS:
                yield node.lineno, node.attr
        elif isinstance(node, ast.Name) and node.id in imported:
            yield node.lineno, node.id


def _is_ready_made(name: str) -> bool:
    return bool(_CLASS.match(name) or _FUNCTION.match(name))
