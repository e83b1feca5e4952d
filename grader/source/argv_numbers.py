"""Arguments that a script takes from `sys.argv` by number."""

from __future__ import annotations

import ast

from grader.source.arguments import UNKNOWN, CommandLine, Positional
from grader.source.scan import ARGV_GUARD, Scan, Scope, Sighting


def find_argv_numbers(scan: Scan, units: set[int]) -> CommandLine | None:
    """What the code of `units` reads from `sys.argv`; None when it never looks."""
    return _Numbers(scan, units).find()


class _Numbers:
    """One module; `units` are the pieces of it that the script may run.

    `names`: argument number → the name it is given; `needed`: the highest number that is read
    whatever happens; `count`: how many there have to be exactly; `explained`: reads of
    `sys.argv` that were understood.
    """

    def __init__(self, scan: Scan, units: set[int]) -> None:
        self.scan = scan
        self.units = units
        self.calls = [item for item in scan.calls if item.unit in units]
        self.names: dict[int, str] = {}
        self.needed = 0
        self.count: int | None = None
        self.explained = 0

    def find(self) -> CommandLine | None:
        uses = [
            item
            for item in self.scan.names
            if item.unit in self.units and self._is_argv(item.node, item.scope)
        ]
        if not uses:
            return None
        self._read_numbers()
        self._read_assignments()
        self._read_length_tests()
        self._name_by_parameters()
        most = max([self.needed, *self.names, self.count or 0])
        if not most:
            return UNKNOWN
        positionals = tuple(
            Positional(
                self.names.get(index, "") or f"argument {index}",
                int(index <= self.needed),
                1,
                None,
            )
            for index in range(1, most + 1)
        )
        exact = self.explained + self._harmless_uses() >= len(uses)
        return CommandLine("argv", positionals, (), exact, takes_rest=self.count is None)

    def _read_numbers(self) -> None:
        for item in self.scan.subscripts:
            index = self._argv_index(item.node, item.scope) if item.unit in self.units else None
            if index is None:
                continue
            self.explained += self._is_argv(item.node.value, item.scope)
            self.names.setdefault(index, "")
            if not item.flags & ARGV_GUARD:
                self.needed = max(self.needed, index)

    def _read_assignments(self) -> None:
        for item in self.scan.assignments:
            node = item.node
            if item.unit not in self.units or node.value is None:
                continue
            for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
                unpacked = self._name_indices(target, node.value, item.scope)
                if unpacked is not None:
                    self.count = unpacked
                    self.explained += 1
                    self.needed = max(self.needed, unpacked)

    def _read_length_tests(self) -> None:
        for test in self.scan.tests:
            asked = self._length_test(test) if test.unit in self.units else None
            if asked is not None:
                least, exactly = asked
                self.explained += 1
                self.needed = max(self.needed, least)
                self.count = least if exactly else self.count

    def _is_argv(self, node: ast.AST, scope: Scope) -> bool:
        return "sys.argv" in self.scan.resolve(node, scope)

    def _argv_index(self, node: ast.expr, scope: Scope) -> int | None:
        """The n of `sys.argv[n]`, also through `args = sys.argv[1:]`; None for anything else."""
        if not isinstance(node, ast.Subscript) or isinstance(node.slice, ast.Slice):
            return None
        index = self._constant(node.slice, scope)
        if not isinstance(index, int) or index < 0:
            return None
        offset = 0 if self._is_argv(node.value, scope) else self._sliced(node.value, scope)
        if offset is None or offset + index == 0:
            return None
        return offset + index

    def _sliced(self, node: ast.expr, scope: Scope) -> int | None:
        """The n of `sys.argv[n:]`, or of a name that was given that slice."""
        if isinstance(node, ast.Name):
            bindings = self.scan.bindings(node.id, scope)
            if len(bindings) != 1 or bindings[0].kind != "value" or bindings[0].node is None:
                return None
            node = bindings[0].node
        if (
            isinstance(node, ast.Subscript)
            and isinstance(node.slice, ast.Slice)
            and self._is_argv(node.value, scope)
        ):
            lower = node.slice.lower
            start = 0 if lower is None else self._constant(lower, scope)
            return start if isinstance(start, int) and start >= 0 else None
        return None

    def _name_indices(self, target: ast.expr, value: ast.expr, scope: Scope) -> int | None:
        """Learn names from `a = sys.argv[1]`; returns the exact count of `_, a, b = sys.argv`."""
        if isinstance(target, (ast.Tuple, ast.List)):
            if isinstance(value, (ast.Tuple, ast.List)):
                for left, right in zip(target.elts, value.elts, strict=False):
                    self._name_indices(left, right, scope)
                return None
            offset = 0 if self._is_argv(value, scope) else self._sliced(value, scope)
            if offset is None or any(isinstance(item, ast.Starred) for item in target.elts):
                return None
            for index, item in enumerate(target.elts, start=offset):
                if isinstance(item, ast.Name) and index:
                    self.names[index] = item.id
            return len(target.elts) + offset - 1
        name = _plain_name(target)
        if not name:
            return None
        for node in ast.walk(value):
            number = self._argv_index(node, scope) if isinstance(node, ast.Subscript) else None
            if number is not None:
                self.names[number] = self.names.get(number) or name
        return None

    def _name_by_parameters(self) -> None:
        """Learn names from `main(sys.argv[1], sys.argv[2])` and `main(*sys.argv[1:])`."""
        functions = {
            item.name: [parameter.arg for parameter in item.args.args]
            for item in self.scan.functions
            if not isinstance(item, ast.Lambda)
        }
        for item in self.calls:
            parameters = functions.get(_plain_name(item.node.func), [])
            for parameter, argument in zip(parameters, item.node.args, strict=False):
                index = self._argv_index(argument, item.scope)
                if index is not None:
                    self.names[index] = self.names.get(index) or parameter
            first = item.node.args[0] if item.node.args else None
            if isinstance(first, ast.Starred):
                offset = self._sliced(first.value, item.scope)
                if offset:
                    for index, parameter in enumerate(parameters, start=offset):
                        self.names[index] = self.names.get(index) or parameter

    def _length_test(self, test: Sighting[ast.Compare]) -> tuple[int, bool] | None:
        """What `len(sys.argv) < 3` or `!= 3` demands: (arguments at least, exactly so).

        A test for more (`len(sys.argv) > 1`) demands nothing: it asks for what is optional.
        """
        node = test.node
        left = node.left
        if (
            not isinstance(left, ast.Call)
            or _plain_name(left.func) != "len"
            or len(left.args) != 1
            or len(node.ops) != 1
        ):
            return None
        offset = 0 if self._is_argv(left.args[0], test.scope) else None
        if offset is None:
            offset = self._sliced(left.args[0], test.scope)
        number = self._constant(node.comparators[0], test.scope)
        if offset is None or not isinstance(number, int):
            return None
        arguments = number - 1 + offset
        operator = node.ops[0]
        if isinstance(operator, ast.NotEq):
            return arguments, True
        if isinstance(operator, ast.Lt):
            return arguments, False
        if isinstance(operator, ast.LtE):
            return arguments + 1, False
        return 0, False

    def _harmless_uses(self) -> int:
        """Reads of `sys.argv` that say nothing about the arguments: `sys.argv[0]`, prints."""
        count = 0
        for item in self.scan.subscripts:
            if item.unit in self.units and self._is_argv(item.node.value, item.scope):
                count += self._constant(item.node.slice, item.scope) == 0
                if isinstance(item.node.slice, ast.Slice):
                    count += 1
        for call in self.calls:
            if _plain_name(call.node.func) == "print":
                count += sum(self._is_argv(item, call.scope) for item in call.node.args)
        return count

    def _constant(self, node: ast.expr, scope: Scope) -> object:
        constant = self.scan.constant(node, scope)
        return constant.value if constant is not None else None


def _plain_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):  # self.test_dir = sys.argv[1]
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""
