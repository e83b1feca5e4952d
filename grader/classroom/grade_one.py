"""Grade one submission in a worker's process: what every submission shares is prepared once.

What goes wrong through the grader or its surroundings comes back as `Failed`, so that it can be
tried again elsewhere; nothing of it ever becomes a mark.
"""

from __future__ import annotations

import os
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from grader.classroom.course import Course, is_here, lay_out
from grader.classroom.fingerprint import grader_identity
from grader.classroom.orders import Failed, Graded, Missing, Order, Outcome
from grader.errors import GraderError
from grader.model import Fault, Report, Severity, Truth
from grader.render.html import html
from grader.render.json_report import report_json
from grader.sandbox import Backend, choose_backend
from grader.score import score
from grader.similarity.masks import signatures_json
from grader.similarity.sign_gallery import sign_gallery
from grader.stages.stage_images import stage_images

Tell = Callable[[str], None]
_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_GPU_VARIABLE = "CUDA_VISIBLE_DEVICES"


@dataclass(frozen=True, slots=True)
class _Prepared:
    """`images` is the folder of staged images, None where every program gets its own copy."""

    truth: Truth
    backend: Backend
    images: Path | None
    folder: tempfile.TemporaryDirectory[str]


_prepared: dict[str, _Prepared] = {}
_preparing = threading.Lock()


def prepare(course: Course, sent: Mapping[Path, bytes] | None = None) -> bool:
    """Make ready what all submissions of `course` share; False when the truth has to be sent.

    `sent`: the truth's files by value. What another course needed is dropped.
    Raises GraderError when this machine cannot grade the course.
    """
    with _preparing:
        if course.id in _prepared:
            return True
        if grader_identity() != course.grader:
            raise GraderError(
                f"the worker on {socket.gethostname()} runs another grader "
                f"({grader_identity()}) than the class ({course.grader})",
                hint="install the same version of the grader and of its packages everywhere",
            )
        if sent is None and not is_here(course.truth, course.contents):
            return False
        for old in _prepared.values():
            old.folder.cleanup()
        _prepared.clear()
        backend = choose_backend(allow_unsafe=course.unsafe_no_sandbox)
        folder = tempfile.TemporaryDirectory(prefix="grader-course-")
        truth = course.truth
        if sent is not None:
            (Path(folder.name) / "truth").mkdir()
            truth = lay_out(truth, sent, Path(folder.name) / "truth")
        images = None
        # Without isolation a program could change what the next one sees.
        if backend.isolation != "none":
            images = Path(folder.name) / "images"
            stage_images(truth, images)
        _prepared[course.id] = _Prepared(truth, backend, images, folder)
    return True


def grade(course: Course, order: Order, threads: int, tell: Tell) -> Outcome:
    """Grade one submission. `threads`: how many its program may use; `tell` hears of each stage."""
    start = time.perf_counter()
    try:
        _limit_own_threads(threads)
        if not prepare(course):
            return Missing(order.key, "truth")
        if order.content is None and not _sees(order):
            return Missing(order.key, "zip")
        with tempfile.TemporaryDirectory(prefix="grader-zip-") as folder:
            report = _score(course, _zip_of(order, Path(folder)), threads, tell)
        tell("writing the report")
        fault = _own_fault(report)
        if fault:
            return Failed(order.key, fault)
        return Graded(
            key=order.key,
            report=report_json(report),
            page=html(report),
            masks=_signatures(report),
            zip_sha256=report.zip_sha256 or "",
            verdict=report.verdict,
            marks=report.marks,
            awards={award.criterion: award.marks for award in report.awards},
            seconds=time.perf_counter() - start,
        )
    except GraderError as error:
        return Failed(order.key, f"{error.message} → {error.hint}" if error.hint else error.message)
    except Exception as error:  # noqa: BLE001 - a defect of the grader takes one attempt, no more
        return Failed(order.key, f"a defect of the grader itself: {type(error).__name__}: {error}")


def _score(course: Course, zip_path: Path, threads: int, tell: Tell) -> Report:
    prepared = _prepared[course.id]
    environment = dict.fromkeys(_THREAD_VARIABLES, str(threads))
    if _GPU_VARIABLE in os.environ:
        environment[_GPU_VARIABLE] = os.environ[_GPU_VARIABLE]
    return score(
        zip_path,
        prepared.truth,
        course.assignment,
        prepared.backend,
        staged_images=prepared.images,
        independent=course.independent,
        probed=course.probed,
        environment=environment,
        progress=tell,
    )


def _signatures(report: Report) -> str:
    signatures = sign_gallery(report.gallery)
    return signatures_json(signatures) if signatures else ""


def _limit_own_threads(threads: int) -> None:
    """Before torch is imported here for the independent evaluation: afterwards it is too late."""
    os.environ.update(dict.fromkeys(_THREAD_VARIABLES, str(threads)))


def _sees(order: Order) -> bool:
    try:
        return order.zip_path.stat().st_size == order.size_bytes
    except OSError:
        return False


def _zip_of(order: Order, folder: Path) -> Path:
    """The zip under the name that the student gave it."""
    if order.content is None and order.zip_path.name == order.zip_name:
        return order.zip_path
    path = folder / Path(order.zip_name).name
    if order.content is None:
        path.symlink_to(order.zip_path.absolute())
    else:
        path.write_bytes(order.content)
    return path


def _own_fault(report: Report) -> str:
    """The grader's fault that a report tells of, in words; a student is never marked by it."""
    return next(
        (
            f"{finding.code}: {finding.message}"
            for finding in report.findings
            if finding.fault is Fault.GRADER and finding.severity is Severity.ERROR
        ),
        "",
    )
