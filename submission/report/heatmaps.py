"""Grad-CAM of images that a network got right and of images that it got wrong, class by class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from data.class_folders import LabelledFiles
from data.decoding import UnreadableImage, read_rgb
from data.scaling import scaled
from errors import SubmissionError
from explain.grad_cam import mean_grad_cam
from models.loading import LoadedNetwork
from models.resnet import last_stage_layers
from plots.superimposed import Explained
from training.devices import Compute

SPECIES = (
    "Cattle Egret",
    "Coppersmith Barbet",
    "Indian Peacock",
    "Red Wattled Lapwing",
    "Ruddy Shelduck",
    "White Breasted Kingfisher",
    "White Breasted Waterhen",
)
"""The assignment's seven."""
EACH = 5
_BATCH = 16


@dataclass(frozen=True)
class ExplainedClass:
    """Up to `EACH` images of a class called right, and as many called wrong; how many there are."""

    name: str
    right: Sequence[Explained]
    wrong: Sequence[Explained]
    right_count: int
    wrong_count: int


def choose_species(names: Sequence[str], wanted: Sequence[str] | None) -> tuple[list[str], str]:
    """The classes to show, and a sentence that says why these.

    `Cattle-Egret` and `cattle_egret` are the Cattle Egret. Without `wanted`, the assignment's seven
    that there are, else the first seven of `names`. Raises SubmissionError for a wanted one that
    is no class.
    """
    by_letters = {_letters(name): name for name in names}
    if wanted is not None:
        unknown = [name for name in wanted if _letters(name) not in by_letters]
        if unknown:
            raise SubmissionError(f"--species: no class folder for {', '.join(unknown)}")
        return [by_letters[_letters(name)] for name in wanted], "These classes were asked for."
    found = [by_letters[_letters(name)] for name in SPECIES if _letters(name) in by_letters]
    if found:
        missing = [name for name in SPECIES if _letters(name) not in by_letters]
        said = f" Not among the classes: {', '.join(missing)}." if missing else ""
        return found, f"The assignment names these classes.{said}"
    count = len(SPECIES)
    return list(names[:count]), (
        f"None of the assignment's {count} classes is in this data set: the first {count} of its "
        "own stand for them."
    )


def _letters(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.casefold())


def explain_class(
    name: str,
    files: LabelledFiles,
    loaded: LoadedNetwork,
    names: Sequence[str],
    compute: Compute,
) -> ExplainedClass:
    """Maps of the correct class for the first images of `name` that are called right and wrong."""
    folder = files.class_names.index(name)
    paths = [p for p, target in zip(files.paths, files.targets, strict=True) if target == folder]
    target = names.index(name)
    right: list[Explained] = []
    wrong: list[Explained] = []
    counts = [0, 0]
    for start in range(0, len(paths), _BATCH):
        pixels = _readable(paths[start : start + _BATCH], loaded.size_px)
        if not pixels:
            continue
        tensor = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).contiguous()
        inputs = scaled(tensor.to(compute.device), loaded.mean, loaded.std)
        targets = torch.full((len(pixels),), target, device=compute.device)
        logits, maps = mean_grad_cam(
            loaded.network, inputs, targets, last_stage_layers(loaded.network)
        )
        shares, called = logits.softmax(1).max(1)
        for image, heatmap, label, share in zip(
            pixels, maps.cpu().numpy(), called.tolist(), shares.tolist(), strict=True
        ):
            is_wrong = label != target
            counts[is_wrong] += 1
            chosen = wrong if is_wrong else right
            if len(chosen) < EACH:
                said = f"{names[label]}\n" if is_wrong else ""
                chosen.append(Explained(image, heatmap, f"{said}{100 * share:.0f} % sure"))
    return ExplainedClass(name, right, wrong, counts[0], counts[1])


def _readable(paths: Sequence[Path], size_px: int) -> list[np.ndarray]:
    found = []
    for path in paths:
        try:
            found.append(read_rgb(path, size_px))
        except UnreadableImage:  # training has named it on stderr already
            continue
    return found


def spread(explained: Sequence[Explained]) -> float | None:
    """Mean share of the image where a map is above half of its maximum; None without images."""
    if not explained:
        return None
    return float(np.mean([(item.heatmap > 0.5).mean() for item in explained]))


def centrality(explained: Sequence[Explained]) -> float | None:
    """Mean share of a map's sum in the middle quarter of the image, 0.25 for an even map."""
    if not explained:
        return None
    shares = []
    for item in explained:
        height, width = item.heatmap.shape
        middle = item.heatmap[height // 4 : height - height // 4, width // 4 : width - width // 4]
        shares.append(middle.sum() / max(float(item.heatmap.sum()), 1e-12))
    return float(np.mean(shares))
