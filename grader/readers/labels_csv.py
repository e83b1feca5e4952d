"""A table of image names and labels as students write it: bytes → image name → label.

Nothing in the file is trusted and little is refused: every departure from the plain form that can
be understood without guessing is understood, and is one finding. A label stays text; nothing in
it is ever evaluated.
"""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path

from grader.findings import found, listed, quoted
from grader.model import Finding, OutputSpec
from grader.readers.csv_text import DELIMITER_NAMES, CsvText, Quoting, Row, decode_csv
from grader.readers.image_names import ImageNames, unique
from grader.readers.reading import Expected, Reading, counted, find_file
from grader.readers.regular_file import RefusedFileError, read_regular_file

COLUMNS = ("image_name", "label")
MAX_BYTES = 64 << 20
MAX_ROWS = 1_000_000
MAX_LABEL_CHARS = 200

_SAMPLE_ROWS = 200
_SAMPLE_COLUMNS = 32
# A column with a smaller share of what another one holds is not what the header calls it.
_MIN_SHARE = 0.1
_NAME_KEY = re.compile(r"(image|img|file|path)s?(name|id|file|filename|path)?|(file)?name|id")
_LABEL_KEY = re.compile(
    r"(predicted|pred|true)?(label|class|species|category)(e?s|name|id)?|"
    r"pred(s|ictions?|icted)?|target|y|output"
)
_INTEGER = re.compile(r"(?:tensor\()?\s*(-?\d{1,9})(?:\.0+)?\s*(?:,[^()]*)?\)?")
# One number as PyTorch, NumPy and Python write a batch of one, less what stands around it.
_AROUND_INTEGER = " \t\r\n[](),'\""
_ONLY_INTEGER = re.compile(
    r"(?:(?:tensor|array)\([\[(]*)?(-?\d{1,9})(?:\.0*)?(?:[\])]+,\s*\w+=[^()]*)?"
)
_CLASS_NUMBER = re.compile(r"-?\d{1,9}")
_MINUS = re.compile(r"[\W_]*[-\u2212]\s*(?=\d)")
_FORMULA = re.compile(r"[=@+-](?![\d.]+(?:[eE][+-]?\d+)?\Z).")


def read_labels_csv(outputs: Path, output: OutputSpec, expected: Expected) -> Reading:
    """Read the label table `output.path` below `outputs`; the value is staged name → label.

    A label is the class that it names wherever that could be told, else the text as written.
    """
    path = find_file(outputs, output.path)
    if path is None:
        message = f"{output.path} was not written: no image has a label"
        return Reading(None, (found("labels.missing-file", message, path=output.path),))
    shown = quoted(path, 200)
    findings: list[Finding] = []
    if path != output.path:
        message = f"{shown} was read as {output.path}"
        findings.append(found("labels.other-place", message, path=shown))
    try:
        data = read_regular_file(outputs / path, MAX_BYTES)
    except RefusedFileError as error:
        message = f"{shown} was not read: {error}"
        return Reading(None, (*findings, found("labels.refused", message, path=shown)))
    labels, noted = parse_labels(data, expected.names, expected.classes, path=shown)
    return Reading(labels, (*findings, *noted))


def parse_labels(
    data: bytes, names: Sequence[str], classes: Sequence[str] | None, *, path: str
) -> tuple[dict[str, str] | None, tuple[Finding, ...]]:
    """Parse a label table.

    `names`: the images that rows may be about; `classes`: the class names in their order, None to
    take labels as they are. Returns name → label in the order of `names` (None when the file is no
    table at all) and what had to be forgiven. Images without a usable label are left out.
    """
    text = decode_csv(data, path)
    if isinstance(text, Finding):
        return None, (text,)
    table = _read_table(text, ImageNames(names), classes, path)
    labels, noted = _resolve_labels(table.labels, classes, path)
    findings = [*text.findings, *table.findings, *noted]
    if not table.labels:
        message = f"{path} holds no row for any of the {len(names)} images"
        findings.append(found("labels.no-rows", message, path=path))
    elif missing := [name for name in names if name not in table.labels]:
        message = f"images without a row: {len(missing)} of {len(names)} ({listed(missing)})"
        findings.append(counted("labels.missing-rows", message, path, missing))
    return {name: labels[name] for name in names if name in labels}, tuple(findings)


def label_key(label: str) -> str:
    """What two spellings of a class have in common: case, blanks, `_`, `-` and quotes aside.

    The sign of a number is no matter of spelling.
    """
    # the same class names come again in every submission; a stranger's novel is not kept
    return _kept_key(label) if len(label) <= MAX_LABEL_CHARS else _key(label)


def _key(label: str) -> str:
    folded = unicodedata.normalize("NFKC", label).casefold()
    words = "".join(char if char.isalnum() else " " for char in folded).split()
    is_negative = "".join(words).isdecimal() and _MINUS.match(folded) is not None
    return "-" * is_negative + " ".join(words)


_kept_key = lru_cache(maxsize=4096)(_key)


# --------------------------------------------------------------------------- rows → table


@dataclass(frozen=True, slots=True)
class _Columns:
    """Where names and labels stand, and whether the first row says so."""

    name: int = 0
    label: int = 1
    has_header: bool = False
    findings: tuple[Finding, ...] = ()


@dataclass
class _Table:
    """`labels`: image name → (label as written, line)."""

    labels: dict[str, tuple[str, int]]
    findings: list[Finding]


def _read_table(
    text: CsvText, names: ImageNames, classes: Sequence[str] | None, path: str
) -> _Table:
    delimiter = text.sniff_delimiter(lambda cell: names.resolve(cell)[0] is not None)
    try:
        table = _fill_table(text, names, classes, path, delimiter, csv.QUOTE_MINIMAL)
    except csv.Error:
        table = _Table({}, [])
    if len(table.labels) < len(names.exact) and b'"' in text.data:
        # A quotation mark that is never closed swallows the rows after it.
        plain = _fill_table(text, names, classes, path, delimiter, csv.QUOTE_NONE)
        if len(plain.labels) > len(table.labels):
            message = "a quotation mark is never closed; the rows were read as if it were a letter"
            plain.findings.append(found("labels.malformed-quotes", message, path=path))
            table = plain
    if text.nul_characters:
        message = f"{path} holds {text.nul_characters} NUL characters; they were left out"
        table.findings.append(found("labels.nul-bytes", message, path=path))
    if delimiter != ",":
        message = f"the columns are separated by {DELIMITER_NAMES[delimiter]}"
        table.findings.append(found("labels.delimiter", message, path=path))
    return table


def _fill_table(
    text: CsvText,
    names: ImageNames,
    classes: Sequence[str] | None,
    path: str,
    delimiter: str,
    quoting: Quoting,
) -> _Table:
    rows = text.rows(delimiter, quoting)
    sample = list(islice(rows, _SAMPLE_ROWS))
    columns = _find_columns(sample, names, classes, path)
    return _Filling(names, columns, path).fill(chain(sample, rows))


def _find_columns(
    sample: Sequence[Row], names: ImageNames, classes: Sequence[str] | None, path: str
) -> _Columns:
    """Decide by what the cells hold; the header's word goes before, if not all of it is wrong.

    A column that is called `image_name` or `label` is what it is called, and one whose name means
    labels holds them rather than one whose name does not, unless next to none of its cells is
    known. Else the column counts that holds the most, then the header, then the place: the first
    column for names, the one after the names for labels.
    """
    filled = [
        Row(row.line, row.cells[:_SAMPLE_COLUMNS])
        for row in sample
        if any(cell.strip() for cell in row.cells)
    ]
    if not filled:
        return _Columns()
    first, width = filled[0], max(2, *(len(row.cells) for row in filled))
    known = {label_key(name) for name in classes or ()}
    named, labelled, written = [0] * width, [0] * width, [0] * width
    for row in filled:
        for column, cell in enumerate(row.cells):
            named[column] += names.resolve(cell)[0] is not None
            labelled[column] += label_key(cell) in known
            written[column] += bool(cell.strip())
    keys = [label_key(cell).replace(" ", "") for cell in first.cells]
    exact_name, exact_label = (
        [at for at, key in enumerate(keys) if key == label_key(column).replace(" ", "")]
        for column in COLUMNS
    )
    said_name = exact_name + [at for at, key in enumerate(keys) if _NAME_KEY.fullmatch(key)]
    said_label = exact_label + [at for at, key in enumerate(keys) if _LABEL_KEY.fullmatch(key)]
    is_data = any(names.resolve(cell)[0] for cell in first.cells) or (
        not said_name
        and not said_label
        and any("." in cell or label_key(cell) in known for cell in first.cells)
    )
    if is_data:
        exact_name = exact_label = said_name = said_label = []
    name = _best(named, [exact_name, [*said_name, *range(width)]], taken=None)
    # The cell of the header is written, too: a column of which no more is holds no labels.
    ranks = [[at for at in columns if written[at] > 1] for columns in (exact_label, said_label)]
    after = [*range(name + 1, width), *range(name)]
    label = _best(labelled, [*ranks, after], taken=name)
    columns = _Columns(name, label, not is_data)
    said = (next(iter(said_name), None), next(iter(said_label), None))
    noted = _column_findings(first, width, columns, said, path)
    return _Columns(name, label, not is_data, tuple(noted))


def _best(hits: Sequence[int], ranks: Sequence[Sequence[int]], taken: int | None) -> int:
    """Of the first of `ranks` that holds enough hits: its column with the most, of equals the
    first. Columns are in the order of preference; the last rank has all but `taken`."""
    free = [[at for at in columns if at != taken] for columns in ranks]
    best = [max(columns, key=lambda at: hits[at]) for columns in free if columns]
    return next(at for at in best if hits[at] >= _MIN_SHARE * hits[best[-1]])


def _column_findings(
    first: Row, width: int, columns: _Columns, said: tuple[int | None, int | None], path: str
) -> Iterator[Finding]:
    used = (columns.name, columns.label)
    header = [quoted(first.cells[at]) if at < len(first.cells) else "" for at in used]
    if not columns.has_header:
        message = f"{path} begins with a row of data; no row was lost"
        yield found("labels.no-header", message, path=path, line=first.line)
    if (columns.has_header and None not in said and said != used) or (
        not columns.has_header and used[0] > used[1]
    ):
        message = (
            f"column {used[0] + 1} of {path} holds the image names and column {used[1] + 1} the "
            "labels, whatever the header says; they were taken by what they hold"
        )
        yield found("labels.swapped-columns", message, path=path, line=first.line)
    elif columns.has_header:
        if header != list(COLUMNS):
            message = (
                f'the columns are called "{header[0]}" and "{header[1]}" '
                f'instead of "{COLUMNS[0]}" and "{COLUMNS[1]}"'
            )
            yield found("labels.header-names", message, path=path, line=first.line)
        if used[0] > used[1]:
            message = f"the column of labels stands before the column of names in {path}"
            yield found("labels.column-order", message, path=path, line=first.line)
    if width > len(COLUMNS):
        many = f"{width} columns or more" if width == _SAMPLE_COLUMNS else f"{width} columns"
        message = f"{path} has {many}; columns {used[0] + 1} and {used[1] + 1} were read"
        evidence = {"label_column": header[1] if columns.has_header else ""}
        yield found("labels.extra-columns", message, path=path, line=first.line, evidence=evidence)


_SAID: Mapping[str, str] = {
    "labels.short-rows": "rows with too few columns",
    "labels.formula": "cells that a spreadsheet would run as a formula, kept as text",
    "labels.extra-rows": "rows about no image of the folder",
    "labels.paths": "rows with a path, of which the last part was taken",
    "labels.name-spelling": "rows with another spelling of the image's name",
    "labels.other-suffix": "rows with the image's name under another suffix, or without one",
    "labels.duplicate-rows": "rows that repeat what an earlier row says",
    "labels.contradicting-rows": "rows that contradict an earlier row, which was taken",
}


@dataclass
class _Tally:
    """How often something was seen, from which line on, with its first examples."""

    line: int
    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        self.count += 1
        if len(self.first) < 3:
            self.first.append(quoted(example))


class _Filling:
    """Rows on their way into the table; counts what is odd instead of keeping it."""

    def __init__(self, names: ImageNames, columns: _Columns, path: str) -> None:
        self.names = names
        self.columns = columns
        self.path = path
        self.labels: dict[str, tuple[str, int]] = {}
        self.tallies: dict[str, _Tally] = {}
        self.rows = 0

    def fill(self, rows: Iterable[Row]) -> _Table:
        header_pending = self.columns.has_header
        blank = blank_between = 0
        is_cut = False
        for row in rows:
            if not any(cell.strip() for cell in row.cells):
                blank += 1
                continue
            blank_between = blank
            if header_pending:
                header_pending = False
            elif self.rows == MAX_ROWS:
                is_cut = True
                break
            else:
                self._add(row)
        return _Table(self.labels, [*self.columns.findings, *self._findings(blank_between, is_cut)])

    def _tally(self, code: str, example: str, line: int) -> None:
        self.tallies.setdefault(code, _Tally(line)).add(example)

    def _add(self, row: Row) -> None:
        self.rows += 1
        if len(row.cells) <= max(self.columns.name, self.columns.label):
            self._tally("labels.short-rows", ",".join(row.cells), row.line)
            return
        written, label = row.cells[self.columns.name], row.cells[self.columns.label]
        for cell in (written, label):
            if _FORMULA.match(cell):
                self._tally("labels.formula", cell, row.line)
        name, forgiven = self.names.resolve(written)
        if name is None:
            self._tally("labels.extra-rows", written, row.line)
            return
        if forgiven:
            self._tally(forgiven, written, row.line)
        if name not in self.labels:
            self.labels[name] = (label, row.line)
        elif label_key(self.labels[name][0]) == label_key(label):
            self._tally("labels.duplicate-rows", name, row.line)
        else:
            self._tally("labels.contradicting-rows", name, row.line)

    def _findings(self, blank_between: int, is_cut: bool) -> Iterator[Finding]:
        for code, seen in self.tallies.items():
            more = f" and {seen.count - len(seen.first)} more" * (seen.count > len(seen.first))
            yield found(
                code,
                f"{_SAID[code]}: {seen.count} ({', '.join(seen.first)}{more})",
                path=self.path,
                line=seen.line,
                evidence={"count": seen.count, "first": seen.first},
            )
        if blank_between:
            message = f"blank lines between the rows of {self.path}: {blank_between}"
            yield found("labels.blank-lines", message, path=self.path)
        if self.rows > 10 * len(self.names.exact) + 100:
            message = f"{self.path} has {self.rows} rows for {len(self.names.exact)} images"
            message += f"; what comes after row {MAX_ROWS} was not read" * is_cut
            yield found("labels.too-many-rows", message, path=self.path)


# --------------------------------------------------------------------------- labels → classes


def _resolve_labels(
    written: Mapping[str, tuple[str, int]], classes: Sequence[str] | None, path: str
) -> tuple[dict[str, str], list[Finding]]:
    findings: list[Finding] = []
    filled = {name: label for name, (label, _) in written.items() if label.strip()}
    lines = {name: line for name, (_, line) in written.items()}
    if empty := [name for name in written if name not in filled]:
        message = f"rows without a label: {len(empty)} ({listed(empty)})"
        findings.append(counted("labels.empty-labels", message, path, empty, lines[empty[0]]))
    if classes is None:
        return {name: label.strip()[:MAX_LABEL_CHARS] for name, label in filled.items()}, findings

    spelled = unique((label_key(name), name) for name in classes)
    numbers = {
        name: number
        for name, label in filled.items()
        if label_key(label) not in spelled and (number := _integer(label)) is not None
    }
    by_value = _by_value(numbers, classes)
    by_place: Mapping[str, str] = {}
    are_counted = max(numbers.values(), default=-1) >= 0 and len(numbers) >= 0.9 * len(filled)
    if are_counted and not by_value:
        by_place, finding = _by_place(numbers, classes, path)
        findings.append(finding)

    exact = set(classes)
    labels: dict[str, str] = {}
    respelled: list[str] = []
    unknown: list[str] = []
    for name, label in filled.items():
        if label in exact:
            labels[name] = label
        elif (key := label_key(label)) in spelled:
            labels[name] = spelled[key]
            respelled.append(name)
        elif name in by_value:
            labels[name] = by_value[name]
            respelled.append(name)
        elif name in by_place:
            labels[name] = by_place[name]
        else:
            labels[name] = label.strip()[:MAX_LABEL_CHARS]
            unknown.append(name)
    for code, those, what in (
        ("labels.label-spelling", respelled, "labels in another spelling"),
        ("labels.unknown-labels", unknown, f"labels that are none of the {len(classes)} classes"),
    ):
        if those:
            message = f"{what}: {len(those)} ({listed(dict.fromkeys(filled[n] for n in those))})"
            findings.append(counted(code, message, path, those, lines[those[0]]))
    return labels, findings


def _integer(label: str) -> int | None:
    match = _INTEGER.fullmatch(label.strip())
    match = match or _ONLY_INTEGER.fullmatch(label.strip(_AROUND_INTEGER))
    return int(match[1]) if match else None


def _by_value(numbers: Mapping[str, int], classes: Sequence[str]) -> dict[str, str]:
    """The class of each number's value, where all class names are integers.

    Empty where the numbers from 0 up can all be places in the order of the classes, and not all
    be classes: 0 to 4 with the classes 001 to 005.
    """
    if not all(_CLASS_NUMBER.fullmatch(name) for name in classes):
        return {}
    values = unique((str(int(name)), name) for name in classes)
    named = {name: values[str(n)] for name, n in numbers.items() if str(n) in values}
    written = {number for number in numbers.values() if number >= 0}
    start = _first_place(written, classes)
    are_places = written <= set(range(start, start + len(classes)))
    return {} if are_places and any(str(n) not in values for n in written) else named


def _first_place(numbers: Collection[int], classes: Sequence[str]) -> int:
    """1 when 0 does not occur and the last number does, else 0."""
    return 1 if numbers and min(numbers) >= 1 and max(numbers) == len(classes) else 0


def _by_place(
    numbers: Mapping[str, int], classes: Sequence[str], path: str
) -> tuple[dict[str, str], Finding]:
    """Class numbers from 0, or from 1; a negative one is none."""
    start = _first_place({number for number in numbers.values() if number >= 0}, classes)
    named = {
        name: classes[number - start]
        for name, number in numbers.items()
        if start <= number < start + len(classes)
    }
    message = (
        f"labels that are numbers: {len(numbers)}, taken as places in the order of the "
        f"{len(classes)} classes, counted from {start}"
    )
    return named, found(
        "labels.index-labels", message, path=path, evidence={"count": len(numbers), "from": start}
    )
