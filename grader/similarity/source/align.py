"""Two token sequences → the lines on both sides that say the same.

Greedy string tiling (Wise, 1993) on common stretches of tokens: the longest first, no token twice.
Then statements and calls that both hold, in functions that already have something in common: what
was reordered or torn apart by dead code.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from grader.similarity.model import Region, SourceTree, Span
from grader.similarity.source.fingerprint import (
    NO_BASE,
    BaseCode,
    Tokens,
    feature_hashes,
    file_hash,
)
from grader.similarity.source.linearise import SHAPE
from grader.similarity.source.slice_hashes import Hashes, SliceHashes

Ints = npt.NDArray[np.int64]
Marks = npt.NDArray[np.bool_]

_STRETCH = 12  # tokens; shorter stretches are common by chance
_MAX_REPEATS = 6  # places of one stretch that are tried
_MAX_REGIONS = 200
_GAP_LINES = 3  # regions as near as that on both sides are one


@dataclass(frozen=True, slots=True)
class Side:
    """One submission as it is aligned: what is base code is not matched."""

    tree: SourceTree
    tokens: Tokens
    base: Marks  # (n,)
    given: BaseCode = NO_BASE


@dataclass(slots=True)
class _Tile:
    """Lines [first, last] of text `text` on each side, and how many tokens say the same."""

    left_text: int
    left: tuple[int, int]
    right_text: int
    right: tuple[int, int]
    weight: int


def align(left: Side, right: Side) -> tuple[Region, ...]:
    """The regions of a pair, by their place on the left."""
    taken_left, taken_right = left.base.copy(), right.base.copy()
    tiles = list(_tile(left, right, taken_left, taken_right))
    tiles += _loose(left, right, taken_left, taken_right, tiles)
    merged = _merged(tiles)
    total = sum(tile.weight for tile in merged)
    merged = sorted(merged, key=lambda tile: -tile.weight)[:_MAX_REGIONS]
    merged.sort(key=lambda tile: (tile.left_text, tile.left))
    moved = _out_of_order([(tile.right_text, tile.right[0]) for tile in merged])
    return tuple(
        Region(
            left=span(left.tree, tile.left_text, *tile.left),
            right=span(right.tree, tile.right_text, *tile.right),
            share=tile.weight / total,
            moved=place in moved,
        )
        for place, tile in enumerate(merged)
    )


def base_spans(side: Side) -> tuple[Span, ...]:
    """The lines of base code of one submission."""
    spans: list[Span] = []
    for text, (start, end) in enumerate(_bounds(side.tokens)):
        source = side.tree.texts[text]
        if file_hash(source) in side.given.files:
            spans.append(span(side.tree, text, 1, source.text.count("\n") + 1))
            continue
        lines = np.unique(side.tokens.lines[start:end][side.base[start:end]])
        for stretch in np.split(lines, np.flatnonzero(np.diff(lines) > _GAP_LINES) + 1):
            spans += [
                span(side.tree, text, int(first), int(last))
                for first, last in zip(stretch[:1], stretch[-1:], strict=True)
            ]
    return tuple(spans)


def span(tree: SourceTree, text: int, first: int, last: int) -> Span:
    """Lines of a text of the tree."""
    return Span(tree.texts[text].path, first, last, tree.texts[text].cell)


# ------------------------------------------------------------------------------- in order


def _tile(left: Side, right: Side, taken_left: Marks, taken_right: Marks) -> Iterator[_Tile]:
    starts_left, starts_right = _seeds(left, right)
    diagonals = starts_left - starts_right
    order = np.lexsort((starts_left, diagonals))
    starts_left, starts_right, diagonals = (
        starts_left[order],
        starts_right[order],
        diagonals[order],
    )
    breaks = (np.diff(starts_left) != 1) | (np.diff(diagonals) != 0)
    begins = np.concatenate([[0], np.flatnonzero(breaks) + 1])[: len(starts_left)]
    ends = np.append(begins[1:], len(starts_left))
    lengths = ends - begins + _STRETCH - 1
    for run in np.argsort(-lengths, kind="stable"):
        i, j, length = starts_left[begins[run]], starts_right[begins[run]], lengths[run]
        free = ~(taken_left[i : i + length] | taken_right[j : j + length])
        edges = np.flatnonzero(np.diff(np.concatenate([[0], free.astype(np.int8), [0]])))
        for first, last in zip(edges[::2], edges[1::2], strict=True):
            if last - first >= _STRETCH:
                taken_left[i + first : i + last] = True
                taken_right[j + first : j + last] = True
                yield from _by_text(left, right, i + first, j + first, int(last - first))


def _seeds(left: Side, right: Side) -> tuple[Ints, Ints]:
    """Starts of the stretches that both hold, each with a few of the other's."""
    grams_left = _own_stretches(left)
    grams_right = _own_stretches(right)
    order = np.argsort(grams_right[0], kind="stable")
    hashes, places = grams_right[0][order], grams_right[1][order]
    begins = np.searchsorted(hashes, grams_left[0], "left")
    counts = np.searchsorted(hashes, grams_left[0], "right") - begins
    found_left, found_right = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
    for repeat in range(_MAX_REPEATS):
        more = counts > repeat
        found_left.append(grams_left[1][more])
        found_right.append(places[begins[more] + repeat])
    return np.concatenate(found_left), np.concatenate(found_right)


def _own_stretches(side: Side) -> tuple[Hashes, Ints]:
    """Hashes and starts of the stretches inside one text that are not all base code."""
    grams = SliceHashes(side.tokens.tokens).grams(_STRETCH)
    base = np.concatenate([[0], np.cumsum(side.base)])
    own = (base[_STRETCH:] - base[:-_STRETCH])[: len(grams)] < _STRETCH
    for start in side.tokens.starts[1:-1]:
        own[max(0, start - _STRETCH + 1) : start] = False
    places = np.flatnonzero(own)
    return grams[places], places


def _by_text(left: Side, right: Side, i: int, j: int, length: int) -> Iterator[_Tile]:
    """A tile of tokens as lines."""
    rows_left = left.tokens.lines[i : i + length]
    rows_right = right.tokens.lines[j : j + length]
    yield _Tile(
        _text_of(left.tokens, i),
        (int(rows_left.min()), int(rows_left.max())),
        _text_of(right.tokens, j),
        (int(rows_right.min()), int(rows_right.max())),
        length,
    )


# ------------------------------------------------------------------------------- in any order


def _loose(
    left: Side, right: Side, taken_left: Marks, taken_right: Marks, tiles: list[_Tile]
) -> Iterator[_Tile]:
    """Statements and calls that both hold, outside of the tiles."""
    related = {(tile.left_text, tile.right_text) for tile in tiles}
    by_hash: dict[int, list[tuple[int, int]]] = {}
    for value, start, end in _free_features(right, taken_right):
        by_hash.setdefault(value, []).append((start, end))
    for value, start, end in _free_features(left, taken_left):
        if taken_left[start:end].any():
            continue
        candidates = [
            place for place in by_hash.get(value, ()) if not taken_right[slice(*place)].any()
        ]
        text = _text_of(left.tokens, start)
        near = [
            place for place in candidates if (text, _text_of(right.tokens, place[0])) in related
        ]
        if not candidates or (len(candidates) > 1 and len(near) != 1):
            continue  # it stands in several places: none of them is *the* other side
        other = (near or candidates)[0]
        taken_left[start:end] = True
        taken_right[slice(*other)] = True
        yield from _by_text(left, right, start, other[0], end - start)


def _free_features(side: Side, taken: Marks) -> Iterator[tuple[int, int, int]]:
    """(hash, start, end) of the whole statements and calls, the largest first."""
    hashes, rows = feature_hashes(side.tokens)
    count = len(side.tokens.features)
    hashes, rows = hashes[:count], rows[:count]
    sizes = rows[:, 2] - rows[:, 1]
    for row in np.argsort(-sizes, kind="stable"):
        kind, start, end = (int(value) for value in rows[row, :3])
        if kind != SHAPE and end - start >= _STRETCH // 2 and not taken[start:end].any():
            yield int(hashes[row]), start, end


# ------------------------------------------------------------------------------- lines


def _merged(tiles: list[_Tile]) -> list[_Tile]:
    """Neighbours on both sides become one."""
    merged: list[_Tile] = []
    for tile in sorted(tiles, key=lambda t: (t.left_text, t.right_text, t.left, t.right)):
        last = merged[-1] if merged else None
        if (
            last is not None
            and (last.left_text, last.right_text) == (tile.left_text, tile.right_text)
            and tile.left[0] - last.left[1] <= _GAP_LINES
            and -_GAP_LINES <= tile.right[0] - last.right[1] <= _GAP_LINES
        ):
            last.left = (last.left[0], max(last.left[1], tile.left[1]))
            last.right = (min(last.right[0], tile.right[0]), max(last.right[1], tile.right[1]))
            last.weight += tile.weight
        else:
            merged.append(tile)
    return merged


def _out_of_order(places: list[tuple[int, int]]) -> set[int]:
    """Which of them are outside a longest increasing subsequence: those were moved."""
    tails: list[tuple[int, int]] = []
    at: list[int] = []
    before: list[int] = []
    for index, place in enumerate(places):
        position = bisect_left(tails, place)
        if position == len(tails):
            tails.append(place)
            at.append(index)
        else:
            tails[position] = place
            at[position] = index
        before.append(at[position - 1] if position else -1)
    kept = set()
    index = at[-1] if at else -1
    while index >= 0:
        kept.add(index)
        index = before[index]
    return set(range(len(places))) - kept


def _text_of(tokens: Tokens, place: int) -> int:
    return int(np.searchsorted(tokens.starts, place, "right")) - 1


def _bounds(tokens: Tokens) -> Iterator[tuple[int, int]]:
    return zip(tokens.starts[:-1].tolist(), tokens.starts[1:].tolist(), strict=True)
