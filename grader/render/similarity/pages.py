"""The pages of a comparison: one of the class, one a pair. Self-contained, they work from disk."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path

from jinja2 import Environment

from grader.render.self_contained import TEMPLATES, page_environment, page_policy, page_source
from grader.render.similarity import words
from grader.render.similarity.documents import pairs_csv, similarity_json
from grader.render.similarity.drawings import graph, matrix
from grader.render.similarity.links import CLASS_PAGE, pair_path
from grader.render.similarity.panes import COLOURS, Gap, Line, side_by_side
from grader.similarity.model import ClassSimilarity, Pair, SourceTree, Span

_OWN = Path(__file__).with_name("templates")


def similarity_site(
    result: ClassSimilarity, sources: Mapping[str, SourceTree]
) -> Iterator[tuple[str, str]]:
    """(path relative to the site, content as text to be written in UTF-8) of every file.

    `sources`: name → text of the submissions in `result.pairs`; one that is missing leaves its side
    of a page empty. Equal results give equal files.
    """
    yield CLASS_PAGE, class_page(result)
    for pair in result.pairs:
        yield pair_path(pair), pair_page(pair, result, sources)
    yield "similarity.json", similarity_json(result)
    yield "pairs.csv", pairs_csv(result)


def class_page(result: ClassSimilarity) -> str:
    """The class: what to look at, clusters, the matrix, and what each submission says alone."""
    shown = {pair.key: pair for pair in result.pairs}
    every = shown | {pair.key: pair for pair in result.further}
    # Two are a pair, which stands in the table: a drawing would say nothing more.
    clusters = [cluster for cluster in result.clusters if len(cluster.members) > 2]
    return _render(
        "class",
        result=result,
        clusters=[
            (
                cluster,
                graph(
                    replace(cluster, pairs=tuple(key for key in cluster.pairs if key in shown)),
                    shown,
                ),
                words.why(every[key] for key in cluster.pairs if key in every),
            )
            for cluster in clusters
        ],
        lone_pairs=len(result.clusters) - len(clusters),
        matrix=matrix(result),
        alone=[summary for summary in result.submissions if summary.findings],
    )


def pair_page(pair: Pair, result: ClassSimilarity, sources: Mapping[str, SourceTree]) -> str:
    """One pair: every piece of evidence with what it means, and both sources side by side."""
    summaries = {summary.name: summary for summary in result.submissions}

    def base(name: str) -> tuple[Span, ...]:
        return summaries[name].base_spans if name in summaries else ()

    return _render(
        "pair",
        pair=pair,
        result=result,
        summaries=[summaries[name] for name in pair.key if name in summaries],
        evidence=words.by_weight(pair.evidence),
        sides=side_by_side(
            pair,
            sources.get(pair.left),
            sources.get(pair.right),
            base(pair.left),
            base(pair.right),
        ),
        colours=COLOURS,
    )


def _render(name: str, **content: object) -> str:
    style = page_source(TEMPLATES / "report.css", _OWN / "similarity.css")
    script = page_source(_OWN / f"{name}.js")
    page: str = (
        _environment()
        .get_template(f"{name}.html.j2")
        .render(style=style, script=script, policy=page_policy(style, script), **content)
    )
    return page


@cache
def _environment() -> Environment:
    environment = page_environment(_OWN)
    environment.filters.update(figure=words.figure, few=words.few)
    environment.globals.update(
        channels=words.CHANNELS,
        strengths=words.STRENGTHS,
        strength_meanings=words.STRENGTH_MEANINGS,
        channels_of=words.channels_of,
        by_weight=words.by_weight,
        pair_path=pair_path,
    )
    environment.tests.update(
        gap=lambda row: isinstance(row, Gap), line=lambda row: isinstance(row, Line)
    )
    return environment
