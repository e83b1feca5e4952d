"""`grader init`: the skeleton that a student starts from."""

from __future__ import annotations

import shutil
from pathlib import Path

from grader.errors import UsageError
from grader.model import Assignment


def write_starter(assignment: Assignment, directory: Path) -> tuple[str, ...]:
    """Copy the assignment's starter into `directory`; returns the relative paths written.

    Raises UsageError when the assignment has none, or when a file of that name is already there:
    a student's work is never overwritten.
    """
    source = assignment.directory / "starter"
    if not source.is_dir():
        raise UsageError(f"{assignment.id} has no starter", hint="ask the course for one")
    if directory.exists() and not directory.is_dir():
        raise UsageError(f"{directory}: is a file; a folder is needed")
    files = sorted(
        path.relative_to(source)
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    )
    taken = [str(file) for file in files if (directory / file).exists()]
    if taken:
        raise UsageError(
            f"{directory}: {', '.join(taken)} {'is' if len(taken) == 1 else 'are'} already there",
            hint="give a new folder; nothing was written",
        )
    try:
        for file in files:
            (directory / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source / file, directory / file)
    except OSError as error:
        raise UsageError(f"{directory}: cannot be written: {error.strerror or error}") from error
    return tuple(str(file) for file in files)
