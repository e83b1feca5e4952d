"""The table of commands says what the commands themselves say."""

from __future__ import annotations

import click
import pytest

from grader.cli import COMMANDS, main


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_a_command_exists_and_starts_its_help_as_the_table_does(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.name == name
    assert command.help
    summary = COMMANDS[name][1]
    assert command.help.split()[0] == summary.split()[0]
    assert len(summary) <= 80


def test_an_unknown_command_is_none() -> None:
    assert main.get_command(click.Context(main), "grade-everything") is None
