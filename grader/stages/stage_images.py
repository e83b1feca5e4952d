"""Lay out the hidden images as the student's code sees them: flat, neutral names, no metadata."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from grader.errors import InternalFault, TruthError
from grader.model import Truth
from grader.stages.strip_metadata import strip_metadata

# One time for all files: 2000-01-01T00:00:00Z. A real one could follow the order of the classes.
_TIMESTAMP_SECONDS = 946_684_800
_FILE_MODE = 0o444
_FOLDER_MODE = 0o755


def _as_it_is(data: bytes) -> bytes:
    return data


def stage_images(truth: Truth, dest: Path, change: Callable[[bytes], bytes] = _as_it_is) -> None:
    """Write a copy of every image of `truth` into `dest` under its staged name.

    The copies are read-only, have one common time stamp, and are written in the order of their
    random names, so that the order on disk says nothing either. `dest` is made; when it exists, it
    has to be empty. `change` makes another file of the same format out of each copy (see
    `grader.stages.probe`). Raises TruthError for an image that can no longer be read.
    """
    dest.mkdir(parents=True, exist_ok=True)
    if any(dest.iterdir()):
        raise InternalFault(f"{dest}: images are staged into an empty folder only")
    for item in sorted(truth.items, key=lambda item: item.staged_name):
        try:
            data = change(strip_metadata(item.image.read_bytes()).data)
        except (OSError, ValueError) as error:
            raise TruthError(
                f"{item.image}: this image can no longer be read: {error}",
                hint="do not change the truth while it is used",
            ) from error
        path = dest / item.staged_name
        path.write_bytes(data)
        path.chmod(_FILE_MODE)
        os.utime(path, (_TIMESTAMP_SECONDS, _TIMESTAMP_SECONDS))
    dest.chmod(_FOLDER_MODE)
    os.utime(dest, (_TIMESTAMP_SECONDS, _TIMESTAMP_SECONDS))
