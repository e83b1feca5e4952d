"""Zips of a made-up class: files with their dates, weights as safetensors."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save

from grader.similarity.source.read_sources import FoundSubmission

Time = tuple[int, int, int, int, int, int]
Entry = str | bytes | tuple[str | bytes, Time]


def write_zip(
    folder: Path, name: str, entries: Mapping[str, Entry], day: int = 1
) -> FoundSubmission:
    """`name`.zip with its members; without a time of its own a member is of that day of May, at a
    minute of its own."""
    path = folder / f"{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for number, (member, entry) in enumerate(entries.items()):
            content, time = entry if isinstance(entry, tuple) else (entry, None)
            info = zipfile.ZipInfo(member, time or (2026, 5, day, 9, 3 * number + 1, day * 2 % 60))
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return FoundSubmission(name, path)


def weights(seed: int, names: tuple[str, ...] = ("stem", "body")) -> bytes:
    """A checkpoint of two convolutions: 5,000 numbers."""
    rng = np.random.default_rng(seed)
    tensors: dict[str, npt.NDArray[np.float32]] = {
        f"{names[0]}.weight": rng.normal(size=(16, 3, 3, 3)).astype(np.float32),
        f"{names[1]}.weight": rng.normal(size=(32, 16, 3, 3)).astype(np.float32),
        f"{names[1]}.bias": np.zeros(32, np.float32),
    }
    return save(tensors)
