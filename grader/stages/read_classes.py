"""The class names of a course, in the order of the network's outputs: `--classes DIR|FILE`."""

from __future__ import annotations

import json
from pathlib import Path

from grader.errors import TruthError


def read_classes(path: Path) -> tuple[str, ...]:
    """Class folders (sorted by name), a JSON list, or text with one name a line.

    Raises TruthError when there is nothing to read, or a name stands twice.
    """
    if path.is_dir():
        names = sorted(
            entry.name
            for entry in path.iterdir()
            if entry.is_dir() and not entry.name.startswith(".")
        )
    else:
        try:
            text = path.read_text("utf-8-sig")
        except OSError as error:
            raise TruthError(
                f"{path}: cannot be read: {error.strerror or error}",
                hint="--classes takes a folder of class folders, a JSON list, or a text file",
            ) from error
        except UnicodeDecodeError as error:
            raise TruthError(f"{path}: is not UTF-8 text", hint="save it as UTF-8") from error
        names = _listed(path, text)
    if not names:
        raise TruthError(f"{path}: names no class", hint="one class a folder, or one a line")
    for name in names:
        if names.count(name) > 1:
            raise TruthError(f"{path}: the class {name!r} stands twice", hint="keep one")
    return tuple(names)


def _listed(path: Path, text: str) -> list[str]:
    if not text.lstrip().startswith("["):
        return [line.strip() for line in text.splitlines() if line.strip()]
    try:
        names = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise TruthError(f"{path}: is not JSON: {error}") from error
    if not all(isinstance(name, str) and name.strip() for name in names):
        raise TruthError(f"{path}: is a JSON list, but not of names")
    return [name.strip() for name in names]
