"""Which files a module opens, and which it writes, by a name that stands in its source."""

from __future__ import annotations

import ast
import posixpath
import re
from typing import NamedTuple

from grader.source.facts import FileUse, NamedFile
from grader.source.known_paths import UNKNOWN, KnownPath, follow_path
from grader.source.scan import (
    ARGV_GUARD,
    DISCARDED,
    FILE_GUARD,
    TYPE_CHECKING,
    Scan,
    Scope,
    Sighting,
)

# function → (position, keyword) of the path. `open`-like functions have a mode.
_OPENS = {
    "builtins.open": (0, "file"),
    "io.open": (0, "file"),
    "codecs.open": (0, "filename"),
    "gzip.open": (0, "filename"),
    "h5py.File": (0, "name"),
}
_READS = {
    "numpy.load": (0, "file"),
    "numpy.loadtxt": (0, "fname"),
    "numpy.genfromtxt": (0, "fname"),
    "numpy.fromfile": (0, "file"),
    "torch.load": (0, "f"),
    "torch.jit.load": (0, "f"),
    "safetensors.torch.load_file": (0, "filename"),
    "cv2.imread": (0, "filename"),
    "PIL.Image.open": (0, "fp"),
    "matplotlib.pyplot.imread": (0, "fname"),
    "matplotlib.image.imread": (0, "fname"),
    "torchvision.io.read_image": (0, "path"),
    "pandas.read_csv": (0, "filepath_or_buffer"),
    "pandas.read_json": (0, "path_or_buf"),
    "pandas.read_pickle": (0, "filepath_or_buffer"),
    "pandas.read_excel": (0, "io"),
    "pandas.read_table": (0, "filepath_or_buffer"),
    "joblib.load": (0, "filename"),
    "scipy.io.loadmat": (0, "file_name"),
}
_WRITES = {
    "numpy.save": (0, "file"),
    "numpy.savez": (0, "file"),
    "numpy.savetxt": (0, "fname"),
    "torch.save": (1, "f"),
    "safetensors.torch.save_file": (1, "filename"),
    "cv2.imwrite": (0, "filename"),
    "joblib.dump": (1, "filename"),
    "shutil.copy": (1, "dst"),
    "shutil.copyfile": (1, "dst"),
    "torch.jit.save": (1, "f"),
}
# Whatever object they are called on, these write: a generous list only explains more.
_WRITING_METHODS = {
    "save": 0,
    "to_csv": 0,
    "to_json": 0,
    "to_pickle": 0,
    "to_excel": 0,
    "savefig": 0,
    "save_pretrained": 0,
    "save_checkpoint": 0,
}
# method of a `pathlib.Path` → whether it writes; None: it only asks
_PATH_METHODS: dict[str, bool | None] = {
    "open": False,  # or as its mode says
    "read_text": False,
    "read_bytes": False,
    "write_text": True,
    "write_bytes": True,
    "touch": True,
    "exists": None,
    "is_file": None,
    "is_dir": None,
    "stat": None,
}
_QUESTIONS = {
    "os.path.exists",
    "os.path.isfile",
    "os.path.isdir",
    "os.path.lexists",
    "os.access",
    "os.stat",
    "os.path.getsize",
}
_LONGEST_PATH = 300
_DATA_FILE = re.compile(r"[\w.-]+\.(?:json|txt|yaml|yml|toml|pkl|npy|npz)")


class _Access(NamedTuple):
    """A file being written, read, or (`writes` is None) only asked for, by the function `call`."""

    path: KnownPath
    writes: bool | None
    call: str


def find_opened_files(scan: Scan) -> tuple[tuple[FileUse, ...], frozenset[str]]:
    """The files opened in source order, and the literal paths that the module asks about."""
    uses: list[FileUse] = []
    asked: set[str] = set()
    for sighting in scan.calls:
        if sighting.flags & TYPE_CHECKING:
            continue
        node = sighting.node
        functions = scan.resolve(node.func, sighting.scope)
        for function in functions:
            if function in _QUESTIONS and node.args:
                asked.add(follow_path(node.args[0], sighting.scope, scan).text)
        access = _library_access(functions, sighting, scan) or _method_access(sighting, scan)
        if access is None:
            continue
        path = access.path
        if access.writes is None:
            asked.add(path.text)
        elif path.text and len(path.text) <= _LONGEST_PATH:
            uses.append(
                FileUse(
                    path=posixpath.normpath(path.text),
                    anchor=path.anchor,
                    writes=access.writes,
                    line=node.lineno,
                    unit=sighting.unit,
                    guarded=bool(sighting.flags & (FILE_GUARD | ARGV_GUARD)),
                    call=access.call,
                    default=path.default,
                )
            )
    asked.discard("")
    return tuple(uses), frozenset(posixpath.normpath(path) for path in asked)


def find_named_files(scan: Scan) -> tuple[NamedFile, ...]:
    """Literals like `class_labels.json`: what is opened by a way too long to follow is still
    called by its name somewhere. The first line of each."""
    named: dict[str, NamedFile] = {}
    for sighting in scan.strings:
        text = sighting.node.value
        if (
            isinstance(text, str)
            and not sighting.flags & DISCARDED
            and len(text) <= _LONGEST_PATH
            and _DATA_FILE.fullmatch(text)
        ):
            named.setdefault(text, NamedFile(text, sighting.node.lineno))
    return tuple(named.values())


def _library_access(
    functions: tuple[str, ...], sighting: Sighting[ast.Call], scan: Scan
) -> _Access | None:
    for function in functions:
        call = function.removeprefix("builtins.")
        if function in _OPENS:
            mode = _mode(sighting.node, 1, scan, sighting.scope)
            if mode is None:
                return None
            return _Access(_argument(sighting, _OPENS[function], scan), _is_writing(mode), call)
        if function in _READS:
            return _Access(_argument(sighting, _READS[function], scan), False, call)
        if function in _WRITES:
            return _Access(_argument(sighting, _WRITES[function], scan), True, call)
    return None


def _method_access(sighting: Sighting[ast.Call], scan: Scan) -> _Access | None:
    """`Path("x").read_text()`, `figure.savefig("x")`: the receiver is the path, or any object."""
    node = sighting.node
    if not isinstance(node.func, ast.Attribute):
        return None
    name = node.func.attr
    if name in _WRITING_METHODS:
        return _Access(_argument(sighting, (_WRITING_METHODS[name], ""), scan), True, f".{name}")
    if name not in _PATH_METHODS:
        return None
    path = follow_path(node.func.value, sighting.scope, scan)
    writes = _PATH_METHODS[name]
    if name == "open":
        mode = _mode(node, 0, scan, sighting.scope)
        if mode is None:
            return None
        writes = _is_writing(mode)
    return _Access(path, writes, f".{name}") if path.is_object else None


def _argument(sighting: Sighting[ast.Call], where: tuple[int, str], scan: Scan) -> KnownPath:
    position, keyword = where
    node = sighting.node
    if len(node.args) > position and not any(
        isinstance(item, ast.Starred) for item in node.args[: position + 1]
    ):
        return follow_path(node.args[position], sighting.scope, scan)
    for item in node.keywords:
        if item.arg == keyword:
            return follow_path(item.value, sighting.scope, scan)
    return UNKNOWN


def _mode(node: ast.Call, position: int, scan: Scan, scope: Scope) -> str | None:
    """The mode of an `open`, "r" where none is given, None where it is computed."""
    given = [item.value for item in node.keywords if item.arg == "mode"]
    given += node.args[position : position + 1]
    if not given:
        return "r"
    mode = scan.constant(given[0], scope)
    return mode.value if mode is not None and isinstance(mode.value, str) else None


def _is_writing(mode: str) -> bool:
    return any(letter in mode for letter in "wax")
