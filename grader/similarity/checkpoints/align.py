"""Undo a reordering of channels: which filter of one network is which filter of another?

A network computes the same when the filters of a layer are put in another order and the next
layer's inputs with them, so that copied weights can look unrelated. Each tensor is aligned by
itself, without knowing how the layers are wired: rows (filters) and columns (inputs) are first
matched by what a reordering of the other side cannot change, the sorted norms of their slices, and
then by their inner products, in turns, until nothing moves any more.

Source: Ainsworth, Hayase and Srinivasa, "Git Re-Basin" (ICLR 2023, arXiv 2209.04836), section 3.2:
weight matching as linear assignment problems, solved in turns. Theirs follows the wiring; ours
needs none and is only asked whether a reordering exists, not how to merge the networks.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float32]
Order = npt.NDArray[np.intp]

_ROUNDS = 6
_TINY = 1e-12


def best_assignment(profit: npt.NDArray[np.floating]) -> Order:
    """The column of each row of a square `profit` (n, n) with the largest sum, each used once.

    Where every row's own best column is another one, that is the answer; else the Hungarian
    method with shortest augmenting paths (Jonker and Volgenant, Computing 38, 1987), O(n³).
    """
    best: Order = profit.argmax(axis=1)
    size = len(best)
    if len(np.unique(best)) == size:
        return best
    cost = np.asarray(-profit, np.float64)
    row_price, column_price = np.zeros(size + 1), np.zeros(size + 1)
    # Row and column 0 stand for "not matched yet"; `owner` is the row that holds a column.
    owner, came_from = np.zeros(size + 1, np.intp), np.zeros(size + 1, np.intp)
    for row in range(1, size + 1):
        owner[0], column = row, 0
        distance = np.full(size + 1, math.inf)
        reached = np.zeros(size + 1, bool)
        while True:
            reached[column] = True
            holder = owner[column]
            step = cost[holder - 1] - row_price[holder] - column_price[1:]
            shorter = ~reached[1:] & (step < distance[1:])
            distance[1:][shorter] = step[shorter]
            came_from[1:][shorter] = column
            nearest = int(np.where(reached[1:], math.inf, distance[1:]).argmin()) + 1
            shift = distance[nearest]
            row_price[owner[reached]] += shift
            column_price[reached] -= shift
            distance[~reached] -= shift
            column = nearest
            if owner[column] == 0:
                break
        while column:
            owner[column] = owner[came_from[column]]
            column = came_from[column]
    answer: Order = np.empty(size, np.intp)
    answer[owner[1:] - 1] = np.arange(size)
    return answer


def aligned_cosine(first: Floats, second: Floats) -> float:
    """Cosine of two weights of one shape after the best reordering that was found.

    first, second: (out, in, …). Every filter is scaled to length 1 before, because a normalisation
    behind it takes its length back out; 0.0 where a tensor is all zeros.
    """
    ours, theirs = _unit_filters(first), _unit_filters(second)
    rows = best_assignment(_closeness(_row_signature(ours), _row_signature(theirs)))
    columns = best_assignment(
        _closeness(_row_signature(_turned(ours)), _row_signature(_turned(theirs)))
    )
    reached = -math.inf
    for _ in range(_ROUNDS):
        rows = best_assignment(_flat(ours) @ _flat(theirs[:, columns]).T)
        products = _flat(_turned(ours)) @ _flat(_turned(theirs[rows])).T
        columns = best_assignment(products)
        now = float(products[np.arange(len(columns)), columns].sum())
        if now <= reached + 1e-6:
            break
        reached = now
    lengths = float(np.linalg.norm(ours) * np.linalg.norm(theirs))
    return reached / lengths if lengths > _TINY else 0.0


def _unit_filters(weight: Floats) -> Floats:
    """(out, in, numbers per input), every filter of length 1 or 0."""
    flat = np.asarray(weight, np.float32).reshape(len(weight), -1)
    lengths = np.linalg.norm(flat, axis=1, keepdims=True)
    unit: Floats = np.divide(flat, lengths, out=np.zeros_like(flat), where=lengths > _TINY)
    return unit.reshape(weight.shape[0], weight.shape[1], -1)


def _row_signature(weight: Floats) -> Floats:
    """(out, in): the sorted norms of a row's slices, the same in whatever order the inputs come."""
    signature: Floats = np.sort(np.linalg.norm(weight, axis=2), axis=1)
    return signature


def _closeness(ours: Floats, theirs: Floats) -> Floats:
    """(n, n): minus half the squared distance of each row to each row."""
    closeness: Floats = (
        ours @ theirs.T
        - 0.5 * (ours**2).sum(axis=1)[:, None]
        - 0.5 * (theirs**2).sum(axis=1)[None, :]
    )
    return closeness


def _turned(weight: Floats) -> Floats:
    return weight.transpose(1, 0, 2)


def _flat(weight: Floats) -> Floats:
    return weight.reshape(len(weight), -1)
