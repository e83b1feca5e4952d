"""What tells whether work that was done once has to be done again.

Contents are told by their SHA-256. To hash three hundred zips takes minutes, so a file whose stamp
(place, size and times, as in version control systems) is the one of last time counts as unchanged
without being read.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from functools import cache
from pathlib import Path

import grader
from grader.provenance import PACKAGES, installed_version

# Rooms that mark nobody: a change in them is no reason to grade a class again.
_UNMARKING = frozenset({"cli", "classroom", "integrations", "packing", "render", "similarity"})
_CHUNK_BYTES = 1 << 20


@cache
def grader_identity() -> str:
    """`0.1.0+` and twelve digits that change with the grader's own marking code and with the
    packages that take part in marking."""
    return _identity(_UNMARKING)


@cache
def comparison_identity() -> str:
    """The same for what takes part in comparing submissions."""
    return _identity(_UNMARKING - {"similarity"})


def _identity(left_out: frozenset[str]) -> str:
    root = Path(grader.__file__).parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        parts = path.relative_to(root).parts
        if parts[0] not in left_out:
            digest.update("/".join(parts).encode() + b"\0" + path.read_bytes())
    for package in PACKAGES:
        digest.update(f"{package} {installed_version(package)}\n".encode())
    return f"{grader.__version__}+{digest.hexdigest()[:12]}"


def stamp_of(paths: Iterable[Path]) -> str:
    """A stamp of files and of all files below folders; it changes when one of them is written,
    replaced, added or removed. A path that is not there has a stamp as well."""
    digest = hashlib.sha256()
    for path in paths:
        for file in _files(path):
            try:
                status = file.stat()
            except OSError as error:
                digest.update(f"{file}\0{error.errno}\n".encode(errors="surrogateescape"))
                continue
            facts = (status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
            digest.update(f"{file}\0{facts}\n".encode(errors="surrogateescape"))
    return digest.hexdigest()


def is_there(path: Path) -> bool:
    """Whether anything lies at `path`; where nobody may look, nothing does."""
    try:
        path.stat()
    except OSError:
        return False
    return True


def content_hash(path: Path) -> str:
    """The SHA-256 of a file, hexadecimal; "" for what is no regular file or cannot be read."""
    digest = hashlib.sha256()
    if not path.is_file():
        return ""
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError:
        return ""
    return digest.hexdigest()


def _files(path: Path) -> list[Path]:
    if not path.is_dir():
        return [path]
    return sorted(
        Path(folder, name) for folder, _, names in os.walk(path, followlinks=True) for name in names
    )
