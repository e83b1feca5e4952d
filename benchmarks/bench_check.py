"""`grader check` as a whole process, beside the shortest Python process there is.

    python -m benchmarks.bench_check

A student runs the check over and over before the deadline: it has to feel like a linter, so the
goal is a multiple of `python -c pass`. The zip is what a course gets: two scripts, three helpers
and 3 MB of weights. A second zip of 500 MB shows that memory does not grow with it.
"""

from __future__ import annotations

import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

RATIO_GOAL = 12.0
PEAK_GOAL_MB = 150.0
ROUNDS = 15
MB = 1_000_000

GRADER = str(Path(sys.executable).with_name("grader"))

SCRIPT = """
import csv, json, os, sys
import numpy as np
import torch
from PIL import Image
from torchvision import transforms
from net import ResNet
from saliency import mask_of

device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

def main(checkpoint, folder):
    with open("class_labels.json") as file:
        names = json.load(file)
    net = ResNet(2, len(names)).to(device)
    net.load_state_dict(torch.load(checkpoint, map_location=device))
    os.makedirs("seg_maps", exist_ok=True)
    rows = []
    for name in sorted(os.listdir(folder)):
        image = Image.open(os.path.join(folder, name)).convert("RGB")
        label, mask = mask_of(net, transforms.ToTensor()(image))
        Image.fromarray(mask.astype(np.uint8) * 255).save(os.path.join("seg_maps", name))
        rows.append((name, names[label]))
    with open("submission.csv", "w", newline="") as file:
        csv.writer(file).writerows([("image_name", "label"), *rows])

if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
"""
HELPER = "import torch\n" + "".join(
    f"\n\nclass Block{n}(torch.nn.Module):\n    def forward(self, x):\n"
    f"        y = torch.relu(self.conv{n}(x))\n        return y + self.short{n}(x)\n"
    for n in range(30)
)


def make_zip(path: Path, weights_bytes: int) -> None:
    """A submission with `weights_bytes` of weights; those are noise, as weights are."""
    noise = random.Random(0).randbytes(MB)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("evaluate.py", SCRIPT)
        archive.writestr("train.py", SCRIPT.replace("submission.csv", "log.csv"))
        for name in ("net.py", "saliency.py", "plots.py"):
            archive.writestr(name, HELPER)
        archive.writestr("class_labels.json", "[]")
        entry = zipfile.ZipInfo("resnet_model.pth", (2025, 3, 17, 9, 0, 0))
        with archive.open(entry, "w") as file:
            for start in range(0, weights_bytes, MB):
                file.write(noise[: min(MB, weights_bytes - start)])


def installed_environment(bytecode: Path) -> dict[str, str]:
    """As on a student's laptop: modules are compiled once, whatever this shell says."""
    kept = {name: text for name, text in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return {**kept, "PYTHONPYCACHEPREFIX": str(bytecode)}


def run_once(command: list[str], environment: dict[str, str]) -> float:
    """Seconds that a whole process takes. It has to end as a check does: passed or not."""
    start = time.perf_counter()
    ended = subprocess.run(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        check=False,
    )
    seconds = time.perf_counter() - start
    if ended.returncode not in (0, 1):
        raise RuntimeError(f"{command[0]} ended with {ended.returncode}: {ended.stderr}")
    return seconds


def peak_mb(command: list[str], environment: dict[str, str]) -> float:
    """The largest resident size of a process, measured by a parent that has no other child."""
    program = (
        "import resource, subprocess, sys; "
        "ended = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); "
        "sys.exit(ended.returncode > 1)"
    )
    out = subprocess.run(
        [sys.executable, "-c", program, *command],
        capture_output=True,
        text=True,
        env=environment,
        check=True,
    )
    unit_bytes = 1 if sys.platform == "darwin" else 1024
    return int(out.stdout) * unit_bytes / MB


def run() -> list[dict[str, Any]]:
    """Rows {name, ours, theirs, unit, ratio, goal, ok}; rounds alternate, medians are compared."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="bench-check-") as name:
        small, large = Path(name) / "2023AIB2080.zip", Path(name) / "2023AIB2081.zip"
        make_zip(small, 3 * MB)
        check = [GRADER, "check", str(small)]
        bare = [sys.executable, "-c", "pass"]
        environment = installed_environment(Path(name) / "bytecode")
        for command in (check, bare):
            run_once(command, environment)  # the first run writes bytecode
        ours, theirs = [], []
        for _ in range(ROUNDS):
            theirs.append(run_once(bare, environment))
            ours.append(run_once(check, environment))
        ours_ms = statistics.median(ours) * 1000
        theirs_ms = statistics.median(theirs) * 1000
        rows.append(
            _row("grader check, 3 MB zip / python -c pass", ours_ms, theirs_ms, "ms", RATIO_GOAL)
        )
        make_zip(large, 500 * MB)
        peak = peak_mb([GRADER, "check", str(large)], environment)
        rows.append(_row("grader check, 500 MB zip, peak / goal", peak, PEAK_GOAL_MB, "MB", 1.0))
    return rows


def _row(name: str, ours: float, theirs: float, unit: str, goal: float) -> dict[str, Any]:
    ratio = ours / theirs
    return {
        "name": name,
        "ours": round(ours, 1),
        "theirs": round(theirs, 1),
        "unit": unit,
        "ratio": round(ratio, 2),
        "goal": f"≤ {goal:g}",
        "ok": ratio <= goal,
    }


if __name__ == "__main__":
    from tabulate import tabulate

    print(tabulate(run(), headers="keys"))
