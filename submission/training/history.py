"""What every epoch came to: a CSV file that a person and the plots can read."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
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
    names = [field.name for field in fields(EpochRecord)]
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, names, lineterminator="\n")
    writer.writeheader()
    for record in records:
        writer.writerow({name: _cell(value) for name, value in asdict(record).items()})
    return buffer.getvalue().encode()


def _cell(value: Any) -> Any:
    return f"{value:.6g}" if isinstance(value, float) else "" if value is None else value
