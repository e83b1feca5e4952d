"""A class compared with itself: what goes into it, what comes out, and whether it is due again.

The comparison is evidence for a person and takes no part in marking: it runs when everything is
graded and stored, and what becomes of it changes no mark.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import cache
from multiprocessing.connection import Connection
from pathlib import Path

from grader.assignments.load import load_assignment
from grader.classroom.final_marks import SUPERSEDED
from grader.classroom.fingerprint import comparison_identity, stamp_of
from grader.classroom.records import Setup, State, Submitted
from grader.classroom.store import Store, open_store
from grader.errors import GraderError, InternalFault, UsageError
from grader.model import Assignment, EarlierComparison, EarlierMatch
from grader.render.similarity.documents import similarity_json
from grader.render.similarity.links import CLASS_PAGE
from grader.render.similarity.pages import similarity_site
from grader.sandbox import choose_backend
from grader.similarity.checkpoints.public import FOLDER, read_published
from grader.similarity.model import ClassSimilarity
from grader.similarity.source.compare import SourceComparison, compare_sources
from grader.similarity.source.read_sources import FoundSubmission, find_base, read_tree
from grader.similarity.source.stored import read_fingerprints
from grader.similarity.submission.class_results import read_class_results
from grader.similarity.submission.compare import compare_beyond_source
from grader.whole_file import whole_file

SIMILARITY_FILE = "similarity.json"  # in a class's results, where its site looks for it
PAGES_FOLDER = "similar"
_CACHE_FOLDER = ".fingerprints"
_END_SECONDS = 20.0
_SHOWN_EARLIER = 3  # matches that are shown also where none is worth a look
_SHOWN_PLACES = 12

Progress = Callable[[str], None]


def compare_class(results: Path, progress: Progress) -> str:
    """Compare the class in `results` with itself and the archives of its setup, unless nothing has
    changed since it was done; returns what that gave, in words.

    Writes `similarity.json` and the pages below `similar/`. "" when something is not graded yet, or
    there is nothing to compare with. Raises GraderError when it cannot be done.
    """
    with open_store(results) as store:
        due = _due(store)
        if isinstance(due, str):
            return due
        compared = compare_submissions(
            due.found,
            due.assignment,
            base=due.setup.base,
            archive=due.setup.archive,
            cache_folder=results / _CACHE_FOLDER,
            results=results,
            unsafe_no_sandbox=due.setup.unsafe_no_sandbox,
            emails=due.emails,
            progress=progress,
        ).result
        write_comparison(results, compared, due.found, due.assignment)
        summary = _in_words(compared)
        store.remember_comparison(due.rests_on, summary, datetime.now(UTC))
        return summary


def compare_class_apart(results: Path, progress: Progress) -> str:
    """`compare_class` in a process of its own: the memory that it takes goes with it, and not even
    its death reaches the run that has graded the class."""
    with open_store(results) as store:
        due = _due(store)
    if isinstance(due, str):
        return due
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe(duplex=False)
    process = context.Process(target=_compare_and_tell, args=(results, theirs))
    process.start()
    theirs.close()
    try:
        while True:
            kind, *said = ours.recv()
            if kind == "stage":
                progress(*said)
            else:
                break
    except EOFError as error:
        process.join()
        raise InternalFault(
            f"its process died (exit code {process.exitcode})",
            hint="-9 is a machine out of memory: `--no-similar` leaves the comparison out",
        ) from error
    except BaseException:  # Ctrl-C, or a batch system that ends this process alone
        if process.pid is not None:
            os.kill(process.pid, signal.SIGINT)  # not yet waited for: the number is its own
        raise
    finally:
        process.join(_END_SECONDS)
        process.kill()
        process.join()
    if kind == "done":
        return str(said[0])
    raise InternalFault(said[0], hint=said[1])


def _compare_and_tell(results: Path, told: Connection) -> None:
    try:
        told.send(("done", compare_class(results, lambda stage: told.send(("stage", stage)))))
    except GraderError as error:
        told.send(("fault", error.message, error.hint))
    except KeyboardInterrupt:
        return  # the parent has it, too, and says what there is to say
    except Exception as error:  # noqa: BLE001 - whatever it is, the class is graded
        text = f"a defect of the grader itself: {type(error).__name__}: {error}"
        told.send(("fault", text, ""))


@dataclass(frozen=True, slots=True)
class _Due:
    """A comparison that has to be made, and what it will rest on."""

    setup: Setup
    assignment: Assignment
    found: tuple[FoundSubmission, ...]
    emails: Mapping[str, frozenset[str]]
    rests_on: str


def _due(store: Store) -> _Due | str:
    """What has to be compared; or what the last comparison said, where that still holds."""
    setup = store.info().setup
    if set(store.states().values()) - {State.DONE, State.PARKED}:
        return ""
    submitted = [one for one in store.submitted() if _counts(one)]
    if len(submitted) < 2 and not setup.archive:
        return ""
    assignment = load_assignment(setup.assignment)
    rests_on = _rests_on(store, submitted, setup, assignment)
    known, summary = store.compared()
    written = (SIMILARITY_FILE, f"{PAGES_FOLDER}/{CLASS_PAGE}")
    if known == rests_on and all((store.results / name).is_file() for name in written):
        return summary
    return _Due(
        setup=setup,
        assignment=assignment,
        found=tuple(FoundSubmission(one.key, one.zip_path) for one in submitted),
        emails=emails_of(submitted),
        rests_on=rests_on,
    )


def compare_submissions(
    found: Sequence[FoundSubmission],
    assignment: Assignment,
    *,
    base: Iterable[Path] = (),
    archive: Iterable[Path] = (),
    public: Iterable[Path] = (),
    cache_folder: Path | None = None,
    results: Path | None = None,
    source_only: bool = False,
    unsafe_no_sandbox: bool = False,
    emails: Mapping[str, frozenset[str]] | None = None,
    progress: Progress = lambda stage: None,  # noqa: ARG005 - silent unless somebody watches
) -> SourceComparison:
    """Compare sources, and unless `source_only` also weights, answers, masks, files and names.

    `base`: code that was given out; `archive`: files of earlier years' fingerprints; `public`:
    folders of published weights' fingerprints; `results`: of `grader class`, for answers and
    masks; `emails`: submission → the addresses that are its own. Raises UsageError for what cannot
    be read.
    """
    given_out = [find_base(path) for path in base]
    comparison = compare_sources(
        found,
        assignment,
        base=given_out,
        archive=[old for path in archive for old in read_fingerprints(path)],
        cache=cache_folder,
        progress=progress,
    )
    if source_only:
        return comparison
    known = None
    if results is not None:
        known = read_class_results(results, [one.name for one in found])
    with tempfile.TemporaryDirectory(prefix="grader-similar-") as scratch:
        result = compare_beyond_source(
            comparison.result,
            found,
            assignment,
            cache(lambda: choose_backend(allow_unsafe=unsafe_no_sandbox)),
            Path(scratch),
            base=given_out,
            results=known,
            published=read_published((FOLDER, *public)),
            emails=emails,
            progress=progress,
        )
    return replace(comparison, result=result)


def compare_with_earlier(
    zip_path: Path,
    assignment: Assignment,
    archive: Sequence[Path],
    *,
    unsafe_no_sandbox: bool = False,
) -> EarlierComparison:
    """One zip against the fingerprints of earlier years, and what it says by itself.

    Raises UsageError for an archive that cannot be read.
    """
    result = compare_submissions(
        [FoundSubmission(zip_path.stem, zip_path)],
        assignment,
        archive=archive,
        unsafe_no_sandbox=unsafe_no_sandbox,
    ).result
    pairs = [pair for pair in result.pairs if pair.archived]
    pairs = [pair for number, pair in enumerate(pairs) if pair.flagged or number < _SHOWN_EARLIER]
    return EarlierComparison(
        compared=result.threshold.pairs_compared,
        threshold=result.threshold.score,
        reason=result.threshold.reason,
        meaning=pairs[0].evidence[0].meaning if pairs else "",
        matches=tuple(
            EarlierMatch(
                name=pair.right,
                score=pair.score,
                flagged=pair.flagged,
                message=pair.evidence[0].message,
                honest=pair.evidence[0].honest,
                places=tuple(
                    f"{region.left} – {region.right}"
                    for region in pair.evidence[0].regions[:_SHOWN_PLACES]
                ),
            )
            for pair in pairs
        ),
        findings=result.submissions[0].findings,
    )


def comparison_pages(
    result: ClassSimilarity, found: Iterable[FoundSubmission], assignment: Assignment
) -> Iterator[tuple[str, str]]:
    """(path relative to the pages' folder, text) of every page."""
    shown = {name for pair in result.pairs for name in pair.key}
    sources = {one.name: read_tree(one, assignment) for one in found if one.name in shown}
    yield from similarity_site(result, sources)


def emails_of(submitted: Iterable[Submitted]) -> dict[str, frozenset[str]]:
    """key → the addresses of its people, where any is known."""
    return {
        one.key: frozenset(one.email.casefold().split(", "))
        for one in submitted
        if one.email is not None
    }


def _counts(one: Submitted) -> bool:
    """An earlier submission of the same person would only be found to be similar to the later."""
    return SUPERSEDED not in {finding.code for finding in one.findings}


def _rests_on(
    store: Store, submitted: Sequence[Submitted], setup: Setup, assignment: Assignment
) -> str:
    latest = store.latest_numbers()
    told = {
        "code": comparison_identity(),
        "definition": assignment.sha256,
        "deadline": None if assignment.late is None else str(assignment.late.deadline),
        "given": [stamp_of([path]) for path in (*setup.base, *setup.archive)],
        "bare": setup.unsafe_no_sandbox,
        "submissions": [
            (one.key, stamp_of([one.zip_path]), latest.get(one.key), one.email) for one in submitted
        ],
    }
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def write_comparison(
    results: Path,
    result: ClassSimilarity,
    found: Iterable[FoundSubmission],
    assignment: Assignment,
) -> None:
    """Write `similarity.json` and the pages, in place of those of an earlier comparison, where the
    class's site looks for them. Raises UsageError when they cannot be written."""
    with _told(results), tempfile.TemporaryDirectory(dir=results, prefix=".similar-") as scratch:
        fresh = Path(scratch) / PAGES_FOLDER
        for name, text in comparison_pages(result, found, assignment):
            (fresh / name).parent.mkdir(parents=True, exist_ok=True)
            (fresh / name).write_text(text, "utf-8")
        place = results / PAGES_FOLDER
        if place.exists():
            shutil.move(place, Path(scratch) / "earlier")
        fresh.rename(place)
        with whole_file(results / SIMILARITY_FILE) as file:
            file.write(similarity_json(result).encode())


@contextmanager
def _told(results: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"{results / PAGES_FOLDER}: the comparison cannot be written: "
            f"{error.strerror or error}",
            hint="free some space on this disk and run the same command again: what is done is "
            "kept",
        ) from error


def _in_words(result: ClassSimilarity) -> str:
    pairs, groups = result.num_flagged, len(result.clusters)
    text = f"{result.threshold.pairs_compared:,} pairs of submissions compared, "
    text += f"{pairs} worth a look" if pairs else "none worth a look"
    return text + (f", in {groups} {'group' if groups == 1 else 'groups'}" if pairs else "")
