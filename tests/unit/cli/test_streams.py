"""No console refuses what is printed, and no machine is given anything but UTF-8."""

from __future__ import annotations

import io
import json
import xml.etree.ElementTree as ET
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.cli import main
from grader.cli.streams import let_streams_print_anything

ENCODINGS = ["cp1252", "latin-1", "cp437", "ascii", "utf-8"]
NAME = "données→कक्षा.py"


class _Console:
    """`grader …` in this process, on a console of `encoding`."""

    def __init__(self, encoding: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.encoding = encoding
        self.monkeypatch = monkeypatch
        self.printed = self.said = b""

    def run(self, *words: object) -> int:
        out, err = io.BytesIO(), io.BytesIO()
        with self.monkeypatch.context() as patched:
            for name, stream in (("stdout", out), ("stderr", err)):
                # as Python opens them, but for the terminal
                text = io.TextIOWrapper(stream, self.encoding, "strict", write_through=True)
                patched.setattr(f"sys.{name}", text)
            with pytest.raises(SystemExit) as ended:
                main([str(word) for word in words], prog_name="grader")
            self.printed, self.said = out.getvalue(), err.getvalue()
        return int(ended.value.code or 0)


@pytest.fixture(params=ENCODINGS)
def console(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> _Console:
    return _Console(request.param, monkeypatch)


@pytest.fixture
def zip_path(tmp_path: Path) -> Path:
    """A submission with findings, one of them about a file with a name of its own."""
    path = tmp_path / "2023AIB2080.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("train.py", "print 'done'\n")
        archive.writestr("evaluate.py", "import sys\nopen('données→.json')\nprint(sys.argv[1:])\n")
        archive.writestr(NAME, "print 'ü'\n")
    return path


def test_the_check_is_printed_on_any_console(console: _Console, zip_path: Path) -> None:
    assert console.run("check", zip_path) == 1
    # click prints UTF-8 where Python takes the console for one of ASCII
    text = console.printed.decode("utf-8" if console.encoding == "ascii" else console.encoding)
    assert "2023AIB2080.zip does not pass" in text
    assert ("→ write print(" in text) == (console.encoding in ("utf-8", "ascii"))
    assert ("-> write print(" in text) == (console.encoding not in ("utf-8", "ascii"))
    assert console.said == b""


@pytest.mark.parametrize("style", ["json", "junit", "sarif", "github"])
def test_what_machines_read_is_utf8(console: _Console, zip_path: Path, style: str) -> None:
    assert console.run("check", zip_path, "--format", style) == 1
    text = console.printed.decode("utf-8")
    assert "données→.json" in text
    if style == "junit":
        ET.fromstring(console.printed)
    elif style != "github":
        json.loads(text)


@pytest.mark.parametrize(
    "words",
    [
        ("--help",),
        ("check", "--help"),
        ("score", "--help"),
        ("findings",),
        ("findings", "layout.notebook"),
        ("assignments", "show", "ail721-a2"),
    ],
)
def test_help_and_catalogue_are_printed_on_any_console(
    console: _Console, words: tuple[str, ...]
) -> None:
    assert console.run(*words) == 0
    assert console.printed
    assert console.said == b""


def test_the_page_of_the_findings_is_utf8(console: _Console) -> None:
    assert console.run("findings", "--format", "markdown") == 0
    assert console.printed.decode("utf-8").startswith("#")


def test_a_fault_is_told_on_any_console(console: _Console) -> None:
    assert console.run("check", "कक्षा→.zip") == 2
    assert b"there is no such file" in console.said
    assert console.run("findings", "no→such") == 2
    assert b"there is no finding" in console.said


@given(text=st.text(), encoding=st.sampled_from(ENCODINGS))
def test_no_text_is_refused_and_what_can_be_shown_is_shown(text: str, encoding: str) -> None:
    with pytest.MonkeyPatch.context() as patched:
        written = io.BytesIO()
        stream = io.TextIOWrapper(written, encoding, "strict", newline="")
        patched.setattr("sys.stdout", stream)
        let_streams_print_anything()
        stream.write(text)
        stream.flush()
    shown = written.getvalue().decode(encoding)
    try:
        expected = text.encode(encoding).decode(encoding)
    except UnicodeEncodeError:
        assert len(shown) >= len(text)
    else:
        assert shown == expected
