"""What a comparison of submissions finds: frozen dataclasses, standard library only.

`Pair` is the unit that a person looks at. Whatever compares submissions (their source, weights,
masks, predictions, the zips themselves) adds `Evidence` to pairs; pages, tables and exports show
it and know nothing of how it was found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from grader.model import Finding

MASKS_FILE = "masks.json"
"""Signatures of a graded submission's masks, beside its report.json."""


class Channel(StrEnum):
    """What was compared."""

    SOURCE = "source"
    CHECKPOINT = "checkpoint"
    MASKS = "masks"
    PREDICTIONS = "predictions"
    ZIP = "zip"  # names, dates, other people's entry numbers, byte-identical files


class Strength(StrEnum):
    """How much a piece of evidence says. None of them says who did what."""

    STRONG = "strong"  # honest pairs hardly ever reach it: a person should look
    WEAK = "weak"  # happens between honest pairs; adds to other evidence, never stands alone
    CONTEXT = "context"  # explains (a shared starter seed, base code); speaks for nobody


@dataclass(frozen=True, slots=True)
class Span:
    """Lines of one file of a submission: 1-based, both ends included.

    `cell` is the 1-based code cell of a notebook, and its lines count from the cell's first;
    None for a plain file.
    """

    path: str
    first_line: int
    last_line: int
    cell: int | None = None

    def __str__(self) -> str:
        place = self.path if self.cell is None else f"{self.path} cell {self.cell}"
        last = "" if self.last_line == self.first_line else f"-{self.last_line}"
        return f"{place}:{self.first_line}{last}"


@dataclass(frozen=True, slots=True)
class Region:
    """Two places that say the same. `moved`: their order differs from that of their neighbours.

    `share` is the region's part of the pair's matched weight, 0 to 1.
    """

    left: Span
    right: Span
    share: float
    moved: bool = False


@dataclass(frozen=True, slots=True)
class Evidence:
    """One number about a pair, and what it means.

    `code` is stable (`code.similar`, `checkpoint.same-file`, …). `value` is None where there is
    nothing to measure (a file is identical or not). `meaning` says in a sentence what the number
    is; `honest` says how often pairs who worked apart reach it. `direction` is "left" or "right"
    when the data support a guess about which of the two came first, and None otherwise.
    """

    channel: Channel
    code: str
    strength: Strength
    message: str
    meaning: str
    honest: str
    value: float | None = None
    unit: str = ""
    direction: str | None = None
    regions: tuple[Region, ...] = ()
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Pair:
    """Two submissions, `left` < `right` by name (an archived one stands right: `archived`).

    `score` ranks pairs from 0 to 1 (1: the smaller one's own code is all in the other). `flagged`
    says that a person should look.
    """

    left: str
    right: str
    score: float
    flagged: bool
    evidence: tuple[Evidence, ...] = ()
    archived: bool = False

    @property
    def key(self) -> tuple[str, str]:
        return self.left, self.right


@dataclass(frozen=True, slots=True)
class Cluster:
    """Submissions that flagged pairs join, in the order of how much joins them."""

    members: tuple[str, ...]
    pairs: tuple[tuple[str, str], ...]
    score: float  # the highest of its pairs


@dataclass(frozen=True, slots=True)
class Threshold:
    """From which score on a pair is flagged, and why there.

    `expected_honest` is how many of the `pairs_compared` would reach it by chance.
    """

    score: float
    expected_honest: float
    pairs_compared: int
    reason: str


@dataclass(frozen=True, slots=True)
class SubmissionSummary:
    """What was read of one submission, and what of it is its own (not base code)."""

    name: str
    files: int
    lines: int
    own_share: float  # of its tokens; the rest is base code
    base_spans: tuple[Span, ...] = ()  # of submissions in flagged pairs: what pages show grey
    findings: tuple[Finding, ...] = ()  # of this submission alone: what its zip says by itself


@dataclass(frozen=True, slots=True)
class ClassSimilarity:
    """Everything that a comparison of a class found. `pairs`: highest score first, those worth
    showing, a bounded number; `further`: what is left of them, without regions and details;
    `scores` holds the score of every pair compared that is not 0."""

    submissions: tuple[SubmissionSummary, ...]
    pairs: tuple[Pair, ...]
    clusters: tuple[Cluster, ...]
    threshold: Threshold
    scores: Mapping[tuple[str, str], float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    further: tuple[Pair, ...] = ()

    @property
    def flagged(self) -> tuple[Pair, ...]:
        """Those of `pairs` that a person should look at."""
        return tuple(pair for pair in self.pairs if pair.flagged)

    @property
    def num_flagged(self) -> int:
        """How many there are, shown or not."""
        return sum(pair.flagged for pair in (*self.pairs, *self.further))


@dataclass(frozen=True, slots=True)
class SourceText:
    """The text of one file, or of one code cell of a notebook, as it was compared."""

    path: str
    text: str
    cell: int | None = None


@dataclass(frozen=True, slots=True)
class SourceTree:
    """All Python text of one submission, in the order of its paths."""

    name: str
    texts: tuple[SourceText, ...]
    findings: tuple[Finding, ...] = ()
