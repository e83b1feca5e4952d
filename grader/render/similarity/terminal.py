"""The comparison for a terminal: what to look at, and what each number means."""

from __future__ import annotations

from tabulate import tabulate

from grader.findings import listed, quoted
from grader.render.printable import printable
from grader.similarity.model import ClassSimilarity, Evidence, Pair, Region

_PAIRS = 30
_REGIONS = 3


def similarity_text(result: ClassSimilarity) -> str:
    """Flagged pairs first, then the next ones below the threshold."""
    parts = [_summary(result)]
    shown = [*result.flagged[:_PAIRS]]
    below = [pair for pair in result.pairs if not pair.flagged][: 5 if shown else 10]
    if shown:
        parts.append(f"Worth a look:\n{_table(shown)}")
        parts += [text for pair in shown[:10] if (text := _places(pair))]
    left_out = len(result.flagged) - len(shown)
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
    unread = [
        f"  {quoted(summary.name)}: {printable(finding.message)}"
        for summary in result.submissions
        for finding in summary.findings
        if finding.code.startswith(("similar.", "zip."))
    ]
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
            f"; {threshold.pairs_compared:,} pairs compared, {len(result.flagged)} worth a look "
            f"(score of {threshold.score:.2f} or more: {threshold.reason})"
        )
    return text


def _table(pairs: list[Pair]) -> str:
    rows = []
    for pair in pairs:
        values = {found.code: found.value for found in pair.evidence}
        contained = values.get("source.contained")
        rows.append(
            (
                quoted(pair.left, 40),
                quoted(pair.right, 40) + (" (archive)" if pair.archived else ""),
                f"{pair.score:.2f}",
                "" if contained is None else f"{contained:.0%}",
                pair.evidence[0].message if pair.evidence else "",
            )
        )
    return tabulate(
        rows,
        headers=("", "", "score", "own code in both", "what"),
        tablefmt="simple",
        disable_numparse=True,
        colalign=("left", "left", "right", "right", "left"),
    )


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
