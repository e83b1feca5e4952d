"""The comparison as data: `similarity.json` for programs, `pairs.csv` for a spreadsheet."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Set
from typing import Any

from grader.render.csv_cell import csv_cell
from grader.render.json_report import finding_document
from grader.render.plain_json import json_text, plain_object
from grader.render.similarity.links import pair_path
from grader.render.similarity.words import by_weight, channels_of, why
from grader.similarity.model import Channel, ClassSimilarity, Cluster, Evidence, Pair, Region

SCHEMA_VERSION = 1
_LEAST_SCORE = 0.01
_WORDS_OF_ALL = "Similar is what the numbers say; what it means, a person decides."


def similarity_json(result: ClassSimilarity) -> str:
    """Everything that was found, as indented JSON.

    `clusters`: members and why they are joined; `pairs`: with all evidence; `threshold`: from which
    score on a pair is flagged, and why there; `submissions`: what each says by itself; `scores`: of
    all pairs compared, also those without a page; `further`: left → the right ones of the flagged
    pairs without a page. A class site reads `clusters[].members`, `clusters[].why` and `pairs`.
    """
    by_key = {pair.key: pair for pair in (*result.pairs, *result.further)}
    shown = {pair.key for pair in result.pairs}
    document: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "reading": _WORDS_OF_ALL,
        "clusters": [_cluster(cluster, by_key, shown) for cluster in result.clusters],
        "pairs": [_pair(pair) for pair in result.pairs],
        "threshold": {
            "score": result.threshold.score,
            "expected_honest": result.threshold.expected_honest,
            "pairs_compared": result.threshold.pairs_compared,
            "reason": result.threshold.reason,
        },
        "submissions": [
            {
                "name": summary.name,
                "files": summary.files,
                "lines": summary.lines,
                "own_share": summary.own_share,
                "findings": [finding_document(finding) for finding in summary.findings],
            }
            for summary in result.submissions
        ],
        "notes": list(result.notes),
        "scores": _scores(result),
        "further": _further(result),
    }
    return json_text(plain_object(document))


def _scores(result: ClassSimilarity) -> dict[str, dict[str, float]]:
    """left → right → score of every pair that was compared and shares something worth a number."""
    scores: dict[str, dict[str, float]] = {}
    for (left, right), score in sorted(result.scores.items()):
        if score >= _LEAST_SCORE:
            scores.setdefault(left, {})[right] = score
    return scores


def _further(result: ClassSimilarity) -> dict[str, list[str]]:
    further: dict[str, list[str]] = {}
    for left, right in sorted(pair.key for pair in result.further if pair.flagged):
        further.setdefault(left, []).append(right)
    return further


def _cluster(
    cluster: Cluster, by_key: Mapping[tuple[str, str], Pair], shown: Set[tuple[str, str]]
) -> dict[str, Any]:
    pairs = [by_key[key] for key in cluster.pairs if key in by_key]
    return {
        "members": list(cluster.members),
        "why": why(pairs),
        "score": cluster.score,
        "pairs": [list(key) for key in cluster.pairs if key in shown],
    }


def _pair(pair: Pair) -> dict[str, Any]:
    return {
        "left": pair.left,
        "right": pair.right,
        "score": pair.score,
        "flagged": pair.flagged,
        "archived": pair.archived,
        "page": pair_path(pair),
        "evidence": [_evidence(found) for found in by_weight(pair.evidence)],
    }


def _evidence(found: Evidence) -> dict[str, Any]:
    return {
        "channel": found.channel,
        "code": found.code,
        "strength": found.strength,
        "value": found.value,
        "unit": found.unit,
        "message": found.message,
        "meaning": found.meaning,
        "honest": found.honest,
        "direction": found.direction,
        "regions": [_region(region) for region in found.regions],
        "details": dict(found.details),
    }


def _region(region: Region) -> dict[str, Any]:
    sides = {
        name: {
            "path": span.path,
            "cell": span.cell,
            "first_line": span.first_line,
            "last_line": span.last_line,
        }
        for name, span in (("left", region.left), ("right", region.right))
    }
    return {**sides, "share": region.share, "moved": region.moved}


def pairs_csv(result: ClassSimilarity) -> str:
    """One row a pair, those with a page first, then the highest score; cells are safe to open in a
    spreadsheet."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\r\n")
    channels = tuple(Channel)
    table.writerow(
        ["left", "right", "score", "look", "archived", *channels, "strongest evidence", "page"]
    )
    paged = len(result.pairs)
    for number, pair in enumerate((*result.pairs, *result.further)):
        strengths = dict(channels_of(pair))
        strongest = by_weight(pair.evidence)
        row: list[str | float] = [pair.left, pair.right, round(pair.score, 4)]
        row += ["yes" if pair.flagged else "no", "yes" if pair.archived else "no"]
        row += [str(strengths.get(channel, "")) for channel in channels]
        row += [strongest[0].message if strongest else ""]
        row += [pair_path(pair) if number < paged else ""]
        table.writerow([csv_cell(cell) for cell in row])
    return text.getvalue()
