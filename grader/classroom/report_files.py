"""The reports of a class as files: `reports/<key>/report.json` and `report.html`.

Each is whole or not there, also after a power failure. The page of an earlier result is kept in
`earlier/<number of the result>.html`; the data of all results are in the store.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from grader.errors import UsageError
from grader.whole_file import whole_file

EARLIER_FOLDER = "earlier"


def write_report_files(folder: Path, report: str, page: str, earlier: int | None) -> None:
    """Write both files into `folder`. `earlier`: the number of the result that they replace.

    Raises UsageError when they cannot be written, a full disk included; what was there stays.
    """
    try:
        for unfinished in folder.glob(".report.*"):  # of a run that was killed as it wrote
            unfinished.unlink(missing_ok=True)
        if earlier is not None:
            _keep(folder / "report.html", folder / EARLIER_FOLDER / f"{earlier}.html")
        for name, text in (("report.html", page), ("report.json", report)):
            with whole_file(folder / name, synced=True) as file:
                file.write(text.encode())
    except OSError as error:
        raise UsageError(
            f"{folder}: the report cannot be written: {error.strerror or error}",
            hint="free some space on this disk and run the same command again: what is done is "
            "kept",
        ) from error


def _keep(path: Path, place: Path) -> None:
    """Give the file a second name. A run that was killed here may have done so already."""
    if path.exists():
        place.parent.mkdir(exist_ok=True)
        with contextlib.suppress(FileExistsError):
            os.link(path, place)
