"""The pages of a comparison in a real Chromium: silent, harmless, scrolled and read by everybody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from grader.render.similarity.pages import class_page, pair_page
from tests.acceptance.watched_browser import CONTRAST, PAYLOADS, Open, outside
from tests.unit.render.similarity.example_similarity import (
    example_similarity,
    first_pair,
    sources,
)

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def pair_text() -> str:
    return pair_page(first_pair(), example_similarity(), sources())


@pytest.fixture(scope="module")
def class_text() -> str:
    return class_page(example_similarity())


def _settled(page: Page) -> None:
    """Two frames later everything that a scroll sets off has been drawn."""
    page.evaluate(
        "new Promise(r => requestAnimationFrame(() => requestAnimationFrame(() => requestAnimationFrame(r))))"
    )


def _tops(page: Page, region: int) -> list[float]:
    """How far below the top of its pane a region begins, left and right."""
    tops: list[float] = page.evaluate(
        """(region) => ["l", "r"].map((side) => {
             const pane = document.getElementById(`pane-${side}`);
             return pane.querySelector(`[data-r="${region}"]`).getBoundingClientRect().top
               - pane.getBoundingClientRect().top;
           })""",
        region,
    )
    return tops


def test_pages_say_nothing_and_ask_for_nothing(show: Open, pair_text: str, class_text: str) -> None:
    for text in (pair_text, class_text):
        loaded = show(text)
        _settled(loaded.page)
        assert (loaded.console, loaded.errors, outside(loaded)) == ([], [], [])


@pytest.mark.parametrize("payload", PAYLOADS[::3])
def test_no_text_of_a_student_becomes_a_script(show: Open, payload: str) -> None:
    result = example_similarity(payload)
    for text in (pair_page(first_pair(payload), result, sources(payload)), class_page(result)):
        loaded = show(text)
        for key in ("Tab", "Tab", "Tab", "n", "n", "p"):
            loaded.page.keyboard.press(key)
        assert loaded.page.evaluate("window.pwned") is None
        assert loaded.page.locator("iframe, base, link[rel=stylesheet], img").count() == 0
        assert (loaded.console, loaded.errors, outside(loaded)) == ([], [], [])


def test_scrolling_one_side_keeps_matched_code_together(show: Open, pair_text: str) -> None:
    """Region 2 is the training loop, which stands in the order of its neighbours on both sides."""
    page = show(pair_text).page
    before = _tops(page, 2)
    page.evaluate("document.getElementById('pane-l').scrollTop += 600")
    _settled(page)
    left, right = _tops(page, 2)
    assert left < before[0] - 300
    page.uncheck("#together")
    page.evaluate("document.getElementById('pane-l').scrollTop = 0")
    _settled(page)
    assert _tops(page, 2)[1] == pytest.approx(right, abs=1)


def test_keys_and_buttons_go_from_region_to_region(show: Open, pair_text: str) -> None:
    page = show(pair_text).page
    for key, region in (("n", 0), ("n", 1), ("n", 2), ("n", 0), ("p", 2)):
        page.keyboard.press(key)
        _settled(page)
        assert f"Region {region + 1}" in page.inner_text("#where")
        for side in ("l", "r"):
            assert page.locator(f"#pane-{side} .ln.here").count() >= 5
            inside = page.evaluate(
                """(side) => {
                  const pane = document.getElementById(`pane-${side}`).getBoundingClientRect();
                  const line = document.querySelector(`#pane-${side} .ln.here`).getBoundingClientRect();
                  return line.top >= pane.top && line.bottom <= pane.bottom;
                }""",
                side,
            )
            assert inside
    page.click("#next")
    assert "Region 1" in page.inner_text("#where")
    page.click("[data-go='1']")
    assert "Region 2" in page.inner_text("#where")


def test_regions_have_one_colour_on_both_sides_and_lines_join_them(
    show: Open, pair_text: str
) -> None:
    page = show(pair_text).page
    _settled(page)
    colours = page.evaluate(
        """[0, 1, 2].map((region) => ["l", "r"].map((side) => getComputedStyle(
             document.querySelector(`#pane-${side} [data-r="${region}"]`)).backgroundColor))"""
    )
    assert all(left == right for left, right in colours)
    assert len({left for left, _ in colours}) == 3
    page.keyboard.press("n")
    _settled(page)
    assert page.locator("#joins path").count() >= 1
    assert page.locator("#joins path.moved").count() == 1
    grey = page.evaluate("getComputedStyle(document.querySelector('.ln.base')).fontStyle")
    assert grey == "italic"


def test_the_table_is_filtered(show: Open, class_text: str) -> None:
    page = show(class_text).page
    rows = page.locator("#rows tr:visible")
    assert rows.count() == 6
    page.check("#flagged")
    assert rows.count() == 5
    page.select_option("#channel", "checkpoint")
    assert rows.count() == 1
    page.uncheck("#flagged")
    assert rows.count() == 2
    page.fill("#search", "no such name")
    assert rows.count() == 0
    assert page.locator("#none-left").is_visible()


def test_pages_read_without_a_script(show: Open, pair_text: str, class_text: str) -> None:
    page = show(pair_text, java_script_enabled=False).page
    assert page.locator("#pane-r .ln.m").first.is_visible()
    assert not page.locator(".tools").is_visible()
    assert show(class_text, java_script_enabled=False).page.locator("#rows tr").count() == 6


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_enough_contrast(
    show: Open, pair_text: str, class_text: str, scheme: str
) -> None:
    for text in (pair_text, class_text):
        page = show(text, color_scheme=scheme).page
        page.evaluate("for (const d of document.querySelectorAll('details')) d.open = true")
        tried, bad = page.evaluate(CONTRAST)
        assert tried > 40
        assert bad == []


@pytest.mark.parametrize("width", [320, 390])
def test_nothing_sticks_out_on_a_phone(show: Open, width: int) -> None:
    result = example_similarity("W" * 300)
    pair = first_pair("W" * 300)
    for text in (pair_page(pair, result, sources("W" * 300)), class_page(result)):
        page = show(text, width=width).page
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_the_keyboard_reaches_panes_and_controls(show: Open, pair_text: str) -> None:
    page = show(pair_text).page
    reached = set()
    for _ in range(40):
        page.keyboard.press("Tab")
        state = page.evaluate(
            "[document.activeElement.id, getComputedStyle(document.activeElement).outlineStyle]"
        )
        reached.add(state[0])
        assert state[1] != "none" or not state[0]
    assert {"previous", "next", "together", "pane-l", "pane-r"} <= reached


def test_print_shows_both_sides_whole(show: Open, pair_text: str) -> None:
    page = show(pair_text, color_scheme="dark").page
    page.emulate_media(media="print", color_scheme="dark")
    heights = page.evaluate(
        "['l', 'r'].map(s => { const p = document.getElementById(`pane-${s}`);"
        " return [p.clientHeight, p.scrollHeight]; })"
    )
    assert all(shown >= whole - 2 for shown, whole in heights)
    assert page.pdf().startswith(b"%PDF")
