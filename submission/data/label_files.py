"""submission.csv: what each image was called."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from data.class_folders import TestImage
from errors import SubmissionError
from training.files import write_atomically


def write_labels(images: Sequence[TestImage], predicted: Mapping[str, str]) -> None:
    """submission.csv in the working directory: image_name,label; an unreadable image keeps its row,
    with an empty label. Raises SubmissionError."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["image_name", "label"])
    writer.writerows([image.name, predicted.get(image.name, "")] for image in images)
    path = Path("submission.csv")
    try:
        # a name that is no UTF-8 keeps the bytes that it has on the disk
        write_atomically(path, buffer.getvalue().encode(errors="surrogateescape"))
    except OSError as error:
        raise SubmissionError(f"{path}: cannot be written ({error.strerror})") from error
