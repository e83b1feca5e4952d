"""Bytes of a table → rows of text: encoding, NULs, delimiter, quotation marks.

Nothing is assumed of the bytes; whatever had to be forgiven to read them is a finding.
"""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from grader.findings import found
from grader.model import Finding
from grader.readers.file_kind import HEAD_BYTES, archive_kind, file_kind

Quoting = Literal[0, 3]  # csv.QUOTE_MINIMAL, csv.QUOTE_NONE

DELIMITER_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs", "|": "bars", " ": "blanks"}
SAMPLE_BYTES = 1 << 16  # fewer characters than a cell may have, so a sample always parses

_SAMPLE_LINES = 50
_SAMPLE_LINE_CHARS = 4096
# No honest row is longer; what is cut here keeps every cell below the csv module's limit.
_MAX_LINE_CHARS = 1 << 16
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)


class Row(NamedTuple):
    """A row with the number of its last line; a blank line is a row without cells."""

    line: int
    cells: Sequence[str]


@dataclass
class CsvText:
    """Text of a table. `nul_characters` is known once the lines were read."""

    data: bytes
    encoding: str
    findings: tuple[Finding, ...] = ()
    nul_characters: int = 0

    def lines(self) -> Iterator[str]:
        """Lines with their ends, without NUL characters and cut at 64 Ki characters."""
        self.nul_characters = 0
        stream = io.TextIOWrapper(
            io.BytesIO(self.data), encoding=self.encoding, errors="replace", newline=""
        )
        for line in stream:
            cut = line if len(line) <= _MAX_LINE_CHARS else f"{line[:_MAX_LINE_CHARS]}\n"
            nul_characters = cut.count("\0")
            if nul_characters:
                self.nul_characters += nul_characters
                cut = cut.replace("\0", "")
            yield cut

    def rows(self, delimiter: str, quoting: Quoting = csv.QUOTE_MINIMAL) -> Iterator[Row]:
        """Rows of cells. Raises csv.Error where a quotation mark that is never closed makes a cell
        longer than the csv module's limit (128 KiB)."""
        if delimiter == " ":
            for number, line in enumerate(self.lines(), start=1):
                yield Row(number, line.rstrip().split(None, 1))
            return
        reader = csv.reader(
            self.lines(), delimiter=delimiter, quoting=quoting, skipinitialspace=True
        )
        for cells in reader:
            yield Row(reader.line_num, cells)

    def sniff_delimiter(self, is_name: Callable[[str], bool]) -> str:
        """The delimiter that leaves the most image names standing alone; commas when in doubt."""
        lines: list[str] = []
        for line in self.lines():
            if line.strip():
                lines.append(line[:_SAMPLE_LINE_CHARS])
            if len(lines) == _SAMPLE_LINES:
                break

        def score(delimiter: str) -> tuple[int, int]:
            if delimiter == " ":  # parts words too: it has to earn its place by names
                rows = [cells for line in lines if len(cells := line.split(None, 1)) > 1]
                return sum(any(map(is_name, cells)) for cells in rows), 0
            rows = [cells for line in lines if len(cells := line.split(delimiter)) > 1]
            return sum(any(map(is_name, cells[:8])) for cells in rows), len(rows)

        return max(DELIMITER_NAMES, key=score)


def decode_csv(data: bytes, path: str) -> CsvText | Finding:
    """Find out the encoding; a Finding says why the bytes are no text at all."""
    if archive_kind(data[:HEAD_BYTES]) is not None:
        return _unreadable(data, path)
    for mark, encoding in _BYTE_ORDER_MARKS:
        if data.startswith(mark):
            if encoding != "utf-8":
                return _encoded(data[len(mark) :], encoding, path)
            message = f"{path} begins with a byte-order mark"
            noted = found("labels.byte-order-mark", message, path=path)
            return CsvText(data[len(mark) :], encoding, (noted,))
    head = data[:SAMPLE_BYTES]
    zeros = head.count(0)
    for encoding, high_bytes in (("utf-16-le", head[1::2]), ("utf-16-be", head[0::2])):
        if zeros > len(head) // 4 and high_bytes.count(0) == zeros:
            return _encoded(data, encoding, path)
    # Zeros may pad text (fixed-width strings of NumPy do); other control codes are none of it.
    controls = sum(head.count(code) for code in range(1, 32) if code not in (9, 10, 12, 13))
    if controls > len(head) // 50:
        return _unreadable(data, path)
    return CsvText(data, "utf-8") if _is_utf8(data) else _encoded(data, "cp1252", path)


def _unreadable(data: bytes, path: str) -> Finding:
    message = f"{path} is no table of text: it is {file_kind(data[:HEAD_BYTES])}"
    return found("labels.unreadable", message, path=path)


def _encoded(data: bytes, encoding: str, path: str) -> CsvText:
    message = f"{path} was read as {encoding.upper()}, not UTF-8"
    return CsvText(data, encoding, (found("labels.encoding", message, path=path),))


def _is_utf8(data: bytes) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    try:
        for start in range(0, len(data), 1 << 20):
            decoder.decode(data[start : start + (1 << 20)])
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True


def read_columns(data: bytes) -> tuple[str, ...] | None:
    """The cells of the first row, from a file's first SAMPLE_BYTES; None when it is no table."""
    text = decode_csv(data[:SAMPLE_BYTES], "")
    if isinstance(text, Finding):
        return None
    for row in text.rows(text.sniff_delimiter(lambda _: False)):
        if any(cell.strip() for cell in row.cells):
            return tuple(cell.strip()[:200] for cell in row.cells[:100])
    return ()
