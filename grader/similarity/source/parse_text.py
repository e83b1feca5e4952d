"""Text that may be broken → the statements in it that can be read."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import warnings
from collections.abc import Iterator

_MAX_LOGICAL_LINES = 20_000  # of a broken file; an intact one of this size is never seen
_MAX_RESTARTS = 200  # of the tokenizer behind an error
_LAYOUT = {tokenize.INDENT, tokenize.DEDENT, tokenize.COMMENT, tokenize.NL, tokenize.ENCODING}
_HEADER = re.compile(r"(async\s+)?(def|class|for|while|if|with)\b")
_TYPE_PARAMETERS = re.compile(r"^((?:async\s+)?(?:def|class)\s+\w+)\s*\[[^\]]*\]")
_MAGIC = re.compile(r"^[ \t]*[%!?].*$", re.MULTILINE)

_Faults = (SyntaxError, ValueError, RecursionError, MemoryError, SystemError, IndexError)


def parse_text(text: str) -> ast.Module | None:
    """The tree of intact text; None when Python does not read it, or not without nesting too
    deeply."""
    try:
        return _parse(text)
    except _Faults:
        return None


def parse_pieces(text: str) -> Iterator[ast.stmt]:
    """The statements of a broken text one by one: logical lines as the tokenizer finds them, the
    header of a compound statement with an empty body.

    In pre-order a statement's header is followed by its body, so the sequence of the pieces is
    nearly that of the whole tree. What cannot be read alone is left out.
    """
    for count, (line, piece) in enumerate(_logical_lines(text)):
        if count >= _MAX_LOGICAL_LINES:
            return
        stripped = piece.strip()
        # Python 3.12's type parameters (PEP 695), which an older Python does not read
        stripped = _TYPE_PARAMETERS.sub(r"\1", stripped)
        if stripped.startswith("elif"):
            stripped = stripped[2:]
        if _HEADER.match(stripped) and stripped.endswith(":"):
            stripped += " pass"
        try:
            body = _parse(stripped).body
        except _Faults:
            continue
        for node in body:
            ast.increment_lineno(node, line - 1)
            yield node


def without_magics(text: str) -> str:
    """A notebook cell whose `%magic` and `!shell` lines are blank; their numbers stay."""
    if text.lstrip().startswith("%%") and not text.lstrip().startswith(("%%time", "%%capture")):
        return ""  # the whole cell is another language
    return _MAGIC.sub("", text)


def _parse(text: str) -> ast.Module:
    with warnings.catch_warnings():
        # "\d" in a student's string is a warning of theirs, not a line on the course's screen.
        warnings.simplefilter("ignore")
        return ast.parse(text)


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """(number of the first line, text) of every logical line; the tokenizer starts again behind
    what it cannot read."""
    lines = text.splitlines(keepends=True)
    begin = 0
    for _ in range(_MAX_RESTARTS):
        if begin >= len(lines):
            return
        reader = io.StringIO("".join(lines[begin:]))
        first: int | None = None
        reached = begin
        try:
            for token in tokenize.generate_tokens(reader.readline):
                if token.type == tokenize.NEWLINE and first is not None:
                    reached = begin + token.end[0]
                    yield begin + first, "".join(lines[begin + first - 1 : reached])
                    first = None
                elif first is None and token.type not in _LAYOUT | {tokenize.ENDMARKER}:
                    first = token.start[0]
        except (tokenize.TokenError, SyntaxError, ValueError, RecursionError):
            # an open bracket or string: its first line is what is wrong
            begin = max(reached, begin + (first or 1) - 1) + 1
            continue
        return
