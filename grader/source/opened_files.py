"""Which files a module opens and writes, and which folders it lists, by names in its source."""

from __future__ import annotations

import ast
import posixpath
import re
from collections.abc import Iterator
from typing import NamedTuple

from grader.source.facts import FileUse, NamedFile, VagueWrite
from grader.source.file_functions import (
    FOLDERS,
    GLOBBERS,
    LISTERS,
    LISTING_METHODS,
    MOVERS,
    ONLY_OF_PATHS,
    OPENERS,
    PATH_METHODS,
    QUESTIONS,
    READERS,
    READING_METHODS,
    SECOND_READERS,
    UNPACKERS,
    UNPACKING_METHODS,
    WRITERS,
    WRITING_METHODS,
    Reader,
    Writer,
)
from grader.source.known_paths import UNKNOWN, KnownPath, follow_path
from grader.source.name_patterns import ANYTHING, NamePattern, follow_name
from grader.source.scan import (
    ARGV_GUARD,
    DISCARDED,
    FILE_GUARD,
    TYPE_CHECKING,
    Scan,
    Scope,
    Sighting,
)

_LONGEST_PATH = 300
_DATA_FILE = re.compile(r"[\w.-]+\.(?:json|txt|yaml|yml|toml|pkl|npy|npz)")
_WILD = re.compile(r"[*?\[]")


class _Access(NamedTuple):
    """A file being written, read, or (`writes` is None) only asked for, by the function `call`.

    `names`: what is written where the path is not known. `lists` as in `FileUse`.
    """

    path: KnownPath
    writes: bool | None
    call: str
    optional: bool = False
    writer: Writer | None = None
    names: tuple[NamePattern, ...] = ()
    lists: str = ""


class OpenedFiles(NamedTuple):
    """`asked_for`: literal paths whose existence is tested somewhere."""

    files: tuple[FileUse, ...]
    asked_for: frozenset[str]
    vague_writes: tuple[VagueWrite, ...]


def find_opened_files(scan: Scan) -> OpenedFiles:
    """The files and folders opened, in source order, and what else is known of them."""
    uses: list[FileUse] = []
    asked: set[str] = set()
    vague: dict[VagueWrite, None] = {}
    for sighting in scan.calls:
        if sighting.flags & TYPE_CHECKING:
            continue
        node = sighting.node
        functions = scan.resolve(node.func, sighting.scope)
        for function in functions:
            if function in QUESTIONS and node.args:
                asked.add(follow_path(node.args[0], sighting.scope, scan).text)
        for access in _accesses(functions, sighting, scan):
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
                        guarded=access.optional or bool(sighting.flags & (FILE_GUARD | ARGV_GUARD)),
                        call=access.call,
                        default=path.default,
                        lists=access.lists,
                    )
                )
            for name in access.names:
                if name.parameter is not None or not name.told:
                    writer = access.writer or Writer(0, ())
                    vague[
                        VagueWrite(
                            name.pieces,
                            name.parameter,
                            writer.appended,
                            writer.kinds,
                            sighting.unit,
                        )
                    ] = None
    asked.discard("")
    return OpenedFiles(
        tuple(uses), frozenset(posixpath.normpath(path) for path in asked), tuple(vague)
    )


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


def _accesses(
    functions: tuple[str, ...], sighting: Sighting[ast.Call], scan: Scan
) -> Iterator[_Access]:
    """What one call does to files: by the library's function, else by the name of the method."""
    known = False
    for function in functions:
        for access in _library_accesses(function, sighting, scan):
            known = True
            yield access
        if known:
            return
    yield from _method_accesses(sighting, scan)


def _library_accesses(function: str, sighting: Sighting[ast.Call], scan: Scan) -> Iterator[_Access]:
    call = function.removeprefix("builtins.")
    if function in OPENERS:
        opener = OPENERS[function]
        mode = _mode(sighting.node, opener.mode_position, scan, sighting.scope)
        if mode is None:
            return
        if _is_writing(mode):
            writer = Writer(opener.position, (opener.keyword,))
            yield _writing(
                _argument(sighting, writer.position, writer.keywords), writer, call, sighting, scan
            )
        else:
            yield _reading(Reader(opener.position, opener.keyword), call, sighting, scan)
    for readers in (READERS, SECOND_READERS):
        if function in readers:
            yield _reading(readers[function], call, sighting, scan)
    if function in WRITERS:
        writer = WRITERS[function]
        yield _writing(
            _argument(sighting, writer.position, writer.keywords), writer, call, sighting, scan
        )
    if function in MOVERS:
        yield from _moving(MOVERS[function], call, sighting, scan)
    if function in UNPACKERS:
        yield _Access(UNKNOWN, True, call, names=(NamePattern(ANYTHING),))
    if function in LISTERS:
        yield _reading(LISTERS[function], call, sighting, scan)._replace(lists="*")
    if function in GLOBBERS:
        yield _globbed(_reading(GLOBBERS[function], call, sighting, scan))


def _method_accesses(sighting: Sighting[ast.Call], scan: Scan) -> Iterator[_Access]:
    """`Path("x").read_text()`, `figure.savefig("x")`: the receiver is the path, or any object."""
    node = sighting.node
    if not isinstance(node.func, ast.Attribute):
        return
    name = node.func.attr
    call = f".{name}"
    if name in WRITING_METHODS:
        writer = WRITING_METHODS[name]
        yield _writing(
            _argument(sighting, writer.position, writer.keywords), writer, call, sighting, scan
        )
    elif name in READING_METHODS:
        yield _reading(READING_METHODS[name], call, sighting, scan)
    elif name in UNPACKING_METHODS:
        yield _Access(UNKNOWN, True, call, names=(NamePattern(ANYTHING),))
    elif name in LISTING_METHODS:
        yield from _listing_method(name, sighting, scan)
    elif name in PATH_METHODS:
        yield from _path_method(name, node.func.value, sighting, scan)


def _path_method(
    name: str, receiver: ast.expr, sighting: Sighting[ast.Call], scan: Scan
) -> Iterator[_Access]:
    writes = PATH_METHODS[name]
    if name == "open":
        mode = _mode(sighting.node, 0, scan, sighting.scope)
        if mode is None:
            return
        writes = _is_writing(mode)
    path = follow_path(receiver, sighting.scope, scan)
    if writes and (path.is_object or name in ONLY_OF_PATHS):
        writer = Writer(0, (), kinds=FOLDERS if name == "mkdir" else ())
        yield _writing(receiver, writer, f".{name}", sighting, scan)
    elif path.is_object:
        yield _Access(path, writes, f".{name}")


def _listing_method(name: str, sighting: Sighting[ast.Call], scan: Scan) -> Iterator[_Access]:
    """`Path("protos").glob("*.npy")`, `Path("classes").iterdir()`."""
    node = sighting.node
    assert isinstance(node.func, ast.Attribute)  # a method
    path = follow_path(node.func.value, sighting.scope, scan)
    if not path.is_object:
        return
    listed = _Access(path, False, f".{name}", optional=LISTING_METHODS[name], lists="*")
    if name == "iterdir":
        yield listed
        return
    pattern = scan.constant(node.args[0], sighting.scope) if node.args else None
    if pattern is None or not isinstance(pattern.value, str):
        return
    deep = "**/" if name == "rglob" else ""
    text = posixpath.join(path.text, deep + pattern.value)
    yield _globbed(listed._replace(path=path._replace(text=text)))


def _globbed(access: _Access) -> _Access:
    """`protos/*.npy` → the folder `protos`, in which `*.npy` is looked for."""
    parts = access.path.text.split("/")
    fixed = next((number for number, part in enumerate(parts) if _WILD.search(part)), None)
    if fixed is None:
        return access  # names one file
    folder = "/".join(parts[:fixed]) or "."
    lists = parts[-1] if len(parts) == fixed + 1 else f"**/{parts[-1]}"
    return access._replace(path=access.path._replace(text=folder), lists=lists)


def _reading(reader: Reader, call: str, sighting: Sighting[ast.Call], scan: Scan) -> _Access:
    node = _argument(sighting, reader.position, (reader.keyword,))
    path = UNKNOWN if node is None else follow_path(node, sighting.scope, scan)
    return _Access(path, False, call, reader.optional)


def _writing(
    node: ast.expr | None, writer: Writer, call: str, sighting: Sighting[ast.Call], scan: Scan
) -> _Access:
    """A write under the name that `node` stands for, or under a part of it."""
    if node is None:
        return _Access(UNKNOWN, True, call)
    path = follow_path(node, sighting.scope, scan)
    if path.text and not path.text.endswith(writer.appended):
        path = path._replace(text=path.text + writer.appended)
    names = follow_name(node, sighting.scope, scan) if path.default or not path.text else ()
    return _Access(path, True, call, writer=writer, names=names)


def _moving(
    writer: Writer, call: str, sighting: Sighting[ast.Call], scan: Scan
) -> Iterator[_Access]:
    goal = _argument(sighting, writer.position, writer.keywords)
    access = _writing(goal, writer, call, sighting, scan)
    yield access
    source = _argument(sighting, 0, ("src", "old"))
    if source is not None and access.path.text and "." not in posixpath.basename(access.path.text):
        name = posixpath.basename(follow_path(source, sighting.scope, scan).text)
        if name:
            text = posixpath.join(access.path.text, name)
            yield access._replace(path=access.path._replace(text=text))
        else:
            yield _Access(UNKNOWN, True, call, names=follow_name(source, sighting.scope, scan))


def _argument(
    sighting: Sighting[ast.Call], position: int, keywords: tuple[str, ...]
) -> ast.expr | None:
    node = sighting.node
    if len(node.args) > position and not any(
        isinstance(item, ast.Starred) for item in node.args[: position + 1]
    ):
        return node.args[position]
    return next((item.value for item in node.keywords if item.arg in keywords), None)


def _mode(node: ast.Call, position: int, scan: Scan, scope: Scope) -> str | None:
    """The mode of an `open`, "r" where none is given, None where it is computed."""
    given = [item.value for item in node.keywords if item.arg == "mode"]
    given += node.args[position : position + 1]
    if not given:
        return "r"
    mode = scan.constant(given[0], scope)
    return mode.value if mode is not None and isinstance(mode.value, str) else None


def _is_writing(mode: str) -> bool:
    """`r:xz` names a compression behind the colon, no mode."""
    return any(letter in mode.partition(":")[0] for letter in "wax")
