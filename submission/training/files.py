"""Files that appear whole or not at all."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from errors import SubmissionError


def write_atomically(path: Path, content: bytes) -> None:
    """Write `content` beside `path`, flush it to the disk, and rename it over `path`.

    Whatever goes wrong, the previous file stays. Raises OSError.
    """
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(temporary).unlink()
        raise


def tensors_to_bytes(content: Any) -> bytes:
    """What `torch.load(…, weights_only=True)` reads back."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def json_to_bytes(content: Mapping[str, Any]) -> bytes:
    """Indented UTF-8 with a final newline; a byte of a file name that is no UTF-8 is escaped, so
    that `json.loads` gives Python's name for that file."""
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    return text.encode(errors="backslashreplace")


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def load_tensors(path: Path) -> Any:
    """`torch.load` with `weights_only=True`, on the CPU.

    Raises SubmissionError for a file that is missing, no checkpoint, or holds pickled code.
    """
    if not path.is_file():
        raise SubmissionError(f"{path}: no such file (expected a checkpoint)")
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise SubmissionError(
            f"{path}: is no checkpoint that can be loaded safely ({type(error).__name__}); "
            "expected a state_dict saved with torch.save"
        ) from error


def make_folder(path: Path) -> None:
    """Create `path` and its parents, and make sure that files can be written there.

    Raises SubmissionError before hours of work are lost to a read-only or full disk.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".write-probe-{os.getpid()}"  # several processes may be starting
        write_atomically(probe, b"\0" * 65536)
        probe.unlink(missing_ok=True)
    except OSError as error:
        raise SubmissionError(
            f"{path}: cannot be written ({error.strerror}); choose another folder or free space"
        ) from error
