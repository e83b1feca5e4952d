"""Two submissions side by side: their files as lines, each with the region that it belongs to.

Files without a matched line are folded away; long files show the lines around their regions; what
was compared but not shown is counted and said.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from grader.render.printable import printable, shortened
from grader.similarity.model import Pair, Region, SourceText, SourceTree, Span

COLOURS = 6
SIDE_LINES = 4_000  # of one side; more would make the page slow
_WHOLE_FILE_LINES = 400
_CONTEXT_LINES = 6
_UNMATCHED_LINES = 120
_LINE_CHARS = 400

Place = tuple[str, int | None]


@dataclass(frozen=True, slots=True)
class Line:
    """A line as shown. `region`: 0-based number of the region that it belongs to; `base`: part of
    the starter code, and not compared."""

    number: int
    text: str
    region: int | None
    base: bool


@dataclass(frozen=True, slots=True)
class Gap:
    """Lines that are not shown."""

    count: int


@dataclass(frozen=True, slots=True)
class FilePane:
    """One file or notebook cell. `matched` is False where no region touches it."""

    title: str
    matched: bool
    rows: tuple[Line | Gap, ...]
    lines: int


@dataclass(frozen=True, slots=True)
class Side:
    """One submission. `files`: those with regions first, in the order of their paths."""

    name: str
    files: tuple[FilePane, ...]
    left_out: int  # files of which nothing is shown


@dataclass(frozen=True, slots=True)
class SideBySide:
    """Both sides and the regions, in the order of the left side."""

    left: Side
    right: Side
    regions: tuple[Region, ...]


def regions_of(pair: Pair) -> tuple[Region, ...]:
    """All regions of a pair in the order of its left side."""
    regions = [region for found in pair.evidence for region in found.regions]
    return tuple(
        sorted(regions, key=lambda r: (r.left.path, r.left.cell or 0, r.left.first_line, -r.share))
    )


def side_by_side(
    pair: Pair,
    left: SourceTree | None,
    right: SourceTree | None,
    left_base: Sequence[Span] = (),
    right_base: Sequence[Span] = (),
) -> SideBySide:
    """What the page of a pair shows. A tree is None where its text is not at hand (an archive keeps
    hashes only): its side stays empty."""
    regions = regions_of(pair)
    return SideBySide(
        left=_side(pair.left, left, [region.left for region in regions], left_base),
        right=_side(pair.right, right, [region.right for region in regions], right_base),
        regions=regions,
    )


def _side(name: str, tree: SourceTree | None, spans: Sequence[Span], base: Sequence[Span]) -> Side:
    if tree is None:
        return Side(name, (), 0)
    budget = SIDE_LINES
    panes, left_out = [], 0
    touched = {(span.path, span.cell) for span in spans}
    for text in sorted(tree.texts, key=lambda text: (text.path, text.cell) not in touched):
        pane = _pane(text, spans, base, budget)
        if budget <= 0:
            left_out += 1
            continue
        budget -= sum(isinstance(row, Line) for row in pane.rows)
        panes.append(pane)
    return Side(name, tuple(panes), left_out)


def _pane(text: SourceText, spans: Sequence[Span], base: Sequence[Span], budget: int) -> FilePane:
    here: Place = (text.path, text.cell)
    lines = text.text.splitlines()
    owner: dict[int, int] = {}
    for number, span in enumerate(spans):
        if (span.path, span.cell) == here:
            for line in range(max(span.first_line, 1), min(span.last_line, len(lines)) + 1):
                owner.setdefault(line, number)
    grey = {
        line
        for span in base
        if (span.path, span.cell) == here
        for line in range(max(span.first_line, 1), min(span.last_line, len(lines)) + 1)
    }
    shown = _shown_lines(len(lines), owner, min(budget, SIDE_LINES))
    title = text.path if text.cell is None else f"{text.path}, cell {text.cell}"
    return FilePane(
        title=title,
        matched=bool(owner),
        rows=tuple(_rows(lines, shown, owner, grey)),
        lines=len(lines),
    )


def _shown_lines(count: int, owner: dict[int, int], budget: int) -> set[int]:
    if not owner:
        return set(range(1, min(count, _UNMATCHED_LINES, budget) + 1))
    if count <= min(_WHOLE_FILE_LINES, budget):
        return set(range(1, count + 1))
    shown: set[int] = set()
    for line in sorted(owner):
        if len(shown) >= budget:
            break
        shown.update(range(max(1, line - _CONTEXT_LINES), min(count, line + _CONTEXT_LINES) + 1))
    return shown


def _rows(
    lines: Sequence[str], shown: set[int], owner: dict[int, int], grey: set[int]
) -> Iterator[Line | Gap]:
    for visible, numbers in groupby(range(1, len(lines) + 1), key=shown.__contains__):
        run = list(numbers)
        if not visible:
            yield Gap(len(run))
            continue
        for number in run:
            text = printable(shortened(lines[number - 1], _LINE_CHARS)[0].replace("\n", " "))
            yield Line(number, text, owner.get(number), number in grey)
