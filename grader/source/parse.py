"""Parse one Python file that anybody may have written, within bounds.

The file is held against the course's Python: what a newer interpreter reads and the course's does
not is a syntax error here as it would be there.
"""

from __future__ import annotations

import ast
import codecs
import io
import re
import symtable
import sys
import tokenize
import warnings
from typing import NamedTuple

from grader.source.misplaced import find_misplaced

# The tree of 256 KiB of dense source takes about 60 MB; course submissions stay below 100 KiB.
MAX_SOURCE_BYTES = 256 * 1024

_RUNNING = sys.version_info[:2]
_COOKIE = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_NO_CODE = re.compile(rb"^[ \t\f]*(?:#.*)?$")
_LINE_END = re.compile(rb"\r\n?|\n")
_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_F_STRING = re.compile(rb"""(?i)\b(?:f|rf|fr)["']""")


class ParsedModule(NamedTuple):
    """A file that Python can read. `path` is relative to the submission's top, POSIX."""

    path: str
    tree: ast.Module


class Unparsed(NamedTuple):
    """A file that was not parsed: `is_syntax` when the course's Python would refuse it too."""

    path: str
    line: int | None
    reason: str
    hint: str
    is_syntax: bool


def parse_source(data: bytes, path: str, python: tuple[int, int]) -> ParsedModule | Unparsed:
    """Parse `data`, the content of `path`, as Python `python` (major, minor) would."""
    unreadable = _unreadable(data, path)
    if unreadable is not None:
        return unreadable
    try:
        tree = _tree(data, path, python)
    except SyntaxError as error:
        return _explain(error, data, path, python)
    except (RecursionError, MemoryError, SystemError):
        return _not_read(
            path,
            "an expression is nested too deeply for Python's parser",
            "build long expressions in a loop, or keep the data in a file",
        )
    except (ValueError, LookupError) as error:
        # an exotic codec named on the coding line raises whatever it likes
        return _explain_encoding(str(error), data.split(b"\n"), path)
    line = _line_of_new_f_string(data) if python < (3, 12) <= _RUNNING else None
    if line is not None:
        return _syntax(
            path,
            line,
            "this f-string is only read by Python 3.12 and later",
            "use other quotes inside the braces than around the string, and no backslash there",
        )
    return ParsedModule(path, tree)


def refuse_as_script(data: bytes, path: str) -> Unparsed | None:
    """Why `python FILE` refuses what `import` reads: where no coding is declared, every line of a
    script has to be UTF-8, its comments too. None where it does not refuse."""
    if data.startswith(codecs.BOM_UTF8) or _coding_line(data) is not None:
        return None
    try:
        data.decode("utf-8")
    except UnicodeDecodeError as error:
        return _explain_encoding(str(error), data.split(b"\n"), path)
    return None


def _coding_line(data: bytes) -> re.Match[bytes] | None:
    """What declares the coding (PEP 263): a comment in line 1, or in 2 where 1 is UTF-8 and holds
    no code."""
    first, second, *_ = [*_LINE_END.split(data, maxsplit=2), b""]
    match = _COOKIE.match(first)
    if match is not None or not _NO_CODE.match(first):
        return match
    try:
        first.decode("utf-8")
    except UnicodeDecodeError:
        return None
    return _COOKIE.match(second)


def _unreadable(data: bytes, path: str) -> Unparsed | None:
    """What keeps the bytes from being Python at all."""
    if len(data) > MAX_SOURCE_BYTES:
        return _not_read(
            path,
            f"{len(data) // 1024} KiB of source; files above {MAX_SOURCE_BYTES // 1024} KiB are "
            "not read",
            "keep data (lists, weights, strings of bytes) in data files, not in Python source",
        )
    if data.startswith(_UTF16):
        return _syntax(path, 1, "the file is saved as UTF-16", "save it as UTF-8")
    if b"\0" in data:
        before = data[: data.index(b"\0")]
        return _syntax(
            path,
            before.count(b"\n") + 1,
            "the file holds a null byte",
            "save it as plain UTF-8 text",
        )
    return None


def _tree(data: bytes, path: str, python: tuple[int, int]) -> ast.Module:
    with warnings.catch_warnings():
        # "\d" in a student's string is a warning of theirs, not a line on the course's screen.
        warnings.simplefilter("ignore")
        tree = ast.parse(data, filename=path, feature_version=python if python < _RUNNING else None)
        # Arguments of one name, `global` after a use: it takes bytes as `compile` does.
        symtable.symtable(data, path, "exec")  # type: ignore[arg-type]
    misplaced = find_misplaced(tree, data)
    if misplaced is not None:
        raise SyntaxError(misplaced.reason, (path, misplaced.line, None, None))
    return tree


def _syntax(path: str, line: int | None, reason: str, hint: str) -> Unparsed:
    return Unparsed(path, line, reason, hint, is_syntax=True)


def _not_read(path: str, reason: str, hint: str) -> Unparsed:
    return Unparsed(path, None, reason, hint, is_syntax=False)


def _explain(error: SyntaxError, data: bytes, path: str, python: tuple[int, int]) -> Unparsed:
    line = error.lineno or None
    message = error.msg or "invalid syntax"
    lines = data.split(b"\n")
    text = lines[line - 1].strip() if line and line <= len(lines) else b""
    if "codec can't decode" in message or "encoding" in message:
        return _explain_encoding(message, lines, path)
    if message.startswith("Missing parentheses in call to"):
        word = "exec" if "'exec'" in message else "print"
        reason, hint = f"Python 2's {word} statement", f"write {word}(…)"
    elif message.startswith("multiple exception types must be parenthesized"):
        reason, hint = "Python 2's `except X, e`", "write `except X as e:`"
    elif text.startswith((b"!", b"%")):
        reason = "a notebook command (! or %)"
        hint = "take notebook commands out of the Python file; it is run by `python`, not Jupyter"
    elif text.startswith((b"<<<<<<<", b">>>>>>>", b"=======")):
        reason = "a mark of an unfinished git merge"
        hint = "resolve the merge: keep one of the two versions and remove the marks"
    elif isinstance(error, TabError):
        reason, hint = "tabs and spaces are mixed in the indentation", "indent with spaces only"
    else:
        reason, hint = message, ""
        if python > _RUNNING:
            return _not_read(
                path,
                f"line {line}: {message} (read by Python {_dotted(_RUNNING)}; the course's "
                f"Python {_dotted(python)} may know this syntax)",
                f"check it with Python {_dotted(python)}",
            )
    return _syntax(path, line, reason, hint)


def _explain_encoding(message: str, lines: list[bytes], path: str) -> Unparsed:
    """Python names no line for undecodable bytes: find the first one ourselves."""
    cookie = _coding_line(b"\n".join(lines[:2]))
    if cookie is not None:
        name = cookie.group(1).decode("ascii", "replace")
        return _syntax(
            path,
            None,
            f"the file says that it is encoded as {name}, and cannot be read so",
            "save it as UTF-8 and remove the coding line",
        )
    for number, text in enumerate(lines, start=1):
        try:
            text.decode("utf-8")
        except UnicodeDecodeError:
            return _syntax(path, number, "this line is not UTF-8 text", "save the file as UTF-8")
    return _syntax(path, None, message, "save the file as UTF-8")


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)


def _line_of_new_f_string(data: bytes) -> int | None:
    """The first line with an f-string that needs PEP 701 (Python 3.12), or None.

    `feature_version` does not cover it: before 3.12 an f-string's braces could hold neither the
    string's own quotes, nor a backslash, nor a comment.
    """
    start = getattr(tokenize, "FSTRING_START", None)
    if start is None or not _F_STRING.search(data):
        return None
    end, middle = tokenize.FSTRING_END, tokenize.FSTRING_MIDDLE  # type: ignore[attr-defined]
    quotes: list[str] = []
    try:
        for token in tokenize.tokenize(io.BytesIO(data).readline):
            if quotes and token.type not in (middle, end):
                text = token.string
                inner = text.lstrip("rRbBuUfF")[:1]
                clash = inner in ('"', "'") and any(_clash(inner, text, quote) for quote in quotes)
                if clash or "\\" in text or token.type == tokenize.COMMENT:
                    return token.start[0]
            if token.type == start:
                quotes.append(token.string.lstrip("rRfF"))
            elif token.type == end:
                quotes.pop()
    except (tokenize.TokenError, SyntaxError):
        return None
    return None


def _clash(inner: str, text: str, outer: str) -> bool:
    """Whether a string of quote `inner` inside one of `outer` ends the outer one before 3.12."""
    return inner == outer if len(outer) == 1 else outer in text
