"""What the recipes ask of options that they share."""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping

from data.class_folders import LabelledFiles, list_class_folders
from errors import SubmissionError


def require_at_least(arguments: argparse.Namespace, lowest: Mapping[str, int]) -> None:
    """Raise SubmissionError for an option (by its attribute) below its lowest value."""
    for name, low in lowest.items():
        value = getattr(arguments, name)
        if value is not None and value < low:
            raise SubmissionError(f"--{name.replace('_', '-')} {value}: at least {low} is needed")


def require_learning_rate(rate: float | None) -> None:
    """Raise SubmissionError for a `--lr` that is no positive number; None is not given."""
    if rate is not None and not 0 < rate < math.inf:
        raise SubmissionError(f"--lr {rate}: more than 0 is expected")


def list_training_files(arguments: argparse.Namespace) -> LabelledFiles:
    """The class folders of TRAIN_DIR; SubmissionError where `--classes` says another number."""
    files = list_class_folders(arguments.train_dir)
    count = len(files.class_names)
    if arguments.classes not in (None, count):
        raise SubmissionError(
            f"--classes {arguments.classes}: {arguments.train_dir} holds {count} class folders"
        )
    return files
