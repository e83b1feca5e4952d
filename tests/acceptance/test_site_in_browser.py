"""The site of a class of three hundred in a real Chromium, opened from `file:`."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from grader.classroom.records import Absent, Entry
from grader.cli.exports import write_site
from grader.render.site.class_view import Cluster
from grader.render.site.student import student_page
from tests.acceptance.watched_browser import CONTRAST, PAYLOADS, Loaded, Open, outside
from tests.unit.classroom.exports.example_entries import entry, example_entries, report_of
from tests.unit.classroom.synthetic_class import make_class

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser

STUDENTS = 300


@pytest.fixture(scope="module")
def entries(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Entry, ...]]:
    results = tmp_path_factory.mktemp("class") / "results"
    absent = (Absent("2023AIB2998", name="Gita Rao"), Absent("2023AIB2999", name="Hiro Ali"))
    with make_class(results, STUDENTS - len(absent), absent=absent) as store:
        yield store.entries()


@pytest.fixture(scope="module")
def site(entries: tuple[Entry, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    keys = [one.submitted.key for one in entries]
    clusters = (Cluster((keys[0], keys[1], "gone"), "weights are the same but for rounding"),)
    folder = tmp_path_factory.mktemp("site")
    comparison = tmp_path_factory.mktemp("similar")
    (comparison / "index.html").write_text("<!doctype html><title>pairs</title><h1>Pairs</h1>")
    write_site(entries, "Butterflies", "AIL721", clusters, folder, comparison)
    return folder


def _is_quiet(loaded: Loaded) -> bool:
    """Nothing was said, and nothing but files was asked for."""
    return (loaded.console, loaded.errors, outside(loaded)) == ([], [], [])


def _shown(page: Page) -> list[str]:
    """Keys of the rows that are shown, in their order."""
    keys: list[str] = page.evaluate(
        "[...document.querySelectorAll('#class-table tbody tr')].filter(r => r.checkVisibility())"
        ".map(r => r.cells[0].dataset.v)"
    )
    return keys


def _cells(page: Page, column: int) -> list[str]:
    cells: list[str] = page.evaluate(
        "(column) => [...document.querySelectorAll('#class-table tbody tr')]"
        ".filter(r => r.checkVisibility())"
        ".map(r => r.cells[column].dataset.v ?? r.cells[column].textContent.trim())",
        column,
    )
    return cells


# --------------------------------------------------------------------------- quiet and complete


def test_the_overview_is_silent_and_shows_everybody(show: Open, site: Path) -> None:
    loaded = show(site / "index.html")
    assert _is_quiet(loaded)
    assert len(_shown(loaded.page)) == STUDENTS
    assert loaded.page.inner_text("#shown") == f"{STUDENTS} of {STUDENTS} shown"


def test_every_hardest_image_has_its_picture(show: Open, site: Path) -> None:
    page = show(site / "index.html").page
    page.evaluate("for (const image of document.images) image.loading = 'eager'")
    page.wait_for_function("[...document.images].every(image => image.complete)")
    widths = page.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert len(widths) == 24
    assert min(widths) > 0


def test_links_lead_from_the_class_to_a_student_to_the_report_and_back(
    show: Open, site: Path, entries: tuple[Entry, ...]
) -> None:
    loaded = show(site / "index.html")
    page = loaded.page
    keys = [one.submitted.key for one in entries]
    page.get_by_role("link", name=keys[1], exact=True).first.click()
    assert page.url.endswith(f"students/{keys[1]}.html")
    assert page.get_by_role("heading", level=1).inner_text() == keys[1]
    page.get_by_role("link", name="The full report").click()
    assert page.url.endswith(f"reports/{keys[1]}.html")
    assert page.get_by_role("heading", level=1).count() == 1
    page.go_back()
    page.get_by_role("link", name=f"next: {keys[2]}").click()
    assert page.url.endswith(f"students/{keys[2]}.html")
    page.get_by_role("link", name="← the class").click()
    assert page.url.endswith("index.html")
    assert _is_quiet(loaded)


def test_who_handed_in_nothing_is_found_by_the_filter(show: Open, site: Path) -> None:
    loaded = show(site / "index.html")
    page = loaded.page
    page.get_by_label("State").select_option("No submission")
    assert sorted(_shown(page)) == ["2023AIB2998", "2023AIB2999"]
    page.get_by_role("link", name="2023AIB2998", exact=True).first.click()
    assert page.get_by_text("On the roster, and no submission.").is_visible()
    assert _is_quiet(loaded)


def test_the_class_leads_to_its_comparison(show: Open, site: Path) -> None:
    loaded = show(site / "index.html")
    loaded.page.get_by_role("link", name="The comparison: every pair side by side").click()
    assert loaded.page.get_by_role("heading", level=1).inner_text() == "Pairs"
    assert _is_quiet(loaded)


def test_every_student_s_page_is_there(site: Path, entries: tuple[Entry, ...]) -> None:
    there = {path.stem for path in (site / "students").iterdir()}
    assert there == {one.submitted.key for one in entries}


# --------------------------------------------------------------------------- sort and filter


def test_numbers_sort_as_numbers_and_what_is_missing_comes_last(show: Open, site: Path) -> None:
    page = show(site / "index.html").page
    for name in ("Marks", "Accuracy", "Late", "Warnings"):
        head = page.get_by_role("columnheader", name=name, exact=True)
        column = head.evaluate("head => head.cellIndex")
        for direction in ("descending", "ascending"):
            head.get_by_role("button").click()
            assert head.get_attribute("aria-sort") == direction
            cells = _cells(page, column)
            numbers = [float(cell) for cell in cells if cell]
            assert numbers == sorted(numbers, reverse=direction == "descending")
            assert all(not cell for cell in cells[len(numbers) :])
            assert len(set(numbers)) > 2
        assert page.locator("th[aria-sort]").count() == 1
        assert page.inner_text("#sorted") == f"sorted by {name}, ascending"


def test_words_sort_as_words(show: Open, site: Path) -> None:
    page = show(site / "index.html").page
    page.get_by_role("button", name="Student").click()
    keys = _shown(page)
    assert keys == sorted(keys)
    assert len(keys) == STUDENTS


def test_filters_and_search_and_their_count(
    show: Open, site: Path, entries: tuple[Entry, ...]
) -> None:
    page = show(site / "index.html").page
    parked = {one.submitted.key for one in entries if one.state == "parked"}
    page.select_option("#state", "parked")
    assert set(_shown(page)) == parked
    assert page.inner_text("#shown") == f"{len(parked)} of {STUDENTS} shown"
    page.select_option("#state", "")
    expected = {
        "late": {o.submitted.key for o in entries if o.submitted.late_seconds},
        "adjusted": {o.submitted.key for o in entries if o.adjustments},
        "low": {o.submitted.key for o in entries if o.marks is not None and o.marks * 2 < 5},
        "similar": {o.submitted.key for o in entries[:2]},
        "errors": {
            o.submitted.key
            for o in entries
            if o.report and any(f["severity"] == "error" for f in o.report["findings"])
        },
    }
    for flag, keys in expected.items():
        page.select_option("#flag", flag)
        assert set(_shown(page)) == keys
        assert keys
    page.get_by_role("button", name="Show everybody").click()
    page.fill("#search", (entries[5].submitted.name or "").upper())
    wanted = {o.submitted.key for o in entries if o.submitted.name == entries[5].submitted.name}
    assert set(_shown(page)) == wanted
    page.fill("#search", "no such person")
    assert _shown(page) == []
    assert page.locator("#none-left").is_visible()


def test_a_finding_leads_to_those_who_have_it(show: Open, site: Path) -> None:
    page = show(site / "index.html").page
    group = page.locator("li.freq", has_text="run.missing-file")
    count = int(group.locator(".freq-count").inner_text().split("\n")[0])
    group.locator("summary").click()
    assert group.locator(".people a").count() == count
    group.get_by_role("button", name="Show them in the table").click()
    assert len(_shown(page)) == count
    assert page.evaluate("document.activeElement.id") == "code"
    assert page.input_value("#code") == "run.missing-file"


def test_a_sorted_table_stays_sorted_when_it_is_filtered(show: Open, site: Path) -> None:
    page = show(site / "index.html").page
    page.get_by_role("button", name="Marks").click()
    page.select_option("#flag", "late")
    marks = [float(cell) for cell in _cells(page, 1) if cell]
    assert marks == sorted(marks, reverse=True)
    assert len(marks) > 10


def test_the_page_reads_without_a_script(show: Open, site: Path) -> None:
    page = show(site / "index.html", java_script_enabled=False).page
    assert page.locator("#class-table tbody tr").count() == STUDENTS
    assert page.locator("#class-table tbody tr").first.is_visible()
    assert not page.locator(".tools").is_visible()
    assert page.get_by_role("button", name="Show them in the table").count() == 0


# --------------------------------------------------------------------------- everybody can use it


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(
    show: Open, site: Path, entries: tuple[Entry, ...], scheme: str
) -> None:
    parked = next(one.submitted.key for one in entries if one.state == "parked")
    for name in ("index", f"students/{entries[2].submitted.key}", f"students/{parked}"):
        page = show(site / f"{name}.html", color_scheme=scheme).page
        page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
        tried, bad = page.evaluate(CONTRAST)
        assert tried > 20
        assert bad == []


@pytest.mark.parametrize("width", [360, 768, 1280])
def test_nothing_is_wider_than_the_screen(
    show: Open, site: Path, entries: tuple[Entry, ...], width: int
) -> None:
    for name in ("index", f"students/{entries[0].submitted.key}"):
        page = show(site / f"{name}.html", width=width).page
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_keyboard_reaches_everything_and_focus_is_seen(show: Open, site: Path) -> None:
    page = show(site / "index.html").page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    seen = set()
    for _ in range(40):
        name, outline, width = page.evaluate(
            """() => {
              const e = document.activeElement, s = getComputedStyle(e);
              return [e.id || e.textContent.trim().slice(0, 20), s.outlineStyle, parseFloat(s.outlineWidth)];
            }"""
        )
        seen.add(name)
        assert outline != "none", name
        assert width >= 2, name
        page.keyboard.press("Tab")
    assert {"search", "state", "code", "flag", "reset", "Student", "Marks"} <= seen
    page.get_by_role("button", name="Marks").focus()
    page.keyboard.press("Enter")
    assert page.locator("th[aria-sort=descending]").inner_text().strip().startswith("Marks")


def test_a_reader_finds_landmarks_headings_tables_and_charts(show: Open, site: Path) -> None:
    page = show(site / "index.html").page
    assert page.get_by_role("main").count() == 1
    assert page.get_by_role("navigation", name="Sections").count() == 1
    assert page.get_by_role("table", name="Every submission").count() == 1
    headings = page.get_by_role("heading", level=2).all_inner_texts()
    assert [heading.split(" ")[0].split("\n")[0] for heading in headings] == [
        "Class",
        "Distribution",
        "Findings",
        "Hardest",
        "Similar",
    ]
    assert page.get_by_role("img", name="Histogram of Marks over").count() == 1
    assert page.get_by_role("img", name="Histogram of").count() == 5
    assert page.get_by_role("searchbox", name="Search").count() == 1
    for name in ("State", "Finding", "Only"):
        assert page.get_by_role("combobox", name=name, exact=True).count() == 1
    assert page.get_by_role("rowheader").count() == STUDENTS


# --------------------------------------------------------------------------- harmless


def _hostile(number: int, payload: str) -> Entry:
    report = report_of("1", "2", payload)
    report["images"] = [{"name": payload, "label": payload, "predicted": "x", "iou": 0.1}]
    report["findings"][0] |= {"hint": payload, "title": payload}
    report["submission"]["zip_name"] = payload
    return entry(
        f"2022AIZ817{number}",
        "3",
        report=report,
        name=payload,
        email=payload,
        zip_name=payload,
        ids={"moodle": payload},
        fault=payload,
    )


def test_no_text_of_a_student_becomes_a_script(show: Open, tmp_path: Path) -> None:
    entries = tuple(_hostile(number, payload) for number, payload in enumerate(PAYLOADS))
    clusters = tuple(Cluster(("2022AIZ8170", payload), payload) for payload in PAYLOADS)
    write_site(entries, "".join(PAYLOADS), "".join(PAYLOADS), clusters, tmp_path)
    for name in ("index", *(f"students/{one.submitted.key}" for one in entries)):
        loaded = show(tmp_path / f"{name}.html")
        page = loaded.page
        page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
        for _ in range(6):
            page.keyboard.press("Tab")
        assert page.evaluate("window.pwned") is None
        assert page.locator("iframe, base, link[rel=stylesheet]").count() == 0
        assert page.locator("main").is_visible()
        if name == "index":
            page.get_by_role("button", name="Student").click()
            for number, payload in enumerate(PAYLOADS):
                page.fill("#search", payload)
                assert f"2022AIZ817{number}" in _shown(page)
            assert page.evaluate("window.pwned") is None
        assert _is_quiet(loaded)


def test_the_site_can_be_moved(show: Open, site: Path, tmp_path: Path) -> None:
    shutil.copytree(site, tmp_path / "moved", copy_function=os.link)
    loaded = show(tmp_path / "moved" / "index.html")
    loaded.page.locator("#class-table tbody a").first.click()
    loaded.page.get_by_role("link", name="The full report").click()
    assert "/moved/reports/" in loaded.page.url
    assert _is_quiet(loaded)


_BROKEN_WORDS = """
[...document.querySelectorAll("#marks tbody th")].flatMap(head => {
  const text = head.firstChild, words = [...text.data.matchAll(/\\S+/g)];
  return words.filter(word => {
    const range = document.createRange();
    range.setStart(text, word.index);
    range.setEnd(text, word.index + word[0].length);
    return range.getClientRects().length > 1;
  }).map(word => word[0]);
})
"""


def test_no_word_of_a_criterion_is_broken_on_a_phone(show: Open, tmp_path: Path) -> None:
    shown = example_entries()[0]
    assert shown.report is not None
    for award in shown.report["awards"]:
        award["title"] = "1 Image classification with a ResNet"
        award["reason"] = "0.7153 lies between 0.7000 (marks: 1.25) and 0.7800 (marks: 2.25)"
    path = tmp_path / "feedback.html"
    path.write_text(student_page(shown), "utf-8")
    page = show(path, width=390).page
    assert page.locator("#marks tbody th").count() >= 2
    assert page.evaluate(_BROKEN_WORDS) == []
