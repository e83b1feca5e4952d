"""A class: what grading costs beside the students' programs, on one worker, on two, and again.

    python -m benchmarks.bench_classroom [SUBMISSIONS]

The independent evaluation and the comparison of the submissions are off: they have benchmarks of
their own. Overhead is the time of a submission on a warm worker, from hand-out to stored result,
less the time of the bare `python evaluate.py` of the same files; both are measured in turn.
Efficiency is that of two workers on two cores against one on one core, whatever else belongs to the
class having to share them; the row below it lets one worker have both cores, of which it uses more
than one. The large class is a mixture of the fixtures.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.measuring import GRADER, MB, row, table
from fixtures.build_submissions import build, list_fixtures
from fixtures.course import Course as Fixtures
from fixtures.course import make_course
from grader.assignments.load import load_assignment
from grader.classroom.course import Course, contents_of
from grader.classroom.dask_engine import local_workers
from grader.classroom.fingerprint import grader_identity
from grader.classroom.records import ClassInfo, Door, Fingerprint, Setup, Submitted
from grader.classroom.run import ClassRun
from grader.classroom.store import make_store
from grader.stages.load_truth import load_truth

SUBMISSIONS = 300
ROUNDS = 4
EACH = 8  # submissions a round
OVERHEAD_GOAL_SECONDS = 0.15
EFFICIENCY_GOAL = 0.9
PEAK_GOAL_MB = 300.0
RESUME_GOAL_SECONDS = 2.0
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_GOOD = "accepted/as-asked"
_MIXTURE = (
    _GOOD,
    "flawed/masks-inverted",
    "partly-graded/no-checkpoint",
    "rejected/not-a-zip",
    "accepted/masks-in-colour",
    "partly-graded/forgotten-helper",
)


def run(submissions: int = SUBMISSIONS) -> list[dict[str, Any]]:
    """Five rows."""
    with tempfile.TemporaryDirectory(prefix="bench-class-") as name:
        root = Path(name)
        fixtures = make_course(root / "course")
        return [*_warm(root, fixtures), *_whole(root, fixtures, submissions)]


# ------------------------------------------------------------------- on warm workers


def _warm(root: Path, fixtures: Fixtures) -> list[dict[str, Any]]:
    """Overhead on one worker and efficiency of two, in turn with the bare program."""
    zips = _hand_in(root / "warm", fixtures, (_GOOD,), EACH)
    student = root / "student"
    with zipfile.ZipFile(zips[0].zip_path) as archive:
        archive.extractall(student)
    flat = root / "flat"
    flat.mkdir()
    for image, _ in fixtures.samples:
        shutil.copy(image, flat / f"{image.parent.name}_{image.name}".replace(" ", "_"))
    assignment = load_assignment("ail721-a2")
    truth = load_truth(fixtures.masks, None, None, None, assignment)
    course = Course(assignment, truth, contents_of(truth), grader_identity(), False, False, False)
    bare: list[float] = []
    seconds: dict[tuple[int, int], list[float]] = {(1, 2): [], (1, 1): [], (2, 2): []}
    for _ in range(ROUNDS):
        bare.append(_bare(student, flat))
        for (workers, cores), taken in seconds.items():
            with _on_cores(cores):
                taken.append(_graded(root, course, zips, workers))
    alone = statistics.median(bare)
    each = {setting: statistics.median(taken) / EACH for setting, taken in seconds.items()}
    return [
        row(
            "a submission beyond python evaluate.py: seconds more",
            each[1, 2],
            alone,
            "s",
            ratio=each[1, 2] - alone,
            at_most=OVERHEAD_GOAL_SECONDS,
        ),
        row(
            "a submission on two workers and cores / on one, efficiency",
            each[2, 2],
            each[1, 1],
            "s",
            ratio=each[1, 1] / (2 * each[2, 2]),
            at_least=EFFICIENCY_GOAL,
        ),
        row(
            "a submission on two workers / on one that has both cores",
            each[2, 2],
            each[1, 2],
            "s",
            ratio=each[1, 2] / (2 * each[2, 2]),
        ),
    ]


@contextmanager
def _on_cores(number: int) -> Iterator[None]:
    """Every thread of this process, and what they start, on so many of the cores."""
    before = os.sched_getaffinity(0)
    cores = sorted(before)[:number]
    if len(cores) < number:
        raise RuntimeError(f"{number} cores are needed, {len(before)} are there")
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), cores)
    try:
        yield
    finally:
        for thread in Path("/proc/self/task").iterdir():
            os.sched_setaffinity(int(thread.name), before)


def _bare(student: Path, flat: Path) -> float:
    """Seconds of the student's own program, with one thread."""
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "evaluate.py", "resnet_model.pth", flat],
        cwd=student,
        env={**os.environ, **dict.fromkeys(_THREADS, "1")},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - start


def _graded(root: Path, course: Course, zips: Sequence[Submitted], workers: int) -> float:
    """Seconds that the class takes on workers that have graded before."""
    current = Fingerprint("", course.truth.sha256, course.assignment.sha256, course.grader)
    with tempfile.TemporaryDirectory(dir=root) as results, local_workers(course, workers) as engine:
        engine._threads = 1
        with make_store(Path(results), _info(course)) as store:
            first = [replace(one, key=f"warm{n}") for n, one in enumerate(zips[: 2 * workers])]
            store.enrol(Door((*first, *zips)), "bench")
            ClassRun(store, engine, course.assignment, current, _silent).grade(first)
            start = time.perf_counter()
            ClassRun(store, engine, course.assignment, current, _silent).grade(zips)
            return time.perf_counter() - start


def _silent(*_: object) -> None:
    pass


def _info(course: Course) -> ClassInfo:
    assignment = course.assignment
    return ClassInfo(
        assignment_id=assignment.id,
        title=assignment.title,
        course=assignment.course,
        max_marks=assignment.max_marks,
        definition_sha256=assignment.sha256,
        truth_sha256=course.truth.sha256,
        setup=Setup(submissions=Path("/"), masks=None),
        created_at=datetime.now(UTC),
    )


# ------------------------------------------------------------------- the whole command


def _whole(root: Path, fixtures: Fixtures, submissions: int) -> list[dict[str, Any]]:
    """The parent's peak over a large class, and the same command again."""
    zips = _hand_in(root / "large", fixtures, _MIXTURE, submissions)
    command = [GRADER, "class", zips[0].zip_path.parent, "--gt", fixtures.masks]
    command += [
        "--out",
        root / "results",
        "--no-independent",
        "--no-similar",
        "--workers",
        str(os.cpu_count()),
    ]
    peak = 0.0
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for _ in process.stdout or ():
            peak = max(peak, _peak_mb(process.pid))
    if process.returncode != 0:
        raise RuntimeError(f"grader class ended with {process.returncode}")
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    again = time.perf_counter() - start
    name = f"{submissions} submissions, peak of the parent / goal"
    return [
        row(name, peak, PEAK_GOAL_MB, "MB", at_most=1.0),
        row(
            f"a finished class of {submissions} again / goal",
            again,
            RESUME_GOAL_SECONDS,
            "s",
            at_most=1.0,
        ),
    ]


def _peak_mb(pid: int) -> float:
    """The largest resident size of a process so far; 0 when it has just ended."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0.0
    lines = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(lines[0].split()[1]) * 1024 / MB if lines else 0.0


def _hand_in(
    folder: Path, fixtures: Fixtures, mixture: Sequence[str], count: int
) -> tuple[Submitted, ...]:
    """`count` zips of the mixture, under entry numbers of their own."""
    by_id = {fixture.id: fixture for fixture in list_fixtures()}
    folder.mkdir()
    built = [
        shutil.move(build(by_id[name], fixtures, folder), folder / f"{number}.built")
        for number, name in enumerate(mixture)
    ]
    handed_in = []
    for number in range(count):
        key = f"2023AIB{number:04d}"
        path = shutil.copy(built[number % len(built)], folder / f"{key}.zip")
        handed_in.append(Submitted(key=key, zip_path=path, zip_name=path.name, entry_number=key))
    for path in built:
        path.unlink()
    return tuple(handed_in)


if __name__ == "__main__":
    chosen = int(sys.argv[1]) if len(sys.argv) > 1 else SUBMISSIONS
    print(table(run(chosen)))
