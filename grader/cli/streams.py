"""What is printed reaches every console and file, whatever characters these can hold.

A redirected stdout on Windows is cp1252, some terminals are latin-1: there an arrow becomes `->`,
and what has no plain form is written as Python writes it (`\\u0915`). What machines read is UTF-8.
"""

from __future__ import annotations

import codecs
import io
import sys

_ERRORS = "grader-plain"
# The characters of the grader's own texts that an older encoding may lack.
_PLAIN = {
    "→": "->", "…": "...", "–": "-", "—": "-", "·": "-", "×": "x", "≥": ">=", "≤": "<=",
    "‘": "'", "’": "'", "“": '"', "”": '"',
}  # fmt: skip


def let_streams_print_anything() -> None:
    """From now on neither stdout nor stderr refuses a character."""
    codecs.register_error(_ERRORS, _in_plain_characters)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a test's own stream may be something else
            stream.reconfigure(errors=_ERRORS)


def print_utf8() -> None:
    """From now on stdout is UTF-8: for JSON, JUnit, SARIF and pages, which other programs read."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors=_ERRORS)


def _in_plain_characters(error: UnicodeError) -> tuple[str, int]:
    """An error handler of `codecs.register_error`. Raises `error` where nothing is encoded."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    refused = error.object[error.start : error.end]
    plain = "".join(_PLAIN.get(character, character) for character in refused)
    return plain.encode("ascii", "backslashreplace").decode("ascii"), error.end
