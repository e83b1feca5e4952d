"""A page for each student, in the tree that Moodle takes as "upload multiple feedback files".

Names are those of the download (split at `_`: name, participant number, plugin); where the
class did not come from Moodle, a grading worksheet gives them, and else the key does.
"""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

from grader.classroom.exports.filled import Zipped
from grader.classroom.exports.moodle import MoodleSheet
from grader.classroom.exports.rows import member_in_words
from grader.classroom.exports.worksheet import Worksheet
from grader.classroom.owners import owners_of
from grader.classroom.records import Entry
from grader.errors import UsageError
from grader.packing.write import write_zip
from grader.render.site.student import student_page

_PAGE = "feedback.html"
_NUMBER = re.compile(r"_(\d+)_assignsubmission_")


def write_feedback_zip(
    entries: Sequence[Entry],
    goal: Path,
    worksheet: Worksheet | None = None,
    others: Sequence[Entry] = (),
) -> Zipped:
    """Write the zip, whole or not at all; returns whom Moodle would not find in it. `others` get no
    page, and their rows in the worksheet are theirs all the same.

    Raises UsageError when it cannot be written.
    """
    places, zipped = _places(entries, worksheet, others)
    if goal.is_dir():
        raise UsageError(f"{goal}: is a folder", hint="give the name of a file in it")
    try:
        goal.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=goal.parent, prefix=f".{goal.name}-") as scratch:
            tree = Path(scratch) / "tree"
            for name, entry in places.items():
                (tree / name).parent.mkdir(parents=True, exist_ok=True)
                (tree / name).write_text(student_page(entry), "utf-8")
            write_zip(tree, list(places), Path(scratch) / "feedback.zip")
            (Path(scratch) / "feedback.zip").replace(goal)
    except OSError as error:
        raise UsageError(
            f"{goal}: cannot be written: {error.strerror or error}",
            hint="free some space or choose another file with --out",
        ) from error
    return zipped


def _places(
    entries: Sequence[Entry], worksheet: Worksheet | None, others: Sequence[Entry]
) -> tuple[dict[str, Entry], Zipped]:
    """Page in the zip → whose it is, and who has none that Moodle would find."""
    sheet = None if worksheet is None else MoodleSheet(worksheet)
    placed = None if sheet is None else sheet.place(entries, others)
    pages: dict[str, Entry] = {}
    unplaced, members = [], []
    disputed = [] if placed is None else list(placed.disputed)
    for number, entry in enumerate(entries):
        own = _pages_of_download(entry)
        rowless = owners_of(entry.submitted)
        if sheet is not None and placed is not None:
            if number in placed.in_dispute and not placed.rows[number]:
                continue
            numbers = _numbers(own)
            rows = [row for row in placed.rows[number] if sheet.participant(row) not in numbers]
            own += [f"{sheet.folder_name(row)}/{_PAGE}" for row in rows]
            rowless = placed.rowless[number]
        if not own:
            unplaced.append(entry)
            own = [f"{entry.submitted.key}/{_PAGE}"]
        else:
            numbers = _numbers(own)
            members += [
                member_in_words(owner, entry)
                for owner in rowless
                if owner.platform_ids.get("moodle") not in numbers
            ]
        for name in own:
            if name in pages:
                first = pages[name].submitted.key
                disputed.append(f"{name}: is the page of {first}, not of {entry.submitted.key}")
            else:
                pages[name] = entry
    return pages, Zipped(
        submissions=len({entry.submitted.key for entry in pages.values()}),
        unplaced=tuple(unplaced),
        members=tuple(members),
        disputed=tuple(disputed),
    )


def _pages_of_download(entry: Entry) -> list[str]:
    """The entry's pages by the names of Moodle's download; none where it came from elsewhere."""
    ids = entry.submitted.platform_ids
    if "moodle_folder" in ids:
        return [f"{name}/{_PAGE}" for name in ids["moodle_folder"].split("\n")]
    if "moodle_prefix" in ids:
        return [f"{prefix}{_PAGE}" for prefix in ids["moodle_prefix"].split("\n")]
    return []


def _numbers(pages: Iterable[str]) -> set[str]:
    """The participant numbers in the pages' names."""
    return {match[1] for name in pages if (match := _NUMBER.search(name))}
