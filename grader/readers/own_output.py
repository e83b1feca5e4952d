"""What the grader itself has written, so that nobody takes it for a submission."""

from __future__ import annotations

from pathlib import Path

# `grader score` writes into reports/<zip>/, `grader class` with the masks' signatures.
_REPORT_FILES = {"report.json", "report.html", "masks.json"}
# None of what it writes: whoever hands in such a file is not passed over, whatever lies beside it.
_HANDED_IN = {".py", ".pyw", ".ipynb", ".pth", ".pt", ".safetensors", ".png", ".jpg", ".jpeg"}


def is_written_by_grader(folder: Path) -> bool:
    """Whether `folder` holds results of a class, a site, or reports, and no file that a student
    hands in.

    Raises OSError when it cannot be listed.
    """
    is_marked = (folder / "class.sqlite").is_file() or (
        (folder / "index.html").is_file() and (folder / "students").is_dir()
    )
    is_empty = True
    for path in folder.rglob("*"):
        if path.is_dir() or path.name.startswith("."):
            continue
        is_empty = False
        foreign = path.suffix.lower() in _HANDED_IN if is_marked else path.name not in _REPORT_FILES
        if foreign:
            return False
    return not is_empty
