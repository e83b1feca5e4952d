"""Independent evaluation of a checkpoint against the loops that one would write first.

    python -m benchmarks.bench_independent

Three comparisons, each in turns in one run, with the predictions held against each other:

- one preprocessing, float32, NCHW, batches of 32, as a DataLoader gives them: the goal;
- the same loop image by image, which suits a processor's cache better: shown without a goal. On two
  cores with AVX2 it already runs at two thirds of what direct convolutions can reach at all;
- the whole question, "which of the declared ways is it?": every way on every image, image by image,
  against candidates that share inputs and drop out.

The images and the checkpoint are the course's where ../shared has them, else generated.
"""

from __future__ import annotations

import statistics
import tarfile
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torchvision import transforms

from benchmarks.measuring import row, table
from fixtures.checkpoints.students import Plan, Student, make_student
from grader.assignments.load import load_assignment
from grader.model import CheckpointSpec, LoadedCheckpoint, Preprocessing, Truth, TruthItem
from grader.networks.unpickle.write_safetensors import write_safetensors
from grader.stages.evaluate_checkpoint import evaluate_checkpoint

GOAL = 2.5
SHARED = Path(__file__).parents[2] / "shared" / "data" / "butterflies"
PLAN = Plan(n=2, widths=(32, 64, 128), num_classes=100)
GENERATED_IMAGES = 96
BATCH = 32
# Images of each turn: loops alternate, so that a busy moment of the machine meets all of them.
TURN = 100
BATCHED_TURNS, BATCHED_IMAGES = 3, 64
ALL_WAYS_IMAGES = 120


@dataclass(frozen=True)
class Setting:
    """Images with labels, a checkpoint, and the same network as a plain module."""

    truth: Truth
    loaded: LoadedCheckpoint
    plain: Student
    spec: CheckpointSpec

    def part(self, start: int, stop: int) -> Truth:
        return replace(self.truth, items=self.truth.items[start:stop])


def prepare(folder: Path) -> Setting:
    """Unpack or generate the images, load or make the weights."""
    spec = load_assignment("ail721-a2").checkpoint
    if spec is None:
        raise RuntimeError("ail721-a2 declares no checkpoint")
    student = make_student(PLAN)
    if SHARED.is_dir():
        student.load_state_dict(torch.load(SHARED / "resnet14_state_dict.pth", weights_only=True))
        with tarfile.open(SHARED / "valid.tar") as archive:
            archive.extractall(folder, filter="data")
        paths = sorted(folder.glob("valid/*/*.jpg"))
    else:
        paths = generate(folder)
    weights = folder / "weights.safetensors"
    write_safetensors(weights, {k: v.contiguous() for k, v in student.state_dict().items()})
    classes = tuple(sorted({path.parent.name for path in paths}))
    # Every class in each part, in an order that the names do not give away.
    shuffled = [paths[i] for i in np.random.default_rng(0).permutation(len(paths))]
    items = tuple(
        TruthItem(str(path), f"img_{index:05}.jpg", path, path.parent.name, None)
        for index, path in enumerate(shuffled)
    )
    loaded = LoadedCheckpoint("resnet_model.pth", "", "state_dict", weights, None, ())
    return Setting(Truth(items, classes, "folders", "", 0), loaded, student, spec)


def generate(folder: Path) -> list[Path]:
    """Coloured clouds of 224 × 224 pixels in 100 class folders."""
    rng = np.random.default_rng(1)
    paths = []
    for index in range(GENERATED_IMAGES):
        path = folder / f"class{index % PLAN.num_classes:03}" / f"{index}.jpg"
        path.parent.mkdir(exist_ok=True)
        coarse = Image.fromarray(rng.integers(0, 256, (7, 7, 3), np.uint8))
        coarse.resize((224, 224), Image.Resampling.BICUBIC).save(path, quality=90)
        paths.append(path)
    return paths


# --------------------------------------------------------------------------- the plain loops


def pipeline(way: Preprocessing) -> Callable[[Image.Image], torch.Tensor]:
    """What students write with torchvision."""
    steps: list[Any] = [transforms.Resize((way.size_px, way.size_px))]
    if way.resize == "shorter-side-crop":
        steps = [transforms.Resize(way.resize_px), transforms.CenterCrop(way.size_px)]
    if way.resize == "none":
        steps = []
    return transforms.Compose(
        [*steps, transforms.ToTensor(), transforms.Normalize(way.mean, way.std)]
    )


def plain_loop(setting: Setting, truth: Truth, way: Preprocessing, batch: int) -> list[int]:
    """float32, NCHW, unfolded; one batch after the other."""
    prepare_one = pipeline(way)
    outputs: list[int] = []
    with torch.no_grad():
        for start in range(0, len(truth.items), batch):
            items = truth.items[start : start + batch]
            images = torch.stack([prepare_one(Image.open(i.image).convert("RGB")) for i in items])
            outputs += setting.plain(images).argmax(dim=1).tolist()
    return outputs


# --------------------------------------------------------------------------- ours


def ours(
    setting: Setting,
    truth: Truth,
    ways: Sequence[Preprocessing],
    labels: dict[str, str] | None = None,
) -> tuple[str, list[int]]:
    """(the way that was chosen, outputs) of the stage as `grader score` runs it."""
    spec = replace(setting.spec, preprocessing=tuple(ways))
    evaluation, _ = evaluate_checkpoint(setting.loaded, spec, truth, labels)
    if evaluation is None:
        raise RuntimeError("the checkpoint was not evaluated")
    names = sorted(truth.classes)
    labels = dict(evaluation.labels)
    outputs = [names.index(labels[item.staged_name]) for item in truth.items]
    return evaluation.preprocessing.id, outputs


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def run() -> list[dict[str, Any]]:
    """Rows {name, ours, theirs, unit, ratio, goal, ok}; loops alternate, medians are compared."""
    with tempfile.TemporaryDirectory(prefix="bench-independent-") as name:
        setting = prepare(Path(name))
        way = setting.spec.preprocessing[0]
        parts = [
            setting.part(start, start + TURN) for start in range(0, len(setting.truth.items), TURN)
        ]
        plain_loop(setting, setting.part(0, 4), way, 1)  # the first calls choose kernels
        ours(setting, setting.part(0, 4), [way])
        speeds: dict[str, list[float]] = {"ours": [], "batches": [], "single": []}
        equal = right = 0
        for number, part in enumerate(parts):
            count = len(part.items)
            seconds, (_, mine) = timed(lambda part=part: ours(setting, part, [way]))
            speeds["ours"].append(count / seconds)
            seconds, theirs = timed(lambda part=part: plain_loop(setting, part, way, 1))
            speeds["single"].append(count / seconds)
            if number < BATCHED_TURNS:
                few = replace(part, items=part.items[:BATCHED_IMAGES])
                seconds, batched = timed(lambda few=few: plain_loop(setting, few, way, BATCH))
                speeds["batches"].append(len(few.items) / seconds)
                if batched != theirs[: len(few.items)]:
                    raise RuntimeError("the plain loops disagree with each other")
            equal += sum(a == b for a, b in zip(mine, theirs, strict=True))
            names = sorted(part.classes)
            right += sum(
                names[output] == item.label for item, output in zip(part.items, mine, strict=True)
            )
        total = len(setting.truth.items)
        if equal != total:
            raise RuntimeError(f"only {equal} of {total} predictions are those of the plain loop")
        ours_speed = statistics.median(speeds["ours"])
        return [
            row(
                f"{total} images, {right} right, all as the plain loop says; batches of {BATCH}",
                ours_speed,
                statistics.median(speeds["batches"]),
                "images/s",
                at_least=GOAL,
            ),
            row(
                "the same, image by image",
                ours_speed,
                statistics.median(speeds["single"]),
                "images/s",
            ),
            _all_ways(setting),
        ]


def _all_ways(setting: Setting) -> dict[str, Any]:
    """Which of all declared ways did a student use, whose labels are those of the last one?"""
    truth, ways = setting.part(0, ALL_WAYS_IMAGES), setting.spec.preprocessing
    count = len(truth.items)
    names = sorted(truth.classes)
    seconds, every = timed(lambda: [plain_loop(setting, truth, way, 1) for way in ways])
    theirs = count / seconds
    labels = {
        item.staged_name: names[output] for item, output in zip(truth.items, every[-1], strict=True)
    }
    seconds, (chosen, mine) = timed(lambda: ours(setting, truth, ways, labels))
    if chosen != ways[-1].id or mine != every[-1]:
        raise RuntimeError(f"the way {chosen} was found where the student used {ways[-1].id}")
    name = f"all {len(ways)} declared ways on {count} images"
    return row(name, count / seconds, theirs, "images/s", at_least=GOAL)


if __name__ == "__main__":
    print(table(run()))
