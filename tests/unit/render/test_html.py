"""The page: self-contained, well-formed, usable without eyes, mouse or script."""

from __future__ import annotations

import base64
import hashlib
import itertools
import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from grader.model import Gallery, Report
from grader.render.html import choose_shots, html
from grader.render.self_contained import OUTPUT_CHARS
from tests.unit.render.example_report import example_report, failed_report, rejected_report

VOID = {"meta", "link", "img", "input", "br"}
REPORTS: dict[str, Callable[[], Report]] = {
    "graded": example_report,
    "rejected": rejected_report,
    "failed": failed_report,
    "hostile": lambda: example_report(hostile="</script><img src=x onerror=alert(1)>'\"&"),
    "no awards": lambda: replace(rejected_report(), awards=(), measurements=(), findings=()),
}


class _Page(HTMLParser):
    """Every element with its attributes; complains about what is not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        self.elements.append((tag, {name: value or "" for name, value in attrs}))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture(params=REPORTS)
def page(request: pytest.FixtureRequest) -> _Page:
    return _Page(html(REPORTS[request.param]()))


def test_every_element_is_closed_and_every_id_is_unique(page: _Page) -> None:
    assert page.open == []
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_nothing_comes_from_outside(page: _Page) -> None:
    for tag, attributes in page.elements:
        for name in ("src", "href", "action", "data", "srcset", "poster"):
            assert attributes.get(name, "#").startswith(("#", "data:")), (tag, attributes)
    assert {tag for tag, _ in page.elements} & {
        "iframe",
        "object",
        "embed",
        "form",
        "base",
    } == set()


def test_no_element_has_inline_style_or_handler(page: _Page) -> None:
    for tag, attributes in page.elements:
        risky = [name for name in attributes if name == "style" or name.startswith("on")]
        assert risky == [], tag


def test_links_and_labels_lead_somewhere(page: _Page) -> None:
    ids = {attributes["id"] for _, attributes in page.elements if "id" in attributes}
    for _, attributes in page.elements:
        if attributes.get("href", "").startswith("#"):
            assert attributes["href"][1:] in ids
        assert attributes.get("aria-labelledby", next(iter(ids))) in ids


def test_what_a_screen_reader_needs_is_there(page: _Page) -> None:
    assert len(page.all("h1")) == 1
    assert len(page.all("main")) == 1
    assert len(page.all("caption")) == len(page.all("table"))
    assert all("alt" in image for image in page.all("img"))
    for chart in page.all("svg"):
        assert chart.get("aria-hidden") == "true" or chart.get("aria-label")
    levels = [int(tag[1]) for tag, _ in page.elements if re.fullmatch("h[1-6]", tag)]
    assert all(after - before <= 1 for before, after in itertools.pairwise(levels))


def test_the_policy_allows_the_pages_own_style_and_script_and_nothing_else() -> None:
    text = html(example_report())
    policy = next(
        meta["content"]
        for meta in _Page(text).all("meta")
        if meta.get("http-equiv") == "Content-Security-Policy"
    )
    for tag in ("style", "script"):
        body = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        assert len(body) == 1
        digest = base64.b64encode(hashlib.sha256(body[0].encode()).digest()).decode()
        assert f"{tag}-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert text.index("Content-Security-Policy") < text.index("<style>")


def test_marks_come_before_everything_else() -> None:
    words = " ".join("".join(_Page(html(example_report())).texts).split())
    assert words.index("2.05 / 5.00") < words.index("Findings") < words.index("Images")


def test_equal_reports_give_equal_pages() -> None:
    assert html(example_report()) == html(example_report())


def test_the_students_page_shows_no_picture_and_no_matrix() -> None:
    page = _Page(html(example_report(), audience="student"))
    ids = {attributes.get("id") for _, attributes in page.elements}
    assert page.all("img") == []
    assert ids.isdisjoint({"images", "confusion"})
    assert {"marks", "findings", "distribution", "independent", "runs"} <= ids


def test_missing_isolation_is_said_before_the_marks() -> None:
    report = example_report()
    for isolation, words in (("reduced", "reduced isolation"), ("none", "without a sandbox")):
        weak = replace(
            report, provenance={**report.provenance, "sandbox": {"isolation": isolation}}
        )
        shown = html(weak)
        assert 0 < shown.index(words) < shown.index('id="marks"')
    assert "isolation</strong>" not in html(report)


def test_a_long_output_is_bounded_and_says_what_is_missing() -> None:
    report = example_report()
    run = replace(report.runs[0], stdout="y\n" * 2_000_000)
    shown = html(replace(report, runs=(run,), gallery=()))
    assert len(shown) < 2 * OUTPUT_CHARS + 100_000
    assert "characters left out" in shown


def test_output_stands_on_its_lines_with_escapes_made_visible() -> None:
    shown = html(example_report())
    assert "␛[32mdevice: cpu␛[0m\n" in shown
    assert "\x1b" not in shown


def test_of_the_ways_to_run_the_checkpoint_one_is_chosen_and_stands_first() -> None:
    report = example_report()
    assert report.independent is not None
    ways: list[dict[str, object]] = [
        {"preprocessing": "a", "title": "way A", "form": "plain", "images": 32, "agreement": 0.2},
        {"preprocessing": "b", "title": "way B", "form": "padded", "images": 24, "agreement": 0.9},
        {"preprocessing": "b", "title": "way B", "form": "plain", "images": 24, "agreement": 0.95},
    ]
    chosen = replace(report.independent.preprocessing, id="b")
    independent = replace(report.independent, preprocessing=chosen, candidates=tuple(ways))
    shown = html(replace(report, independent=independent))
    rows = re.findall(r"<tr( class=\"chosen\")?><th scope=\"row\">(way .)", shown)
    assert rows == [(' class="chosen"', "way B"), ("", "way B"), ("", "way A")]
    assert "Network run as" in shown
    assert "Network run as" not in html(report)


# --------------------------------------------------------------------------- which images


def _image(iou: float | None, size: int = 100, *, right: bool = True, name: str = "") -> Gallery:
    name = name or f"{iou}"
    return Gallery(name, name, "A", "A" if right else "B", iou, b"x" * size, None, None, None)


def test_worst_first_then_wrong_then_by_name() -> None:
    images = [
        _image(0.9),
        _image(0.1, name="b"),
        _image(0.1, name="a"),
        _image(0.1, name="z", right=False),
        _image(None),
    ]
    shown, left_out = choose_shots(images)
    assert [image.name for image in shown] == ["z", "a", "b", "0.9", "None"]
    assert left_out == 0


@pytest.mark.parametrize("count", [1, 7, 40, 500])
@pytest.mark.parametrize("room", [0, 99, 100, 1000, 20_000])
def test_what_does_not_fit_leaves_the_worst_and_an_even_sample(count: int, room: int) -> None:
    images = [_image(index / count, name=f"{index:04}") for index in range(count)]
    shown, left_out = choose_shots(images, pictures_bytes=room)
    assert len(shown) == min(count, room // 100)
    assert len(shown) + left_out == count
    assert len({image.name for image in shown}) == len(shown)
    if 0 < len(shown) < count and len(shown) >= 8:
        worst = [image.name for image in images[: len(shown) * 3 // 4]]
        assert [image.name for image in shown[: len(worst)]] == worst
        assert float(shown[-1].iou or 0) > 0.7


def test_five_hundred_images_stay_below_fifteen_megabytes() -> None:
    report = example_report(images=8)
    gallery = tuple(
        replace(image, name=f"{copy}-{image.name}", image=image.image + bytes(30_000))
        for copy in range(63)
        for image in report.gallery
    )
    shown = html(replace(report, gallery=gallery))
    assert 10_000_000 < len(shown.encode()) < 15_000_000
    assert f"of {len(gallery)}: the worst ones" in shown
