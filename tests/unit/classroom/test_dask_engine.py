"""The engine on real Dask processes on loopback: its own cluster, and a scheduler by address."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from fixtures.build_submissions import build, list_fixtures
from fixtures.course import Course as FixtureCourse
from fixtures.course import make_course
from grader.assignments.load import load_assignment
from grader.classroom import dask_engine
from grader.classroom.course import Course, contents_of
from grader.classroom.dask_engine import DaskEngine, local_workers, workers_at
from grader.classroom.engine import AtStage, Ended
from grader.classroom.fingerprint import grader_identity
from grader.classroom.orders import Failed, Graded, Order
from grader.errors import UsageError
from grader.stages.load_truth import load_truth

_PATIENCE_SECONDS = 120.0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> FixtureCourse:
    return make_course(tmp_path_factory.mktemp("course"))


@pytest.fixture
def course(made: FixtureCourse) -> Course:
    return _course(made.masks)


def _course(masks: Path, images: Path | None = None) -> Course:
    assignment = load_assignment("ail721-a2")
    truth = load_truth(masks, images, None, None, assignment)
    return Course(
        assignment=assignment,
        truth=truth,
        contents=contents_of(truth),
        grader=grader_identity(),
        independent=False,
        probed=False,
        unsafe_no_sandbox=False,
    )


def _zip_of(fixture: str, made: FixtureCourse, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    return build({one.id: one for one in list_fixtures()}[fixture], made, folder)


def _order(key: str, path: Path) -> Order:
    return Order(key, path, path.name, path.stat().st_size)


class _Watch:
    """All that an engine tells, none of it lost."""

    def __init__(self, engine: DaskEngine) -> None:
        self.engine = engine
        self.stages: set[tuple[str, str]] = set()
        self.ended: dict[str, Ended] = {}
        self.freed = 0

    def _count(self) -> None:
        self.freed += 1

    def until(self, is_met: Callable[[], bool]) -> None:
        limit = time.monotonic() + _PATIENCE_SECONDS
        while not is_met():
            assert time.monotonic() < limit, (self.stages, self.ended)
            for event in self.engine.wait(0.5, self._count):
                if isinstance(event, AtStage):
                    self.stages.add((event.key, event.stage))
                else:
                    self.ended[event.outcome.key] = event

    def outcome_of(self, key: str) -> Graded | Failed:
        self.until(lambda: key in self.ended)
        return self.ended[key].outcome

    def runs_program(self, key: str) -> bool:
        return any(one == key and "student's program" in stage for one, stage in self.stages)


def test_own_workers_grade_and_a_dying_one_takes_its_own_attempt_alone(
    made: FixtureCourse, course: Course, tmp_path: Path
) -> None:
    good = _zip_of("accepted/as-asked", made, tmp_path / "good")
    endless = _zip_of("partly-graded/time-out", made, tmp_path / "endless")
    before = set(psutil.Process().children(recursive=True))
    with local_workers(course, 2) as engine:
        watch = _Watch(engine)
        assert engine.slots() == 2
        one, other = engine.idle()
        processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
        for process in processes:  # nobody reaches it from elsewhere, nor here without the key
            for connection in _connections_of(process):
                assert connection.laddr.ip == "127.0.0.1"
        assert all(worker.startswith("tls://") for worker in (one, other))
        engine.start(one, _order("endless", endless))
        engine.start(other, _order("good", good))
        assert list(engine.idle()) == []
        watch.until(lambda: watch.runs_program("endless"))
        os.kill(_process_at(one, set(psutil.Process().children(recursive=True)) - before), 9)
        lost = watch.outcome_of("endless")
        assert isinstance(lost, Failed)
        assert f"{one} died" in lost.fault
        first = watch.outcome_of("good")
        assert isinstance(first, Graded), first
        assert first.verdict == "graded"
        assert "<html" in first.page
        # The dead one has a successor, and that one grades.
        watch.until(lambda: len(engine.idle()) == 2)
        (successor,) = set(engine.idle()) - {other}
        engine.start(successor, _order("again", good))
        again = watch.outcome_of("again")
        assert isinstance(again, Graded), again
        # A worker that has graded is known to be free before its result has come over.
        assert watch.freed == 0
        engine.start(other, _order("more", good))
        assert isinstance(watch.outcome_of("more"), Graded)
        assert watch.freed == 1
        assert again.marks == first.marks
    left = set(psutil.Process().children(recursive=True)) - before
    _, alive = psutil.wait_procs([child for child in left if "dask" in child.name()], timeout=10)
    assert not alive


def _process_at(worker: str, processes: set[psutil.Process]) -> int:
    """The process that listens at the worker's address."""
    (pid,) = {
        process.pid
        for process in processes
        for connection in _connections_of(process)
        if connection.status == psutil.CONN_LISTEN
        and connection.laddr.port == int(worker.rpartition(":")[2])
    }
    return pid


def _connections_of(process: psutil.Process) -> list[Any]:
    """Its TCP connections; none of a program in the sandbox that has ended since it was listed."""
    try:
        return list(process.net_connections("tcp"))
    except psutil.NoSuchProcess:
        return []


@contextmanager
def _scheduler(folder: Path, *worker_options: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """A scheduler and a worker as an administrator starts them, in another folder than ours."""
    folder.mkdir()
    file = folder / "scheduler.json"
    python = [sys.executable, "-m"]
    quiet = {"cwd": folder, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    common = ["--scheduler-file", str(file), "--no-dashboard"]
    local = ["--host", "127.0.0.1"]
    scheduler = subprocess.Popen(
        [*python, "distributed.cli.dask_scheduler", "--port", "0", *local, *common], **quiet
    )
    worker = subprocess.Popen(
        [*python, "distributed.cli.dask_worker", "--nthreads=1", *local, *common, *worker_options],
        **quiet,
    )
    try:
        yield str(file), scheduler
    finally:
        for process in (worker, scheduler):
            process.terminate()
        for process in (worker, scheduler):
            process.wait()


def _address(file: str) -> str:
    until = time.monotonic() + _PATIENCE_SECONDS
    while time.monotonic() < until:
        try:
            return str(json.loads(Path(file).read_text())["address"])
        except (OSError, ValueError):
            os.sched_yield()
    raise AssertionError("no scheduler")


def test_a_scheduler_by_address_gets_what_its_workers_do_not_see_and_is_missed_when_it_goes(
    made: FixtureCourse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = _zip_of("accepted/as-asked", made, tmp_path / "good")
    # Relative paths lead nowhere in the workers' folder: zip and truth have to be sent.
    monkeypatch.chdir(made.root)
    course = _course(Path("MASKS/test"), Path("test"))
    assert not any(path.is_absolute() for path in course.contents)
    zip_path = Path(os.path.relpath(good, made.root))
    with (
        _scheduler(tmp_path / "elsewhere", "--resources", "GPU=1") as (file, process),
        workers_at(course, _address(file)) as engine,
    ):
        watch = _Watch(engine)
        watch.until(lambda: bool(engine.idle()))
        (worker,) = engine.idle()
        engine.start(worker, _order("sent", zip_path))
        outcome = watch.outcome_of("sent")
        assert isinstance(outcome, Graded), outcome
        assert outcome.verdict == "graded"
        # A zip that cannot be sent is one submission's matter, and takes no slot.
        engine.start(worker, Order("gone", Path("gone.zip"), "gone.zip", 4))
        assert list(engine.idle()) == [worker]
        lost = watch.outcome_of("gone")
        assert isinstance(lost, Failed)
        assert "gone.zip: cannot be read: No such file" in lost.fault
        process.kill()
        with pytest.raises(UsageError, match="no longer answers") as told:
            watch.until(lambda: False)
        assert "what is done is kept" in told.value.hint


def test_an_address_where_nobody_answers(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_engine, "_CONNECT_SECONDS", 0.5)
    nobody = workers_at(course, "tcp://127.0.0.1:9")
    with pytest.raises(UsageError, match="no Dask scheduler answers there"):
        nobody.__enter__()
