"""What is known of one Python file after reading it. Records only; lines are 1-based.

`unit` is an index into `ModuleFacts.units`: 0 the module's body, 1 its main guard
(`if __name__ == "__main__":`), 2 … its functions.
"""

from __future__ import annotations

from typing import NamedTuple

from grader.source.scan import MAIN_UNIT, MODULE_UNIT, Unit

__all__ = [
    "MAIN_UNIT",
    "MODULE_UNIT",
    "AbsolutePath",
    "ArgvUse",
    "CallShape",
    "CudaUse",
    "FileUse",
    "HandedName",
    "Import",
    "ModuleFacts",
    "NamedFile",
    "OpenImport",
    "Parameter",
    "ParameterDefault",
    "Pieces",
    "PretrainedUse",
    "SearchPath",
    "Unit",
    "Use",
    "VagueWrite",
]


class Import(NamedTuple):
    """One imported module: `import module`, `from module import names`, or a literal call.

    `level`: leading dots. `guarded`: a failure is caught, or this is what is done instead.
    `conditional`: it runs only where something that the source does not settle is so.
    """

    module: str
    names: tuple[str, ...]
    level: int
    line: int
    unit: int
    guarded: bool
    by_call: bool
    conditional: bool = False


class OpenImport(NamedTuple):
    """An import whose module is computed; `package` is the literal package before it, if any."""

    package: str
    line: int
    unit: int


class SearchPath(NamedTuple):
    """A folder that a file adds to `sys.path`; `anchor` as in `FileUse`."""

    path: str
    anchor: str


class Use(NamedTuple):
    """A name of a library or a built-in (`torchvision.models.resnet18`, `builtins.eval`)."""

    name: str
    line: int
    unit: int
    called: bool


class PretrainedUse(NamedTuple):
    """A call that asks for weights trained elsewhere.

    `names`: the dotted names of libraries that say so, the function's or the weights'. Where one
    of them is a module of the submission, it is the student's own and says nothing.
    """

    text: str
    line: int
    unit: int
    names: tuple[str, ...]


class ParameterDefault(NamedTuple):
    """A path that is the default of parameter number `position` (self not counted)."""

    function: str
    position: int
    name: str


class Parameter(NamedTuple):
    """Parameter number `position` (self not counted) of `function`; a class stands for its
    `__init__`. `is_method`: it is called on an object."""

    function: str
    position: int
    name: str
    is_method: bool


# Of a text that is put together: its literal pieces, with something unknown between each two.
Pieces = tuple[str, ...]


class VagueWrite(NamedTuple):
    """A file written under a name that is known in part: `pieces`, and at the end what is handed
    to `parameter`, if there is one. `appended` and `kinds` as in `file_functions.Writer`."""

    pieces: Pieces
    parameter: Parameter | None
    appended: str
    kinds: tuple[str, ...]
    unit: int


class HandedName(NamedTuple):
    """What a call hands to an argument of `function`, by its place or its `keyword`, as far as it
    is known: `pieces`, then the caller's own `parameter`. `told`: by the command line."""

    function: str
    resolved: str
    is_method: bool
    position: int
    keyword: str
    pieces: Pieces
    parameter: Parameter | None
    told: bool


class CallShape(NamedTuple):
    """What a call passes to the function `name`, whatever object it is called on.

    `resolved`: its dotted name where it is an imported or built-in one, else "".
    """

    name: str
    resolved: str
    positional: int
    keywords: frozenset[str]
    starred: bool


class FileUse(NamedTuple):
    """A file opened by a literal name.

    `anchor`: "cwd" (relative to the working directory), "file" (to this module's folder) or
    "unknown" (below a folder that is only known at run time; `path` is what follows it).
    `guarded`: the code is ready for its absence. `lists`: `path` is a folder, and the names in it
    that match this pattern (`*`, `*.npy`) are looked for; "" for a file.
    """

    path: str
    anchor: str
    writes: bool
    line: int
    unit: int
    guarded: bool
    call: str
    default: ParameterDefault | None
    lists: str = ""


class NamedFile(NamedTuple):
    """A literal that reads like the name of a data file, whatever is done with it."""

    name: str
    line: int


class AbsolutePath(NamedTuple):
    """A place on one machine. Only what nobody overrides is at fault.

    `flags`: it is the default of this option, which the units `read_in` read. `parameter`: it
    holds while this parameter is left out.
    """

    text: str
    line: int
    unit: int
    flags: tuple[str, ...] = ()
    read_in: frozenset[int] = frozenset()
    parameter: ParameterDefault | None = None


class CudaUse(NamedTuple):
    """A GPU taken for granted; where `flags` are given, as the default of this option."""

    text: str
    line: int
    unit: int
    flags: tuple[str, ...] = ()


class ArgvUse(NamedTuple):
    """The command line read while the module is being imported."""

    text: str
    line: int


class ModuleFacts(NamedTuple):
    """One file, read. `path` is relative to the submission's top, POSIX."""

    path: str
    units: tuple[Unit, ...]
    imports: tuple[Import, ...]
    open_imports: tuple[OpenImport, ...]
    search_paths: tuple[SearchPath, ...]
    uses: tuple[Use, ...]
    pretrained: tuple[PretrainedUse, ...]
    calls: tuple[CallShape, ...]
    files: tuple[FileUse, ...]
    vague_writes: tuple[VagueWrite, ...]
    handed_names: tuple[HandedName, ...]
    named_files: tuple[NamedFile, ...]
    asked_for: frozenset[str]  # literal paths whose existence is tested somewhere
    absolute_paths: tuple[AbsolutePath, ...]
    cuda: tuple[CudaUse, ...]
    argv_at_import: tuple[ArgvUse, ...]
