"""A student's training log: CSV or JSON, one row an epoch → columns of known meaning.

Column names differ from student to student; what they mean is read off the words in them: the
split (train or val) and the quantity (loss, accuracy or error, micro F1, macro F1). A name that
says another quantity as well (precision, top 5) is none of them.
"""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from grader.readers.json_file import parse_json

MAX_BYTES = 8 << 20
_MAX_EPOCHS = 100_000
SPLITS = ("train", "val")
SHARES = ("accuracy", "micro_f1", "macro_f1")

_SPLIT = (
    ("train", re.compile(r"train|trn|\btr\b", re.IGNORECASE)),
    ("val", re.compile(r"val|test|dev|held", re.IGNORECASE)),
)
_QUANTITY = (
    ("micro_f1", re.compile(r"micro", re.IGNORECASE)),
    ("macro_f1", re.compile(r"macro", re.IGNORECASE)),
    ("accuracy", re.compile(r"acc(?!um)", re.IGNORECASE)),
    ("error", re.compile(r"err", re.IGNORECASE)),
    ("loss", re.compile(r"loss", re.IGNORECASE)),
)
_F1 = re.compile(r"f[-_ ]?(?:1|score|measure)", re.IGNORECASE)
# Averages over classes of anything but F1, and hits among the best few answers.
_OTHER_AVERAGE = re.compile(r"sens|spec|auc|roc|acc|err|loss|iou", re.IGNORECASE)
_OTHER = re.compile(
    r"prec|recall|balanced|top[-_ ]?(?:k|(?!1(?!\d))\d)|@[-_ ]?(?!1(?!\d))\d|acc5(?!\d)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class History:
    """`columns`: e.g. "val_accuracy" → one number an epoch, shares in [0, 1] where the log gives
    percent; NaN where a cell holds no number. All columns have `epochs` entries."""

    columns: Mapping[str, tuple[float, ...]]
    epochs: int

    def has(self, column: str) -> bool:
        """Whether the column holds at least one number."""
        return any(math.isfinite(value) for value in self.columns.get(column, ()))


def parse_history(data: bytes) -> History:
    """The log in `data`. Raises ValueError that says why it is none."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text (byte {error.start})") from error
    rows = _json_rows(data) if text.lstrip().startswith(("[", "{")) else _csv_rows(text)
    if not rows:
        raise ValueError("it has no row of numbers")
    if len(rows) > _MAX_EPOCHS:
        raise ValueError(f"it has {len(rows)} rows")
    names: dict[str, str] = {}
    for name in rows[0]:
        meaning = _meaning(name)
        if meaning is None:
            continue
        # Of several columns the first counts, but one whose name says F1 before one that does not.
        if meaning not in names or (_says_f1(name) and not _says_f1(names[meaning])):
            names[meaning] = name
    if not names:
        raise ValueError(f"no column is known ({', '.join(list(rows[0])[:5])[:200]})")
    columns = {
        meaning: _shares(meaning, [_number(row.get(name)) for row in rows])
        for meaning, name in names.items()
    }
    for split in SPLITS:
        errors = columns.pop(f"{split}_error", None)
        if errors is not None:
            columns.setdefault(f"{split}_accuracy", tuple(1.0 - error for error in errors))
    return History(columns, len(rows))


def _csv_rows(text: str) -> list[dict[str, Any]]:
    delimiter = max(",;\t", key=text.partition("\n")[0].count)
    try:
        reader = csv.DictReader(io.StringIO(text), delimiter=delimiter)
        rows = [row for _, row in zip(range(_MAX_EPOCHS + 1), reader, strict=False)]
    except csv.Error as error:
        raise ValueError(f"it is no table: {error}") from error
    # Cells beyond the header's stand under None, and belong to no column.
    return [{name: cell for name, cell in row.items() if name is not None} for row in rows]


def _json_rows(data: bytes) -> list[dict[str, Any]]:
    """A list of objects, or an object of lists."""
    value = parse_json(data)
    if isinstance(value, list):
        return [row for row in value if isinstance(row, dict)]
    pairs = value.items() if isinstance(value, dict) else ()
    lists = {name: entries for name, entries in pairs if isinstance(entries, list)}
    length = min((len(entries) for entries in lists.values()), default=0)
    return [{name: lists[name][epoch] for name in lists} for epoch in range(length)]


def _meaning(name: object) -> str | None:
    text = str(name)
    split = next((split for split, pattern in _SPLIT if pattern.search(text)), None)
    quantity = next((quantity for quantity, words in _QUANTITY if words.search(text)), None)
    if split is None or quantity is None or _OTHER.search(text):
        return None
    if quantity in {"micro_f1", "macro_f1"} and not _says_f1(name):
        # "val_macro" is taken for the F1 that the assignment asks for.
        return None if _OTHER_AVERAGE.search(text) else f"{split}_{quantity}"
    return f"{split}_{quantity}"


def _says_f1(name: object) -> bool:
    return _F1.search(str(name)) is not None


def _number(cell: Any) -> float:
    if isinstance(cell, bool):
        return math.nan
    try:
        if isinstance(cell, int | float):
            return float(cell)
        return float(str(cell).strip().rstrip("%"))
    except (ValueError, OverflowError):  # no number, or an integer that no float holds
        return math.nan


def _shares(meaning: str, values: Sequence[float]) -> tuple[float, ...]:
    """Percent as shares: a column of shares never exceeds 1, one of percent soon does."""
    is_percent = not meaning.endswith("_loss") and any(1.5 < value <= 100 for value in values)
    return tuple(value / 100 for value in values) if is_percent else tuple(values)
