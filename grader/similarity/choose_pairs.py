"""Which pairs of a ranking are shown in full: a bounded number, and everybody flagged among them.

Where hundreds hand in nearly the same, pairs grow with the square of the class, and so would their
regions, pages and files. Nobody reads them; each one's nearest neighbour and the highest scores
tell the same.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from grader.similarity.model import Evidence, Pair

LEAST_SHOWN, MOST_SHOWN = 200, 500  # pairs of a small and of a large class

Ranking = Sequence[tuple[str, str, bool]]


def most_shown(submissions: int) -> int:
    """How many pairs of a class of so many are shown in full: one each, within the two bounds."""
    return min(max(submissions, LEAST_SHOWN), MOST_SHOWN)


def choose_pairs(ranked: Ranking, most: int) -> list[int]:
    """Of (left, right, flagged), the most important first, the positions of at most `most` pairs,
    in their order: for each submission of a flagged pair the first one that it is in, then the
    first ones of all."""
    if len(ranked) <= most:
        return list(range(len(ranked)))
    seen: set[str] = set()
    chosen: list[int] = []
    for position, (left, right, flagged) in enumerate(ranked):
        if flagged and not (left in seen and right in seen):
            seen |= {left, right}
            chosen.append(position)
    chosen = chosen[:most]
    taken = set(chosen)
    for position in range(len(ranked)):
        if len(chosen) >= most:
            break
        if position not in taken:
            chosen.append(position)
    return sorted(chosen)


def divide_pairs(
    pairs: Iterable[Pair], submissions: int
) -> tuple[tuple[Pair, ...], tuple[Pair, ...]]:
    """Pairs that are shown in full, and the others, each flagged first and the highest score first;
    of equal ones those that have regions."""
    ranked = sorted(
        pairs,
        key=lambda pair: (not pair.flagged, -pair.score, not _has_regions(pair.evidence), pair.key),
    )
    chosen = choose_pairs(
        [(pair.left, pair.right, pair.flagged) for pair in ranked], most_shown(submissions)
    )
    inside = set(chosen)
    shown = sorted((ranked[i] for i in chosen), key=_rank)
    others = [pair for i, pair in enumerate(ranked) if i not in inside]
    return tuple(shown), tuple(sorted(others, key=_rank))


def note_of_further(further: Iterable[Pair]) -> tuple[str, ...]:
    """What is said of flagged pairs that are not shown in full, if there are any."""
    count = sum(pair.flagged for pair in further)
    if not count:
        return ()
    return (
        f"of {count} flagged pairs only the score was kept, for the table (CSV) and the groups: "
        "there are more than anybody reads, so regions were found for the best pair of each "
        "submission and the best of all",
    )


def _rank(pair: Pair) -> tuple[bool, float, tuple[str, str]]:
    return not pair.flagged, -pair.score, pair.key


def _has_regions(evidence: tuple[Evidence, ...]) -> bool:
    return any(found.regions for found in evidence)
