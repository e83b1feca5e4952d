"""The pages and documents of a comparison: complete, harmless, the same for the same result."""

from __future__ import annotations

import csv
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from grader.render.similarity.documents import pairs_csv, similarity_json
from grader.render.similarity.drawings import MATRIX_SUBMISSIONS, graph, matrix
from grader.render.similarity.links import pair_path
from grader.render.similarity.pages import class_page, pair_page, similarity_site
from grader.render.similarity.panes import SIDE_LINES, Gap, Line, side_by_side
from grader.render.similarity.terminal import similarity_text
from grader.similarity.model import (
    ClassSimilarity,
    Cluster,
    Pair,
    Region,
    SourceText,
    SourceTree,
    Span,
    Threshold,
)
from tests.unit.render.similarity.example_similarity import (
    example_similarity,
    first_pair,
    sources,
)

HOSTILE = "</script><img src=x onerror=alert(1)>'\"&\u202e\x1b[31m=1+1"
EMPTY = ClassSimilarity((), (), (), Threshold(1.0, 0.0, 0, "There is nothing to compare."))
ACCUSING = re.compile(r"plagiar|cheat|guilt|fraud|culprit|offen[cd]|copied|stole|suspect", re.I)


class _Links(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        self.ids: set[str] = set()
        self.styled = 0
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.styled += "style" in given
        self.ids.add(given.get("id") or "")
        if tag == "a":
            self.found.append(given.get("href") or "")


@pytest.fixture(scope="module")
def site() -> dict[str, str]:
    return dict(similarity_site(example_similarity(), sources()))


def test_every_link_leads_to_a_file_of_the_site_or_a_place_of_the_page(
    site: dict[str, str],
) -> None:
    tried = 0
    for path, text in site.items():
        if not path.endswith(".html"):
            continue
        page = _Links(text)
        assert page.styled == 0, "the policy would ignore it"
        for href in page.found:
            tried += 1
            if href.startswith("#"):
                assert href[1:] in page.ids, href
            else:
                folder = path.rpartition("/")[0]
                target = href.removeprefix("../") if href.startswith("../") else f"{folder}/{href}"
                assert target.strip("/") in site, href
    assert tried > 40


def test_the_site_has_a_page_for_each_pair(site: dict[str, str]) -> None:
    result = example_similarity()
    assert set(site) == {"index.html", "similarity.json", "pairs.csv"} | {
        pair_path(pair) for pair in result.pairs
    }
    assert site == dict(similarity_site(example_similarity(), sources()))


def test_nothing_accuses(site: dict[str, str]) -> None:
    for path, text in site.items():
        assert not ACCUSING.search(text), path


def test_every_number_stands_with_what_it_means(site: dict[str, str]) -> None:
    text = site[pair_path(first_pair())]
    for found in first_pair().evidence:
        for part in (found.message, found.meaning, found.honest, found.code):
            assert part.replace("'", "&#39;") in text


def test_strangers_text_is_shown_and_not_run() -> None:
    result = example_similarity(HOSTILE)
    for path, text in similarity_site(result, sources(HOSTILE)):
        assert "\x1b" not in text
        assert "\u202e" not in text
        if path.endswith(".html"):
            assert "<img" not in text
            assert text.count("<script>") == 1
    rows = list(csv.reader(io.StringIO(pairs_csv(replace(result, pairs=(first_pair("=1+1"),))))))
    assert all(not cell.startswith("=") for row in rows for cell in row)


def test_names_that_look_alike_in_a_path_have_different_pages() -> None:
    pairs = [Pair(left, "b", 0.5, True) for left in ("a/x", "a\\x", "a x", "../../etc", "", "é")]
    paths = {pair_path(pair) for pair in pairs}
    assert len(paths) == len(pairs)
    assert all(re.fullmatch(r"pairs/[A-Za-z0-9._-]+\.html", path) for path in paths)


# --------------------------------------------------------------------------- documents


def test_the_json_says_what_a_class_site_reads() -> None:
    document = json.loads(similarity_json(example_similarity()))
    assert document["clusters"][0]["members"] == ["2023AIB2084", "2023AIB2088", "2023AIB2094"]
    assert document["clusters"][1]["why"] == "weights of 1 pair, source code of 1 pair"
    pair = document["pairs"][0]
    assert (pair["left"], pair["right"], pair["flagged"]) == ("2023AIB2080", "2023AIB2114", True)
    assert pair["evidence"][0]["regions"][0]["left"]["path"] == "train.py"
    assert document["submissions"][17]["findings"][0]["code"] == "zip.other-entry-number"


def test_the_table_has_a_row_for_each_pair() -> None:
    result = example_similarity()
    rows = list(csv.DictReader(io.StringIO(pairs_csv(result))))
    assert [(row["left"], row["right"]) for row in rows] == [pair.key for pair in result.pairs]
    assert rows[0]["checkpoint"] == "strong"
    assert rows[0]["predictions"] == "weak"
    assert rows[4]["archived"] == "yes"


# --------------------------------------------------------------------------- odd classes


def test_an_empty_class_has_a_page() -> None:
    assert "nothing in common" not in class_page(example_similarity())
    assert "No two submissions have anything in common" in class_page(EMPTY)
    assert json.loads(similarity_json(EMPTY))["pairs"] == []


def test_clusters_of_three_are_drawn_and_pairs_are_counted() -> None:
    result = example_similarity()
    assert [len(cluster.members) for cluster in result.clusters] == [3, 2]
    page = class_page(result)
    assert page.count('<svg class="graph"') == 1
    assert "1 further pair to look at joins nobody else" in page
    assert 'id="clusters"' not in class_page(replace(result, clusters=result.clusters[1:]))


def test_pairs_beyond_those_shown_have_no_page_and_are_counted() -> None:
    result = example_similarity()
    beyond = replace(result, pairs=result.pairs[1:], further=result.pairs[:1])
    site = dict(similarity_site(beyond, sources()))
    assert pair_path(result.pairs[0]) not in site
    assert "1 further pair without a page of its own" in site["index.html"]
    assert pair_path(result.pairs[0]) not in site["index.html"]
    assert f"<strong>{result.num_flagged} pairs</strong> to look at" in site["index.html"]
    drawn = matrix(beyond)
    assert sum(cell.flagged for cell in drawn.cells) == sum(
        cell.flagged for cell in matrix(result).cells
    )
    rows = list(csv.DictReader(io.StringIO(site["pairs.csv"])))
    assert (rows[-1]["left"], rows[-1]["right"]) == result.pairs[0].key
    assert f"{result.num_flagged} worth a look" in similarity_text(beyond)


def test_every_row_and_every_column_of_the_matrix_has_its_name() -> None:
    drawn = matrix(example_similarity())
    columns = {round(head.x) for head in drawn.heads}
    rows = {round(name.y) for name in drawn.names}
    middle = drawn.cell / 2 + 4
    assert {round(cell.x + 6) for cell in drawn.cells} <= columns
    assert {round(cell.y + middle) for cell in drawn.cells} <= rows


def test_of_one_line_a_place_says_one_number() -> None:
    assert str(Span("a.py", 7, 7)) == "a.py:7"
    assert str(Span("n.ipynb", 1, 3, cell=2)) == "n.ipynb cell 2:1-3"


def test_a_large_class_shows_those_with_the_highest_scores() -> None:
    result = example_similarity(students=150)
    drawn = matrix(result)
    assert drawn.shown == MATRIX_SUBMISSIONS
    assert drawn.left_out == 150 - MATRIX_SUBMISSIONS
    assert sum(cell.flagged for cell in drawn.cells) == 4
    assert len(class_page(result)) < 1_000_000


@pytest.mark.parametrize("count", [1, 2, 3, 24, 300])
def test_a_cluster_of_any_size_is_drawn_inside_its_box(count: int) -> None:
    members = tuple(f"s{n}" for n in range(count))
    drawn = graph(Cluster(members, ((members[0], members[-1]), ("gone", "s0")), 1.0), {})
    assert len(drawn.nodes) == count
    assert len(drawn.edges) == 1
    for node in drawn.nodes:
        assert drawn.node <= node.x <= drawn.width - drawn.node
        assert drawn.node <= node.y <= drawn.height - drawn.node


# --------------------------------------------------------------------------- side by side


def _tree(name: str, *texts: SourceText) -> SourceTree:
    return SourceTree(name, texts)


def _pair(*regions: Region) -> Pair:
    (found, *_) = first_pair().evidence
    return Pair("a", "b", 0.5, True, (replace(found, regions=regions),))


def test_lines_carry_their_region_and_base_code_is_grey() -> None:
    left = _tree("a", SourceText("x.py", "one\ntwo\nthree\nfour\n"))
    right = _tree("b", SourceText("n.ipynb", "zwei\n", cell=3))
    region = Region(Span("x.py", 2, 3), Span("n.ipynb", 1, 1, cell=3), 1.0)
    sides = side_by_side(_pair(region), left, right, left_base=[Span("x.py", 1, 2)])
    rows = [row for row in sides.left.files[0].rows if isinstance(row, Line)]
    assert [(row.number, row.region, row.base) for row in rows] == [
        (1, None, True),
        (2, 0, True),
        (3, 0, False),
        (4, None, False),
    ]
    assert sides.right.files[0].title == "n.ipynb, cell 3"
    assert sides.right.files[0].matched


def test_long_files_show_what_surrounds_their_regions() -> None:
    long = SourceText("x.py", "\n".join(f"line {n}" for n in range(1, 50_001)))
    region = Region(Span("x.py", 30_000, 30_004), Span("x.py", 1, 5), 1.0)
    sides = side_by_side(_pair(region), _tree("a", long), _tree("b", long))
    rows = sides.left.files[0].rows
    shown = [row.number for row in rows if isinstance(row, Line)]
    assert shown == list(range(29_994, 30_011))
    assert sum(row.count if isinstance(row, Gap) else 1 for row in rows) == 50_000


def test_a_side_is_bounded_whatever_is_handed_in() -> None:
    texts = [SourceText(f"{n:04}.py", "x = 1\n" * 300) for n in range(200)]
    wide = SourceText("wide.py", "x" * 1_000_000)
    regions = [Region(Span(f"{n:04}.py", 1, 300), Span("wide.py", 1, 1), 0.01) for n in range(200)]
    sides = side_by_side(_pair(*regions), _tree("a", *texts), _tree("b", wide))
    lines = sum(isinstance(row, Line) for file in sides.left.files for row in file.rows)
    assert lines <= SIDE_LINES
    assert sides.left.left_out > 100
    (line,) = sides.right.files[0].rows
    assert isinstance(line, Line)
    assert len(line.text) < 600


def test_regions_beyond_the_text_do_no_harm() -> None:
    region = Region(Span("x.py", 5, 99), Span("gone.py", 0, 3), 1.0)
    text = SourceText("x.py", "one\n")
    sides = side_by_side(_pair(region), _tree("a", text), _tree("b", text))
    assert not sides.left.files[0].matched


def test_an_archived_side_is_empty_and_says_so() -> None:
    pair = replace(first_pair(), archived=True)
    text = pair_page(pair, example_similarity(), {"2023AIB2080": sources()["2023AIB2080"]})
    assert "an archive keeps hashes only" in text
