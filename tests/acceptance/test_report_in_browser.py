"""The report's page in a real Chromium: silent, harmless, usable by eye, keyboard and reader."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from grader.render.html import html
from tests.unit.render.example_report import (
    CLASSES,
    example_report,
    failed_report,
    rejected_report,
)

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.browser

CHROMIUM = next(
    (
        found
        for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
        if (found := shutil.which(name))
    ),
    None,
)
# Each sets a flag when it runs, in another way: what a page could be made to obey.
PAYLOADS = (
    "</script><script>window.pwned='script'</script>",
    "<img src=x onerror=\"window.pwned='image'\">",
    '"><svg onload="window.pwned=\'svg\'">',
    "' autofocus onfocus='window.pwned=1' '",
    '" autofocus onfocus="window.pwned=1" "',
    "</style><style onload=\"window.pwned='style'\">*{display:none}</style>",
    "<iframe srcdoc=\"<script>parent.pwned='frame'</script>\"></iframe>",
    "<details open ontoggle=\"window.pwned='toggle'\">",
    "<a href=\"javascript:window.pwned='link'\" autofocus>x</a>",
    "--><base href='https://example.invalid/'><link rel=stylesheet href=//example.invalid/x.css>",
)


@dataclass
class Loaded:
    """A page and everything it said or asked for while it was open."""

    page: Page
    console: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)
    refused: dict[str, str | None] = field(default_factory=dict)  # url → why it never left


Open = Callable[..., Loaded]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("no Chromium is installed (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    arguments = ["--disable-gpu", "--disable-background-networking", "--disable-sync"]
    if os.geteuid() == 0:
        arguments.append("--no-sandbox")  # Chromium's own sandbox refuses root
    with playwright.sync_playwright() as running:
        browser = running.chromium.launch(executable_path=CHROMIUM, args=arguments)
        yield browser
        browser.close()


@pytest.fixture
def show(browser: Browser, tmp_path: Path) -> Iterator[Open]:
    """Open a text as a page from `file:`, and watch it."""
    contexts = []

    def open_page(text: str, *, width: int = 1280, **options: Any) -> Loaded:
        path = tmp_path / f"report-{len(contexts)}.html"
        path.write_text(text, "utf-8")
        context = browser.new_context(viewport={"width": width, "height": 800}, **options)
        contexts.append(context)
        page = context.new_page()
        loaded = Loaded(page)
        page.on("console", lambda message: loaded.console.append(message.text))
        page.on("pageerror", lambda error: loaded.errors.append(str(error)))
        page.on("request", lambda request: loaded.requests.append(request.url))
        page.on(
            "requestfailed", lambda request: loaded.refused.update({request.url: request.failure})
        )
        page.on("dialog", lambda dialog: loaded.errors.append(f"dialog {dialog.message}"))
        page.goto(path.as_uri())
        return loaded

    yield open_page
    for context in contexts:
        context.close()


@pytest.fixture(scope="module")
def report_page() -> str:
    return html(example_report())


def _outside(loaded: Loaded) -> list[str]:
    return [url for url in loaded.requests if not url.startswith(("file:", "data:"))]


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
    assert _outside(loaded) == []
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
    assert (loaded.console, loaded.errors, _outside(loaded)) == ([], [], [])


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
    assert {loaded.refused.get(url) for url in _outside(loaded)} == {"csp"}
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


_CONTRAST = """() => {
  const parse = (text) => (text.match(/[\\d.]+/g) || []).map(Number);
  const over = (top, below) => {
    const a = top.length > 3 ? top[3] : 1;
    return [0, 1, 2].map((i) => top[i] * a + below[i] * (1 - a));
  };
  const background = (element) => {
    const layers = [];
    for (let e = element; e; e = e.parentElement) layers.push(parse(getComputedStyle(e).backgroundColor));
    return layers.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const luminance = (rgb) => rgb.map((c) => c / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const bad = [];
  let tried = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const e = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || !e.checkVisibility()) continue;
    if (["SCRIPT", "OPTION", "title"].includes(e.tagName)) continue;
    const style = getComputedStyle(e), below = background(e);
    const ink = over(parse(e instanceof SVGElement ? style.fill : style.color), below);
    const [light, dark] = [luminance(ink), luminance(below)].sort((a, b) => b - a);
    const ratio = (light + 0.05) / (dark + 0.05);
    tried += 1;
    if (ratio < 4.5) bad.push(`${ratio.toFixed(2)} ${e.tagName}.${e.className} ${e.textContent.slice(0, 30)}`);
  }
  return [tried, bad];
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(show: Open, scheme: str) -> None:
    report = example_report()
    for text in (html(report), html(failed_report()), html(rejected_report())):
        page = show(text, color_scheme=scheme).page
        page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
        tried, bad = page.evaluate(_CONTRAST)
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
        "Runs",
        "Provenance",
    ]
    assert page.get_by_role("table", name="Every measurement").count() == 1
    assert page.get_by_role("img", name="Confusion matrix of").count() == 1
    assert page.get_by_role("img", name="Curve from value to marks").count() == 2
    assert page.get_by_label("Sort by").count() == 1
    assert page.get_by_role("region", name="stdout of evaluate").count() == 0, "it is folded away"
    assert len(CLASSES) == page.locator("#confusion details tbody tr").count()
