"""`grader similar`: which submissions say the same, and where."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from grader.assignments.load import load_assignment
from grader.cli.options import ARCHIVE, ASSIGNMENT, BASE, PATH, UNSAFE
from grader.cli.output import check_out, check_out_file, stages, write_whole

if TYPE_CHECKING:
    from grader.similarity.source.read_sources import FoundSubmission


@click.command()
@click.argument("submissions", type=PATH)
@BASE
@ARCHIVE
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
    help="What `grader class` has written: its answers and masks are compared too, and what comes "
    "out takes the place of the class's own comparison, on its site as well.",
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
    from grader.classroom.similar import compare_submissions, comparison_pages, write_comparison
    from grader.render.similarity.documents import pairs_csv, similarity_json
    from grader.render.similarity.terminal import similarity_text
    from grader.similarity.source.read_sources import find_submissions
    from grader.similarity.source.stored import write_fingerprints

    definition = load_assignment(assignment)
    files = {"--json": json_path, "--csv": csv_path, "--save-archive": save_archive}
    for option, path in files.items():
        if path is not None:
            check_out_file(path, option)
    if html is not None:
        check_out(html, "--html")
    found = find_submissions(submissions)
    emails: dict[str, frozenset[str]] = {}
    if results is not None:
        found, emails = _under_keys(found, results)
    with stages() as progress:
        comparison = compare_submissions(
            found,
            definition,
            base=base,
            archive=archive,
            public=public,
            cache_folder=cache,
            results=results,
            source_only=source_only,
            unsafe_no_sandbox=unsafe_no_sandbox,
            emails=emails,
            progress=progress,
        )
        result = comparison.result
        if save_archive is not None:
            write_fingerprints(save_archive, comparison.fingerprints)
        if json_path is not None:
            write_whole(json_path, similarity_json(result))
        if csv_path is not None:
            write_whole(csv_path, pairs_csv(result))
        if results is not None:
            write_comparison(results, result, found, definition)
        if html is not None:
            progress("writing pages")
            for name, content in comparison_pages(result, found, definition):
                write_whole(html / name, content)
    click.echo(similarity_text(result), nl=False)
    if html is not None:
        click.echo(f"Pages: {html / 'index.html'}")


def check_given(base: Sequence[Path], archive: Sequence[Path]) -> None:
    """Refuse before hours of grading what would fail after them."""
    if base or archive:
        from grader.similarity.source.read_sources import find_base
        from grader.similarity.source.stored import read_fingerprints

        for path in base:
            find_base(path)
        for path in archive:
            read_fingerprints(path)


def _under_keys(
    submissions: tuple[FoundSubmission, ...], results: Path
) -> tuple[tuple[FoundSubmission, ...], dict[str, frozenset[str]]]:
    """Submissions under the keys that the class in `results` knows them by, and whose addresses are
    whose; what it does not know keeps its name."""
    from grader.classroom.similar import emails_of
    from grader.classroom.store import open_store
    from grader.similarity.source.read_sources import FoundSubmission

    with open_store(results) as store:
        submitted = store.submitted()
    known = [(one.key, one.zip_path.resolve()) for one in submitted]
    renamed = []
    for one in submissions:
        place = one.path.resolve()
        own = [
            FoundSubmission(key, path)
            for key, path in known
            if (path == place or place in path.parents) and path.is_file()
        ]
        renamed += own or [one]
    return tuple(sorted(renamed, key=lambda one: one.name)), emails_of(submitted)
