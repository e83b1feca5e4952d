"""What channels and strengths are called on pages: nothing accuses."""

from __future__ import annotations

import math
from collections.abc import Iterable

from grader.similarity.model import Channel, Evidence, Pair, Strength

CHANNELS = {
    Channel.SOURCE: "Source code",
    Channel.CHECKPOINT: "Weights",
    Channel.MASKS: "Masks",
    Channel.PREDICTIONS: "Predictions",
    Channel.ZIP: "Files",
}
STRENGTHS = {
    Strength.STRONG: "worth a look",
    Strength.WEAK: "weak sign",
    Strength.CONTEXT: "context",
}
STRENGTH_MEANINGS = {
    Strength.STRONG: "pairs who worked apart hardly ever reach it",
    Strength.WEAK: "happens between pairs who worked apart; never stands alone",
    Strength.CONTEXT: "explains something and speaks for nobody",
}
_ORDER = tuple(Strength)


def by_weight(evidence: Iterable[Evidence]) -> list[Evidence]:
    """The strongest first; within a strength as they came."""
    return sorted(evidence, key=lambda found: _ORDER.index(found.strength))


def channels_of(pair: Pair) -> list[tuple[Channel, Strength]]:
    """Each channel that says something, with its strongest evidence."""
    strongest: dict[Channel, Strength] = {}
    for found in by_weight(pair.evidence):
        strongest.setdefault(found.channel, found.strength)
    return [(channel, strongest[channel]) for channel in Channel if channel in strongest]


def why(pairs: Iterable[Pair]) -> str:
    """What joins a cluster, in one line: the messages' channels, most frequent first."""
    counts: dict[Channel, int] = {}
    for pair in pairs:
        for channel, strength in channels_of(pair):
            if strength is Strength.STRONG:
                counts[channel] = counts.get(channel, 0) + 1
    ordered = sorted(counts, key=lambda channel: (-counts[channel], channel))
    return ", ".join(
        f"{CHANNELS[channel].lower()} of {counts[channel]} "
        f"{'pair' if counts[channel] == 1 else 'pairs'}"
        for channel in ordered
    )


def figure(evidence: Evidence) -> str:
    """The evidence's number with its unit, as it stands on a page; a dash where there is none."""
    if evidence.value is None:
        return "–"
    return f"{evidence.value:.0%}" if evidence.unit == "share" else f"{evidence.value:.3f}"


def few(number: float) -> str:
    """An expected count: `0.02`, `3.1`, `fewer than 0.01`; a dash where it is not known."""
    if not math.isfinite(number):
        return "–"
    return f"{number:.2g}" if number >= 0.01 else "fewer than 0.01"
