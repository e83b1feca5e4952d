"""What the documents promise exists, and what exists is in the documents."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from grader.cli import main
from grader.metrics import METRICS
from grader.networks import NETWORKS
from grader.readers import READERS

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
TEXT = "\n".join(page.read_text("utf-8") for page in PAGES)


def _children(group: click.Group) -> dict[str, click.Command]:
    context = click.Context(group)
    found = {name: group.get_command(context, name) for name in group.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


def _commands(group: click.Group, prefix: str = "grader") -> Iterator[tuple[str, click.Command]]:
    for name, command in _children(group).items():
        if isinstance(command, click.Group):
            yield from _commands(command, f"{prefix} {name}")
        elif not command.hidden:
            yield f"{prefix} {name}", command


@pytest.mark.parametrize("name", [name for name, _ in _commands(main)])
def test_every_command_is_documented(name: str) -> None:
    words = name.split()
    alternatives = rf"{words[1]} [a-z|]*\b{words[-1]}\b" if len(words) > 2 else words[1]
    assert re.search(rf"grader {alternatives}", TEXT), f"{name} stands in no document"


@pytest.mark.parametrize(
    ("name", "option"),
    [
        (name, option.opts[-1])
        for name, command in _commands(main)
        for option in command.params
        if isinstance(option, click.Option) and not option.hidden
    ],
)
def test_every_option_has_a_help_text(name: str, option: str) -> None:
    command = dict(_commands(main))[name]
    (param,) = [p for p in command.params if isinstance(p, click.Option) and option in p.opts]
    assert param.help


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_in_the_documents_exists(page: Path) -> None:
    known = {name for name, _ in _commands(main)} | {
        f"grader {name}" for name, c in _children(main).items() if isinstance(c, click.Group)
    }
    blocks = re.findall(r"```\n(.*?)```", page.read_text("utf-8"), re.DOTALL)
    for line in "\n".join(blocks).splitlines():
        words = re.match(r"(?:\$ )?(?:\.venv/bin/)?(grader(?: [a-z-]+){1,2})", line.strip())
        if words:
            said = words.group(1).split()
            assert " ".join(said) in known or " ".join(said[:2]) in known, line


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_link_inside_the_documents_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_every_make_target_of_the_readme_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"`make ([a-z0-9-]+)", TEXT):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE) or target in {"check"}, target


def test_the_registered_names_are_documented() -> None:
    page = (ROOT / "docs" / "assignment-format.md").read_text("utf-8")
    for name in (*METRICS, *READERS, *NETWORKS):
        assert f"`{name}`" in page
