"""What ties a program to its author's machine: absolute paths, a GPU taken for granted, and a
command line read while a module is being imported."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from typing import NamedTuple

from grader.source.facts import AbsolutePath, ArgvUse, CudaUse, ParameterDefault
from grader.source.known_paths import parameter_default
from grader.source.option_defaults import (
    FILE_QUESTIONS,
    ValuesRead,
    changed_values,
    find_option_defaults,
    is_namespace,
)
from grader.source.scan import (
    ARGV_GUARD,
    BEGINS,
    CONTINUES,
    CUDA_GUARD,
    DISCARDED,
    ELSEWHERE,
    FILE_GUARD,
    MODULE_UNIT,
    TYPE_CHECKING,
    Scan,
    Scope,
    Sighting,
)

# Folders of people, of notebook services and of mounted disks; nothing that exists everywhere.
_FOLDERS = (
    "/(?:home|Users|Volumes|content|kaggle|mnt|media|scratch|root|workspace|gdrive|storage|data)/"
)
_ABSOLUTE = re.compile(rf"(?:{_FOLDERS}[^\s/]|[A-Za-z]:[\\/]+[^\s\\/:]|~/[^\s.])[^\n]*")
_BEGINNING = re.compile(_FOLDERS)
_LONGEST_PATH = 400
# Options and calls whose texts are for people, and methods whose texts are pieces of others.
_WORDS_FOR_PEOPLE = {"help", "description", "epilog", "usage", "metavar"}
_TEXT_METHODS = {
    *("replace", "removeprefix", "removesuffix", "strip", "lstrip", "rstrip"),
    *("split", "rsplit", "partition", "rpartition", "startswith", "endswith", "find", "index"),
    *("sub", "match", "search", "get", "create_dataset", "require_dataset", "create_group"),
}
_METHOD_KINDS = {"staticmethod", "classmethod"}
_MAX_PARAMETERS = 64  # of one function: nobody writes more
_GPU = re.compile(r"(?:cuda|mps)(?::\d+)?")
_TAKES_DEVICE = {"torch.device", "torch.set_default_device"}
_PARSERS = ("parse_args", "parse_known_args")


def find_absolute_paths(scan: Scan) -> tuple[AbsolutePath, ...]:
    """Literals that name a place on one machine, where nothing on the command line overrides
    them. Help texts and pieces of longer texts are left out; defaults are marked as such."""
    values = ValuesRead(scan)
    left_alone = set(_left_alone(scan))
    options = {
        id(node): option for option in find_option_defaults(scan) for node in ast.walk(option.value)
    }
    parameters = {
        id(node): (name, scope)
        for name, default, scope in scan.defaults
        for node in ast.walk(default)
    }
    found = []
    for sighting in scan.strings:
        text = sighting.node.value
        key = id(sighting.node)
        if not isinstance(text, str) or not _is_absolute(text, sighting.flags):
            continue
        path = AbsolutePath(text, sighting.node.lineno, sighting.unit)
        if key in options:
            option = options[key]
            read_in = values.units(option.destination)
            if read_in:
                found.append(path._replace(flags=option.flags, read_in=read_in))
        elif key in parameters:
            name, scope = parameters[key]
            parameter = _sure_parameter(name, scope, values)
            if parameter is not None:
                found.append(path._replace(unit=scope.unit, parameter=parameter))
        elif key not in left_alone:
            found.append(path)
    return tuple(found)


def _is_absolute(text: str, flags: int) -> bool:
    if flags & (DISCARDED | CONTINUES | ARGV_GUARD | FILE_GUARD | ELSEWHERE | TYPE_CHECKING):
        return False
    if len(text) > _LONGEST_PATH:
        return False
    is_beginning = flags & BEGINS and _BEGINNING.fullmatch(text)
    return bool(is_beginning or _ABSOLUTE.fullmatch(text))


def _left_alone(scan: Scan) -> Iterator[int]:
    """The nodes of texts for people, of questions, and of what is only a piece of a text."""
    for sighting in scan.calls:
        function = sighting.node.func
        if isinstance(function, ast.Attribute):
            if function.attr in FILE_QUESTIONS:
                # `if os.path.exists("/kaggle/input")` asks whether this is that machine
                yield from (id(node) for node in ast.walk(sighting.node))
            elif function.attr in _TEXT_METHODS:
                yield from (id(argument) for argument in sighting.node.args)
        for keyword in sighting.node.keywords:
            if keyword.arg == "default" or keyword.arg in _WORDS_FOR_PEOPLE:
                yield from (id(node) for node in ast.walk(keyword.value))
    for test in scan.tests:
        yield from (id(node) for node in [test.node.left, *test.node.comparators])
    for item in scan.subscripts:
        yield id(item.node.slice)


def _sure_parameter(name: str, scope: Scope, values: ValuesRead) -> ParameterDefault | None:
    """How a call overrides the parameter, where its function reads it as it comes."""
    function = scope.node
    if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
        return None
    if any(getattr(item, "id", "") not in _METHOD_KINDS for item in function.decorator_list):
        return None  # who calls it, and with what, is the decorator's business
    count = len(function.args.posonlyargs) + len(function.args.args)
    if count > _MAX_PARAMETERS or len(scope.bindings[name]) > 1:
        return None
    return parameter_default(name, scope) if scope.unit in values.units(name) else None


def find_cuda_uses(scan: Scan) -> tuple[CudaUse, ...]:
    """Calls and assignments that fail on a machine without a GPU, and ask nothing before."""
    gpus = _Gpus(scan)
    found = []
    for sighting in scan.calls:
        if sighting.flags & (CUDA_GUARD | ELSEWHERE | TYPE_CHECKING):
            continue
        use = gpus.needed_by(sighting)
        if use is not None:
            found.append(CudaUse(use.text, sighting.node.lineno, sighting.unit, use.flags))
    for assignment in scan.assignments:
        if assignment.flags & (CUDA_GUARD | ELSEWHERE | TYPE_CHECKING):
            continue
        node = assignment.node
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if (
                isinstance(target, ast.Name)
                and "device" in target.id.lower()
                and _is_gpu(node.value)
                and len(scan.bindings(target.id, assignment.scope)) == 1
                and target.id not in gpus.only_asked
            ):
                text = f"{target.id} = {ast.unparse(node.value)}" if node.value else target.id
                found.append(CudaUse(text, node.lineno, assignment.unit))
    return tuple(sorted(found, key=lambda use: use.line))


def _is_gpu(node: ast.AST | None) -> bool:
    return (
        isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and _GPU.fullmatch(node.value) is not None
    )


class _Gpu(NamedTuple):
    """An expression that is a GPU: how it reads, the flags of the option that says so, and why."""

    text: str
    flags: tuple[str, ...] = ()
    why: str = ""


class _Gpus:
    """What a module says of GPUs.

    `only_asked`: names that are read only where something about the device was asked before.
    """

    def __init__(self, scan: Scan) -> None:
        self.scan = scan
        self.changed = changed_values(scan)
        self.options: dict[str, _Gpu] = {}  # attribute → what is known of it
        for option in find_option_defaults(scan):
            default = scan.constant(option.value, option.scope)
            if default is not None and _is_gpu(default) and option.destination not in self.changed:
                why = f" ({option.flags[0]} is {ast.unparse(default)} by default)"
                self.options[option.destination] = _Gpu("", option.flags, why)
        guarded: dict[str, bool] = {}
        for place in scan.names:
            if isinstance(place.node, ast.Name):
                name = place.node.id
                guarded[name] = guarded.get(name, True) and bool(place.flags & CUDA_GUARD)
        self.only_asked = {name for name, always in guarded.items() if always}
        self.keys: dict[int, dict[str, ast.expr]] = {}

    def needed_by(self, sighting: Sighting[ast.Call]) -> _Gpu | None:
        """How the call takes a GPU for granted."""
        node, scope = sighting.node, sighting.scope
        function = node.func
        names = self.scan.resolve(function, scope)
        first = node.args[0] if node.args else None
        method = function.attr if isinstance(function, ast.Attribute) else ""
        if method == "cuda" and not names:
            return _Gpu(".cuda()")
        if "torch.cuda.set_device" in names and isinstance(first, ast.Constant):
            return _Gpu(f"torch.cuda.set_device({ast.unparse(first)})")
        found = None
        if first is not None and method == "to":
            found = self._inside(".to({})", first, scope)
        elif first is not None:
            for name in _TAKES_DEVICE.intersection(names):
                found = self._inside(name + "({})", first, scope)
        return found or self._given(node, scope, names, method)

    def _given(
        self, node: ast.Call, scope: Scope, names: tuple[str, ...], method: str
    ) -> _Gpu | None:
        """`device=` and `map_location=`, also by `**`."""
        is_torch = method == "to" or any(name.startswith("torch.") for name in names)
        for keyword in node.keywords:
            for key in ("device", "map_location"):
                value = keyword.value if keyword.arg == key else None
                if keyword.arg is None and is_torch:
                    value = self._items(keyword.value, scope).get(key)
                # What a function of the student's own makes of a device, it may ask about.
                is_sure = is_torch or key == "map_location" or isinstance(value, ast.Constant)
                found = self._inside(key + "={}", value, scope) if value and is_sure else None
                if found is not None:
                    return found
        return None

    def _inside(self, around: str, node: ast.expr, scope: Scope) -> _Gpu | None:
        gpu = self._gpu(node, scope)
        return gpu and gpu._replace(text=around.format(gpu.text) + gpu.why)

    def _gpu(self, node: ast.expr, scope: Scope) -> _Gpu | None:
        """What is known to be a GPU, unless the command line says otherwise."""
        if _is_gpu(node):
            return _Gpu(ast.unparse(node))
        if isinstance(node, ast.Name):
            bindings = self.scan.bindings(node.id, scope)
            binding = bindings[0] if len(bindings) == 1 else None
            if binding is None or binding.kind != "value" or binding.node is None:
                return None
            if _is_gpu(binding.node):
                # `device = "cuda"` is a fault of its own line
                return None if "device" in node.id.lower() else _Gpu(node.id)
            node, scope = binding.node, binding.scope or scope
        if isinstance(node, ast.Attribute):
            option = self.options.get(f".{node.attr}")
            if option is not None and is_namespace(node.value, scope, self.scan):
                return option._replace(text=f"{_last_name(node.value)}.{node.attr}")
        if isinstance(node, ast.Subscript) and isinstance(node.slice, ast.Constant):
            key = node.slice.value
            if isinstance(key, str) and key not in self.changed:
                value = self._items(node.value, scope).get(key)
                if value is not None and _is_gpu(value):
                    text = f'{_last_name(node.value)}["{key}"]'
                    return _Gpu(text, why=f" (it is {ast.unparse(value)})")
        return None

    def _items(self, node: ast.expr, scope: Scope) -> dict[str, ast.expr]:
        """The items of a dict's display, or of the name that was given one once and for all."""
        if isinstance(node, ast.Name):
            bindings = self.scan.bindings(node.id, scope)
            if len(bindings) == 1 and bindings[0].kind == "value":
                node = bindings[0].node or node
        if not isinstance(node, ast.Dict):
            return {}
        if id(node) not in self.keys:
            self.keys[id(node)] = {
                key.value: value
                for key, value in zip(node.keys, node.values, strict=True)
                if isinstance(key, ast.Constant) and isinstance(key.value, str)
            }
        return self.keys[id(node)]


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "…")


def find_argv_at_import(scan: Scan) -> tuple[ArgvUse, ...]:
    """Where the module's body, outside functions and the main guard, reads the command line."""
    found: dict[int, ArgvUse] = {}
    for sighting in scan.names:
        at_import = sighting.unit == MODULE_UNIT and sighting.scope.kind == "module"
        if at_import and "sys.argv" in scan.resolve(sighting.node, sighting.scope):
            found.setdefault(sighting.node.lineno, ArgvUse("sys.argv", sighting.node.lineno))
    for call in scan.calls:
        function = call.node.func
        if (
            call.unit == MODULE_UNIT
            and call.scope.kind == "module"
            and isinstance(function, ast.Attribute)
            and function.attr in _PARSERS
            and not call.node.args
            and not call.node.keywords
        ):
            found.setdefault(call.node.lineno, ArgvUse(f"{function.attr}()", call.node.lineno))
    return tuple(found[line] for line in sorted(found))
