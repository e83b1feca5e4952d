"""Arguments that a script declares: argparse, optparse and click."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Sequence

from grader.source.arguments import MANY, UNKNOWN, CommandLine, Option, Positional
from grader.source.scan import Scan, Scope, Sighting

_OTHER_PARSERS = {"getopt.getopt", "getopt.gnu_getopt", "fire.Fire", "typer.run", "typer.Typer"}
_FLAG_ACTIONS = {"store_true", "store_false", "store_const", "count", "help", "version"}


def find_declared_arguments(scan: Scan, units: set[int]) -> CommandLine | None:
    """What the code of `units` declares; None when it declares nothing."""
    return _Declarations(scan, units).find()


class _Declarations:
    """One module; `units` are the pieces of it that the script may run."""

    def __init__(self, scan: Scan, units: set[int]) -> None:
        self.scan = scan
        self.calls = [item for item in scan.calls if item.unit in units]
        self.exact = True

    def find(self) -> CommandLine | None:
        added = [item for item in self.calls if _method(item.node) == "add_argument"]
        optparsed = [item for item in self.calls if _method(item.node) == "add_option"]
        clicked = [
            (name, item)
            for item in self.calls
            for name in self.scan.resolve(item.node.func, item.scope)
            if name in ("click.argument", "click.option")
        ]
        if added or optparsed:
            return self._parser(added or optparsed, "argparse" if added else "optparse")
        if clicked:
            return self._click(clicked)
        return UNKNOWN if self._calls_any(_OTHER_PARSERS) else None

    def _calls_any(self, functions: Iterable[str]) -> int:
        wanted = set(functions)
        return sum(
            bool(wanted & set(self.scan.resolve(item.node.func, item.scope))) for item in self.calls
        )

    def _parser(self, added: Sequence[Sighting[ast.Call]], style: str) -> CommandLine:
        several = self._calls_any({"argparse.ArgumentParser", "optparse.OptionParser"}) > 1
        methods = {_method(item.node) for item in self.calls}
        if several or "add_subparsers" in methods:
            return UNKNOWN
        takes_rest = "parse_known_args" in methods
        if "parse_args" not in methods and not takes_rest:
            self.exact = False  # the parser is handed to, or comes from, somewhere else
        positionals: list[Positional] = []
        options: list[Option] = []
        for item in added:
            self._add(item, positionals, options)
        if style == "optparse":
            positionals.append(Positional("arguments", 0, MANY, None))
        return CommandLine(style, tuple(positionals), tuple(options), self.exact, takes_rest)

    def _add(
        self, item: Sighting[ast.Call], positionals: list[Positional], options: list[Option]
    ) -> None:
        node = item.node
        names = [self._text(argument, item.scope) for argument in node.args]
        keywords = {keyword.arg: keyword.value for keyword in node.keywords}
        if None in keywords or None in names or not names:
            self.exact = False
            return
        flags = tuple(name for name in names if name is not None)
        choices = self._choices(keywords.get("choices"), item.scope)
        nargs = self._nargs(keywords.get("nargs"), item.scope)
        if flags[0].startswith("-"):
            action = self._text(keywords.get("action"), item.scope) or "store"
            required = self._constant(keywords.get("required"), item.scope) is True
            takes = action not in _FLAG_ACTIONS and "BooleanOptionalAction" not in ast.unparse(node)
            options.append(Option(flags, required, takes, choices))
        else:
            positionals.append(Positional(flags[0], *nargs, choices))

    def _nargs(self, node: ast.expr | None, scope: Scope) -> tuple[int, int]:
        if node is None:
            return 1, 1
        value = self._constant(node, scope)
        if isinstance(value, int):
            return value, value
        ranges = {"?": (0, 1), "*": (0, MANY), "+": (1, MANY)}
        if isinstance(value, str) and value in ranges:
            return ranges[value]
        self.exact = False
        return 0, MANY

    def _choices(self, node: ast.expr | None, scope: Scope) -> tuple[str, ...] | None:
        if node is None:
            return None
        if not isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            self.exact = False
            return None
        return tuple(text for item in node.elts if (text := self._text(item, scope)) is not None)

    def _click(self, clicked: Sequence[tuple[str, Sighting[ast.Call]]]) -> CommandLine:
        positionals: list[Positional] = []
        options: list[Option] = []
        for name, item in clicked:
            texts = [self._text(argument, item.scope) for argument in item.node.args]
            if not texts or texts[0] is None:
                self.exact = False
                continue
            keywords = {keyword.arg: keyword.value for keyword in item.node.keywords}
            required = self._constant(keywords.get("required"), item.scope)
            if name == "click.argument":
                many = self._constant(keywords.get("nargs"), item.scope) == -1
                least = 0 if required is False or many or "default" in keywords else 1
                positionals.append(Positional(texts[0], least, MANY if many else 1, None))
            else:
                flags = tuple(text for text in texts if text is not None and text.startswith("-"))
                takes = "is_flag" not in keywords and "/" not in flags[0] if flags else True
                options.append(Option(flags or (texts[0],), required is True, takes, None))
        return CommandLine("click", tuple(positionals), tuple(options), self.exact)

    def _constant(self, node: ast.expr | None, scope: Scope) -> object:
        constant = self.scan.constant(node, scope) if node is not None else None
        return constant.value if constant is not None else None

    def _text(self, node: ast.expr | None, scope: Scope) -> str | None:
        value = self._constant(node, scope)
        return value if isinstance(value, str) else None


def _method(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else ""
