"""`grader similar`: which submissions say the same, and where."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.assignments.load import load_assignment
from grader.cli.options import ASSIGNMENT, PATH, UNSAFE
from grader.cli.output import stages, write_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from grader.model import Assignment
    from grader.similarity.model import ClassSimilarity
    from grader.similarity.source.read_sources import FoundSubmission

SIMILARITY_FILE = "similarity.json"  # in a class's results, where its site looks for it


@click.command()
@click.argument("submissions", type=PATH)
@click.option(
    "--base",
    type=PATH,
    multiple=True,
    metavar="STARTER",
    help="Code that was given out: a folder, zip or file; it counts for nobody. May be repeated.",
)
@click.option(
    "--archive",
    type=PATH,
    multiple=True,
    metavar="FILE",
    help="Fingerprints of an earlier year to compare with as well. May be repeated.",
)
@click.option(
    "--save-archive",
    type=PATH,
    metavar="FILE",
    help="Keep this class's fingerprints for later years: hashes, names and lines, no code.",
)
@click.option(
    "--cache",
    type=PATH,
    metavar="FOLDER",
    help="Keep fingerprints here: a late submission then costs one comparison.",
)
@click.option(
    "--html",
    type=PATH,
    metavar="FOLDER",
    help="Write pages: the class, and every pair side by side.",
)
@click.option("--json", "json_path", type=PATH, metavar="FILE", help="Write all of it.")
@click.option("--csv", "csv_path", type=PATH, metavar="FILE", help="Write the pairs.")
@click.option(
    "--results",
    type=PATH,
    metavar="RESULTS",
    help="What `grader class` has written: its answers and masks are compared too, and "
    "similarity.json is written there for the class's site.",
)
@click.option(
    "--public",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    multiple=True,
    metavar="FOLDER",
    help="Fingerprints of published weights, beside those that come with the grader; made by "
    "`grader fingerprint`. May be repeated.",
)
@click.option(
    "--source-only",
    is_flag=True,
    help="Compare source alone: open no weights, look at no other files. Takes seconds.",
)
@ASSIGNMENT
@UNSAFE
def similar(
    submissions: Path,
    base: tuple[Path, ...],
    archive: tuple[Path, ...],
    save_archive: Path | None,
    cache: Path | None,
    html: Path | None,
    json_path: Path | None,
    csv_path: Path | None,
    results: Path | None,
    public: tuple[Path, ...],
    source_only: bool,
    assignment: str,
    unsafe_no_sandbox: bool,
) -> None:
    """Say which submissions of a class are similar, and in which lines.

    SUBMISSIONS is a folder of zips, of folders or of single files. Their code is not run, weights
    are opened in the sandbox only, and nothing leaves this machine. A score is no verdict: a person
    looks and decides.
    """
    from grader.render.similarity.documents import pairs_csv, similarity_json
    from grader.render.similarity.pages import similarity_site
    from grader.render.similarity.terminal import similarity_text
    from grader.similarity.source.compare import compare_sources
    from grader.similarity.source.read_sources import find_base, find_submissions, read_tree
    from grader.similarity.source.stored import read_fingerprints, write_fingerprints

    definition = load_assignment(assignment)
    found = find_submissions(submissions)
    if results is not None:
        found = _under_keys(found, results)
    earlier = [old for path in archive for old in read_fingerprints(path)]
    with stages() as progress:
        comparison = compare_sources(
            found,
            definition,
            base=[find_base(path) for path in base],
            archive=earlier,
            cache=cache,
            progress=progress,
        )
        result = comparison.result
        if not source_only:
            result = _beyond_source(
                result, found, base, definition, results, public, unsafe_no_sandbox, progress
            )
        if save_archive is not None:
            write_fingerprints(save_archive, comparison.fingerprints)
        if json_path is not None:
            write_whole(json_path, similarity_json(result))
        if csv_path is not None:
            write_whole(csv_path, pairs_csv(result))
        if results is not None:
            write_whole(results / SIMILARITY_FILE, similarity_json(result))
        if html is not None:
            progress("writing pages")
            shown = {name for pair in result.pairs for name in pair.key}
            sources = {one.name: read_tree(one, definition) for one in found if one.name in shown}
            for name, content in similarity_site(result, sources):
                write_whole(html / name, content)
    click.echo(similarity_text(result), nl=False)
    if html is not None:
        click.echo(f"Pages: {html / 'index.html'}")


def _under_keys(
    submissions: tuple[FoundSubmission, ...], results: Path
) -> tuple[FoundSubmission, ...]:
    """Submissions under the keys that the class in `results` knows them by; what it does not know
    keeps its name."""
    from grader.classroom.store import open_store
    from grader.similarity.source.read_sources import FoundSubmission

    with open_store(results) as store:
        known = [(one.key, one.zip_path.resolve()) for one in store.submitted()]
    renamed = []
    for one in submissions:
        place = one.path.resolve()
        own = [
            FoundSubmission(key, path)
            for key, path in known
            if (path == place or place in path.parents) and path.is_file()
        ]
        renamed += own or [one]
    return tuple(sorted(renamed, key=lambda one: one.name))


def _beyond_source(
    result: ClassSimilarity,
    submissions: tuple[FoundSubmission, ...],
    base: tuple[Path, ...],
    definition: Assignment,
    results: Path | None,
    public: tuple[Path, ...],
    unsafe: bool,
    progress: Callable[[str], None],
) -> ClassSimilarity:
    """The result with the evidence of weights, answers, masks, files and names."""
    from grader.sandbox import choose_backend
    from grader.similarity.checkpoints.public import FOLDER, read_published
    from grader.similarity.source.read_sources import find_base
    from grader.similarity.submission.class_results import read_class_results
    from grader.similarity.submission.compare import compare_beyond_source

    known = None
    if results is not None:
        known = read_class_results(results, [one.name for one in submissions])
    with tempfile.TemporaryDirectory(prefix="grader-similar-") as scratch:
        return compare_beyond_source(
            result,
            submissions,
            definition,
            cache(lambda: choose_backend(allow_unsafe=unsafe)),
            Path(scratch),
            base=[find_base(path) for path in base],
            results=known,
            published=read_published((FOLDER, *public)),
            progress=progress,
        )
