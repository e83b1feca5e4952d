"""Put what temporaries stand for where they are used: `t = a * b; y = f(t)` → `y = f(a * b)`."""

from __future__ import annotations

from bisect import bisect_left

import numpy as np
import numpy.typing as npt

Positions = npt.NDArray[np.int64]


def inlined_order(
    count: int, inlines: list[tuple[int, int, int, int]]
) -> tuple[Positions, Positions, Positions]:
    """The order of `count` tokens after every (start, value, end, used) was put in its place.

    Returns `order` (indices of the tokens that stay) and, for each old token, `first` and `last`:
    where it, or what stands in its place, begins and ends (exclusive) in the new order; both are
    -1 for a token that is gone.
    """
    first = np.full(count, -1, np.int64)
    last = np.full(count, -1, np.int64)
    pieces: list[tuple[int, int]] = []
    length = 0
    cuts = {start: end for start, _, end, _ in inlines}
    uses = {used: (value, end) for _, value, end, used in inlines}
    events = sorted({*cuts, *uses})
    # Slices still to be written, innermost last: (position, end, token that it replaces).
    waiting = [(0, count, -1)]
    while waiting:
        position, end, replaced = waiting.pop()
        index = bisect_left(events, position)
        stop = events[index] if index < len(events) and events[index] < end else end
        if stop > position:
            pieces.append((position, stop))
            where = np.arange(length, length + stop - position)
            first[position:stop] = where
            last[position:stop] = where + 1
            length += stop - position
        if stop >= end:
            if replaced >= 0:
                last[replaced] = length
            continue
        if stop in uses:
            value, value_end = uses[stop]
            first[stop] = length
            waiting.append((stop + 1, end, replaced))
            waiting.append((value, value_end, stop))
        else:
            waiting.append((cuts[stop], end, replaced))
    order = (
        np.concatenate([np.arange(start, stop) for start, stop in pieces])
        if pieces
        else np.zeros(0, np.int64)
    )
    return order, first, last
