"""What all submissions of a run have in common, as the parent sends it to the workers.

The truth's images and masks are read from the same paths where a worker sees them with the same
contents, and are sent by value where it does not. A worker prepares them once, not once per zip.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from grader.model import Assignment, Truth
from grader.stages.pair_truth import read_truth_file


@dataclass(frozen=True, slots=True)
class Course:
    """`contents`: path → SHA-256 of every image and mask of the truth. `grader` is the parent's
    identity, which every worker has to share.
    """

    assignment: Assignment
    truth: Truth
    contents: Mapping[Path, str]
    grader: str
    independent: bool
    probed: bool
    unsafe_no_sandbox: bool

    @property
    def id(self) -> str:
        """The same for equal courses."""
        told = (
            self.assignment.sha256,
            self.truth.sha256,
            self.grader,
            str(self.independent),
            str(self.probed),
            str(self.unsafe_no_sandbox),
        )
        return hashlib.sha256("\n".join(told).encode()).hexdigest()


def contents_of(truth: Truth) -> dict[Path, str]:
    """path → SHA-256 of every image and mask. Raises TruthError for one that cannot be read."""
    return {path: hashlib.sha256(read_truth_file(path)).hexdigest() for path in _paths(truth)}


def is_here(truth: Truth, contents: Mapping[Path, str]) -> bool:
    """Whether every file of the truth lies here under its path, with the same content."""
    return all(path.is_file() for path in contents) and contents_of(truth) == contents


def bundle(truth: Truth) -> dict[Path, bytes]:
    """path → content of every image and mask, to be sent by value."""
    return {path: read_truth_file(path) for path in _paths(truth)}


def lay_out(truth: Truth, files: Mapping[Path, bytes], folder: Path) -> Truth:
    """Write a bundle into `folder` under neutral names; returns the truth that lies there."""
    places = {}
    for number, (path, content) in enumerate(files.items()):
        places[path] = folder / f"{number}{path.suffix}"
        places[path].write_bytes(content)
    items = tuple(
        replace(
            item,
            image=places[item.image],
            mask=None if item.mask is None else places[item.mask],
        )
        for item in truth.items
    )
    return replace(truth, items=items)


def _paths(truth: Truth) -> Iterator[Path]:
    for item in truth.items:
        yield item.image
        if item.mask is not None:
            yield item.mask
