"""Where the marks of the class's drawings go: geometry only, in the pixels of their viewBox."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from grader.render.printable import printable, width_cells
from grader.render.similarity.links import pair_path
from grader.similarity.model import ClassSimilarity, Cluster, Pair

MATRIX_SUBMISSIONS = 60  # more do not fit: those with the highest scores are shown
_CELL_PX, _LEAST_CELL_PX, _MATRIX_PX = 26.0, 9.0, 760
_NAME_CHARS, _CHAR_PX = 18, 6.6
_GRAPH_PX, _NODE_PX = 320, 13.0
_RING_PX, _NUMBERED_NODE_PX = 130.0, 9.0


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """One pair; `opacity` grows with the score; `href` is its page, where there is one."""

    x: float
    y: float
    opacity: float
    flagged: bool
    label: str
    href: str | None


@dataclass(frozen=True, slots=True)
class Label:
    """A name beside the matrix or in the graph."""

    x: float
    y: float
    text: str


@dataclass(frozen=True, slots=True)
class Matrix:
    """The lower triangle: every two of the shown submissions once. `names` stand left of the rows,
    `heads` over the columns, at the ends of the rows."""

    width: float
    height: float
    cell: float
    names: tuple[Label, ...]
    heads: tuple[Label, ...]
    cells: tuple[MatrixCell, ...]
    shown: int
    left_out: int


def matrix(result: ClassSimilarity) -> Matrix:
    """The scores of the class. Members of a cluster stand beside each other; where there are more
    than MATRIX_SUBMISSIONS, those with the highest scores are shown."""
    scores = {tuple(sorted(key)): value for key, value in result.scores.items()}
    pairs = {pair.key: pair for pair in result.pairs if not pair.archived}
    further = {pair.key: pair for pair in result.further if not pair.archived}
    scores |= {tuple(sorted(key)): pair.score for key, pair in (pairs | further).items()}
    names = _matrix_order(result, scores)
    cell = min(_CELL_PX, max(_LEAST_CELL_PX, _MATRIX_PX / max(len(names), 1)))
    texts = [_cut(name) for name in names]
    margin = max(map(width_cells, texts), default=0) * _CHAR_PX + 10
    cells = []
    for row, name in enumerate(names):
        for column in range(row):
            key = _key(name, names[column])
            score = scores.get(key, 0.0)
            pair = pairs.get(key)
            known = pair or further.get(key)
            if score <= 0 and known is None:
                continue
            cells.append(
                MatrixCell(
                    x=round(margin + column * cell, 2),
                    y=round(row * cell, 2),
                    opacity=round(0.08 + 0.92 * min(max(score, 0.0), 1.0) ** 1.5, 3),
                    flagged=known is not None and known.flagged,
                    label=f"{key[0]} and {key[1]}: {score:.2f}",
                    href=None if pair is None else pair_path(pair),
                )
            )
    return Matrix(
        width=round(2 * margin + max(len(names) - 1, 1) * cell + 8, 2),
        height=round(len(names) * cell + 8, 2),
        cell=cell,
        names=tuple(
            Label(margin - 6, round((row + 0.5) * cell + 4, 2), text)
            for row, text in enumerate(texts)
            if row
        ),
        heads=tuple(
            Label(round(margin + row * cell + 6, 2), round((row + 0.5) * cell + 4, 2), text)
            for row, text in enumerate(texts[:-1])
        ),
        cells=tuple(cells),
        shown=len(names),
        left_out=len(result.submissions) - len(names),
    )


def _key(one: str, other: str) -> tuple[str, str]:
    return (one, other) if one < other else (other, one)


def _matrix_order(result: ClassSimilarity, scores: Mapping[tuple[str, ...], float]) -> list[str]:
    known = {summary.name for summary in result.submissions}
    best = dict.fromkeys(known, 0.0)
    for key, score in scores.items():
        for name in key:
            if name in best:
                best[name] = max(best[name], score)
    kept = set(sorted(known, key=lambda name: (-best[name], name))[:MATRIX_SUBMISSIONS])
    ordered = [name for cluster in result.clusters for name in cluster.members if name in kept]
    rest = sorted(kept.difference(ordered), key=lambda name: (-best[name], name))
    return [*dict.fromkeys(ordered), *rest]


@dataclass(frozen=True, slots=True)
class Node:
    """A submission of a cluster, numbered; the list below the drawing says who it is."""

    x: float
    y: float
    number: int
    name: str


@dataclass(frozen=True, slots=True)
class Edge:
    """A flagged pair; `width` grows with the score."""

    x1: float
    y1: float
    x2: float
    y2: float
    width: float
    label: str
    href: str | None


@dataclass(frozen=True, slots=True)
class Graph:
    """One cluster as a ring of numbered nodes."""

    width: int
    height: int
    node: float
    numbered: bool  # whether a number fits into a node
    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


def graph(cluster: Cluster, pairs: Mapping[tuple[str, str], Pair]) -> Graph:
    """A cluster's members on a circle, the first at the top, joined by its pairs."""
    count = len(cluster.members)
    node = min(_NODE_PX, max(4.0, math.pi * _RING_PX / max(count, 1) * 0.8))
    places = {
        name: (
            round(_GRAPH_PX / 2 + _RING_PX * math.sin(2 * math.pi * index / count), 2),
            round(_GRAPH_PX / 2 - _RING_PX * math.cos(2 * math.pi * index / count), 2),
        )
        for index, name in enumerate(cluster.members)
    }
    edges = []
    for left, right in cluster.pairs:
        if left not in places or right not in places:
            continue
        pair = pairs.get((left, right))
        score = 0.5 if pair is None else pair.score
        edges.append(
            Edge(
                *places[left],
                *places[right],
                width=round(1 + 5 * min(max(score, 0.0), 1.0), 2),
                label=f"{left} and {right}: {score:.2f}",
                href=None if pair is None else pair_path(pair),
            )
        )
    return Graph(
        width=_GRAPH_PX,
        height=_GRAPH_PX,
        node=round(node, 2),
        numbered=node >= _NUMBERED_NODE_PX,
        nodes=tuple(
            Node(*places[name], number, name) for number, name in enumerate(cluster.members, 1)
        ),
        edges=tuple(edges),
    )


def _cut(name: str) -> str:
    shown = printable(name)
    return shown if len(shown) <= _NAME_CHARS else f"{shown[: _NAME_CHARS - 1]}…"
