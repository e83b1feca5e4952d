"""What a comparison of two checkpoints means, in words that accuse nobody.

The bounds come from networks trained for the purpose; docs/similarity.md has the table, and
tests/unit/similarity/test_checkpoints.py trains some again.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from grader.similarity.checkpoints.compare import CheckpointComparison, Direction
from grader.similarity.model import Channel, Evidence, Strength

NEARLY_EQUAL = 0.9
SHARED_START = 0.5
BEYOND_START = 0.5
_SOME_LAYERS = 0.02  # of the numbers; less is a tiny layer that nobody trained
_MOST_MATCHED = 0.5

_SAME_RUN = (
    "Two people who ran the same starter code with the same seed on the same kind of machine can "
    "get the same numbers; otherwise training never does: ask for the log of the run."
)
_COSINE = (
    "Cosine of all weights of the two networks: 1 is the same direction, 0 is unrelated. Biases "
    "and normalisation scales are left out, because they start alike in every network."
)
_ESTIMATED = f"{_COSINE} Estimated here from sketches, right to about 0.05."
_COSINE_HONEST = (
    "Networks trained apart from different seeds stay between -0.05 and 0.05. Networks that "
    "started from one seed and were trained apart stay between 0.5 and 0.9, above it only after "
    "very short training."
)
_ALIGNED_HONEST = (
    "Networks trained apart reach 0.1 to 0.5 when their channels are put into the best order; "
    "none of those measured reached 0.6."
)


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What is known beside the two checkpoints.

    `same_file`: byte for byte; `beyond_start`: see `find_candidates`, None outside such a group;
    `group`: how many share the start; `public`: the public weights that both derive from.
    """

    same_file: bool = False
    beyond_start: float | None = None
    group: int = 0
    public: str = ""


def judge_checkpoints(
    comparison: CheckpointComparison, known: Circumstances
) -> tuple[Evidence, ...]:
    """The evidence of one pair, the weightiest first; empty where there is nothing to tell."""
    if known.same_file:
        return judge_same_file(known.public)
    if comparison.matched < _MOST_MATCHED:
        return ()
    if comparison.same > 1 - 1e-9:
        what = "All weights of the two checkpoints are equal to the last bit; only the files differ"
        return (_equal("same-weights", what, known, comparison),)
    if comparison.rounded > 1 - 1e-9:
        what = "All weights of the two checkpoints are equal once they are rounded to float16"
        return (_equal("same-weights", what, known, comparison),)
    found = []
    if comparison.cosine >= NEARLY_EQUAL:
        found.append(_nearly_equal(comparison, known))
    elif comparison.aligned is not None and comparison.aligned >= NEARLY_EQUAL:
        found.append(_reordered(comparison))
    elif comparison.cosine >= SHARED_START:
        found.append(_shared_start(comparison, known))
    if comparison.same > _SOME_LAYERS:
        found.append(_same_layers(comparison, known))
    return tuple(found)


@lru_cache(maxsize=64)  # hundreds may hand in one file, and one evidence then serves all pairs
def judge_same_file(public: str) -> tuple[Evidence, ...]:
    """Of two files that are equal byte for byte; `public`: the public weights that they are."""
    what = "The two checkpoints are the same file, byte for byte"
    return (_equal("same-file", what, Circumstances(same_file=True, public=public)),)


def judge_shared_start(estimate: float, known: Circumstances) -> Evidence:
    """Of a pair inside a group that shares a start, which was not opened: `estimate` is the cosine
    from sketches."""
    return Evidence(
        channel=Channel.CHECKPOINT,
        code=_code("shared-start"),
        strength=Strength.CONTEXT,
        message=_of_a_group(known.group),
        meaning=_ESTIMATED,
        honest=_COSINE_HONEST,
        value=round(estimate, 2),
        unit="cosine",
        details={"group": known.group, "beyond_start": known.beyond_start},
    )


@lru_cache(maxsize=64)  # one text for all pairs of a group
def _of_a_group(group: int) -> str:
    return (
        f"Shared seed? {group} checkpoints of the class started from the same weights, as when "
        "everybody runs the starter code's seed; nothing beyond that is shared."
    )


def _code(name: str) -> str:
    return f"{Channel.CHECKPOINT}.{name}"


def _equal(
    name: str, what: str, known: Circumstances, comparison: CheckpointComparison | None = None
) -> Evidence:
    direction = None if comparison is None else _direction(comparison)
    explained = f". Both are the public weights {known.public}" if known.public else ""
    return Evidence(
        channel=Channel.CHECKPOINT,
        code=_code(name),
        strength=Strength.CONTEXT if known.public else Strength.STRONG,
        message=f"{what}{explained}.{_because(direction)}",
        meaning="Whether the numbers of the two networks are the same.",
        honest=_SAME_RUN,
        direction=None if direction is None else direction.first,
    )


def _nearly_equal(comparison: CheckpointComparison, known: Circumstances) -> Evidence:
    direction = _direction(comparison)
    strength, explained = Strength.STRONG, ""
    if known.public:
        strength = Strength.CONTEXT
        explained = f" Both derive from the public weights {known.public}, which explains it."
    elif known.beyond_start is not None and known.beyond_start < BEYOND_START:
        strength = Strength.CONTEXT
        explained = (
            f" Shared seed? {known.group} checkpoints of the class started from the same weights; "
            f"what training added to these two has a cosine of {known.beyond_start:.2f}."
        )
    elif known.beyond_start is not None:
        explained = (
            f" {known.group} checkpoints of the class started from the same weights, but what "
            f"training added to these two agrees as well: cosine {known.beyond_start:.2f}."
        )
    how = "The two networks have nearly the same weights, as after further training"
    if comparison.noise is not None:
        how = (
            "The two networks have the same weights up to what looks like random noise of "
            f"{comparison.noise:.1%} of their spread"
        )
    return Evidence(
        channel=Channel.CHECKPOINT,
        code=_code("nearly-equal"),
        strength=strength,
        message=f"{how}.{explained}{_because(direction)}",
        meaning=_COSINE,
        honest=_COSINE_HONEST,
        value=round(comparison.cosine, 4),
        unit="cosine",
        direction=None if direction is None else direction.first,
        details=_details(comparison),
    )


def _reordered(comparison: CheckpointComparison) -> Evidence:
    assert comparison.aligned is not None
    return Evidence(
        channel=Channel.CHECKPOINT,
        code=_code("reordered"),
        strength=Strength.STRONG,
        message="The two networks have the same weights with their channels in another order; as "
        f"they stand, their weights look unrelated (cosine {comparison.cosine:.2f}).",
        meaning="Mean cosine of the weights after the channels were put into the best order and "
        "every filter was scaled to length 1: neither changes what a network computes.",
        honest=_ALIGNED_HONEST,
        value=round(comparison.aligned, 4),
        unit="cosine",
        details=_details(comparison),
    )


def _shared_start(comparison: CheckpointComparison, known: Circumstances) -> Evidence:
    if known.public:
        what = f"Both derive from the public weights {known.public}, trained further apart."
    else:
        what = (
            "Shared seed? The two networks probably started from the same weights and were "
            "trained apart, as when two people use the same seed. Heavy further training of one "
            "network looks the same."
        )
    return Evidence(
        channel=Channel.CHECKPOINT,
        code=_code("shared-start"),
        strength=Strength.CONTEXT,
        message=what,
        meaning=_COSINE,
        honest=_COSINE_HONEST,
        value=round(comparison.cosine, 4),
        unit="cosine",
        details=_details(comparison),
    )


def _same_layers(comparison: CheckpointComparison, known: Circumstances) -> Evidence:
    """Some weights are equal to the last bit and others are not."""
    explained = bool(known.public) or (
        known.beyond_start is not None and known.beyond_start < BEYOND_START
    )
    related = comparison.cosine >= NEARLY_EQUAL
    return Evidence(
        channel=Channel.CHECKPOINT,
        code=_code("same-layers"),
        strength=Strength.CONTEXT
        if explained
        else (Strength.STRONG if related or comparison.same >= _MOST_MATCHED else Strength.WEAK),
        message=f"{comparison.same:.0%} of the numbers lie in layers that are equal to the last "
        "bit, while other layers differ: as when layers were frozen, taken over, or never trained.",
        meaning="Share of the compared numbers that lie in weights with the same hash.",
        honest="0 between networks trained apart. Layers that no training touched are equal in "
        "networks that share a seed or public weights.",
        value=round(comparison.same, 4),
        unit="share",
    )


def _direction(comparison: CheckpointComparison) -> Direction | None:
    """Only where every sign points the same way."""
    firsts = {direction.first for direction in comparison.directions}
    return comparison.directions[0] if len(firsts) == 1 else None


def _because(direction: Direction | None) -> str:
    if direction is None:
        return ""
    return f" The {direction.first} one probably came first: {direction.reason}."


def _details(comparison: CheckpointComparison) -> dict[str, object]:
    return {
        "cosine": round(comparison.cosine, 4),
        "aligned_cosine": None if comparison.aligned is None else round(comparison.aligned, 4),
        "profile_difference": round(comparison.profile, 5),
        "same_share": round(comparison.same, 4),
        "matched_share": round(comparison.matched, 4),
        "layers": [
            {"left": left, "right": right, "cosine": round(cosine, 4)}
            for left, right, cosine in comparison.layers
        ],
    }
