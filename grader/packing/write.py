"""Write a zip whose bytes depend on nothing but the names and contents of its files."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Sequence
from pathlib import Path

from grader.errors import UsageError
from grader.findings import quoted
from grader.readers.steady_file import SteadyFile

# The first moment that a zip can name. Stored, not deflated: weights hardly shrink, and two
# builds of zlib need not agree on the bytes.
_DATE = (1980, 1, 1, 0, 0, 0)
_MODE = stat.S_IFREG | 0o644
_UNIX = 3
_CHUNK_BYTES = 1 << 20


def write_zip(directory: Path, paths: Sequence[str], goal: Path) -> None:
    """Write the files `paths` of `directory` to the new file `goal`, sorted by name.

    Same names and contents, same bytes, on every machine. Files are copied in pieces. Raises
    UsageError when one cannot be read, is no regular file, or changes while it is copied.
    """
    with goal.open("xb") as file:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED) as archive:
            for path in sorted(paths):
                _add(archive, directory / path, path)
        file.flush()
        os.fsync(file.fileno())


def _add(archive: zipfile.ZipFile, source: Path, path: str) -> None:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError as error:
        raise UsageError(
            f"{quoted(path, 300)}: the name is not text", hint="rename the file"
        ) from error
    entry = zipfile.ZipInfo(path, _DATE)
    entry.create_system = _UNIX
    entry.external_attr = _MODE << 16
    try:
        steady = SteadyFile(source)
    except OSError as error:
        raise UsageError(f"{quoted(path, 300)}: cannot be read: {error.strerror}") from error
    with steady:
        entry.file_size = steady.size_bytes
        with archive.open(entry, "w") as member:
            for offset in range(0, steady.size_bytes, _CHUNK_BYTES):
                member.write(steady.read(offset, _CHUNK_BYTES))
