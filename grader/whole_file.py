"""Files that appear whole or not at all; an earlier one stays until its successor is complete."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


@contextmanager
def whole_file(path: Path, *, synced: bool = False) -> Iterator[IO[bytes]]:
    """A file to write that becomes `path` when the block ends well, and nothing when it does not.

    A file that is there keeps its rights, and a link to it stays one. A device or a pipe
    (`/dev/stdout`) is written to as it is. `synced`: it survives a power failure, too. Raises
    OSError where that cannot be done.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists() and not path.is_file() and not path.is_dir():
        with path.open("wb") as stream:
            yield stream
        return
    path = path.resolve()
    mode = stat.S_IMODE(path.stat().st_mode) if path.is_file() else 0o644
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            if synced:
                file.flush()
                os.fsync(file.fileno())
        Path(temporary).chmod(mode)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
