"""`grader class` and `grader regrade`, without their words: from a setup to graded submissions."""

from __future__ import annotations

import getpass
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from grader.assignments.load import load_assignment
from grader.classroom.course import Course, contents_of
from grader.classroom.fingerprint import grader_identity, is_there, stamp_of
from grader.classroom.marks import Misfit
from grader.classroom.plan import changes, charge, plan
from grader.classroom.recognise import recognise
from grader.classroom.records import (
    Absent,
    ClassInfo,
    Door,
    Fingerprint,
    Setup,
    State,
    Submitted,
)
from grader.classroom.run import ClassRun, Told
from grader.classroom.run_lock import only_run
from grader.classroom.store import FILE_NAME, Store, make_store, open_store
from grader.errors import UsageError
from grader.findings import listed
from grader.model import Assignment, Truth
from grader.stages.pair_truth import pair_truth

if TYPE_CHECKING:
    from grader.classroom.engine import Engine


@dataclass(frozen=True, slots=True)
class Workers:
    """Where submissions are graded: processes of this machine (`number`, None for what suits it),
    or the workers of the Dask scheduler at `scheduler`."""

    number: int | None = None
    scheduler: str | None = None


@dataclass(frozen=True, slots=True)
class Standing:
    """How a class stands after a run. `due` is how many submissions the run had to grade, `gone`
    names those that are no longer at the door, `stale` those whose result rests on something that
    has changed, `absent` who of the roster handed in nothing, `misfits` what was adjusted by hand
    and no longer fits the definition, `recharged` what was not graded again and is charged
    something else for lateness than before."""

    due: int
    done: int
    parked: Mapping[str, str]
    gone: tuple[str, ...] = ()
    absent: tuple[Absent, ...] = ()
    stale: Mapping[str, str] | None = None
    misfits: tuple[Misfit, ...] = ()
    recharged: tuple[str, ...] = ()


@contextmanager
def alone_in(results: Path, setup: Setup, assignment: Assignment) -> Iterator[None]:
    """Nobody else grades in `results` while the block lasts: reading the door packs loose files
    there. Where there is no class yet, there is nobody to disturb.

    Raises UsageError when another run is at work, or when the results are another assignment's.
    """
    if not (results / FILE_NAME).is_file():
        yield
        return
    with make_store(results, _info(setup, assignment, "")), only_run(results):
        yield


def grade_class(
    results: Path,
    setup: Setup,
    door: Door,
    workers: Workers,
    tell: Told,
    *,
    force: bool = False,
) -> Standing:
    """Grade what is new or changed at the `door`, and go on with what an earlier run left.

    Raises GraderError when the class cannot be graded at all, or no longer; what is done is kept.
    """
    if not door.submitted:
        raise UsageError(
            f"{setup.submissions}: holds no submissions", hint="give the folder with the zips"
        )
    assignment = load_assignment(setup.assignment)
    with make_store(results, _info(setup, assignment, "")) as store, only_run(results):
        ground = _Ground(setup, assignment, store)
        door = recognise(store, door)
        before = store.late_penalties()
        due = plan(store, door, ground.current, setup, assignment, who_grades(), force=force)
        ground.remember()
        _grade(store, ground, due, workers, tell)
        states = store.states()
        here = {one.key for one in door.submitted}
        return Standing(
            due=len(due),
            done=list(states.values()).count(State.DONE),
            parked=store.faults(),
            gone=tuple(key for key in states if key not in here),
            absent=store.absent(),
            misfits=store.misfits(),
            recharged=_recharged(store, before, due),
        )


def regrade(
    results: Path, names: Sequence[str], because: str, workers: Workers, tell: Told
) -> Standing:
    """Grade the named submissions again, or without names whatever rests on something that has
    changed, and what an earlier regrading left. The results so far stay in the history, and those
    whose zips have gone count on.

    Raises UsageError for a name that is none, and for one whose zip has gone.
    """
    check_reason(because)
    with open_store(results) as store, only_run(results):
        setup = store.info().setup
        assignment = load_assignment(setup.assignment)
        submitted = store.submitted()
        chosen = {one.key: one for one in (find(submitted, name) for name in names)}
        gone = [one.key for one in submitted if not is_there(one.zip_path)]
        _refuse_gone([chosen[key] for key in gone if key in chosen])
        ground = _Ground(setup, assignment, store)
        store.put_back()
        store.settle(gone)
        states = store.states()
        left = {key for key in store.fingerprints() if states[key] is State.WAITING}
        changed = changes(
            store, [one for one in submitted if states[one.key] is State.DONE], ground.current
        )
        reasons = (
            dict.fromkeys(chosen, because)
            if chosen
            else {key: f"{because} ({what})" for key, what in changed.items()}
        )
        store.ask(reasons, who_grades())
        before = store.late_penalties()
        charge(store, assignment)
        ground.remember()
        due = [
            one
            for one in store.submitted()
            if one.key in reasons or (one.key in left and not chosen)
        ]
        _grade(store, ground, due, workers, tell)
        return Standing(
            due=len(due),
            done=list(store.states().values()).count(State.DONE),
            parked=store.faults(),
            gone=tuple(gone),
            stale={key: what for key, what in changed.items() if key not in reasons},
            misfits=store.misfits(),
            recharged=_recharged(store, before, due),
        )


def _recharged(
    store: Store, before: Mapping[str, Decimal], due: Sequence[Submitted]
) -> tuple[str, ...]:
    graded = {one.key for one in due}
    return tuple(
        key
        for key, marks in store.late_penalties().items()
        if key not in graded and marks != before.get(key, marks)
    )


def _refuse_gone(gone: Sequence[Submitted]) -> None:
    if gone:
        raise UsageError(
            f"{', '.join(one.key for one in gone)}: cannot be graded again: no longer there: "
            f"{', '.join(str(one.zip_path) for one in gone)}",
            hint="put it back, or leave this name out; the result so far is kept, and counts",
        )


def find(submitted: Sequence[Submitted], name: str) -> Submitted:
    """The submission of that key, entry number, zip name or person.

    Raises UsageError when there is none or more than one.
    """
    wanted = name.casefold()
    found = [one for one in submitted if wanted == one.key.casefold()]
    if not found:
        found = [
            one
            for one in submitted
            if wanted
            in {
                text.casefold()
                for text in (
                    one.entry_number or "",
                    one.zip_name,
                    Path(one.zip_name).stem,
                    one.name or "",
                    one.email or "",
                )
                if text
            }
        ]
    if len(found) == 1:
        return found[0]
    if found:
        keys = ", ".join(one.key for one in found)
        raise UsageError(f"{name}: names several submissions: {keys}", hint="give one of these")
    known = [one.key for one in submitted]
    close = get_close_matches(name, known, n=6, cutoff=0.5)
    raise UsageError(
        f"{name}: no submission of this class is called so",
        hint=f"did you mean {listed(close, 6)}?" if close else f"there are {listed(known, 6)}",
    )


def who_grades() -> str:
    """The person at the keyboard, for the record."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container may know no name for its user
        return f"user {os.getuid()}"


def check_reason(because: str) -> None:
    """Raise UsageError for a reason that says nothing."""
    if not because.strip():
        raise UsageError(
            "--because: is empty", hint="say why in a few words: they stay in the record"
        )


class _Ground:
    """What results rest on now. The truth is read only when its files changed or are needed."""

    def __init__(self, setup: Setup, assignment: Assignment, store: Store) -> None:
        self.setup = setup
        self.assignment = assignment
        self._store = store
        self._truth: Truth | None = None
        self._stamp = self._stamp_truth()
        unchanged = self._stamp == store.truth_stamp()
        sha256 = store.info().truth_sha256 if unchanged else self.truth().sha256
        self.current = Fingerprint("", sha256, assignment.sha256, grader_identity())

    def truth(self) -> Truth:
        """The truth, loaded once."""
        if self._truth is None:
            # Here, because a class in which nothing is due needs no image library.
            from grader.stages.load_truth import load_truth, require_truth  # noqa: PLC0415
            from grader.stages.read_classes import read_classes  # noqa: PLC0415

            setup = self.setup
            require_truth(setup.masks, setup.images, self.assignment)
            classes = None if setup.classes is None else read_classes(setup.classes)
            self._truth = load_truth(
                setup.masks, setup.images, setup.labels, classes, self.assignment
            )
        return self._truth

    def course(self) -> Course:
        """What goes to the workers."""
        truth = self.truth()
        return Course(
            assignment=self.assignment,
            truth=truth,
            contents=contents_of(truth),
            grader=self.current.grader,
            independent=self.setup.independent,
            probed=self.setup.probed,
            unsafe_no_sandbox=self.setup.unsafe_no_sandbox,
        )

    def remember(self) -> None:
        """Write into the store what the class is graded with from now on."""
        info = _info(self.setup, self.assignment, self.current.truth_sha256)
        self._store.begin_class(info, self._stamp)

    def _stamp_truth(self) -> str:
        pairs = pair_truth(self.setup.masks, self.setup.images)
        paths = [pair.image for pair in pairs] + [pair.mask for pair in pairs if pair.mask]
        paths += [path for path in (self.setup.labels, self.setup.classes) if path is not None]
        return f"{self.assignment.sha256} {stamp_of(paths)}"


def _grade(
    store: Store, ground: _Ground, due: Sequence[Submitted], workers: Workers, tell: Told
) -> None:
    if not due:
        return
    with _engine(ground.course(), workers) as engine:
        ClassRun(store, engine, ground.assignment, ground.current, tell).grade(due)


@contextmanager
def _engine(course: Course, workers: Workers) -> Iterator[Engine]:
    # Here, because a class in which nothing is due needs no workers.
    from grader.classroom import dask_engine  # noqa: PLC0415

    opened: AbstractContextManager[Engine] = (
        dask_engine.local_workers(course, workers.number)
        if workers.scheduler is None
        else dask_engine.workers_at(course, workers.scheduler)
    )
    with opened as engine:
        yield engine


def _info(setup: Setup, assignment: Assignment, truth_sha256: str) -> ClassInfo:
    return ClassInfo(
        assignment_id=assignment.id,
        title=assignment.title,
        course=assignment.course,
        max_marks=assignment.max_marks,
        definition_sha256=assignment.sha256,
        truth_sha256=truth_sha256,
        setup=setup,
        created_at=datetime.now(UTC),
    )
