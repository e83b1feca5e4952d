"""The report's page in a real Chromium: silent, harmless, usable by eye, keyboard and reader."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from grader.render.html import html
from tests.acceptance.watched_browser import CONTRAST, PAYLOADS, Open, outside
from tests.unit.render.example_report import (
    CLASSES,
    example_report,
    failed_report,
    rejected_report,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def report_page() -> str:
    return html(example_report())


def _shots(page: Page) -> list[dict[str, str]]:
    """The data of the images that are shown, in their order."""
    shots: list[dict[str, str]] = page.evaluate(
        "[...document.querySelectorAll('.shot')].filter(s => s.checkVisibility())"
        ".map(s => ({...s.dataset}))"
    )
    return shots


# --------------------------------------------------------------------------- quiet and harmless


@pytest.mark.parametrize(
    "make",
    [
        lambda: html(example_report()),
        lambda: html(example_report(), audience="student"),
        lambda: html(rejected_report()),
        lambda: html(failed_report()),
    ],
    ids=["course", "student", "rejected", "failed"],
)
def test_a_page_says_nothing_and_asks_for_nothing(show: Open, make: Callable[[], str]) -> None:
    loaded = show(make())
    assert loaded.console == []
    assert loaded.errors == []
    assert outside(loaded) == []
    assert sum(url.startswith("file:") for url in loaded.requests) == 1


def test_every_picture_is_a_picture(show: Open, report_page: str) -> None:
    page = show(report_page).page
    page.evaluate("for (const image of document.images) image.loading = 'eager'")
    page.wait_for_function("[...document.images].every(image => image.complete)")
    widths = page.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert len(widths) > 24 * 3
    assert min(widths) > 0


@pytest.mark.parametrize("payload", PAYLOADS)
def test_no_text_of_a_student_becomes_a_script(show: Open, payload: str) -> None:
    loaded = show(html(example_report(images=3, hostile=payload)))
    page = loaded.page
    for _ in range(12):
        page.keyboard.press("Tab")
    page.evaluate("for (const details of document.querySelectorAll('details')) details.open = true")
    page.select_option("#sort", "name")
    page.fill("#search", payload)
    assert page.evaluate("window.pwned") is None
    assert page.locator("iframe, base, link[rel=stylesheet]").count() == 0
    assert page.locator("main").is_visible()
    assert (loaded.console, loaded.errors, outside(loaded)) == ([], [], [])


def test_even_markup_that_slipped_through_would_not_run(show: Open, report_page: str) -> None:
    """The policy holds without the escaping: these are put into the finished page."""
    slipped = (
        "<script>window.pwned='inline'</script>"
        "<img src=x onerror=\"window.pwned='handler'\">"
        '<img src="https://example.invalid/x.png">'
        '<link rel="stylesheet" href="https://example.invalid/x.css">'
        '<script src="https://example.invalid/x.js"></script>'
        "<iframe srcdoc=\"<script>parent.pwned='frame'</script>\"></iframe>"
        '<form action="https://example.invalid/" id="f"><input name="a"></form>'
        "<p id='painted' style='color: rgb(1, 2, 3)'>x</p>"
    )
    loaded = show(report_page.replace("</main>", f"{slipped}</main>"))
    loaded.page.evaluate("document.getElementById('f').submit()")
    assert loaded.page.evaluate("window.pwned") is None
    # Chromium tells of requests that its policy refused before anything was sent.
    assert {loaded.refused.get(url) for url in outside(loaded)} == {"csp"}
    assert loaded.page.url.startswith("file:")
    colour = loaded.page.evaluate("getComputedStyle(document.getElementById('painted')).color")
    assert colour != "rgb(1, 2, 3)"
    assert any("Content Security Policy" in message for message in loaded.console)


# --------------------------------------------------------------------------- sort and filter


def test_the_gallery_starts_with_the_worst_image(show: Open, report_page: str) -> None:
    shown = [float(shot["iou"]) for shot in _shots(show(report_page).page)]
    assert shown == sorted(shown)
    assert len(shown) == 24


def test_sorting(show: Open, report_page: str) -> None:
    page = show(report_page).page
    page.select_option("#sort", "best")
    assert (ious := [float(s["iou"]) for s in _shots(page)]) == sorted(ious, reverse=True)
    page.select_option("#sort", "label")
    assert (labels := [s["label"] for s in _shots(page)]) == sorted(labels)
    page.select_option("#sort", "worst")
    assert (ious := [float(s["iou"]) for s in _shots(page)]) == sorted(ious)


def test_filters_and_search_and_their_count(show: Open, report_page: str) -> None:
    page = show(report_page).page
    everything = _shots(page)
    expected = {
        "wrong": [s for s in everything if s["label"] != s["predicted"]],
        "low": [s for s in everything if float(s["iou"]) < 0.5],
        "nomask": [s for s in everything if s["mask"] == "0"],
        "all": everything,
    }
    for value, wanted in expected.items():
        page.select_option("#filter", value)
        assert _shots(page) == wanted
        assert page.inner_text("#shown") == f"{len(wanted)} of 24 shown"
        assert len(wanted) > 0
    page.fill("#search", "zebra")
    assert {shot["label"] for shot in _shots(page)} == {"ZEBRA LONG WING"}
    page.fill("#search", "no such butterfly")
    assert _shots(page) == []
    assert page.locator("#none-left").is_visible()
    page.fill("#search", "")
    assert len(_shots(page)) == 24


def test_pictures_can_be_made_large(show: Open, report_page: str) -> None:
    page = show(report_page).page
    picture = page.locator(".shot img").first
    before = picture.bounding_box()
    page.check("#large")
    after = picture.bounding_box()
    assert before
    assert after
    assert after["width"] > 1.8 * before["width"]


def test_the_page_reads_without_a_script(show: Open, report_page: str) -> None:
    page = show(report_page, java_script_enabled=False).page
    assert page.locator(".shot").count() == 24
    assert page.locator(".shot").first.is_visible()
    assert not page.locator(".tools").is_visible()
    page.locator("#runs summary").first.click()
    assert page.locator("#runs pre.output").first.is_visible()


# --------------------------------------------------------------------------- everybody can use it


def test_the_keyboard_reaches_everything_and_focus_is_seen(show: Open, report_page: str) -> None:
    page = show(report_page).page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("document.activeElement.getBoundingClientRect().left >= 0")
    seen = set()
    for _ in range(60):
        state = page.evaluate(
            """() => {
              const e = document.activeElement, s = getComputedStyle(e);
              return [e === document.body ? '' : e.id || e.tagName + e.textContent.slice(0, 20),
                      s.outlineStyle, parseFloat(s.outlineWidth)];
            }"""
        )
        if not state[0]:
            break
        seen.add(state[0])
        assert state[1] != "none", state
        assert state[2] >= 2, state
        page.keyboard.press("Tab")
    assert {"filter", "sort", "search", "large"} <= seen
    assert any(name.startswith("SUMMARY") for name in seen)


def test_enter_on_the_skip_link_leads_to_the_marks(show: Open, report_page: str) -> None:
    page = show(report_page).page
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.evaluate("location.hash") == "#marks"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(show: Open, scheme: str) -> None:
    report = example_report()
    for text in (html(report), html(failed_report()), html(rejected_report())):
        page = show(text, color_scheme=scheme).page
        page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
        tried, bad = page.evaluate(CONTRAST)
        assert tried > 50
        assert bad == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_follows_the_scheme(show: Open, report_page: str, scheme: str) -> None:
    page = show(report_page, color_scheme=scheme).page
    colour = page.evaluate("getComputedStyle(document.body).backgroundColor")
    channels = [int(part) for part in colour[4:-1].split(",")]
    assert (min(channels) > 200) if scheme == "light" else (max(channels) < 40)


@pytest.mark.parametrize("width", [320, 360, 768])
def test_nothing_sticks_out_on_a_phone(show: Open, report_page: str, width: int) -> None:
    hundred = tuple(f"A RATHER LONG SPECIES NAME {index}" for index in range(100))
    wide = html(example_report(images=3, hostile="W" * 500 + " 蝶" * 200))
    for text in (report_page, wide, html(example_report(images=4, classes=hundred))):
        page = show(text, width=width).page
        page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_text_stays_readable_on_a_phone(show: Open, report_page: str) -> None:
    page = show(report_page, width=360).page
    small = page.evaluate(
        """[...document.querySelectorAll('p, td, th, dd, dt, figcaption, pre, .chart text')]
             .filter(e => e.checkVisibility() && e.textContent.trim())
             .map(e => [parseFloat(getComputedStyle(e).fontSize)
                        * (e.ownerSVGElement ? e.getScreenCTM().a : 1), e.textContent.slice(0, 20)])
             .filter(([size]) => size < 9.5)"""
    )
    assert small == []


def test_print_is_light_complete_and_without_controls(show: Open, report_page: str) -> None:
    page = show(report_page, color_scheme="dark").page
    page.emulate_media(media="print", color_scheme="dark")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert not page.locator(".tools").is_visible()
    assert page.locator("#runs pre.output").first.is_visible()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert not page.locator("#runs pre.output").first.is_visible()
    assert page.pdf().startswith(b"%PDF")


def test_a_reader_finds_landmarks_headings_tables_and_pictures(
    show: Open, report_page: str
) -> None:
    page = show(report_page).page
    assert page.get_by_role("main").count() == 1
    assert page.get_by_role("navigation", name="Sections").count() == 1
    headings = page.get_by_role("heading", level=2).all_inner_texts()
    assert [heading.split("\n")[0].split(" ")[0] for heading in headings] == [
        "Marks",
        "Findings",
        "Images",
        "Confusion",
        "Distribution",
        "Independent",
        "Probe",
        "Runs",
        "Provenance",
    ]
    assert page.get_by_role("table", name="Every measurement").count() == 1
    assert page.get_by_role("img", name="Confusion matrix of").count() == 1
    assert page.get_by_role("img", name="Curve from value to marks").count() == 2
    assert page.get_by_label("Sort by").count() == 1
    assert page.get_by_role("region", name="stdout of evaluate").count() == 0, "it is folded away"
    assert len(CLASSES) == page.locator("#confusion details tbody tr").count()
