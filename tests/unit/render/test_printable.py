"""Strangers' text, made harmless before anybody sees it."""

from __future__ import annotations

import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.render.printable import (
    UNSAFE,
    printable,
    shortened,
    width_cells,
    without_commands,
    wrapped,
)

ANY_TEXT = st.text(st.characters(exclude_categories=()))


def test_every_control_invisible_and_private_character_is_found() -> None:
    joiners = {0x200C, 0x200D}
    hidden = {
        code
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code)) in {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
        or code & 0xFFFE == 0xFFFE
        or 0xFDD0 <= code <= 0xFDEF
    } - joiners
    missed = {code for code in hidden if not UNSAFE.match(chr(code))}
    assert not missed, sorted(map(hex, missed))[:20]


def test_letters_marks_digits_and_signs_stay() -> None:
    blank_letters = {0x115F, 0x1160, 0x17B4, 0x17B5, 0x3164, 0xFFA0}
    seen = {
        code
        for code in range(sys.maxunicode + 1)
        if unicodedata.category(chr(code))[0] in "LNPS" or unicodedata.category(chr(code)) == "Mc"
    } - blank_letters
    changed = {code for code in seen if printable(chr(code)) != chr(code)}
    assert not changed, sorted(map(hex, changed))[:20]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;title\x07", "␛[2J␛]0;title␇"),
        ("a\x00b\x7f\x9b31m", "a␀b␡<U+009B>31m"),
        ("exe.\u202egpj.zip", "exe.<U+202E>gpj.zip"),
        ("one\ntwo\rthree\tfour", "one␊two␍three four"),
        ("zero\u200bwidth\ufeff", "zero<U+200B>width<U+FEFF>"),
        ("half \udce9", "half <U+DCE9>"),
        ("\U000e0041 tag", "<U+E0041> tag"),
        ("नमस्ते क्‍ष می‌خواهم", "नमस्ते क्‍ष می‌خواهم"),
        ("Z" + "\u0301" * 50, "Z" + "\u0301" * 4 + "…"),
    ],
)
def test_what_is_shown(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_lines_keep_their_ends_and_a_progress_bar_becomes_lines() -> None:
    assert printable("a\r\nb\r 50%\r100%\n\tc\x1b[0m", lines=True) == "a\nb\n 50%\n100%\n\tc␛[0m"


@given(ANY_TEXT, st.booleans())
def test_printable_is_idempotent_and_encodable(text: str, lines: bool) -> None:
    once = printable(text, lines=lines)
    once.encode("utf-8")
    assert printable(once, lines=lines) == once
    assert not UNSAFE.search(once.replace("\n", "").replace("\t", "") if lines else once)


@pytest.mark.parametrize(
    "line",
    [
        "::error file=x::y",
        "   ::set-output name=a::b",
        "text ##[error]boo",
        "##vso[task.setvariable]x",
        "##teamcity[blockOpened]",
        "###[group]",
        ":::warning::",
        "harmless\n\t::debug::x",
    ],
)
def test_no_line_is_a_command_to_a_build_server(line: str) -> None:
    safe = without_commands(line)
    for shown in safe.split("\n"):
        assert not shown.lstrip().startswith("::")
        assert "##[" not in shown
        assert "##vso[" not in shown
        assert "##teamcity[" not in shown
    assert without_commands(safe) == safe
    assert safe.replace(" ", "") == line.replace(" ", ""), "only blanks are added"


def test_ordinary_lines_are_no_commands() -> None:
    for line in ("std::vector<int>", "## heading", "a::b", "#[derive]"):
        assert without_commands(line) == line


def test_a_long_output_keeps_its_beginning_and_more_of_its_end() -> None:
    text = "".join(f"{n:04}\n" for n in range(1000))
    short, left_out = shortened(text, 400)
    assert left_out == len(text) - 400
    assert short.startswith(text[:100] + "\n… 4,600 characters left out …\n")
    assert short.endswith(text[-300:])
    assert shortened("short", 5) == ("short", 0)


@given(ANY_TEXT, st.integers(2, 30))
def test_wrapped_lines_fit_and_lose_no_sign(text: str, width: int) -> None:
    text = printable(text)
    lines = wrapped(text, width)
    assert all(width_cells(line) <= width for line in lines)
    assert "".join("".join(lines).split()) == "".join(text.split())


def test_wide_and_combining_characters_take_the_cells_that_terminals_give_them() -> None:
    assert width_cells("abc") == 3
    assert width_cells("蝴蝶") == 4
    assert width_cells("e\u0301") == 1
    assert wrapped("蝴蝶 蝴蝶", 4) == ["蝴蝶", "蝴蝶"]
    assert wrapped("", 10) == []
