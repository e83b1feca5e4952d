"""Vetting and unpacking a zip, beside Python's `zipfile.extractall` on the same file.

    python -m benchmarks.bench_zip

extractall vets nothing and hashes nothing. Ours reads every record twice over and takes the SHA-256
of the zip and of every file: that is most of the difference on weights, and nothing beside the
file system on many small files. The largest zip is 500 MB of weights, stored; there the peak of a
whole process is measured too.
"""

from __future__ import annotations

import random
import shutil
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.measuring import MB, peak_mb, row, table
from fixtures.archives.assignment import ASSIGNMENT, LIMITS, NAME
from grader.stages.inspect_zip import inspect_zip
from grader.stages.unpack import unpack

PEAK_GOAL_MB = 150.0
LARGE_BYTES = 500 * MB
COURSE = replace(
    ASSIGNMENT,
    zip_limits=replace(
        LIMITS, zip_bytes=1 << 30, unpacked_bytes=1 << 31, member_bytes=1 << 30, members=5000
    ),
)
SCRIPT = "".join(f"def part_{n}(x):\n    return x * {n} + {n * n}\n\n\n" for n in range(120))


def run() -> list[dict[str, Any]]:
    """Rows {name, ours, theirs, unit, ratio, goal, ok}; rounds alternate and the best of each are
    compared: on a machine that others use, noise only adds."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="bench-zip-") as name:
        path = Path(name) / NAME
        noise = random.Random(0).randbytes(MB)
        _make(path, zipfile.ZIP_DEFLATED, scripts=8, weights=noise * 3)
        rows.append(_compare("3 MB of weights, deflated", path, rounds=15, goal=2.0))
        _make(path, zipfile.ZIP_DEFLATED, scripts=2000, weights=noise[:1000])
        rows.append(_compare("2,000 scripts, deflated", path, rounds=5, goal=2.0))
        _make_large(path, noise)
        rows.append(_compare("500 MB of weights, stored", path, rounds=4, goal=3.5))
        rows.append(_peak(path))
    return rows


def _make(path: Path, method: int, *, scripts: int, weights: bytes) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for number in range(scripts):
            archive.writestr(f"package_{number // 100}/module_{number}.py", SCRIPT)
        archive.writestr("resnet_model.pth", weights)


def _make_large(path: Path, noise: bytes) -> None:
    with (
        zipfile.ZipFile(path, "w") as archive,
        archive.open("resnet_model.pth", "w", force_zip64=True) as member,
    ):
        for _ in range(LARGE_BYTES // len(noise)):
            member.write(noise)


def _ours(path: Path, dest: Path) -> None:
    inspected = inspect_zip(path, COURSE)
    tree = unpack(inspected, dest, COURSE.zip_limits)
    if inspected.findings or tree.findings or not tree.files:
        raise RuntimeError(f"{path} was not let in: {inspected.findings} {tree.findings}")


def _theirs(path: Path, dest: Path) -> None:
    with zipfile.ZipFile(path) as archive:
        archive.extractall(dest)


def _compare(name: str, path: Path, *, rounds: int, goal: float) -> dict[str, Any]:
    ours, theirs = [], []
    for _ in range(rounds):
        theirs.append(_seconds(_theirs, path))
        ours.append(_seconds(_ours, path))
    ours_ms, theirs_ms = (min(times) * 1000 for times in (ours, theirs))
    return row(f"inspect and unpack / extractall, {name}", ours_ms, theirs_ms, "ms", at_most=goal)


def _seconds(work: Callable[[Path, Path], None], path: Path) -> float:
    dest = path.parent / "tree"
    start = time.perf_counter()
    work(path, dest)
    seconds = time.perf_counter() - start
    shutil.rmtree(dest)
    return seconds


def _peak(path: Path) -> dict[str, Any]:
    """The largest resident size of a process that does nothing else."""
    program = (
        "import sys; from pathlib import Path; from benchmarks import bench_zip; "
        "bench_zip._ours(Path(sys.argv[1]), Path(sys.argv[2]))"
    )
    peak = peak_mb([sys.executable, "-c", program, path, path.parent / "tree"])
    name = "inspect and unpack, 500 MB zip, peak / goal"
    return row(name, peak, PEAK_GOAL_MB, "MB", at_most=1.0)


if __name__ == "__main__":
    print(table(run()))
