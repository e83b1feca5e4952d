"""Text of strangers made safe to show: nothing a terminal obeys, nothing that hides or reorders.

File names, labels, messages and a program's output may hold escape sequences, bidirectional
controls (Boucher & Anderson, "Trojan Source", 2021), invisible characters or half of a surrogate
pair. Each is shown as a visible sign in its place, so that nobody is fooled and nothing is lost.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

# Every character of the categories Cc, Cf, Cs, Co, Zl and Zp and every noncharacter, but for
# ZWNJ and ZWJ, which Persian, the Indic scripts and emoji need; and the letters that are blank.
# A test compares this with the Unicode database.
UNSAFE = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160"
    "\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ud800-\uf8ff"
    "\ufdd0-\ufdef\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\U000110bd\U000110cd"
    "\U00013430-\U0001343f\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    + "".join(
        f"{chr(plane + 0xFFFE)}{chr(plane + 0xFFFF)}" for plane in range(1 << 16, 15 << 16, 1 << 16)
    )
    + "\U000e0000-\U000e0fff\U000f0000-\U0010ffff"
    "]"
)
_STACKED = re.compile(
    "([\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{4})"
    "[\u0300-\u036f\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]+"
)
_LINE_END = re.compile("\r\n?")

# What build servers take for a command on a line of a log: GitHub's `::name::` (leading blanks
# do not protect) and `##[name]` (anywhere in the line), Azure's `##vso[`, TeamCity's.
_COMMAND = re.compile(r"^(\s*:)(?=:)|(#)(?=#(?:\[|vso\[|teamcity\[))", re.MULTILINE)


def printable(text: str, *, lines: bool = False) -> str:
    """`text` with every control, invisible and reordering character made visible.

    C0 controls become their control pictures (ESC is ␛), all others `<U+202E>`. With `lines`,
    line ends stay (CR and CRLF count as one) and so do tabs; without, the result is one line.
    Idempotent.
    """
    if lines:
        text = _LINE_END.sub("\n", text)
    if not (text.isascii() and text.isprintable()):
        text = UNSAFE.sub(_shown_in_lines if lines else _shown, text)
        text = _STACKED.sub(r"\1…", text)
    return text


def _shown(match: re.Match[str]) -> str:
    char = match[0]
    if char == "\t":
        return " "
    if char < " ":
        return chr(0x2400 + ord(char))
    return "␡" if char == "\x7f" else f"<U+{ord(char):04X}>"


def _shown_in_lines(match: re.Match[str]) -> str:
    return match[0] if match[0] in "\n\t" else _shown(match)


def without_commands(text: str) -> str:
    """`text` (lines) in which no line is a command to a build server: `::error` → `: :error`."""
    return _COMMAND.sub(lambda match: f"{match[1] or match[2]} ", text)


def shortened(text: str, limit_chars: int) -> tuple[str, int]:
    """`text` cut to at most `limit_chars`, and how many characters were left out.

    A quarter of what is kept is the beginning, the rest is the end, where tracebacks stand; one
    line between them says what is missing.
    """
    if len(text) <= limit_chars:
        return text, 0
    head = limit_chars // 4
    left_out = len(text) - limit_chars
    tail = text[len(text) - (limit_chars - head) :]
    return f"{text[:head]}\n… {left_out:,} characters left out …\n{tail}", left_out


def width_cells(text: str) -> int:
    """How many cells of a terminal `text` takes: wide characters two, combining ones none."""
    return len(text) if text.isascii() else sum(map(_cells, text))


def _cells(char: str) -> int:
    if unicodedata.category(char) in {"Mn", "Me"} or char in "\u200c\u200d":
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def wrapped(text: str, width: int) -> list[str]:
    """`text` on lines of at most `width` cells (≥ 2), broken at blanks, long words cut."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        if line and width_cells(line) + 1 + width_cells(word) <= width:
            line = f"{line} {word}"
            continue
        if line:
            lines.append(line)
        *full, line = _cut(word, width)
        lines += full
    return [*lines, line] if line else lines


def _cut(word: str, width: int) -> Iterator[str]:
    """The pieces of one long word."""
    if width_cells(word) <= width:
        yield word
        return
    piece, used = "", 0
    for char in word:
        cells = _cells(char)
        if used + cells > width:
            yield piece
            piece, used = "", 0
        piece, used = piece + char, used + cells
    yield piece
