"""`grader check` as a whole process, beside the shortest Python process there is.

    python -m benchmarks.bench_check

A student runs the check over and over before the deadline: it has to feel like a linter, so the
goal is a multiple of `python -c pass`. The zip is what a course gets: two scripts, three helpers
and 3 MB of weights. A second zip of 500 MB shows that memory does not grow with it.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import zipfile
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.measuring import (
    GRADER,
    MB,
    by_turns,
    installed_environment,
    peak_mb,
    row,
    run_once,
    table,
)

RATIO_GOAL = 12.0
PEAK_GOAL_MB = 150.0
ROUNDS = 15


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


def run() -> list[dict[str, Any]]:
    """Rows {name, ours, theirs, unit, ratio, goal, ok}; rounds alternate, medians are compared."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="bench-check-") as folder:
        small, large = Path(folder) / "2023AIB2080.zip", Path(folder) / "2023AIB2081.zip"
        make_zip(small, 3 * MB)
        check = [GRADER, "check", str(small)]
        bare = [sys.executable, "-c", "pass"]
        environment = installed_environment(Path(folder) / "bytecode")
        times = by_turns(
            ROUNDS, partial(run_once, check, environment), partial(run_once, bare, environment)
        )
        ours_ms, theirs_ms = (1000 * statistics.median(taken) for taken in times)
        name = "grader check, 3 MB zip / python -c pass"
        rows.append(row(name, ours_ms, theirs_ms, "ms", at_most=RATIO_GOAL))
        make_zip(large, 500 * MB)
        peak = peak_mb([GRADER, "check", str(large)], environment)
        name = "grader check, 500 MB zip, peak / goal"
        rows.append(row(name, peak, PEAK_GOAL_MB, "MB", at_most=1.0))
    return rows


if __name__ == "__main__":
    print(table(run()))
