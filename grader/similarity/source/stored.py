"""Fingerprints as files: a cache of this year's, an archive of earlier years'.

A file holds hashes, paths and line numbers: no code. It is a zip of plain arrays (numpy's .npz),
read without pickles and within bounds.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from grader.errors import UsageError
from grader.findings import quoted
from grader.similarity.source.fingerprint import VERSION, Fingerprint
from grader.whole_file import whole_file

_MAX_ARCHIVE_BYTES = 2 << 30
_MARK = "vision-grader similarity archive"
_ARRAYS = {
    "hashes": (np.uint64, 1),
    "kinds": (np.uint8, 1),
    "units": (np.int32, 1),
    "sizes": (np.uint16, 1),
    "unit_spans": (np.int32, 2),
    "counts": (np.int64, 2),  # a row for each submission: _COUNTS
    "cells": (np.int32, 1),
}
# the columns of `counts`
_COUNTS = ("features", "units", "texts", "num_tokens", "own_tokens", "num_lines", "digest")


def write_fingerprints(path: Path, fingerprints: Sequence[Fingerprint]) -> None:
    """Write fingerprints to `path`, whole or not at all. Raises UsageError when it cannot be."""
    buffer = io.BytesIO()
    texts = [text for f in fingerprints for text in f.texts]
    np.savez_compressed(
        buffer,
        mark=np.array(_MARK),
        version=np.array(VERSION),
        names=np.array([f.name for f in fingerprints], np.str_),
        paths=np.array([path for path, _ in texts], np.str_),
        cells=np.array([cell for _, cell in texts], np.int32),
        counts=np.array(
            [
                [
                    len(f.hashes),
                    f.num_units,
                    len(f.texts),
                    f.num_tokens,
                    f.own_tokens,
                    f.num_lines,
                    f.digest,
                ]
                for f in fingerprints
            ],
            np.int64,
        ).reshape(-1, len(_COUNTS)),
        hashes=np.concatenate([np.zeros(0, np.uint64), *(f.hashes for f in fingerprints)]),
        kinds=np.concatenate([np.zeros(0, np.uint8), *(f.kinds for f in fingerprints)]),
        units=np.concatenate([np.zeros(0, np.int32), *(f.units for f in fingerprints)]),
        sizes=np.concatenate([np.zeros(0, np.uint16), *(f.sizes for f in fingerprints)]),
        unit_spans=np.concatenate(
            [np.zeros((0, 3), np.int32), *(f.unit_spans for f in fingerprints)]
        ),
    )
    try:
        with whole_file(path) as file:
            file.write(buffer.getvalue())
    except OSError as error:
        raise UsageError(
            f"{quoted(str(path), 300)}: cannot be written: {error.strerror or error}",
            hint="free some space or choose another place",
        ) from error


def read_fingerprints(path: Path) -> tuple[Fingerprint, ...]:
    """Read what `write_fingerprints` wrote.

    Raises UsageError when `path` is no such file, is damaged, or was written by a version whose
    hashes differ.
    """
    try:
        size_bytes = path.stat().st_size
        if size_bytes > _MAX_ARCHIVE_BYTES:
            raise _no_archive(path, f"it has {size_bytes:,} bytes")
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
            if unpacked > 4 * _MAX_ARCHIVE_BYTES:
                raise _no_archive(path, f"it unpacks to {unpacked:,} bytes")
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files}
    except UsageError:
        raise
    except OSError as error:
        raise UsageError(
            f"{quoted(str(path), 300)}: {error.strerror or error}",
            hint="name a file that --save-archive wrote",
        ) from error
    except (ValueError, KeyError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        raise _no_archive(path, quoted(str(error))) from error
    return _checked(path, arrays)


def _checked(path: Path, arrays: dict[str, np.ndarray]) -> tuple[Fingerprint, ...]:
    if str(arrays.get("mark", "")) != _MARK:
        raise _no_archive(path, "its first record is another")
    version = arrays.get("version")
    if version is None or version.shape != () or version != VERSION:
        raise UsageError(
            f"{quoted(str(path), 300)}: written by another version ({version}, not {VERSION})",
            hint="write it again from the submissions with --save-archive",
        )
    for name, (kind, dimensions) in _ARRAYS.items():
        array = arrays.get(name)
        if array is None or array.dtype != kind or array.ndim != dimensions:
            raise _no_archive(path, f"its {name} are missing or of another kind")
    names, paths, counts = arrays.get("names"), arrays.get("paths"), arrays["counts"]
    ends = np.cumsum(counts, axis=0)
    if names is None or paths is None:
        raise _no_archive(path, "its names are missing")
    whole = (
        names.dtype.kind == paths.dtype.kind == "U"
        and counts.shape == (len(names), len(_COUNTS))
        and bool((counts[:, :-1] >= 0).all())
        and len(paths) == len(arrays["cells"])
        and arrays["unit_spans"].shape[1] == 3
    )
    features, units, texts = (ends[-1, :3] if len(ends) else (0, 0, 0)) if whole else (-1, -1, -1)
    if (
        not whole
        or any(len(arrays[name]) != features for name in ("hashes", "kinds", "units", "sizes"))
        or len(arrays["unit_spans"]) != units
        or len(paths) != texts
    ):
        raise _no_archive(path, "its parts do not fit together")
    return tuple(_one(path, arrays, row, ends) for row in range(len(names)))


def _one(path: Path, arrays: dict[str, np.ndarray], row: int, ends: np.ndarray) -> Fingerprint:
    counts = arrays["counts"][row]
    features, units, texts = (
        slice(int(ends[row, i] - counts[i]), int(ends[row, i])) for i in range(3)
    )
    fingerprint = Fingerprint(
        name=str(arrays["names"][row]),
        hashes=arrays["hashes"][features],
        kinds=arrays["kinds"][features],
        units=arrays["units"][features],
        sizes=arrays["sizes"][features],
        unit_spans=arrays["unit_spans"][units],
        texts=tuple(
            (str(name), int(cell))
            for name, cell in zip(arrays["paths"][texts], arrays["cells"][texts], strict=True)
        ),
        num_tokens=int(counts[3]),
        own_tokens=int(counts[4]),
        num_lines=int(counts[5]),
        digest=int(counts[6]),
    )
    inside = fingerprint.units
    texts_inside = fingerprint.unit_spans[:, 0]
    if (len(inside) and not 0 <= inside.min() <= inside.max() < fingerprint.num_units) or (
        len(texts_inside)
        and fingerprint.texts
        and not 0 <= texts_inside.min() <= texts_inside.max() < len(fingerprint.texts)
    ):
        raise _no_archive(path, "its parts do not fit together")
    return fingerprint


def _no_archive(path: Path, why: str) -> UsageError:
    return UsageError(
        f"{quoted(str(path), 300)}: is no archive of fingerprints: {why}",
        hint="name a file that --save-archive wrote",
    )
