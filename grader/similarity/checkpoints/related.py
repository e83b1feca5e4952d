"""The checkpoints of a class: traces in, evidence per pair out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy.typing as npt

from grader.model import Finding
from grader.similarity.checkpoints.candidates import Candidates, PairKey, find_candidates
from grader.similarity.checkpoints.compare import CheckpointComparison, compare_checkpoints
from grader.similarity.checkpoints.describe import CheckpointTrace
from grader.similarity.checkpoints.judge import (
    BEYOND_START,
    SHARED_START,
    Circumstances,
    judge_checkpoints,
    judge_same_file,
    judge_shared_start,
)
from grader.similarity.checkpoints.public import (
    PublicMatch,
    Published,
    find_public,
    public_finding,
    shipped,
)
from grader.similarity.model import Evidence

# Opens the weights of a key again: name → array; called for candidates only.
Fetch = Callable[[str], Mapping[str, npt.NDArray[Any]]]
_KEPT_OPEN = 8


@dataclass(frozen=True, slots=True)
class RelatedCheckpoints:
    """`pairs`: (left, right) → evidence; `findings`: key → what its weights say alone; `groups`:
    keys that share a start; `left_out`: how many pairs agree that were too many to be opened."""

    pairs: Mapping[PairKey, tuple[Evidence, ...]]
    findings: Mapping[str, tuple[Finding, ...]]
    groups: tuple[tuple[str, ...], ...]
    left_out: int = 0


def relate_checkpoints(
    traces: Sequence[CheckpointTrace],
    fetch: Fetch,
    *,
    from_scratch: bool = True,
    published: Published | None = None,
) -> RelatedCheckpoints:
    """Search a class. `from_scratch`: whether public weights were not allowed, so that deriving
    from them is a finding of its own; `published`: those known, by default `shipped()`.
    """
    known_weights = shipped() if published is None else published
    by_key = {trace.key: trace for trace in traces}
    opened = lru_cache(maxsize=_KEPT_OPEN)(fetch)
    candidates = find_candidates(traces)
    public = {trace.key: find_public(trace, known_weights) for trace in traces}
    pairs: dict[PairKey, tuple[Evidence, ...]] = {}
    compared: dict[tuple[str, str], CheckpointComparison] = {}  # many may hold the same files
    for left, right in candidates.to_open:
        known = _circumstances(by_key[left], by_key[right], candidates, public)
        if known.same_file:
            pairs[left, right] = judge_same_file(known.public)
            continue
        files = by_key[left].sha256, by_key[right].sha256
        comparison = compared.get(files)
        if comparison is None:
            comparison = compared[files] = compare_checkpoints(
                by_key[left], opened(left), by_key[right], opened(right)
            )
        evidence = judge_checkpoints(comparison, known)
        if evidence:
            pairs[left, right] = evidence
    for key in candidates.beyond_start:
        estimate = candidates.estimates.get(key, 0.0)
        if key not in pairs and key not in candidates.left_out and estimate >= SHARED_START:
            known = _circumstances(by_key[key[0]], by_key[key[1]], candidates, public)
            pairs[key] = (judge_shared_start(estimate, known),)
    findings = {
        key: (public_finding(match, by_key[key].path or None),)
        for key, match in public.items()
        if match is not None and from_scratch
    }
    # A group in which nobody's training added anything of its own is one copy, and no shared start.
    own = {
        key for pair, left in candidates.beyond_start.items() if left < BEYOND_START for key in pair
    }
    return RelatedCheckpoints(
        pairs,
        findings,
        tuple(group for group in candidates.shared_start if not own.isdisjoint(group)),
        left_out=len(candidates.left_out),
    )


def _circumstances(
    left: CheckpointTrace,
    right: CheckpointTrace,
    candidates: Candidates,
    public: Mapping[str, PublicMatch | None],
) -> Circumstances:
    key = (left.key, right.key)
    group = next((len(g) for g in candidates.shared_start if left.key in g and right.key in g), 0)
    ours, theirs = public[left.key], public[right.key]
    both = ours is not None and theirs is not None and ours.name == theirs.name
    return Circumstances(
        same_file=left.sha256 == right.sha256,
        beyond_start=candidates.beyond_start.get(key),
        group=group,
        public=ours.name if both and ours is not None else "",
    )
