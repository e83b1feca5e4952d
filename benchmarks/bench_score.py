"""`grader score` on 50 images, beside the bare `python evaluate.py` of the same submission.

    python -m benchmarks.bench_score

The independent evaluation is left out on both sides: it has its own benchmark.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.measuring import GRADER, Row, by_turns, row, run_once, table
from fixtures.demo import ENTRY_NUMBER, lay_out_student
from fixtures.generate import generate

RATIO_GOAL = 1.15
ROUNDS = 3
IMAGES = 50


def run() -> list[Row]:
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
        times = by_turns(
            ROUNDS, partial(run_once, score, cwd=root), partial(run_once, bare, cwd=student)
        )
    mine, reference = map(statistics.median, times)
    name = f"grader score / python evaluate.py, {IMAGES} images"
    return [row(name, mine, reference, "s", at_most=RATIO_GOAL)]


if __name__ == "__main__":
    print(table(run()))
