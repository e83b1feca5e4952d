"""What the site of a class says, without a browser."""

from __future__ import annotations

import re
from dataclasses import replace
from decimal import Decimal
from html.parser import HTMLParser

import pytest

from grader.classroom.exports.comment import comment_lines
from grader.classroom.records import Entry, State
from grader.findings import found
from grader.render.html import html
from grader.render.site.class_charts import spread_chart
from grader.render.site.class_view import Cluster, class_view
from grader.render.site.pages import class_page, site_pages
from grader.render.site.pictures import pictures_in
from grader.render.site.student import staff_page, student_page
from tests.unit.classroom.exports.example_entries import (
    HOSTILE,
    absent_entry,
    entry,
    example_entries,
    report_of,
)
from tests.unit.render.example_report import example_report


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(  # the parser's own signature
        self,
        tag: str,  # noqa: ARG002
        attrs: list[tuple[str, str | None]],
    ) -> None:
        self.found += [v or "" for name, v in attrs if name in ("href", "src")]


def _links(page: str) -> list[str]:
    parser = _Links()
    parser.feed(page)
    return parser.found


def _class(entries: tuple[Entry, ...] | None = None, **options: object) -> dict[str, str]:
    entries = example_entries() if entries is None else entries
    clusters = (Cluster(("2022AIZ8170", "2022AIZ8171"), f"alike {HOSTILE}"),)
    view = class_view(entries, "Butterflies", "AIL721", clusters)
    return dict(site_pages(entries, view, **options))  # type: ignore[arg-type]


def _forgot(number: int, message: str) -> Entry:
    report = report_of("1", "0", message)
    report["findings"][0] |= {"code": "run.missing-file", "title": "A file is not there"}
    return entry(f"2022AIZ{number}", "1", report=report)


# --------------------------------------------------------------------------- counting


def test_findings_are_counted_by_submission_the_most_frequent_first() -> None:
    entries = [_forgot(n, "class_labels.json is not in the zip") for n in range(8000, 8031)]
    entries += [_forgot(n, f"x{n}.json is not in the zip") for n in range(8100, 8102)]
    twice = _forgot(8200, "class_labels.json is not in the zip")
    twice.report["findings"].append(dict(twice.report["findings"][0]))  # type: ignore[index]
    late = replace(
        entries[0].submitted, key="2022AIZ9999", findings=(found("class.late", "1 h late"),)
    )
    entries += [twice, replace(entries[0], submitted=late)]
    view = class_view(entries, "t", "c")
    assert [(one.code, len(one.keys)) for one in view.findings] == [
        ("run.missing-file", 35),
        ("class.late", 1),
    ]
    assert view.findings[0].messages == (("class_labels.json is not in the zip", 33),)
    page = class_page(view, {})
    assert "<strong>33 ×</strong> <bdi>class_labels.json is not in the zip</bdi>" in page


def test_where_everybody_s_message_differs_one_is_the_example() -> None:
    entries = [_forgot(n, f"x{n}.json is not in the zip") for n in (8000, 8001)]
    view = class_view(entries, "t", "c")
    assert view.findings[0].messages == (("x8000.json is not in the zip", 1),)


def test_the_hardest_image_comes_first() -> None:
    reports = [report_of("1", "0") for _ in range(3)]
    for number, report in enumerate(reports):
        report["images"] = [
            {"name": "easy", "label": "A", "predicted": "A", "iou": 0.9},
            {"name": "hard", "label": "A", "predicted": "BC"[number % 2], "iou": 0.1 * number},
            {"name": "unlabelled", "label": None, "predicted": "B", "iou": None},
        ]
    entries = [entry(f"2022AIZ817{n}", "1", report=one) for n, one in enumerate(reports)]
    hard, easy, unlabelled = class_view(entries, "t", "c").images
    assert (hard.name, hard.right, hard.labelled) == ("hard", 0, 3)
    assert hard.iou == pytest.approx(0.1)
    assert hard.mistaken_for == (("B", 2), ("C", 1))
    assert (easy.name, easy.right, easy.ease) == ("easy", 3, pytest.approx(0.95))
    assert (unlabelled.labelled, unlabelled.iou) == (0, None)


def test_a_parked_submission_has_no_marks_and_says_why() -> None:
    view = class_view(example_entries(), "t", "c")
    (row,) = view.open
    assert (row.key, row.state, row.marks) == ("2022AIZ8174", "parked", None)
    assert view.graded == 5
    assert view.marks is not None
    assert len(view.marks.values) == 5
    assert "SandboxError: no space is left" in class_page(view, {})


def test_an_earlier_result_of_what_is_graded_again_is_no_mark() -> None:
    one = entry("2022AIZ8170", "3", report=report_of("1", "2"), state=State.WAITING)
    view = class_view([one], "t", "c")
    assert (view.rows[0].marks, view.marks, view.graded) == (None, None, 0)
    assert "What follows is an earlier result" in staff_page(one)


def test_a_class_without_any_result_has_a_page() -> None:
    one = entry("2022AIZ8170", None, state=State.WAITING)
    pages = _class((one,))
    assert 'id="spread"' not in pages["index.html"]
    assert "There are no marks yet." in pages["students/2022AIZ8170.html"]


def test_every_value_lies_in_the_bin_that_says_so() -> None:
    values = [0.0, 0.049, 0.05, 0.58, 0.95, 1.0]
    chart = spread_chart(values, 0.0, 1.0, "submission")
    assert [bar.label for bar in chart.bars] == [
        "0 to 0.05: 2 submissions",
        "0.05 to 0.1: 1 submission",
        "0.55 to 0.6: 1 submission",
        "0.95 to 1: 2 submissions",
    ]
    assert max(bar.height for bar in chart.bars) == chart.bottom - chart.top


def test_marks_are_shown_rounded_down() -> None:
    one = entry("2022AIZ8171", "1.849", report=report_of("1.849", "0"))
    page = _class((one,))["index.html"]
    assert '<span class="strong">1.849</span>' in page
    assert "1.85" not in page


# --------------------------------------------------------------------------- pages


def test_every_link_of_the_site_leads_somewhere_inside_it() -> None:
    keys = {one.submitted.key for one in example_entries()}
    pages = _class(reports=keys)
    assert set(pages) == {"index.html", *(f"students/{key}.html" for key in keys)}
    there = {*pages, *(f"reports/{key}.html" for key in keys)}
    for name, page in pages.items():
        for link in _links(page):
            if link.startswith(("data:", "#")):
                continue
            path = f"students/{link}" if name.startswith("students/") else link
            path = re.sub(r"students/\.\./", "", path)
            assert path in there, f"{name} links to {link}"


def test_without_a_report_s_page_there_is_no_link_to_one() -> None:
    assert "../reports/" not in _class()["students/2022AIZ8170.html"]


def test_neighbours_and_similar_ones_are_linked() -> None:
    page = _class()["students/2022AIZ8171.html"]
    assert '<a href="2022AIZ8170.html" rel="prev">' in page
    assert '<a href="2022AIZ8172.html" rel="next">' in page
    assert "Similar to" in page


@pytest.mark.parametrize("name", ["index.html", "students/2022AIZ8171.html"])
def test_text_of_a_student_is_shown_and_never_obeyed(name: str) -> None:
    page = _class()[name]
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page
    assert "\u202e" not in page


def test_the_same_class_gives_the_same_bytes() -> None:
    assert _class() == _class()


def test_the_policy_allows_nothing_but_the_page_itself() -> None:
    for page in _class().values():
        (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
        assert policy.startswith(
            "default-src &#39;none&#39;; img-src data:; style-src &#39;sha256-"
        )
        assert "unsafe" not in policy
        assert " style=" not in page.split("</style>")[1]
        assert not re.search(r"\son[a-z]+=", page.split("</style>")[1])


def test_a_student_s_page_tells_nothing_of_others_and_of_the_truth() -> None:
    ben = replace(
        example_entries()[1],
        submitted=replace(
            example_entries()[1].submitted,
            findings=(
                found("class.late", "1 h 1 min late"),
                found("class.same-zip", "the very same bytes were handed in by 2022AIZ8199"),
            ),
        ),
    )
    page = student_page(ben)
    assert "1 h 1 min late" in page
    for secret in ("2022AIZ8199", "SECRET", "../index.html", "prev", "4712"):
        assert secret not in page
    assert "2022AIZ8199" in staff_page(ben)
    assert "1.849" in page


def test_what_a_person_has_to_weigh_stays_with_the_course() -> None:
    report = report_of("1", "2", "12 of 24 answers are lost on renamed images")
    report["findings"][0]["code"] = "result.probe-disagrees"
    one = entry("2022AIZ8170", "3", report=report)
    report["volatile"]["runs"][0]["stderr"] = ""
    assert "answers are lost" in staff_page(one)
    assert "answers are lost" not in student_page(one)
    assert not [line for line in comment_lines(one) if "answers are lost" in line]


def test_an_adjustment_is_told_with_its_reason() -> None:
    emeka = example_entries()[3]
    for page in (student_page(emeka), staff_page(emeka)):
        assert "masks were shown in the viva" in page
    assert "2025-03-20 00:00" in staff_page(emeka)
    assert "2025-03-20" not in student_page(emeka)


def test_a_page_of_nan_and_of_numbers_out_of_order() -> None:
    report = report_of("1", "2")
    report["measurements"][0]["value"] = -3.5
    report["measurements"][1]["value"] = None
    view = class_view([entry("2022AIZ8170", "3", report=report)], "t", "c")
    assert [(one.id, one.values) for one in view.spreads] == [("accuracy", (-3.5,))]
    assert view.rows[0].values == (-3.5, None)
    assert view.step == Decimal("0.01")
    assert "-3.500" in class_page(view, {})


# --------------------------------------------------------------------------- pictures


def test_pictures_come_out_of_a_report_s_own_page() -> None:
    report = example_report()
    names = [image.name for image in report.gallery]
    found_there = pictures_in(html(report), names[:5])
    assert set(found_there) == set(names[:5])
    for picture in found_there.values():
        assert re.fullmatch(r"data:image/(png|jpeg);base64,[A-Za-z0-9+/=]+", picture)


def test_a_name_cannot_forge_a_picture() -> None:
    name = 'x"><figure><div class="four"><div><img src="data:image/png;base64,AAAA"'
    forged = example_report(images=2, hostile=name)
    page = html(forged)
    assert "data:image/png;base64,AAAA" not in pictures_in(page, ["x"]).values()


def test_who_handed_in_nothing_is_in_the_table_and_in_no_count() -> None:
    without = class_view(example_entries(), "Butterflies", "AIL721")
    view = class_view((*example_entries(), absent_entry()), "Butterflies", "AIL721")
    assert (view.submissions, view.absent) == (without.submissions, 1)
    assert (view.graded, view.open, view.findings) == (
        without.graded,
        without.open,
        without.findings,
    )
    assert view.marks == without.marks
    page = class_page(view, {})
    assert '<span class="figure">1</span> without submission' in page
    assert '<span class="chip no-submission nowrap">No submission</span>' in page
    assert '<option value="no-submission">No submission</option>' in page
    assert f"<small>of {without.submissions}</small>" in page
    assert "without submission" not in class_page(without, {})
    own = staff_page(absent_entry())
    assert "On the roster, and no submission." in own
    assert "Nothing was handed in." in own
    assert "Nobody Atall" in own
    assert "has to be mended" not in own
