"""The site as pages: pure, a name and a text each. They need nothing but one another."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from markupsafe import Markup

from grader.classroom.records import Entry
from grader.render.self_contained import page_policy, page_source
from grader.render.site.class_view import ClassView
from grader.render.site.environment import SITE_TEMPLATES, style, template
from grader.render.site.student import staff_page


def site_pages(
    entries: Sequence[Entry],
    view: ClassView,
    *,
    pictures: Mapping[str, Markup] | None = None,
    reports: Collection[str] = (),
    compared: bool = False,
) -> Iterator[tuple[str, str]]:
    """`index.html`, then `students/<key>.html` for each entry, to be written as UTF-8.

    `pictures`: an image's name → its `data:` URI; `reports`: keys of which `reports/<key>.html` is
    there; `compared`: `similar/index.html` is.
    """
    keys = [entry.submitted.key for entry in entries]
    yield "index.html", class_page(view, pictures or {}, compared=compared)
    similar: dict[str, dict[str, None]] = {key: {} for key in keys}
    for cluster in view.clusters:
        for key in cluster.members:
            others = [other for other in cluster.members if other != key and other in similar]
            similar.setdefault(key, {}).update(dict.fromkeys(others))
    for number, entry in enumerate(entries):
        key = keys[number]
        yield (
            f"students/{key}.html",
            staff_page(
                entry,
                before=keys[number - 1] if number else None,
                after=keys[number + 1] if number + 1 < len(keys) else None,
                similar=tuple(similar[key]),
                full_report=key in reports,
            ),
        )


def class_page(view: ClassView, pictures: Mapping[str, Markup], *, compared: bool = False) -> str:
    """The overview."""
    look, script = style(), page_source(SITE_TEMPLATES / "class.js")
    return template("class.html.j2").render(
        view=view,
        known={row.key for row in view.rows},
        pictures=pictures,
        compared=compared,
        style=look,
        script=script,
        policy=page_policy(look, script),
    )
