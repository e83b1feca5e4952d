"""A folder that a program wrote, as the sorted paths of its regular files; nothing is opened."""

from __future__ import annotations

from pathlib import Path

from grader.model import OutputSpec
from grader.readers.reading import Expected, Reading, regular_files


def read_folder(outputs: Path, output: OutputSpec, expected: Expected) -> Reading:
    """The value is the tuple of paths below `output.path`, POSIX; None when it is no folder."""
    del expected
    folder = outputs / output.path
    if folder.is_symlink() or not folder.is_dir():
        return Reading(None, ())
    return Reading(tuple(sorted(regular_files(folder))), ())
