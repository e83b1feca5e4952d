"""A page for each student, in the tree that Moodle takes as "upload multiple feedback files".

Names are those of the download (split at `_`: name, participant number, plugin); where the
class did not come from Moodle, a grading worksheet gives them, and else the key does.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path

from grader.classroom.exports.moodle import MoodleSheet
from grader.classroom.exports.worksheet import Worksheet
from grader.classroom.records import Entry
from grader.errors import UsageError
from grader.packing.write import write_zip
from grader.render.site.student import student_page

_PAGE = "feedback.html"


def write_feedback_zip(
    entries: Sequence[Entry], goal: Path, worksheet: Worksheet | None = None
) -> tuple[Entry, ...]:
    """Write the zip, whole or not at all; returns whom Moodle would not find in it.

    Raises UsageError when it cannot be written.
    """
    sheet = None if worksheet is None else MoodleSheet(worksheet)
    unplaced = []
    if goal.is_dir():
        raise UsageError(f"{goal}: is a folder", hint="give the name of a file in it")
    try:
        goal.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=goal.parent, prefix=f".{goal.name}-") as scratch:
            tree = Path(scratch) / "tree"
            names = []
            for entry in entries:
                places = _places(entry, sheet)
                if not places:
                    unplaced.append(entry)
                    places = (f"{entry.submitted.key}/{_PAGE}",)
                for name in places:
                    (tree / name).parent.mkdir(parents=True, exist_ok=True)
                    (tree / name).write_text(student_page(entry), "utf-8")
                    names.append(name)
            write_zip(tree, names, Path(scratch) / "feedback.zip")
            (Path(scratch) / "feedback.zip").replace(goal)
    except OSError as error:
        raise UsageError(
            f"{goal}: cannot be written: {error.strerror or error}",
            hint="free some space or choose another file with --out",
        ) from error
    return tuple(unplaced)


def _places(entry: Entry, sheet: MoodleSheet | None) -> tuple[str, ...]:
    ids = entry.submitted.platform_ids
    if "moodle_folder" in ids:
        return tuple(f"{name}/{_PAGE}" for name in ids["moodle_folder"].split("\n"))
    if "moodle_prefix" in ids:
        return tuple(f"{prefix}{_PAGE}" for prefix in ids["moodle_prefix"].split("\n"))
    if sheet is None:
        return ()
    return tuple(f"{sheet.folder_name(row)}/{_PAGE}" for row in sheet.rows_of(entry))
