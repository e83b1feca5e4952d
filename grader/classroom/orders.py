"""What goes to a worker and what comes back. Standard library only: a class in which nothing is due
starts without what grading needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Order:
    """One submission to be graded. `content` is None where the worker reads `zip_path` itself."""

    key: str
    zip_path: Path
    zip_name: str
    size_bytes: int
    content: bytes | None = None


@dataclass(frozen=True, slots=True)
class Graded:
    """What a grading gives: the two reports, and what the store needs to know of them.

    `masks`: signatures of the masks for the comparison of the class, "" where there are none.
    """

    key: str
    report: str
    page: str
    masks: str
    zip_sha256: str
    verdict: str
    marks: Decimal
    awards: Mapping[str, Decimal]
    seconds: float


@dataclass(frozen=True, slots=True)
class Failed:
    """The grader's own fault, in words."""

    key: str
    fault: str


@dataclass(frozen=True, slots=True)
class Missing:
    """The worker does not see a file under the parent's path: it has to be sent. `what` is "zip"
    or "truth"."""

    key: str
    what: str


Outcome = Graded | Failed | Missing
