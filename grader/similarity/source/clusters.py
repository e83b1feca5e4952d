"""Flagged pairs → groups of submissions that they join."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

from grader.similarity.join_pairs import join_pairs
from grader.similarity.model import Cluster, Pair


def find_clusters(pairs: Iterable[Pair]) -> tuple[Cluster, ...]:
    """The connected components of the flagged pairs, the highest score first; within one, members
    in the order of what joins them to the others."""
    flagged = [pair for pair in pairs if pair.flagged]
    group_of = {name: group for group in join_pairs(p.key for p in flagged) for name in group}
    groups: dict[tuple[str, ...], list[Pair]] = defaultdict(list)
    for pair in flagged:
        groups[group_of[pair.left]].append(pair)
    clusters = []
    for group in groups.values():
        joined: dict[str, float] = {}
        for pair in group:
            for name in pair.key:
                joined[name] = joined.get(name, 0.0) + pair.score
        clusters.append(
            Cluster(
                members=tuple(sorted(joined, key=lambda name: (-joined[name], name))),
                pairs=tuple(pair.key for pair in group),
                score=max(pair.score for pair in group),
            )
        )
    return tuple(sorted(clusters, key=lambda cluster: (-cluster.score, cluster.members)))
