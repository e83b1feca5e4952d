"""Why a file that a program needs may be absent, and what to do about it.

Asked before a run (by reading the source) and after one (by reading the traceback): the student
gets the same words from both.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Sequence
from typing import NamedTuple

from grader.findings import listed

_CAPITALS = "spell the name exactly as the file: the course's disk tells a from A"


class Explained(NamedTuple):
    """`said` continues a sentence that ends in the absent name; `hint` None: the usual one."""

    said: str
    hint: str | None


def explain_absent_file(
    path: str, files: Collection[str], writers: Sequence[str], script: str
) -> Explained:
    """Why `path`, opened by `script`, is not among the submission's `files`.

    `writers`: the other scripts that write a file of that name.
    """
    if "\\" in path and path.replace("\\", "/") in files:
        return Explained(
            "; there is one of that name with / instead of \\",
            'join folders with "/" or os.path.join: a backslash separates only on Windows',
        )
    if path.startswith("../"):
        return Explained(
            ": it lies outside the submission's folder",
            "put the file beside the script and open it from there",
        )
    near = _in_other_capitals(path, files)
    if near:
        return Explained(f"; {near[0]} differs only in capitals", _CAPITALS)
    name = posixpath.basename(path)
    same = _named(name, files)
    if same:
        return Explained(
            f"; {listed(same)} lies elsewhere in it",
            f"open {same[0]}, or put the file where {script} looks for it",
        )
    if writers:
        return Explained(f"; {' and '.join(writers)} writes it: put it into the zip", None)
    return Explained("", None)


def explain_absent_module(expected: str, files: Collection[str], script: str) -> Explained:
    """Why the module file `expected` is not among the submission's `files`."""
    package = f"{expected.removesuffix('.py')}/__init__.py"
    near = _in_other_capitals(expected, files) or _in_other_capitals(package, files)
    if near:
        return Explained(f"; {near[0]} differs only in capitals", _CAPITALS)
    name = posixpath.basename(expected)
    same = _named(name, files)
    if same:
        return Explained(
            f"; {same[0]} lies in another folder",
            f"put {name} where {script} looks for it, or import it by its folder",
        )
    return Explained("", None)


def _in_other_capitals(path: str, files: Collection[str]) -> list[str]:
    return sorted(file for file in files if file.casefold() == path.casefold())


def _named(name: str, files: Collection[str]) -> list[str]:
    return sorted(file for file in files if posixpath.basename(file) == name)
