"""What every epoch came to: a CSV file that a person and the plots can read."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class EpochRecord:
    """One row. Accuracies and shares are in [0, 1]; `held_out_*` are None without such images."""

    epoch: int
    step: int
    seconds: float
    size_px: int
    learning_rate: float
    train_loss: float
    train_accuracy: float
    held_out_loss: float | None
    held_out_accuracy: float | None
    images_per_second: float


def history_to_csv(records: Sequence[EpochRecord]) -> bytes:
    """A header and one line per epoch; six significant digits."""
    return rows_to_csv(
        [asdict(record) for record in records], [field.name for field in fields(EpochRecord)]
    )


def rows_to_csv(rows: Sequence[Mapping[str, Any]], names: Sequence[str] | None = None) -> bytes:
    """A header and one line per row; the first row's keys are the columns unless `names` are
    given."""
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, names or list(rows[0]), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _cell(value) for name, value in row.items()})
    return buffer.getvalue().encode()


def _cell(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else value
