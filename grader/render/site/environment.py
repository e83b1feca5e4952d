"""The templates of the site's pages, with the words and figures of the reports."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from itertools import groupby
from operator import attrgetter
from pathlib import Path
from typing import Any

from jinja2 import Template
from markupsafe import Markup

from grader.classroom.records import State
from grader.render import words
from grader.render.self_contained import TEMPLATES, page_environment, page_source

SITE_TEMPLATES = Path(__file__).with_name("templates")
_STATES: dict[str, str] = {
    **{str(verdict): name for verdict, name in words.VERDICTS.items()},
    State.WAITING: "Waiting",
    State.RUNNING: "Running",
    State.DONE: "Graded",
    State.PARKED: "Parked",
    State.ABSENT: "No submission",
}


@cache
def template(name: str) -> Template:
    """A template of the site, compiled once."""
    environment = page_environment(TEMPLATES, SITE_TEMPLATES)
    environment.filters.update(bool_word=_bool_word, groupby_in_order=_groupby_in_order)
    environment.globals.update(states=_STATES, statuses=words.STATUSES)
    return environment.get_template(name)


def style() -> Markup:
    """The reports' style and what the site adds to it."""
    return page_source(TEMPLATES / "report.css", SITE_TEMPLATES / "site.css")


def _bool_word(holds: object, word: str) -> str:
    return word if holds else ""


def _groupby_in_order(items: Sequence[Any], attribute: str) -> Iterator[tuple[Any, list[Any]]]:
    """Neighbours with the same attribute, in their order; Jinja's own groupby sorts."""
    for value, group in groupby(items, key=attrgetter(attribute)):
        yield value, list(group)
