"""Read a submission's scripts and everything that they import."""

from __future__ import annotations

import posixpath
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from grader.model import CheckedLayout
from grader.source.facts import CallShape, FileUse, ModuleFacts, ParameterDefault
from grader.source.imports import Closure, close_imports
from grader.source.parse import MAX_SOURCE_BYTES, Unparsed
from grader.source.reach import reached_units
from grader.source.read import read_module
from grader.source.tree import SourceTree
from grader.source.written_names import WrittenNames, gather_written_names

# Beyond this much source a submission is not a student's own work any more; the rest is left
# unread and said to be.
MAX_TOTAL_BYTES = 4 * 1024 * 1024


class OpenedFile(NamedTuple):
    """A file that a script opens or writes, with the module that says so.

    `path` is relative to the submission's top where it is known (`certain`), else only the end
    of a path. `reached`: the script may really run this line.
    """

    module: str
    use: FileUse
    path: str
    certain: bool
    reached: bool


class SurveyedScript(NamedTuple):
    """One script that the assignment runs, and its closure.

    `written`: the names of the files that its code writes.
    """

    role: str
    closure: Closure
    reached: frozenset[tuple[str, int]]
    opened: tuple[OpenedFile, ...]
    written: WrittenNames
    calls: Mapping[str, Sequence[CallShape]]  # of what may be the submission's own, by its name

    def leaves_out(self, default: ParameterDefault) -> bool:
        """Whether the function is called, and every call leaves the parameter to its default."""
        return _left_out(default, self.calls)

    @property
    def path(self) -> str:
        return self.closure.entry


class SurveyedSource(NamedTuple):
    """A submission's Python as far as its scripts need it; `modules` is the union, by path."""

    tree: SourceTree
    scripts: tuple[SurveyedScript, ...]
    modules: Mapping[str, ModuleFacts | Unparsed]

    def writers(self, name: str, reader: str) -> list[str]:
        """The scripts other than `reader` that write a file called `name`, wherever it lies."""
        return [
            script.path
            for script in self.scripts
            if script.path != reader and script.written.hold(name)
        ]


def scripts_of(layout: CheckedLayout) -> dict[str, str]:
    """Role → path of the roles that Python files play."""
    return {role: path for role, path in layout.roles.items() if path.endswith(".py")}


def files_of(layout: CheckedLayout) -> frozenset[str]:
    """The submission's files, relative to its top level."""
    base = f"{layout.base}/" if layout.base else ""
    return frozenset(
        file.path[len(base) :] for file in layout.unpacked.files if file.path.startswith(base)
    )


class FileReader:
    """Reads each file once, and no more than `MAX_TOTAL_BYTES` in all."""

    def __init__(self, tree: SourceTree, python: tuple[int, int]) -> None:
        self.tree = tree
        self.python = python
        self.left_bytes = MAX_TOTAL_BYTES
        self.done: dict[str, ModuleFacts | Unparsed] = {}

    def __call__(self, path: str) -> ModuleFacts | Unparsed:
        if path not in self.done:
            self.done[path] = self._read(path)
        return self.done[path]

    def _read(self, path: str) -> ModuleFacts | Unparsed:
        if self.left_bytes <= 0:
            mib = MAX_TOTAL_BYTES // (1024 * 1024)
            return Unparsed(
                path, None, f"only the first {mib} MiB of source are read", "", is_syntax=False
            )
        try:
            data = self.tree.read(path, MAX_SOURCE_BYTES)
        except OSError as error:
            reason = f"the file cannot be read: {error.strerror or error}"
            return Unparsed(path, None, reason, "", is_syntax=False)
        self.left_bytes -= len(data)
        return read_module(data, path, self.python)


def survey_source(
    top: Path,
    scripts: Mapping[str, str],
    python: tuple[int, int],
    chosen: Sequence[str] = (),
    read_file: FileReader | None = None,
) -> SurveyedSource:
    """Survey the folder `top`, where role → path names the `scripts` (files that end in `.py`).

    `chosen`: modules that stand for a computed import (see `close_imports`). Never raises for
    what the files hold.
    """
    reader = read_file or FileReader(SourceTree(top), python)
    surveyed = []
    modules: dict[str, ModuleFacts | Unparsed] = {}
    for role, path in scripts.items():
        closure = close_imports(path, reader.tree, reader, chosen)
        reached = reached_units(closure)
        calls = _own_calls(closure)
        opened = _opened(closure, reached, calls)
        written = _written(closure, reached, opened)
        surveyed.append(SurveyedScript(role, closure, reached, opened, written, calls))
        modules.update(closure.modules)
    return SurveyedSource(reader.tree, tuple(surveyed), modules)


def _own_calls(closure: Closure) -> Mapping[str, Sequence[CallShape]]:
    calls: dict[str, list[CallShape]] = {}
    for facts in closure.read:
        for shape in facts.calls:
            if _may_be_local(closure, shape.resolved):
                calls.setdefault(shape.name, []).append(shape)
    return calls


def _opened(
    closure: Closure,
    reached: frozenset[tuple[str, int]],
    calls: Mapping[str, Sequence[CallShape]],
) -> tuple[OpenedFile, ...]:
    files = []
    for facts in closure.read:
        for use in facts.files:
            path, certain = use.path, use.anchor != "unknown"
            if use.anchor == "file":
                path = posixpath.normpath(posixpath.join(posixpath.dirname(facts.path), path))
            if use.default is not None:
                certain = certain and _left_out(use.default, calls)
            files.append(
                OpenedFile(facts.path, use, path, certain, (facts.path, use.unit) in reached)
            )
    return tuple(files)


def _written(
    closure: Closure, reached: frozenset[tuple[str, int]], opened: Sequence[OpenedFile]
) -> WrittenNames:
    """What the code writes that may run: a helper for train.py writes nothing in evaluate.py."""
    return gather_written_names(
        (item.path for item in opened if item.use.writes and item.reached),
        [
            write
            for facts in closure.read
            for write in facts.vague_writes
            if (facts.path, write.unit) in reached
        ],
        (
            handed
            for facts in closure.read
            for handed in facts.handed_names
            if _may_be_local(closure, handed.resolved)
        ),
    )


def _left_out(default: ParameterDefault, calls: Mapping[str, Sequence[CallShape]]) -> bool:
    """Whether every call leaves the parameter to its default, and there is one."""
    shapes = calls.get(default.function, ())
    return bool(shapes) and not any(
        shape.starred or shape.positional > default.position or default.name in shape.keywords
        for shape in shapes
    )


def _may_be_local(closure: Closure, resolved: str) -> bool:
    top = resolved.partition(".")[0]  # "" for a relative import
    return not top or top in closure.local_names
