"""The reports of a class as files: `reports/<key>/report.json`, `report.html`, and `masks.json`
where there are masks that later classes can be held against.

Each is whole or not there, also after a power failure. The page of an earlier result is kept in
`earlier/<number of the result>.html`; the data of all results are in the store.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path

from grader.errors import UsageError
from grader.whole_file import whole_file

EARLIER_FOLDER = "earlier"


def write_report_files(folder: Path, files: Mapping[str, str], earlier: int | None) -> None:
    """Write `files`, name → text, into `folder`; one without text is taken away.

    `earlier`: the number of the result that they replace.

    Raises UsageError when they cannot be written, a full disk included; what was there stays.
    """
    try:
        for unfinished in folder.glob(".*.*"):  # of a run that was killed as it wrote
            unfinished.unlink(missing_ok=True)
        if earlier is not None:
            _keep(folder / "report.html", folder / EARLIER_FOLDER / f"{earlier}.html")
        for name, text in files.items():
            if not text:
                (folder / name).unlink(missing_ok=True)
                continue
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
