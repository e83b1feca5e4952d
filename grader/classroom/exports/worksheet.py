"""A platform's CSV of which single cells change, and every other byte stays.

Python's csv module would write other quotes and line ends than the platform did; here a cell knows
where it stands in the text, and only the text of a changed one is replaced.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from grader.errors import UsageError

_DELIMITERS = ",;\t"
_MARK = "\ufeff"


@dataclass(frozen=True, slots=True)
class _Cell:
    text: str
    start: int
    end: int
    quoted: bool


class Worksheet:
    """Rows of cells; `get` and `put` count rows and columns from 0, the header being row 0."""

    def __init__(self, text: str, path: Path) -> None:
        """Raises UsageError where the text is no CSV table."""
        self.path = path
        self._text = text
        self._changed: dict[tuple[int, int], str] = {}
        mark = len(_MARK) if text.startswith(_MARK) else 0
        head = text[mark:].split("\n", 1)[0]
        self._delimiter = max(_DELIMITERS, key=head.count)
        self._rows = [row for row in self._parse(mark) if any(cell.text.strip() for cell in row)]
        if len(self._rows) < 2:
            raise UsageError(
                f"{path}: has no rows below its header", hint="download the worksheet again"
            )

    @property
    def header(self) -> tuple[str, ...]:
        """The names of the columns, without blanks around them."""
        return tuple(cell.text.strip() for cell in self._rows[0])

    @property
    def rows(self) -> range:
        """The numbers of the rows below the header."""
        return range(1, len(self._rows))

    def get(self, row: int, column: int) -> str:
        """The cell's text, "" where the row is too short."""
        if (row, column) in self._changed:
            return self._changed[row, column]
        cells = self._rows[row]
        return cells[column].text if column < len(cells) else ""

    def column(self, column: int) -> list[str]:
        """The texts of a column below the header, without blanks around them."""
        return [self.get(row, column).strip() for row in self.rows]

    def put(self, row: int, column: int, text: str) -> None:
        """Change one cell. Raises UsageError where the row is too short to have it."""
        if column >= len(self._rows[row]):
            raise UsageError(
                f"{self.path}: row {row + 1} has {len(self._rows[row])} cells, the header "
                f"{len(self._rows[0])}",
                hint="download the worksheet again",
            )
        self._changed[row, column] = text

    def text(self) -> str:
        """The whole text with the changed cells."""
        parts, done = [], 0
        for (row, column), text in sorted(self._changed.items()):
            cell = self._rows[row][column]
            if text == cell.text:
                continue
            parts += [self._text[done : cell.start], self._written(text, cell)]
            done = cell.end
        return "".join([*parts, self._text[done:]])

    def _written(self, text: str, cell: _Cell) -> str:
        special = any(char in text for char in (self._delimiter, '"', "\n", "\r"))
        if cell.quoted or special or text != text.strip():
            doubled = text.replace('"', '""')
            return f'"{doubled}"'
        return text

    def _parse(self, start: int) -> Iterator[list[_Cell]]:
        """RFC 4180, as forgiving as spreadsheets: a quote counts only at a cell's beginning."""
        text, row, at = self._text, [], start
        while at < len(text):
            cell, at = self._cell(at)
            row.append(cell)
            if at < len(text) and text[at] == self._delimiter:
                at += 1
                if at == len(text):
                    row.append(_Cell("", at, at, False))
                continue
            at += 2 if text.startswith("\r\n", at) else 1
            yield row
            row = []
        if row:
            yield row

    def _cell(self, start: int) -> tuple[_Cell, int]:
        text = self._text
        if not text.startswith('"', start):
            ends = [
                found
                for char in (self._delimiter, "\n", "\r")
                if (found := text.find(char, start)) >= 0
            ]
            end = min(ends, default=len(text))
            return _Cell(text[start:end], start, end, False), end
        at, parts = start + 1, []
        while True:
            quote = text.find('"', at)
            if quote < 0:
                line = text.count("\n", 0, start) + 1
                raise UsageError(
                    f"{self.path}:{line}: a quotation mark is never closed",
                    hint="download the worksheet again, and let no other program save it",
                )
            parts.append(text[at:quote])
            if text.startswith('""', quote):
                parts.append('"')
                at = quote + 2
                continue
            end = quote + 1
            tail = end
            while tail < len(text) and text[tail] not in (self._delimiter, "\n", "\r"):
                tail += 1
            return _Cell("".join(parts) + text[end:tail], start, tail, True), tail


def read_worksheet(path: Path) -> Worksheet:
    """Raises UsageError for what cannot be read or is no UTF-8 table."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror or error}") from error
    try:
        return Worksheet(data.decode("utf-8"), path)
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path}: is not UTF-8 text (byte {error.start})",
            hint="give the file as it was downloaded: another program has saved it anew",
        ) from error
