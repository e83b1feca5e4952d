"""How a script takes its arguments, read off its source, and which accepted form suits it.

Understood: `sys.argv` by number, argparse, optparse and click. The parser is looked for in the
script itself first, then in the modules it imports. Where the source leaves room for doubt the
answer says so (`exact` is False), and the assignment's own form is tried first.
"""

from __future__ import annotations

import sys
from pathlib import Path

from grader.source.arguments import UNKNOWN, CommandLine
from grader.source.argv_numbers import find_argv_numbers
from grader.source.declared_arguments import find_declared_arguments
from grader.source.imports import close_imports
from grader.source.parse import MAX_SOURCE_BYTES, ParsedModule, Unparsed, parse_source
from grader.source.reach import reached_units
from grader.source.scan import Scan
from grader.source.survey import FileReader
from grader.source.tree import SourceTree
from grader.source.variants import order_variants

__all__ = ["CommandLine", "detect_command_line", "order_variants"]

_PARSING_MODULES = {"sys", "argparse", "optparse", "click", "getopt", "fire", "typer"}


def detect_command_line(script: Path) -> CommandLine:
    """How `script` takes its arguments; modules it imports are looked for beside it.

    Never raises for what the files hold; an unreadable script is "unknown".
    """
    tree = SourceTree(script.parent)
    python = sys.version_info[:2]
    closure = close_imports(script.name, tree, FileReader(tree, python))
    reached = reached_units(closure)
    for facts in closure.read:
        imported = {item.module.partition(".")[0] for item in facts.imports}
        if not imported & _PARSING_MODULES:
            continue
        try:
            parsed = parse_source(tree.read(facts.path, MAX_SOURCE_BYTES), facts.path, python)
        except OSError:
            continue
        if isinstance(parsed, ParsedModule):
            units = {unit for path, unit in reached if path == facts.path}
            scan = Scan(facts.path, parsed.tree)
            found = find_declared_arguments(scan, units) or find_argv_numbers(scan, units)
            if found is not None:
                return found
    if isinstance(closure.modules.get(script.name), Unparsed) or closure.open_imports:
        return UNKNOWN
    return CommandLine("none")
