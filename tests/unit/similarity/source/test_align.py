"""Regions: the right lines on both sides, moved code, base code left out."""

from __future__ import annotations

from benchmarks.similarity_classes import obfuscate
from grader.similarity.model import Region, Span
from grader.similarity.source.align import Side, align, base_spans
from grader.similarity.source.align_units import align_units
from grader.similarity.source.fingerprint import (
    NO_BASE,
    BaseCode,
    base_tokens,
    fingerprint,
    tokens_of,
)
from tests.unit.similarity.source.students import base_of, changed, honest, tree

F = """def smooth(values, k):
    total = 0.0
    for i in range(k):
        total += values[i] * (k - i) / 7.5
    scaled = [value / total for value in values if value > 0.25]
    return max(scaled) - min(scaled) ** 3
"""
G = """def area(points):
    result = 0
    for first, second in zip(points, points[1:] + points[:1]):
        result += first[0] * second[1] - second[0] * first[1]
    return abs(result) / 2
"""
OTHER = "def unlike(x):\n    while x % 3:\n        x = x // 2\n    return {'x': x}\n"


def _side(files: dict[str, str], base: BaseCode = NO_BASE) -> Side:
    source = tree("a", files)
    tokens = tokens_of(source, base)
    return Side(source, tokens, base_tokens(tokens, base), base)


def _spans(regions: tuple[Region, ...]) -> set[tuple[str, str]]:
    return {(str(region.left), str(region.right)) for region in regions}


def test_a_copied_function_is_found_where_it_stands_on_both_sides() -> None:
    left = _side({"a.py": OTHER + "\n\n" + F})
    right = _side({"lib/b.py": "import os\n\n\n" + F + "\n\n" + OTHER.replace("% 3", "- 9")})
    (largest, *_) = sorted(align(left, right), key=lambda region: -region.share)
    assert largest.left == Span("a.py", 7, 12)
    assert largest.right == Span("lib/b.py", 4, 9)
    assert largest.share > 0.6


def test_code_in_another_order_is_moved() -> None:
    regions = align(_side({"a.py": F + "\n\n" + G}), _side({"b.py": G + "\n\n" + F}))
    assert _spans(regions) == {("a.py:1-6", "b.py:8-13"), ("a.py:9-13", "b.py:1-5")}
    assert sorted(region.moved for region in regions) == [False, True]


def test_statements_between_dead_code_are_found() -> None:
    dead = "        spare = len('spare') * 3\n"
    torn = F.replace("    total = 0.0\n", "    total = 0.0\n" + dead[4:]).replace(
        "(k - i) / 7.5\n", "(k - i) / 7.5\n" + dead
    )
    regions = align(_side({"a.py": F}), _side({"b.py": torn}))
    covered = {
        line
        for region in regions
        for line in range(region.left.first_line, region.left.last_line + 1)
    }
    assert covered >= {4, 5, 6}
    assert abs(sum(region.share for region in regions) - 1) < 1e-9


def test_base_code_is_in_no_region_and_is_named() -> None:
    given = {"a.py": G + "\n\n" + F}
    left = _side({"a.py": G + "\n\n" + F.replace("7.5", "8.5")}, base_of(given))
    right = _side({"a.py": G + "\n\n" + F.replace("0.25", "0.75")}, base_of(given))
    assert align(left, right) == ()
    assert base_spans(left)[0].first_line == 1


def test_an_untouched_file_of_the_base_code_is_base_code_whatever_it_is_called() -> None:
    side = _side({"mine.py": F, "utils.py": G}, base_of({"starter.py": G + "\n"}))
    assert base_spans(side) == (Span("utils.py", 1, 6),)


def test_regions_of_a_whole_obfuscated_copy_cover_most_of_it() -> None:
    (files,) = honest(1, 3).values()
    copy = changed(files, obfuscate.all_combined, 4)
    regions = align(_side(files), _side(copy))
    covered = {
        (region.left.path, line)
        for region in regions
        for line in range(region.left.first_line, region.left.last_line + 1)
    }
    written = sum(bool(line.strip()) for text in files.values() for line in text.splitlines())
    assert len(covered) > 0.5 * written


def test_functions_of_fingerprints_without_text_stand_side_by_side() -> None:
    left = fingerprint(tree("a", {"a.py": OTHER + "\n\n" + F}))
    right = fingerprint(tree("b", {"b.py": F}))
    (region,) = align_units(left, right)
    assert (region.left, region.right) == (Span("a.py", 7, 12), Span("b.py", 1, 6))
    assert region.share == 1.0


def test_nothing_in_common_is_no_region() -> None:
    assert align(_side({"a.py": OTHER}), _side({"b.py": "import os\nprint(os.sep)\n"})) == ()
    assert align(_side({"a.py": ""}), _side({"b.py": F})) == ()
