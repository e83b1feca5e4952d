"""Training throughput of `submission/train.py` against the loop that one would write first.

    python -m benchmarks.bench_training

The plain loop is what students hand in: `ImageFolder`, torchvision's transforms on every image in
every epoch, a `DataLoader`, float32, NCHW, one image size from the first step to the last. Ours
decodes each image once, augments whole batches, runs channels-last, and spends most epochs on
small images. Both train the same network on the same images with the same batch size, in turns.

The rows at one size show what the loop itself gains; the last row is the goal: how many images a
second the plan that `train.py` chooses by itself sees on average, against the plain loop at the
assignment's 224 px. The one-time decoding is not counted; an hour's run does it once, in seconds.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from benchmarks.measuring import row, table
from fixtures.generate import generate

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "submission"))

from data.class_folders import list_class_folders  # noqa: E402
from data.pixel_store import PixelStore, decode_into_store  # noqa: E402
from data.scaling import IMAGENET_MEAN, IMAGENET_STD  # noqa: E402
from models.resnet import ResNet, ResNetConfig  # noqa: E402
from recipes.ail721_a2 import (  # noqa: E402
    AUGMENTATIONS,
    DEFAULT_AUGMENTATIONS,
    PLANS,
    SIDES_PX,
)
from training.devices import choose_compute  # noqa: E402
from training.distributed import Group  # noqa: E402
from training.loop import Run, Settings, StageImages  # noqa: E402
from training.plan import Budget, Plan, Stage  # noqa: E402

GOAL = {"cpu": 3.0, "cuda": 5.0}
PLAN_NAMES = {"cpu": "short", "cuda": "long"}
SPECIES, PER_SPECIES = 12, 8
BATCH = 16
STEPS = {"cpu": 2, "cuda": 40}
ROUNDS = 2
COURSE_PX = 224


class _Plain:
    """The plain loop; `step()` takes one step and returns its seconds, loading included."""

    def __init__(self, folder: Path, size_px: int, device: torch.device) -> None:
        ways = [
            transforms.RandomResizedCrop(size_px, scale=(0.5, 1.0)),
            transforms.RandomHorizontalFlip(),
            transforms.RandomRotation(15),
            transforms.ColorJitter(0.25, 0.25, 0.25),
            transforms.ToTensor(),
            transforms.Normalize(IMAGENET_MEAN, IMAGENET_STD),
        ]
        images = datasets.ImageFolder(str(folder), transforms.Compose(ways))
        self.loader = DataLoader(images, batch_size=BATCH, shuffle=True, drop_last=True)
        self.network = ResNet(ResNetConfig(n=2, num_classes=SPECIES, size_px=size_px)).to(device)
        self.optimizer = torch.optim.SGD(
            self.network.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4
        )
        self.device = device
        self.batches = self._endless()

    def _endless(self) -> Iterator[Any]:
        while True:
            yield from self.loader

    def step(self) -> float:
        began = time.perf_counter()
        images, targets = next(self.batches)
        images, targets = images.to(self.device), targets.to(self.device)
        self.optimizer.zero_grad()
        loss = F.cross_entropy(self.network(images), targets)
        loss.backward()
        self.optimizer.step()
        loss.item()
        return time.perf_counter() - began


class _Ours:
    """One stage of the real run, step by step."""

    def __init__(self, stage: Stage, store: PixelStore, scratch: Path) -> None:
        compute = choose_compute(str(store.pixels.device), 0)
        settings = Settings(
            plan=Plan((replace(stage, batch_size=BATCH),), peak_learning_rate=0.05),
            budget=Budget(epochs=1_000_000, seconds=None),
            augmentation=AUGMENTATIONS[DEFAULT_AUGMENTATIONS[PLAN_NAMES[compute.device.type]]],
            mean=IMAGENET_MEAN,
            std=IMAGENET_STD,
            seed=0,
        )
        network = ResNet(ResNetConfig(n=2, num_classes=SPECIES, size_px=stage.size_px))
        self.run = Run(network, settings, lambda *_: (store, None), compute, Group(), scratch, {})
        self.run.started = self.run.saved_at = self.run.said_at = time.monotonic() + 1e9
        self.images = StageImages(0, self.run.settings.plan.stages[0], store, None)

    def step(self) -> float:
        began = time.perf_counter()
        if self.run._epoch_is_over(self.images):
            self.run.position.offset = 0
            self.run.position.epoch += 1
        self.run._step(self.images, 0.5)
        self.run.sums.loss.item()
        return time.perf_counter() - began


def _images_per_second(steps: list[float]) -> float:
    return BATCH / statistics.median(steps)


def measure(folder: Path, device: torch.device) -> list[dict[str, Any]]:
    """Rows of the table; see the module's docstring."""
    files = list_class_folders(folder / "train")
    kind = device.type
    plan_name = PLAN_NAMES[kind]
    stages = PLANS[plan_name].ending_at(SIDES_PX[plan_name]).stages
    ours: dict[int, _Ours] = {}
    for stage in dict.fromkeys((*stages, PLANS[plan_name].stages[-1])):
        store = decode_into_store(
            files.paths, files.targets, stage.store_px, workers=2, device=device
        )
        ours[stage.size_px] = _Ours(stage, store, folder)
    plain_sides = sorted({min(s.size_px for s in stages), COURSE_PX})
    plain = {side: _Plain(folder / "train", side, device) for side in plain_sides}
    seconds: dict[tuple[str, int], list[float]] = {}
    everything = [("ours", side, loop) for side, loop in ours.items()]
    everything += [("plain", side, loop) for side, loop in plain.items()]  # type: ignore[misc]
    for _, _, loop in everything:
        loop.step()  # the first one allocates
    for _ in range(ROUNDS):
        for name, side, loop in everything:
            times = [loop.step() for _ in range(STEPS[kind])]
            seconds.setdefault((name, side), []).extend(times)
    speed = {key: _images_per_second(times) for key, times in seconds.items()}
    rows = [
        row(f"{side} px, {kind}", speed["ours", side], speed["plain", side], "images/s")
        for side in plain_sides
        if ("ours", side) in speed
    ]
    average = 1 / sum(stage.share / speed["ours", stage.size_px] for stage in stages)
    rows.append(
        row(
            f"the whole plan / the plain loop at {COURSE_PX} px, {kind}",
            average,
            speed["plain", COURSE_PX],
            "images/s",
            at_least=GOAL[kind],
        )
    )
    return rows


def run() -> list[dict[str, Any]]:
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    with tempfile.TemporaryDirectory(prefix="bench-training-") as name:
        generate(
            Path(name),
            species=SPECIES,
            train_per_class=PER_SPECIES,
            valid_per_class=0,
            test_per_class=1,
            seed=0,
            size_px=COURSE_PX,
        )
        return measure(Path(name), device)


if __name__ == "__main__":
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    print(table(run()))
