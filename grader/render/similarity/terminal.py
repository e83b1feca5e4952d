"""The comparison for a terminal: what to look at, and what each number means."""

from __future__ import annotations

from tabulate import tabulate

from grader.findings import listed, quoted
from grader.model import Severity
from grader.render.printable import printable, wrapped
from grader.render.similarity.words import by_weight
from grader.similarity.model import Channel, ClassSimilarity, Evidence, Pair, Region

_PAIRS = 30
_REGIONS = 3
_WHAT_COLUMNS, _WHAT_LINES = 60, 4


def similarity_text(result: ClassSimilarity) -> str:
    """Flagged pairs first, then the next ones below the threshold."""
    parts = [_summary(result)]
    shown = [*result.flagged[:_PAIRS]]
    below = [pair for pair in result.pairs if not pair.flagged][: 5 if shown else 10]
    if shown:
        parts.append(f"Worth a look:\n{_table(shown)}")
        parts += [text for pair in shown[:10] if (text := _places(pair))]
    left_out = result.num_flagged - len(shown)
    if left_out > 0:
        parts.append(f"{left_out} more in --json, --csv and --html.")
    if below:
        parts.append(f"The next ones, below the threshold:\n{_table(below)}")
    if result.clusters:
        parts.append(
            "Groups that flagged pairs join:\n"
            + "\n".join(f"  {listed(cluster.members, 12)}" for cluster in result.clusters)
        )
    parts += [f"Note: {note}." for note in result.notes]
    unread: list[str] = []
    said: list[str] = []
    for summary in result.submissions:
        for finding in summary.findings:
            not_read = finding.severity is Severity.ERROR or finding.code.startswith("similar.")
            place = "" if finding.place is None or not_read else f"{finding.place}: "
            line = f"  {quoted(summary.name)}: {printable(place + finding.message)}"
            (unread if not_read else said).append(line)
    if said:
        parts.append("What single submissions say:\n" + "\n".join(said[:_PAIRS]))
    if unread:
        parts.append("Not (wholly) compared:\n" + "\n".join(unread[:_PAIRS]))
    parts.append("Similar is what the numbers say; what it means, a person decides.")
    return "\n\n".join(parts) + "\n"


def _summary(result: ClassSimilarity) -> str:
    count = len(result.submissions)
    lines = sum(summary.lines for summary in result.submissions)
    threshold = result.threshold
    text = f"{count} submission{'s' * (count != 1)}, {lines:,} lines"
    if threshold.pairs_compared:
        text += (
            f"; {threshold.pairs_compared:,} pairs compared, {result.num_flagged} worth a look "
            f"(score of {threshold.score:.2f} or more: {threshold.reason})"
        )
    return text


def _table(pairs: list[Pair]) -> str:
    rows = [
        (quoted(pair.left, 40), quoted(pair.right, 40), f"{pair.score:.2f}", _what(pair))
        for pair in pairs
    ]
    return tabulate(
        rows,
        headers=("", "", "score", "what"),
        tablefmt="simple",
        disable_numparse=True,
        colalign=("left", "left", "right", "left"),
    )


def _what(pair: Pair) -> str:
    """What the strongest evidence of each channel says, the weightiest first."""
    strongest = by_weight(pair.evidence)
    told: dict[Channel, str] = {}
    for found in strongest:
        if found.strength is strongest[0].strength:
            told.setdefault(found.channel, found.message.rstrip("."))
    return "\n".join(wrapped(printable("; ".join(told.values())), _WHAT_COLUMNS)[:_WHAT_LINES])


def _places(pair: Pair) -> str:
    """Where the largest regions of a pair are."""
    regions = sorted(_regions(pair.evidence), key=lambda region: -region.share)
    if not regions:
        return ""
    lines = [
        f"  {printable(str(region.left))} = {printable(str(region.right))} ({region.share:.0%})"
        for region in regions[:_REGIONS]
    ]
    more = len(regions) - _REGIONS
    if more > 0:
        lines.append(f"  and {more} more")
    return f"{quoted(pair.left, 40)} and {quoted(pair.right, 40)}:\n" + "\n".join(lines)


def _regions(evidence: tuple[Evidence, ...]) -> list[Region]:
    return [region for found in evidence for region in found.regions]
