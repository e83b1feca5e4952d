"""Grade what is due: hand submissions to an engine, and keep every outcome the moment it comes.

The store is told before a submission starts and in the same moment as it ends, so that a run that
is killed, wherever that is, is continued by the next one: what was running is graded again, what
was written stays. Report files come before the store's record of them; a file without a record is
simply written again.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from grader.classroom.engine import AtStage, Ended, Engine
from grader.classroom.fingerprint import content_hash, stamp_of
from grader.classroom.lateness import late_penalty
from grader.classroom.marks import total, with_adjustments
from grader.classroom.orders import Failed, Graded, Order
from grader.classroom.progress import Progress, Running
from grader.classroom.records import Fingerprint, PastResult, State, Submitted
from grader.classroom.report_files import write_report_files
from grader.classroom.store import REPORTS_FOLDER, Store
from grader.errors import InternalFault
from grader.model import Assignment
from grader.similarity.model import MASKS_FILE

MOST_ATTEMPTS = 3  # the first, and two more
_WAIT_SECONDS = 1.0
# So many different submissions that all fail, while none succeeds, are the surroundings' doing.
_HOPELESS = 5
# So many failures in a row are a worker's own doing, as long as others succeed.
_STRIKES = 3

Told = Callable[[str, Progress], None]


@dataclass(frozen=True, slots=True)
class _Started:
    """A submission on its way. `zip_stamp` was taken before the zip was read."""

    submitted: Submitted
    worker: str
    zip_stamp: str


class ClassRun:
    """One run over what is due. `tell` gets a line for each outcome ("" when only time passed)."""

    def __init__(
        self, store: Store, engine: Engine, assignment: Assignment, current: Fingerprint, tell: Told
    ) -> None:
        self._store = store
        self._engine = engine
        self._assignment = assignment
        self._current = current
        self._tell = tell
        self._due: deque[Submitted] = deque()
        self._running: dict[str, _Started] = {}
        self._failed: dict[str, str] = {}  # key → worker of the last attempt that failed
        self._strikes: Counter[str] = Counter()  # worker → failures since its last success
        self._succeeded = False
        states = list(store.states().values())
        self.progress = Progress(
            total=len(states), done=states.count(State.DONE), parked=states.count(State.PARKED)
        )

    def grade(self, due: Sequence[Submitted]) -> None:
        """Grade all of `due`; returns when each is done or parked.

        When it is stopped (Ctrl-C, a full disk, an engine that is lost, everything failing), what
        was running goes back in line, nothing is charged for it, and the exception goes on.
        """
        self._due.extend(due)
        try:
            while self._due or self._running:
                self._hand_out()
                self._take_in()
        finally:
            self._store.put_back(self._running)

    def _hand_out(self) -> None:
        idle = self._engine.idle()
        others = {started.worker for started in self._running.values()} | set(idle)
        for worker in idle:
            one = self._next_for(worker, others - {worker})
            if one is None:
                continue
            now = datetime.now(UTC)
            self._running[one.key] = _Started(one, worker, stamp_of([one.zip_path]))
            self._store.start(one.key, worker, now)
            self.progress.running[one.key] = Running(one.key, now, worker)
            self._engine.start(worker, _order(one))

    def _next_for(self, worker: str, others: Set[str]) -> Submitted | None:
        """What this worker gets; None for one that fails again and again while others do not, and
        for a submission that failed there last: a broken machine is quick and would take them all.
        """
        sound = {other for other in others if self._strikes[other] < _STRIKES}
        if sound and self._strikes[worker] >= _STRIKES:
            return None
        for one in self._due:
            if not sound or self._failed.get(one.key) != worker:
                self._due.remove(one)
                return one
        return None

    def _take_in(self) -> None:
        stages: dict[str, str] = {}
        ended: list[Ended] = []
        for event in self._engine.wait(_WAIT_SECONDS, self._hand_out):
            if isinstance(event, AtStage):
                stages[event.key] = event.stage
            else:
                ended.append(event)
        self._hand_out()  # first: writing takes a moment in which a worker would wait
        self.progress.slots = self._engine.slots()
        self._note_stages(stages)
        for event in ended:
            key = event.outcome.key
            if key not in self._running:
                continue  # of an attempt that was given up
            if isinstance(event.outcome, Graded):
                line = self._keep(event.outcome)
            else:
                line = self._fail(event.outcome, event.worker)
            del self._running[key]
            del self.progress.running[key]
            self._tell(line, self.progress)
        if not ended:
            self._tell("", self.progress)
        self._check_hope()

    def _note_stages(self, stages: Mapping[str, str]) -> None:
        for key, stage in stages.items():
            if key in self.progress.running:
                running = self.progress.running[key]
                self.progress.running[key] = Running(key, running.since, running.worker, stage)
        if stages:
            self._store.show_stages(stages)

    def _keep(self, graded: Graded) -> str:
        started = self._running[graded.key]
        one = started.submitted
        folder = self._store.results / REPORTS_FOLDER / graded.key
        earlier = self._store.latest_number(graded.key)
        files = {
            "report.html": graded.page,
            MASKS_FILE: graded.masks,
            "report.json": graded.report,
        }
        write_report_files(folder, files, earlier)
        most = {criterion.id: criterion.max_marks for criterion in self._assignment.criteria}
        adjustments = self._store.adjustments(graded.key)
        marks = total(with_adjustments(graded.awards, adjustments, most))
        late = late_penalty(marks, one.late_seconds, self._assignment)
        self._store.finish(
            _result(graded, one, self._current), graded.report, started.zip_stamp, late
        )
        self._succeeded = True
        self._strikes[started.worker] = 0
        self.progress.done += 1
        self.progress.seconds.append(graded.seconds)
        return _told_marks(graded, late, self._assignment.max_marks)

    def _fail(self, failed: Failed, worker: str) -> str:
        state = self._store.fail(
            failed.key, failed.fault, worker, datetime.now(UTC), most_attempts=MOST_ATTEMPTS
        )
        self._failed[failed.key] = worker
        self._strikes[worker] += 1
        if state is State.WAITING:
            self._due.append(self._running[failed.key].submitted)
            return f"{failed.key}: will be tried again: {failed.fault}"
        self.progress.parked += 1
        return f"{failed.key}: parked, not marked: {failed.fault}"

    def _check_hope(self) -> None:
        if not self._succeeded and len(self._failed) >= _HOPELESS:
            (fault,) = self._store.last_faults(1)
            raise InternalFault(
                f"every submission so far failed through the grader's own fault: {fault}",
                hint="mend that and run the same command again: nobody was marked by it",
            )


def _order(one: Submitted) -> Order:
    try:
        size_bytes = one.zip_path.stat().st_size
    except OSError:
        size_bytes = -1  # the worker says what is wrong with it
    return Order(one.key, one.zip_path, one.zip_name, size_bytes)


def _result(graded: Graded, one: Submitted, current: Fingerprint) -> PastResult:
    return PastResult(
        number=0,
        key=graded.key,
        graded_at=datetime.now(UTC),
        who="",
        why="",
        fingerprint=Fingerprint(
            zip_sha256=graded.zip_sha256 or content_hash(one.zip_path),
            truth_sha256=current.truth_sha256,
            definition_sha256=current.definition_sha256,
            grader=current.grader,
        ),
        seconds=graded.seconds,
        verdict=graded.verdict,
        marks=graded.marks,
        awards=graded.awards,
        report={},
    )


def _told_marks(graded: Graded, late: Decimal, most: Decimal) -> str:
    charged = f", {late:f} off for lateness" if late else ""
    return (
        f"{graded.key}: {graded.verdict}, {graded.marks:f} of {most:f}{charged}, "
        f"in {graded.seconds:.0f} s"
    )
