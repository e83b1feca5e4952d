"""A folder of zips or folders → the Python text of each submission, read within bounds.

Nothing is run, and no link is followed. Of a zip only Python files and notebooks are unpacked,
after its directory was vetted like that of any submission.
"""

from __future__ import annotations

import codecs
import json
import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from grader.errors import UsageError
from grader.findings import found, listed, quoted
from grader.model import Assignment, Finding, Severity
from grader.readers.own_output import is_written_by_grader
from grader.readers.regular_file import RefusedFileError, read_regular_head
from grader.similarity.model import SourceText, SourceTree
from grader.similarity.source.parse_text import without_magics
from grader.stages.inspect_zip import inspect_zip
from grader.stages.unpack import unpack

# Of one file the beginning is compared, of one submission so many bytes: the tree of 256 KiB of
# dense source takes about 60 MB. Course submissions stay far below.
MAX_TEXT_BYTES = 256 * 1024
MAX_NOTEBOOK_BYTES = 64 * 1024 * 1024  # their pictures are in them
MAX_TREE_BYTES = 4 * 1024 * 1024
MAX_FILES = 2000
_MAX_DEPTH = 12

_PYTHON, _NOTEBOOK = (".py", ".pyw"), ".ipynb"
_FOREIGN = frozenset(
    {"__pycache__", "__MACOSX", "site-packages", "node_modules", "venv", "env", "dist-packages"}
)
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@dataclass(frozen=True, slots=True)
class FoundSubmission:
    """One submission at the door: a zip, a folder or a single file."""

    name: str
    path: Path


def find_submissions(folder: Path) -> tuple[FoundSubmission, ...]:
    """Every zip, folder, Python file and notebook directly in `folder`, sorted by name, but for
    what the grader has written there.

    Raises UsageError when `folder` is none, cannot be listed or holds no submission.
    """
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError as error:
        raise UsageError(
            f"{quoted(str(folder), 300)}: {error.strerror or error}",
            hint="name the folder that holds one zip or one folder for each submission",
        ) from error
    taken: dict[str, Path] = {}
    for entry in entries:
        name = entry.name
        if name.startswith(".") or name in _FOREIGN or entry.is_symlink():
            continue
        path = Path(entry.path)
        known = path.suffix.lower() in {".zip", *_PYTHON, _NOTEBOOK}
        if entry.is_dir():
            if not is_written_by_grader(path):
                taken[name] = path
        elif known and entry.is_file():
            taken[name if path.stem in taken else path.stem] = path
    if not taken:
        raise UsageError(
            f"{quoted(str(folder), 300)}: holds no submissions: neither a zip nor a folder nor a "
            "Python file",
            hint="name the folder that holds one zip or one folder for each submission",
        )
    return tuple(FoundSubmission(name, path) for name, path in sorted(taken.items()))


def find_base(path: Path) -> FoundSubmission:
    """The folder, zip or file that was given out. Raises UsageError when there is none."""
    if not path.exists():
        raise UsageError(
            f"{quoted(str(path), 300)}: there is no such file or folder",
            hint="name the folder, zip or file that the students were given",
        )
    return FoundSubmission(path.name, path)


def read_tree(submission: FoundSubmission, assignment: Assignment) -> SourceTree:
    """All Python text of a submission. What cannot be read is a finding, never an exception."""
    reader = _Reader()
    path = submission.path
    if path.is_dir():
        _read_folder(path, reader, assignment)
    elif path.suffix.lower() == ".zip":
        _read_zip(path, reader, assignment)
    else:
        reader.add(path, path.name)
    if not reader.texts:
        reader.findings.append(
            found("similar.no-source", "no Python text was found", path=submission.name)
        )
    return SourceTree(submission.name, tuple(reader.texts), tuple(reader.findings))


def _read_folder(folder: Path, reader: _Reader, assignment: Assignment) -> None:
    """A folder, and the zips in it: platforms pack each student's upload into a folder."""
    zips = []
    for path in _files_below(folder):
        if path.suffix.lower() == ".zip":
            zips.append(path)
        else:
            reader.add(path, path.relative_to(folder).as_posix())
    if not reader.texts:
        for path in zips:
            _read_zip(path, reader, assignment)


def _read_zip(path: Path, reader: _Reader, assignment: Assignment) -> None:
    inspected = inspect_zip(path, assignment)
    errors = [finding for finding in inspected.findings if finding.severity is Severity.ERROR]
    if errors:
        reader.findings += errors
        return
    wanted = tuple(
        member
        for member in inspected.members
        if not member.is_dir and _is_source(member.path) and _is_own(member.path.split("/")[:-1])
    )
    with tempfile.TemporaryDirectory(prefix="grader-similar-") as scratch:
        root = Path(scratch) / "tree"
        tree = unpack(replace(inspected, members=wanted), root, assignment.zip_limits)
        reader.findings += [f for f in tree.findings if f.severity is Severity.ERROR]
        for file in tree.files:
            reader.add(root / file.path, file.path)


def _files_below(folder: Path) -> Iterator[Path]:
    """Python files, notebooks and zips, in the order of their paths."""
    waiting = [(folder, 0)]
    files: list[Path] = []
    while waiting and len(files) <= MAX_FILES:
        place, depth = waiting.pop()
        try:
            entries = list(os.scandir(place))
        except OSError:
            continue  # a folder that may not be listed holds nothing to compare
        for entry in entries:
            if entry.is_symlink():
                continue
            if entry.is_dir():
                if depth < _MAX_DEPTH and _is_own([entry.name]):
                    waiting.append((Path(entry.path), depth + 1))
            elif _is_source(entry.name) or (depth < 2 and entry.name.lower().endswith(".zip")):
                files.append(Path(entry.path))
    yield from sorted(files)


def _is_source(path: str) -> bool:
    name = path.rsplit("/", 1)[-1].lower()
    return name.endswith((*_PYTHON, _NOTEBOOK)) and not name.startswith(".")


def _is_own(folders: list[str]) -> bool:
    """Whether these folders hold the student's files, and not an installed environment."""
    return not any(folder in _FOREIGN or folder.startswith(".") for folder in folders)


class _Reader:
    """Texts of one submission as they come in, bounded."""

    def __init__(self) -> None:
        self.texts: list[SourceText] = []
        self.findings: list[Finding] = []
        self._left_bytes = MAX_TREE_BYTES
        self._files = 0
        self._full = False

    def add(self, path: Path, shown: str) -> None:
        """Read one file, whatever is in it."""
        self._files += 1
        if self._left_bytes <= 0 or self._files > MAX_FILES:
            if not self._full:
                self._full = True
                self._note(
                    "similar.not-all-compared",
                    f"more than {MAX_TREE_BYTES >> 20} MiB or {MAX_FILES} files of source: "
                    f"{listed([shown])} and what follows was not compared",
                    shown,
                )
            return
        notebook = shown.lower().endswith(_NOTEBOOK)
        limit = MAX_NOTEBOOK_BYTES if notebook else MAX_TEXT_BYTES
        try:
            data = read_regular_head(path, limit + 1)
        except RefusedFileError as error:
            self._note("similar.unreadable", f"{quoted(shown, 100)}: {error}", shown)
            return
        if len(data) > limit:
            self._note(
                "similar.not-all-compared",
                f"of {quoted(shown, 100)} only the first {limit >> 10} KiB were compared",
                shown,
            )
            data = b"" if notebook else data[: data.rfind(b"\n", 0, limit) + 1 or limit]
        if notebook:
            self._add_notebook(data, shown)
            return
        text = decode_text(data)
        if text is None:
            self._note(
                "similar.unreadable", f"{quoted(shown, 100)} holds no text (null bytes)", shown
            )
            return
        self._take(SourceText(shown, text))

    def _add_notebook(self, data: bytes, shown: str) -> None:
        cells = notebook_cells(data)
        if cells is None:
            self._note("similar.unreadable", f"{quoted(shown, 100)} is no notebook", shown)
            return
        for number, text in enumerate(cells, start=1):
            self._take(SourceText(shown, without_magics(text)[:MAX_TEXT_BYTES], number))

    def _take(self, text: SourceText) -> None:
        self._left_bytes -= len(text.text)
        if text.text.strip():
            self.texts.append(text)

    def _note(self, code: str, message: str, shown: str) -> None:
        self.findings.append(found(code, message, path=quoted(shown, 200)))


def decode_text(data: bytes) -> str | None:
    """Source text in whatever encoding: its own declaration, UTF-8, UTF-16 by its mark, and at
    last Latin-1, which reads anything. None for what is no text."""
    if data.startswith(_UTF16):
        return data.decode("utf-16", "replace").replace("\0", "")
    if b"\0" in data:
        return None
    data = data.removeprefix(codecs.BOM_UTF8)
    cookies = (_COOKIE.match(line) for line in data.split(b"\n", 2)[:2])
    named = next((cookie[1].decode("ascii") for cookie in cookies if cookie), "utf-8")
    for encoding in (named, "utf-8"):
        try:
            text = data.decode(encoding)
        except (LookupError, UnicodeError, ValueError):
            continue
        if isinstance(text, str):
            break
    else:
        text = data.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def notebook_cells(data: bytes) -> list[str] | None:
    """The code cells of a notebook (nbformat 3 and 4) in their order; None when it is none."""
    try:
        notebook = json.loads(data)
    except (ValueError, RecursionError):
        return None
    if not isinstance(notebook, dict):
        return None
    cells = notebook.get("cells")
    if cells is None:
        sheets = notebook.get("worksheets")
        sheets = sheets if isinstance(sheets, list) else []
        cells = [
            cell
            for sheet in sheets
            if isinstance(sheet, dict) and isinstance(sheet.get("cells"), list)
            for cell in sheet["cells"]
        ]
    if not isinstance(cells, list):
        return None
    texts = []
    for cell in cells:
        if not isinstance(cell, dict) or cell.get("cell_type") != "code":
            continue
        source = cell.get("source", cell.get("input", ""))
        if isinstance(source, list):
            source = "".join(part for part in source if isinstance(part, str))
        texts.append(source if isinstance(source, str) else "")
    return texts
