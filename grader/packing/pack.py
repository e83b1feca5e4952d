"""Pack a student's folder: build the zip beside its goal, check it there as the course will, and
put it in place only if it is no worse than what is there already."""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from grader.errors import UsageError
from grader.findings import quoted
from grader.model import Assignment, CheckResult, PackedZip, Severity
from grader.packing.plan import plan_files
from grader.packing.write import write_zip
from grader.readers.steady_file import SteadyFile

Check = Callable[[Path], CheckResult]


def pack(
    directory: Path,
    entry_number: str,
    assignment: Assignment,
    output_dir: Path,
    extras: Sequence[str] = (),
    *,
    check: Check,
) -> PackedZip:
    """Pack `directory` as ENTRY_NUMBER.zip in `output_dir`.

    `check` is run on the new zip before it is put in place, and on one that is there already: a
    zip with more errors never replaces one with fewer. Nothing else is left in `output_dir`.
    Raises UsageError for a wrong entry number, and as `plan_files` and `write_zip` do.
    """
    goal = output_dir / zip_name(entry_number, assignment)
    if not directory.is_dir():
        raise UsageError(
            f"{quoted(str(directory), 300)}: is not a folder",
            hint="give the folder in which your scripts lie",
        )
    if goal.exists() and not goal.is_file():
        raise UsageError(f"{quoted(str(goal), 300)}: is in the way", hint="move it elsewhere")
    plan = plan_files(directory, assignment, extras)
    scratch = _scratch(output_dir)
    try:
        built = scratch / goal.name
        with _writing(goal):
            write_zip(directory, tuple(plan.files), built)
        result = check(built)
        with SteadyFile(built) as file:
            size_bytes, sha256 = file.size_bytes, file.sha256()
        reason = _reason_to_keep(goal, result, check)
        if not reason:
            with _writing(goal):
                built.replace(goal)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return PackedZip(
        path=goal,
        entry_number=entry_number,
        sha256=sha256,
        size_bytes=size_bytes,
        files=tuple(plan.files[path] for path in sorted(plan.files)),
        left_out=tuple(plan.left_out[path] for path in sorted(plan.left_out)),
        check=result,
        written=not reason,
        reason=reason,
    )


def zip_name(entry_number: str, assignment: Assignment) -> str:
    """The name that the assignment asks for. Raises UsageError for a wrong entry number."""
    pattern = re.compile(assignment.entry_number, re.ASCII)
    if not pattern.fullmatch(entry_number):
        shown = quoted(entry_number)
        capitals = entry_number.strip().upper()
        hint = f"it has to look like {assignment.entry_example}"
        if pattern.fullmatch(capitals):
            hint = f"write it as {capitals}"
        raise UsageError(f"{shown!r} is not an entry number of this course", hint=hint)
    return assignment.zip_names[0].replace("{entry}", entry_number)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    """Turns what the disk refuses into a message that names `path`."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{quoted(str(path), 300)}: cannot be written: {error.strerror or error}",
            hint="give another folder with --out",
        ) from error


def _scratch(output_dir: Path) -> Path:
    """A folder of our own on the goal's disk, so that putting the zip in place is one step."""
    with _writing(output_dir):
        output_dir.mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix=".grader-pack-", dir=output_dir))


def _reason_to_keep(goal: Path, result: CheckResult, check: Check) -> str:
    """Why the zip that is there already is better, "" when it is not."""
    if not goal.exists():
        return ""
    new, old = _faults(result), _faults(check(goal))
    if new <= old:
        return ""
    return (
        f"the new zip has {_counted(*new)}, the one that is there {_counted(*old)}; "
        "remove that one to replace it all the same"
    )


def _faults(result: CheckResult) -> tuple[int, int]:
    """Errors and warnings: one more error is worse than any number of warnings."""
    severities = [finding.severity for finding in result.findings]
    return severities.count(Severity.ERROR), severities.count(Severity.WARNING)


def _counted(errors: int, warnings: int) -> str:
    return (
        f"{errors} error{'' if errors == 1 else 's'} and "
        f"{warnings} warning{'' if warnings == 1 else 's'}"
    )
