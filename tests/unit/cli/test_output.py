"""How wide and how colourful what is printed may be."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest

from grader.cli import output
from grader.cli.output import Look, is_terminal, look_of_stdout, stages


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> _Terminal:
    stream = _Terminal()
    # pytest puts its own streams back before the test begins.
    monkeypatch.setattr(output, "sys", SimpleNamespace(stdout=stream, stderr=stream))
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return stream


@pytest.mark.usefixtures("terminal")
def test_a_terminal_is_filled_and_painted(monkeypatch: pytest.MonkeyPatch) -> None:
    assert look_of_stdout() == Look(60, True)
    monkeypatch.setenv("COLUMNS", "300")
    assert look_of_stdout() == Look(100, True)


@pytest.mark.usefixtures("terminal")
def test_no_color_counts_when_it_says_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "")
    assert look_of_stdout().ansi
    monkeypatch.setenv("NO_COLOR", "1")
    assert not look_of_stdout().ansi


def test_a_dumb_terminal_gets_no_escape_sequence(
    terminal: _Terminal, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with stages() as progress:
        progress("running")
    assert "running" in capsys.readouterr().err
    monkeypatch.setenv("TERM", "dumb")
    assert not is_terminal(terminal)
    assert look_of_stdout() == Look(60, False)
    with stages() as progress:
        progress("running")
    assert capsys.readouterr().err == ""


def test_a_pipe_gets_the_full_width_and_no_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "sys", SimpleNamespace(stdout=io.StringIO()))
    monkeypatch.setenv("COLUMNS", "60")
    assert look_of_stdout() == Look(100, False)


@pytest.mark.usefixtures("terminal")
def test_a_stage_never_takes_more_than_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with stages() as progress:
        progress("running the student's program: label and segment the hidden images")
    shown = capsys.readouterr().err.split("\r")[1].removeprefix("\033[K")
    assert len(shown) < 60
    assert shown.startswith("running the student's program")
    assert shown.endswith(" …")
