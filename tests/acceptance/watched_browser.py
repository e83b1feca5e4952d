"""A real Chromium that opens pages from disk and keeps what they say and ask for."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

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
    """Open a file, or a text as a page, from `file:`, and watch it."""
    contexts = []

    def open_page(shown: str | Path, *, width: int = 1280, **options: Any) -> Loaded:
        path = tmp_path / f"report-{len(contexts)}.html"
        if isinstance(shown, Path):
            path = shown
        else:
            path.write_text(shown, "utf-8")
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


def outside(loaded: Loaded) -> list[str]:
    return [url for url in loaded.requests if not url.startswith(("file:", "data:"))]


# Every text with less contrast than WCAG 2 asks for (4.5), and how many were tried.
CONTRAST = """() => {
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
