"""`grader score` on 50 images, beside the bare `python evaluate.py` of the same submission.

    python -m benchmarks.bench_score

The independent evaluation is left out on both sides: it has its own benchmark.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.bench_check import GRADER
from fixtures.demo import ENTRY_NUMBER, lay_out_student
from fixtures.generate import generate

RATIO_GOAL = 1.15
ROUNDS = 3
IMAGES = 50


def run() -> list[dict[str, Any]]:
    """One row: median seconds of the whole processes, in turn."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        data, student, flat = root / "data", root / "student", root / "flat"
        generate(
            data,
            species=10,
            train_per_class=0,
            valid_per_class=0,
            test_per_class=IMAGES // 10,
            seed=0,
            size_px=224,
        )
        lay_out_student(student)
        flat.mkdir()
        for number, image in enumerate(sorted((data / "test").rglob("*.jpg"))):
            (flat / f"img_{number:03d}.jpg").write_bytes(image.read_bytes())
        pack = [GRADER, "pack", student, "--entry-number", ENTRY_NUMBER, "--out", root]
        subprocess.run(pack, check=False, stdout=subprocess.DEVNULL)
        score = [GRADER, "score", root / f"{ENTRY_NUMBER}.zip", "--gt", data / "MASKS" / "test"]
        score += ["--out", root / "report", "--no-independent"]
        bare = [sys.executable, "evaluate.py", "resnet_model.pth", flat]
        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(ROUNDS + 1):
            ours.append(_seconds(score, root))
            theirs.append(_seconds(bare, student))
    mine, reference = statistics.median(ours[1:]), statistics.median(theirs[1:])
    ratio = mine / reference
    return [
        {
            "name": f"grader score / python evaluate.py, {IMAGES} images",
            "ours": mine,
            "theirs": reference,
            "unit": "s",
            "ratio": ratio,
            "goal": f"≤ {RATIO_GOAL:g}",
            "ok": ratio <= RATIO_GOAL,
        }
    ]


def _seconds(command: list[Any], folder: Path) -> float:
    start = time.perf_counter()
    done = subprocess.run(command, cwd=folder, env=os.environ, capture_output=True, check=False)
    seconds = time.perf_counter() - start
    if done.returncode not in (0, 1):
        raise RuntimeError(done.stderr.decode(errors="replace"))
    return seconds


if __name__ == "__main__":
    print(*run(), sep="\n")
