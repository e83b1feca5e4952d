"""A class that is graded in no time: an engine without workers, and submissions of a few bytes."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

from grader.assignments.load import load_assignment
from grader.classroom.engine import AtStage, Ended, Event
from grader.classroom.orders import Failed, Graded, Order
from grader.classroom.plan import plan
from grader.classroom.progress import Progress
from grader.classroom.records import ClassInfo, Door, Fingerprint, Setup, Submitted
from grader.classroom.run import ClassRun
from grader.classroom.store import Store, make_store

ASSIGNMENT = load_assignment("ail721-a2")
CRITERIA = tuple(criterion.id for criterion in ASSIGNMENT.criteria)
CURRENT = Fingerprint("", "t" * 64, ASSIGNMENT.sha256, "0.1.0+0123456789ab")
BROKEN, FLAKY = b"breaks the grader", b"breaks the grader once"


def graded(key: str, content: bytes) -> Graded:
    """Marks that follow from the bytes of the zip."""
    digest = hashlib.sha256(content).hexdigest()
    awards = {name: Decimal(int(digest[n], 16) % 3) / 4 for n, name in enumerate(CRITERIA)}
    report = {
        "awards": [
            {"criterion": one.id, "value": float(awards[one.id]), "max_marks": f"{one.max_marks}"}
            for one in ASSIGNMENT.criteria
        ],
        "findings": [{"code": f"zip.fake-{digest[0]}"}],
    }
    return Graded(
        key=key,
        report=json.dumps(report),
        page=f"<p>{digest}</p>",
        masks="",
        zip_sha256=digest,
        verdict="graded",
        marks=sum(awards.values(), Decimal(0)),
        awards=awards,
        seconds=2.0,
    )


class FakeEngine:
    """An `Engine` of two slots that grades the oldest order whenever it is waited for.

    `before`: called with every order before it ends; `fails_until`: how many attempts at FLAKY
    fail; `broken`: a worker at which everything fails, beside "worker".
    """

    def __init__(
        self,
        before: Callable[[Order], None] | None = None,
        fails_until: int = 1,
        broken: str = "",
    ) -> None:
        self.orders: deque[tuple[str, Order]] = deque()
        self.started: Counter[str] = Counter()
        self._workers = (broken or "worker", "worker")
        self._before = before
        self._fails_until = fails_until

    def slots(self) -> int:
        return 2

    def idle(self) -> Sequence[str]:
        free = list(self._workers)
        for worker, _ in self.orders:
            free.remove(worker)
        return free

    def start(self, worker: str, order: Order) -> None:
        assert worker in self.idle()
        self.orders.append((worker, order))
        self.started[order.key] += 1

    def wait(self, _seconds: float, freed: Callable[[], None]) -> Sequence[Event]:
        worker, order = self.orders.popleft()
        if worker == "worker":
            freed()
        if self._before is not None:
            self._before(order)
        content = order.zip_path.read_bytes()
        outcome: Graded | Failed = graded(order.key, content)
        if worker != "worker":
            outcome = Failed(order.key, f"no sandbox works on {worker}")
        if content == BROKEN or (content == FLAKY and self.started[order.key] <= self._fails_until):
            outcome = Failed(order.key, "the sandbox broke")
        return [AtStage(order.key, "running the student's program"), Ended(worker, outcome)]


def hand_in(folder: Path, contents: dict[str, bytes]) -> tuple[Submitted, ...]:
    """Lay the submissions (key → bytes) into `folder`."""
    folder.mkdir(exist_ok=True)
    handed_in = []
    for key, content in contents.items():
        path = folder / f"{key}.zip"
        path.write_bytes(content)
        handed_in.append(Submitted(key=key, zip_path=path, zip_name=path.name, entry_number=key))
    return tuple(handed_in)


def info(submissions: Path = Path("/submissions")) -> ClassInfo:
    """The class as it is made."""
    return ClassInfo(
        assignment_id=ASSIGNMENT.id,
        title=ASSIGNMENT.title,
        course=ASSIGNMENT.course,
        max_marks=ASSIGNMENT.max_marks,
        definition_sha256=ASSIGNMENT.sha256,
        truth_sha256="t" * 64,
        setup=Setup(submissions=submissions, masks=Path("/masks"), assignment=ASSIGNMENT.id),
        created_at=datetime(2025, 3, 17, tzinfo=UTC),
    )


def grade(
    results: Path,
    submitted: Sequence[Submitted],
    engine: FakeEngine | None = None,
    *,
    force: bool = False,
    current: Fingerprint = CURRENT,
) -> list[str]:
    """One run over the class, from the store's opening to its closing; the lines that it told."""
    lines: list[str] = []

    def tell(line: str, progress: Progress) -> None:
        if line:
            lines.append(line)

    with make_store(results, info()) as store:
        door = Door(tuple(submitted))
        due = plan(store, door, current, info().setup, ASSIGNMENT, "ta", force=force)
        ClassRun(store, engine or FakeEngine(), ASSIGNMENT, current, tell).grade(due)
    return lines


def opened(results: Path) -> Store:
    """The store, as it is made for the fake class."""
    return make_store(results, info())
