"""What calls hand to the functions of a program: a helper that writes the path it is given writes
what stands in the call."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator

from grader.source.facts import HandedName
from grader.source.known_packages import KNOWN_PACKAGES
from grader.source.name_patterns import follow_name
from grader.source.scan import Scan, Sighting

# No path is handed over as one of these.
_NO_PATHS = (
    ast.Lambda,
    ast.Dict,
    ast.DictComp,
    ast.List,
    ast.ListComp,
    ast.Set,
    ast.SetComp,
    ast.Tuple,
    ast.GeneratorExp,
    ast.Compare,
    ast.UnaryOp,
)
# These hold no helper of a student's; what a file that hides one of them writes stays unknown.
_LIBRARIES = KNOWN_PACKAGES | sys.stdlib_module_names | {"builtins"}
# More calls than this are no student's own work; what is not known is not accused.
_MOST_HANDED = 20_000


def find_handed_names(scan: Scan) -> tuple[HandedName, ...]:
    """One record for each argument that may be a path, of calls of what may be a function of the
    program."""
    found: dict[HandedName, None] = {}
    for sighting in scan.calls:
        for handed in _handed(scan, sighting):
            found[handed] = None
        if len(found) > _MOST_HANDED:
            break
    return tuple(found)


def _handed(scan: Scan, sighting: Sighting[ast.Call]) -> Iterator[HandedName]:
    node = sighting.node
    function = node.func
    if not isinstance(function, (ast.Name, ast.Attribute)):
        return
    name = function.id if isinstance(function, ast.Name) else function.attr
    resolved = next(iter(scan.resolve(function, sighting.scope)), "")
    if resolved.partition(".")[0] in _LIBRARIES:
        return
    if resolved:
        name = resolved.rpartition(".")[2]  # `from files import dump as d`
    is_method = isinstance(function, ast.Attribute) and not resolved
    arguments = [(number, "", value) for number, value in enumerate(node.args)]
    arguments += [(-1, item.arg or "", item.value) for item in node.keywords]
    for position, keyword, value in arguments:
        if isinstance(value, _NO_PATHS) or (
            isinstance(value, ast.Constant) and not isinstance(value.value, str)
        ):
            continue
        for pattern in follow_name(value, sighting.scope, scan):
            yield HandedName(
                name,
                resolved,
                is_method,
                position,
                keyword,
                pattern.pieces,
                pattern.parameter,
                pattern.told,
            )
