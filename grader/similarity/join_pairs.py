"""Pairs → the groups that they join."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable


def join_pairs(pairs: Iterable[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Everybody whom `pairs` join: a sorted tuple for each group, in the order of their firsts."""
    leader: dict[str, str] = {}

    def first_of(name: str) -> str:
        while leader.setdefault(name, name) != name:
            leader[name] = leader[leader[name]]
            name = leader[name]
        return name

    for one, other in pairs:
        leader[first_of(one)] = first_of(other)
    members: dict[str, list[str]] = defaultdict(list)
    for name in sorted(leader):
        members[first_of(name)].append(name)
    return [tuple(group) for group in members.values()]
