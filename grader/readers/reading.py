"""What every reader of outputs takes and returns, and how it finds what it is to read."""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from grader.findings import found, quoted
from grader.frozen import frozen
from grader.model import Finding, OutputSpec

# A working directory of more entries than this is not searched to its end.
_MAX_ENTRIES = 20_000


Launch = Callable[[str, bytes, Path], bytes]
"""(module that serves, what it is asked, the folder that it reads) → the answer of a confined
process, whatever became of it."""


@frozen
class Expected:
    """What a reader may know of the truth: names, sizes and classes, never labels or masks.

    `names`: staged image names; `sizes_px`: staged stem → (width, height) of the images that want
    a mask; `classes`: the class names in their order; `launch` starts the process that a reader
    leaves dangerous decoding to.
    """

    names: tuple[str, ...]
    sizes_px: Mapping[str, tuple[int, int]]
    classes: tuple[str, ...]
    launch: Launch


@frozen
class Reading:
    """What a reader made of an output: `value` is None when there is nothing to go on with."""

    value: Any
    findings: tuple[Finding, ...]


Reader = Callable[[Path, OutputSpec, Expected], Reading]
"""(folder of outputs, what to read there, what is expected) → Reading."""


def regular_files(root: Path) -> Iterator[str]:
    """Paths of regular files below `root`, relative, POSIX, sorted within each folder."""
    seen = 0
    for folder, folders, files in os.walk(root):
        folders.sort()
        for name in sorted(files):
            seen += 1
            if seen > _MAX_ENTRIES:
                return
            path = Path(folder, name)
            if stat.S_ISREG(path.lstat().st_mode):
                yield path.relative_to(root).as_posix()


def find_file(root: Path, wanted: str) -> str | None:
    """The relative path of the file that plays `wanted` below `root`.

    That path itself; else one whose name differs only in case, underscores or a plural; else the
    only file with that suffix. None when there is no such file, or no saying which it is.
    """
    if (root / wanted).is_file() and not (root / wanted).is_symlink():
        return wanted
    suffix = Path(wanted).suffix.lower()
    paths = [path for path in regular_files(root) if Path(path).suffix.lower() == suffix]
    alike = [path for path in paths if _key(Path(path).stem) == _key(Path(wanted).stem)]
    if alike:
        return min(alike, key=lambda path: (path.count("/"), path))
    return paths[0] if len(paths) == 1 else None


def find_folder(root: Path, wanted: str, is_expected: Callable[[str], bool]) -> str | None:
    """The relative path of the folder that plays `wanted` below `root` ("" is `root` itself).

    That path itself, unless it is empty; else a folder whose name differs only in case,
    underscores or a plural; else the folder with the most files that are expected. None when there
    is none.
    """
    exists = (root / wanted).is_dir() and not (root / wanted).is_symlink()
    if exists and next(regular_files(root / wanted), None) is not None:
        return wanted
    holders = Counter(
        Path(path).parent.as_posix() for path in regular_files(root) if is_expected(Path(path).name)
    )
    alike = [folder for folder in holders if _key(Path(folder).name) == _key(Path(wanted).name)]
    if not holders:
        return wanted if exists else None
    folder = min(alike or holders, key=lambda folder: (-holders[folder], folder))
    return "" if folder == "." else folder


def _key(name: str) -> str:
    return "".join(char for char in name.casefold() if char.isalnum()).rstrip("s")


def counted(
    code: str, message: str, path: str, examples: Sequence[str], line: int | None = None
) -> Finding:
    """One finding for many of a kind: the evidence has their count and the first three."""
    first = [quoted(example, 120) for example in examples[:3]]
    evidence = {"count": len(examples), "first": first}
    return found(code, message, path=path, line=line, evidence=evidence)
