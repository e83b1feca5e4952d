"""What every submission imports works inside, data loaders with workers included."""

from __future__ import annotations

from pathlib import Path

import pytest

from grader.errors import SandboxError
from grader.model import CaseStatus, RunLimits
from grader.sandbox import Backend, Command
from grader.sandbox.bubblewrap import BubblewrapBackend, system_program
from grader.sandbox.direct import DirectBackend, kernel_abi
from grader.sandbox.probe import find_weakness

LIMITS = RunLimits(
    wall_seconds=240,
    cpu_seconds=240,
    memory_bytes=2 << 30,
    processes=128,
    disk_bytes=64 << 20,
    file_bytes=16 << 20,
    files=200,
    output_bytes=1 << 16,
)
PROGRAM = """
import cv2, numpy, torch, torchvision
from torch.utils.data import DataLoader, TensorDataset
dataset = TensorDataset(torch.arange(24.0).reshape(12, 2))
loader = DataLoader(dataset, batch_size=3, num_workers=2)
total = sum(float(torch.nn.functional.relu(batch).sum()) for batch, in loader)
cv2.imwrite("map.png", numpy.full((8, 8), 255, numpy.uint8))
torch.save({"total": total}, "weights.pth")
print(total, torch.load("weights.pth", weights_only=True)["total"])
"""


def backends() -> list[Backend]:
    program = system_program()
    full: list[Backend] = [BubblewrapBackend(program)] if program else []
    return [*full, DirectBackend(kernel_abi())]


@pytest.mark.parametrize("backend", backends(), ids=lambda backend: backend.name)
def test_pytorch_and_opencv_with_two_workers(backend: Backend, tmp_path: Path) -> None:
    try:
        weakness = find_weakness(backend)
    except SandboxError as error:
        weakness = error.message
    if weakness:
        pytest.skip(weakness)
    for name in ("work", "outputs"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o755)
    (tmp_path / "work" / "evaluate.py").write_text(PROGRAM)
    outcome = backend.run(
        Command(
            argv=("python", "evaluate.py"),
            workdir=tmp_path / "work",
            mounts={},
            limits=LIMITS,
            collect=("map.png", "weights.pth"),
            outputs=tmp_path / "outputs",
            environment={"OMP_NUM_THREADS": "1"},
        )
    )
    assert outcome.status is CaseStatus.FINISHED, outcome
    assert outcome.stdout == "276.0 276.0\n"
    assert outcome.stderr == ""
    assert outcome.collected == ("map.png", "weights.pth")
    assert 0 < outcome.peak_memory_bytes < LIMITS.memory_bytes
