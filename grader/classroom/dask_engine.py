"""An engine on Dask: a cluster of processes on this machine, or any scheduler by its address.

The engine gives every submission to one worker by name, never more than the worker has slots, so
that a worker that dies takes the attempts with it that ran there and no other, whatever its
scheduler would do about it. A worker's slots are its threads; where workers declare the resource
GPU, only those are used, with one submission a GPU.
"""

from __future__ import annotations

import itertools
import logging
import os
import pickle
import queue
import re
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import dask
from dask.system import CPU_COUNT
from distributed import Client, Future, KilledWorker, Nanny, Scheduler, SpecCluster, get_worker
from distributed.comm.addressing import get_address_host
from distributed.security import Security
from distributed.system import MEMORY_LIMIT

from grader.classroom.course import Course, bundle
from grader.classroom.engine import AtStage, Ended, Event
from grader.classroom.grade_one import grade, prepare
from grader.classroom.orders import Failed, Graded, Missing, Order, Outcome
from grader.errors import GraderError, InternalFault, UsageError
from grader.sandbox.gpu import device_nodes

_CONNECT_SECONDS = 10.0
_LOOK_SECONDS = 1.0
_GATHER_SECONDS = 60.0
_STAGE_SECONDS = 0.25
_GPU = "GPU"
_VISIBLE_GPUS = "CUDA_VISIBLE_DEVICES"
_SILENT: dict[str, Any] = {
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # Looks at every thread's stack a hundred times a second, for a page that nobody can open.
    "distributed.worker.profile.enabled": False,
    # These wake every process, twenty times a second and oftener, to draw curves of itself.
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.system-monitor.interval": "10s",
    # Dask's own, but for a threshold that gives every freed array back to the system at once.
    "distributed.nanny.pre-spawn-environ": {
        "OMP_NUM_THREADS": 1,
        "MKL_NUM_THREADS": 1,
        "OPENBLAS_NUM_THREADS": 1,
    },
}
# Ctrl-C reaches every process of the terminal; the workers are ended by their parent instead.
_PRELOAD = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\n"


# ------------------------------------------------------------------- clusters


@contextmanager
def local_workers(course: Course, workers: int | None) -> Iterator[DaskEngine]:
    """`workers` processes on this machine, for as long as the block lasts.

    By default one for each GPU, else one for each core, as far as memory goes when every program
    takes what the definition allows. The connections are encrypted and need a key that only this
    run has: on a machine with other users an open port would run their programs in the grader's
    name. Raises InternalFault when the processes cannot be started.
    """
    number = workers or _default_workers(course)
    scheduler = {"cls": Scheduler, "options": _options() | {"allowed_failures": 0}}
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="grader-workers-"))
        stack.enter_context(dask.config.set(_SILENT | {"temporary-directory": folder}))
        logging.getLogger("distributed").setLevel(logging.CRITICAL)
        security = Security.temporary()
        for part in scheduler, *(specification := _workers(number, folder)).values():
            part["options"]["security"] = security
        try:
            cluster = stack.enter_context(
                SpecCluster(
                    workers=specification,
                    scheduler=scheduler,
                    security=security,
                    silence_logs=logging.CRITICAL,
                )
            )
            client = stack.enter_context(
                Client(cluster, security=security, set_as_default=False, direct_to_workers=True)
            )
        except (OSError, TimeoutError, RuntimeError) as error:
            raise InternalFault(
                f"the workers on this machine could not be started: {error}",
                hint="try fewer with --workers; what is done is kept",
            ) from error
        yield stack.enter_context(DaskEngine(client, course, max(1, CPU_COUNT // number)))


@contextmanager
def workers_at(course: Course, address: str) -> Iterator[DaskEngine]:
    """The workers of the scheduler at `address`, or at the address that this file names.

    Raises UsageError when nobody answers there.
    """
    logging.getLogger("distributed").setLevel(logging.CRITICAL)
    place = {"scheduler_file" if Path(address).is_file() else "address": address}
    try:
        client = Client(**place, timeout=_CONNECT_SECONDS, set_as_default=False)
    except (OSError, TimeoutError, ValueError, TypeError, RuntimeError) as error:
        raise UsageError(
            f"--scheduler {address}: no Dask scheduler answers there: {error}",
            hint="start one with `dask scheduler`, and give the address that it prints "
            "(tcp://HOST:8786; tls:// needs the certificates in Dask's own configuration)",
        ) from error
    with client, DaskEngine(client, course, None) as engine:
        yield engine


def _options() -> dict[str, Any]:
    # Dask starts an HTTP server in every case: a port of loopback, and nothing behind it.
    return {
        "host": "127.0.0.1",
        "protocol": "tls://",
        "dashboard": False,
        "dashboard_address": "127.0.0.1:0",
    }


def _workers(number: int, folder: str) -> dict[int, dict[str, Any]]:
    devices = _gpus()
    specification: dict[int, dict[str, Any]] = {}
    for index in range(number):
        options = _options() | {
            "nthreads": 1,
            "memory_limit": 0,  # what a program may take is the sandbox's matter
            "silence_logs": logging.CRITICAL,
            "preload": [_PRELOAD],
            "local_directory": folder,
            "env": {"TMPDIR": folder},  # what a worker leaves that dies goes with the folder
        }
        if devices:
            options["resources"] = {_GPU: 1}
            options["env"][_VISIBLE_GPUS] = devices[index % len(devices)]
        specification[index] = {"cls": Nanny, "options": options}
    return specification


def _default_workers(course: Course) -> int:
    devices = _gpus()
    if devices:
        return len(devices)
    most = max((case.limits.memory_bytes for case in course.assignment.cases), default=1)
    return max(1, min(CPU_COUNT, MEMORY_LIMIT // most))


def _gpus() -> list[str]:
    """What CUDA_VISIBLE_DEVICES calls each GPU that this process may use."""
    chosen = os.environ.get(_VISIBLE_GPUS)
    if chosen is not None:
        return [name for name in chosen.split(",") if name.strip()]
    nodes = [node.name for node in device_nodes()]
    return [str(n) for n in range(sum(bool(re.fullmatch(r"nvidia\d+", name)) for name in nodes))]


# ------------------------------------------------------------------- the engine


@dataclass(frozen=True, slots=True)
class _Attempt:
    worker: str
    order: Order
    future: Future[Outcome]


class DaskEngine:
    """An `Engine`. `threads`: how many a student's program may use; None lets every worker reckon.

    Whoever waits raises UsageError when the scheduler is gone.
    """

    def __init__(self, client: Client, course: Course, threads: int | None) -> None:
        self._client = client
        self._course = course
        self._packed = pickle.dumps(course)
        self._threads = threads
        self._attempts: dict[int, _Attempt] = {}
        self._numbers = itertools.count()
        self._ended: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._stages: queue.SimpleQueue[AtStage] = queue.SimpleQueue()
        self._topic = f"grader-{secrets.token_hex(8)}"
        self._slots: dict[str, int] = {}
        self._shares: dict[str, int] = {}
        self._proven: set[str] = set()  # workers that have graded, so have all that they need
        self._sends_zips = False
        self._unread: list[Ended] = []  # attempts whose zip could not be read, to be told
        self._looked_at = 0.0
        client.subscribe_topic(self._topic, self._hear)
        self._look()

    def __enter__(self) -> DaskEngine:
        return self

    def __exit__(self, *_: object) -> None:
        """What still runs is given up: its results would find nobody."""
        futures = [attempt.future for attempt in self._attempts.values()]
        self._attempts.clear()
        with suppress(OSError, TimeoutError, RuntimeError):
            self._client.unsubscribe_topic(self._topic)
            if futures:
                self._client.cancel(futures, force=True)

    def slots(self) -> int:
        return sum(self._slots.values())

    def idle(self) -> Sequence[str]:
        busy = Counter(attempt.worker for attempt in self._attempts.values())
        return [
            worker
            for worker, slots in sorted(self._slots.items())
            for _ in range(slots - busy[worker])
        ]

    def start(self, worker: str, order: Order) -> None:
        try:
            self._submit(worker, _with_content(order) if self._sends_zips else order)
        except UsageError as error:  # this one's zip alone: the others go on
            self._unread.append(Ended(worker, Failed(order.key, error.message)))

    def wait(self, seconds: float, freed: Callable[[], None]) -> Sequence[Event]:
        numbers: list[int] = []
        with suppress(queue.Empty):
            numbers.append(self._ended.get(timeout=0 if self._unread else seconds))
            while True:
                numbers.append(self._ended.get_nowait())
        attempts = [self._attempts.pop(number) for number in numbers if number in self._attempts]
        if attempts and all(map(self._is_free, attempts)):
            freed()
        events: list[Event] = [*self._unread]
        self._unread.clear()
        events += [ended for attempt in attempts if (ended := self._settle(attempt)) is not None]
        if time.monotonic() - self._looked_at >= _LOOK_SECONDS:
            events += self._look()
        with suppress(queue.Empty):
            while True:
                events.append(self._stages.get_nowait())
        return events

    # ------------------------------------------------------------------- inside

    def _submit(self, worker: str, order: Order, after: Future[bool] | None = None) -> None:
        number = next(self._numbers)
        future = self._client.submit(
            _grade_here,
            self._packed,
            order,
            self._threads,
            self._shares,
            self._topic,
            after,
            key=f"grade-{self._topic}-{number}",
            workers=[worker],
            pure=False,
        )
        self._attempts[number] = _Attempt(worker, order, future)
        future.add_done_callback(lambda _: self._ended.put(number))

    def _is_free(self, attempt: _Attempt) -> bool:
        """Whether the attempt's worker can begin another one, whatever became of this one."""
        return attempt.worker in self._proven and attempt.future.status == "finished"

    def _settle(self, attempt: _Attempt) -> Ended | None:
        """How an attempt ended; None when it goes on, because something had to be sent first."""
        outcome: Outcome
        try:
            outcome = attempt.future.result(timeout=_GATHER_SECONDS)
        except KilledWorker:
            # Forgotten at once: until the next look it would seem idle, and get another.
            self._slots.pop(attempt.worker, None)
            outcome = _died(attempt)
        except Exception as error:  # noqa: BLE001 - whatever became of it, it is one attempt
            self._look()  # a scheduler that is gone has cancelled everything: that is told instead
            outcome = Failed(
                attempt.order.key,
                f"the worker {attempt.worker} gave no answer: {type(error).__name__}: {error}",
            )
        if isinstance(outcome, Graded):
            self._proven.add(attempt.worker)
        if isinstance(outcome, Graded | Failed):
            return Ended(attempt.worker, outcome)
        return self._send(attempt, outcome)

    def _send(self, attempt: _Attempt, missing: Missing) -> Ended | None:
        try:
            if missing.what == "truth":
                files = bundle(self._course.truth)
                sent = self._client.submit(
                    _receive, self._packed, files, workers=[attempt.worker], pure=False
                )
                self._submit(attempt.worker, attempt.order, sent)
            else:
                order = _with_content(attempt.order)
                self._sends_zips = True  # it is here, and the worker does not see it
                self._submit(attempt.worker, order)
        except GraderError as error:
            return Ended(attempt.worker, Failed(attempt.order.key, error.message))
        return None

    def _look(self) -> list[Event]:
        """Who is there, and whose work has gone. Raises UsageError for a lost scheduler."""
        self._looked_at = time.monotonic()
        try:
            workers = self._client.sync(self._identify, callback_timeout=_CONNECT_SECONDS)
        except (OSError, TimeoutError, RuntimeError) as error:
            raise UsageError(
                f"the scheduler at {self._client_address()} no longer answers",
                hint="start it again and repeat the same command: what is done is kept, and what "
                "was running is graded again",
            ) from error
        self._slots = _slots_of(workers)
        shares: Counter[str] = Counter()
        for worker, slots in self._slots.items():
            shares[get_address_host(worker)] += slots
        self._shares = dict(shares)
        gone = [n for n, attempt in self._attempts.items() if attempt.worker not in workers]
        events: list[Event] = []
        for number in gone:
            attempt = self._attempts.pop(number)
            attempt.future.cancel(force=True)
            events.append(Ended(attempt.worker, _died(attempt)))
        return events

    async def _identify(self) -> Mapping[str, Mapping[str, Any]]:
        if self._client.scheduler is None:
            raise OSError("the connection is closed")
        answer: dict[str, Any] = await self._client.scheduler.identity(n_workers=-1)
        workers: dict[str, dict[str, Any]] = answer["workers"]
        return workers

    def _client_address(self) -> str:
        scheduler = self._client.scheduler
        return "?" if scheduler is None else str(scheduler.address)

    def _hear(self, event: tuple[float, Mapping[str, str]]) -> None:
        self._stages.put(AtStage(event[1]["key"], event[1]["stage"]))


def _slots_of(workers: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """worker → how many submissions it grades at a time."""
    running = {
        worker: facts
        for worker, facts in workers.items()
        if facts.get("status", "running") == "running"
    }
    gpus = {worker: int(facts["resources"].get(_GPU, 0)) for worker, facts in running.items()}
    if any(gpus.values()):
        return {worker: slots for worker, slots in gpus.items() if slots}
    return {worker: int(facts["nthreads"]) for worker, facts in running.items()}


def _died(attempt: _Attempt) -> Failed:
    return Failed(
        attempt.order.key, f"the worker {attempt.worker} died while it graded this submission"
    )


def _with_content(order: Order) -> Order:
    """The order with its zip by value. Raises UsageError when that cannot be read."""
    try:
        return replace(order, content=order.zip_path.read_bytes())
    except OSError as error:
        raise UsageError(f"{order.zip_path}: cannot be read: {error.strerror}") from error


# ------------------------------------------------------------------- on a worker


def _grade_here(
    packed: bytes,
    order: Order,
    threads: int | None,
    shares: Mapping[str, int],
    topic: str,
    _after: bool | None,
) -> Outcome:
    """Grade one submission in this worker. `_after` is only waited for."""
    worker = get_worker()
    with _Stages(worker, topic, order.key) as stages:
        return grade(
            _unpacked(packed), order, threads or _fair_threads(worker, shares), stages.tell
        )


class _Stages:
    """Tells whoever listens to `topic` where a grading stands, no oftener than somebody could read
    it: a message costs all three processes that it passes more than the shortest stages."""

    def __init__(self, worker: Any, topic: str, key: str) -> None:
        self._worker = worker
        self._topic = topic
        self._key = key
        self._stage = ""
        self._is_due = False

    def __enter__(self) -> _Stages:
        return self

    def __exit__(self, *_: object) -> None:
        self._stage = ""

    def tell(self, stage: str) -> None:
        self._stage = stage
        if not self._is_due:
            self._is_due = True
            loop = self._worker.loop
            loop.add_callback(loop.call_later, _STAGE_SECONDS, self._send)

    def _send(self) -> None:
        self._is_due = False
        if self._stage:
            self._worker.log_event(self._topic, {"key": self._key, "stage": self._stage})


def _receive(packed: bytes, files: Mapping[Path, bytes]) -> bool:
    """Take the truth by value."""
    return prepare(_unpacked(packed), files)


@lru_cache(maxsize=2)
def _unpacked(packed: bytes) -> Course:
    course: Course = pickle.loads(packed)
    return course


def _fair_threads(worker: Any, shares: Mapping[str, int]) -> int:
    """How many threads a program may use, so that those on one machine do not fight over cores.

    A worker that is bound to some of the cores (as batch systems bind it) has them for itself;
    others share the machine's.
    """
    own = worker.state.nthreads
    is_bound = (os.cpu_count() or 1) > CPU_COUNT
    slots = own if is_bound else shares.get(get_address_host(worker.address), own)
    return int(max(1, CPU_COUNT // max(1, slots)))
