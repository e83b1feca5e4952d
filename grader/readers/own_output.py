"""What the grader itself has written, so that nobody takes it for a submission."""

from __future__ import annotations

from pathlib import Path

# `grader score` writes into reports/<zip>/, `grader class` with the masks' signatures.
_REPORT_FILES = {"report.json", "report.html", "masks.json"}


def is_written_by_grader(folder: Path) -> bool:
    """Whether `folder` holds results of a class, a site, or reports and nothing else.

    Raises OSError when it cannot be listed.
    """
    if (folder / "class.sqlite").is_file():
        return True
    if (folder / "index.html").is_file() and (folder / "students").is_dir():
        return True
    files = [path.name for path in folder.rglob("*") if not path.is_dir()]
    return bool(files) and _REPORT_FILES.issuperset(files)
