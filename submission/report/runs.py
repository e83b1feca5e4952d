"""The folders that training has left, read back."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from errors import SubmissionError
from models.loading import METADATA_NAME, read_json
from training.loop import CHECKPOINT_NAME

METRICS_NAME = "metrics.csv"


@dataclass(frozen=True)
class FinishedRun:
    """One experiment: its checkpoint, what stands beside it, and a mapping for each epoch."""

    name: str
    checkpoint: Path
    metadata: Mapping[str, Any]
    rows: Sequence[Mapping[str, float]]

    @property
    def best(self) -> Mapping[str, float]:
        """The numbers of the checkpoint: of the epoch with the best validation accuracy."""
        epoch = self.metadata["checkpoint_epoch"]
        return next(row for row in self.rows if row["epoch"] == epoch)

    @property
    def last(self) -> Mapping[str, float]:
        return self.rows[-1]


def read_runs(folder: Path, names: Sequence[str]) -> dict[str, FinishedRun]:
    """Those of `names` that `folder` holds, in this order.

    Raises SubmissionError when there is none, or when a run's files do not belong together.
    """
    runs = {}
    for name in names:
        checkpoint = folder / name / CHECKPOINT_NAME
        metrics = folder / name / METRICS_NAME
        if not checkpoint.is_file() or not metrics.is_file():
            continue
        metadata = read_json(folder / name / METADATA_NAME)
        rows = _read_rows(metrics)
        epoch = metadata.get("checkpoint_epoch") if isinstance(metadata, dict) else None
        if epoch not in [row["epoch"] for row in rows]:
            raise SubmissionError(
                f"{metrics}: has no row for epoch {epoch}, from which the checkpoint beside it is; "
                "finish that run with --resume"
            )
        runs[name] = FinishedRun(name, checkpoint, metadata, rows)
    if not runs:
        raise SubmissionError(
            f"{folder}: holds no finished run; expected folders such as "
            f"{names[0]}/{CHECKPOINT_NAME} with {METRICS_NAME} and {METADATA_NAME}"
        )
    return runs


def _read_rows(path: Path) -> list[dict[str, float]]:
    try:
        with path.open(newline="", encoding="utf-8") as file:
            rows = [
                {key: float(value) for key, value in row.items()} for row in csv.DictReader(file)
            ]
    except (OSError, ValueError, TypeError) as error:
        raise SubmissionError(f"{path}: cannot be read as metrics ({error})") from error
    if not rows or "epoch" not in rows[0]:
        raise SubmissionError(f"{path}: holds no epochs")
    return rows
