"""Measure every explainer × threshold × refinement against true masks, and write the tables.

python compare_segmentation.py --set NAME CHECKPOINT IMAGES MASKS [--set …] --out FILE.md

IMAGES and MASKS are folders with the same relative names (endings may differ). The part of FILE.md
between the two marker lines is replaced; without the file, only the tables are written. No mask is
used for anything but measuring.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from data.class_folders import list_test_images
from data.decoding import UnreadableImage, read_rgb
from data.scaling import scaled
from errors import SubmissionError
from explain.heatmaps import EXPLAINERS
from models.folding import fold_batch_norm
from models.loading import load_network
from segmentation.mask_files import resized
from segmentation.overlap import centred_ellipse, foreground_iou, read_mask
from segmentation.refinement import REFINEMENTS, Mask, Pixels
from segmentation.subject import (
    EXPLAINER,
    REFINEMENT,
    THRESHOLD,
    brought_to,
    mask_side_px,
    smoothed,
)
from segmentation.thresholds import THRESHOLDS, Heatmap
from training.files import sha256, write_atomically

BEGIN, END = "<!-- tables: begin -->", "<!-- tables: end -->"
SPLITS = 1000

Scores = dict[tuple[str, str, str], npt.NDArray[np.float64]]
"""(explainer, threshold, refinement) → IoU of each image."""


@dataclass(frozen=True)
class MaskedSet:
    """Images at the side at which masks are made and as the network takes them, their true masks at
    their own size, and the network."""

    name: str
    checkpoint_sha256: str
    network: torch.nn.Module
    pixels: npt.NDArray[np.uint8]  # (N, M, M, 3)
    inputs: torch.Tensor  # (N, 3, S, S), normalised
    masks: tuple[Mask, ...]


def load_set(name: str, checkpoint: Path, images: Path, masks: Path) -> MaskedSet:
    """Pair images with masks by their relative path without the ending."""
    truths = {
        path.relative_to(masks).with_suffix("").as_posix(): path
        for path in sorted(masks.rglob("*"))
        if path.is_file()
    }
    paired = [
        (image.path, truths[stem])
        for image in list_test_images(images)
        if (stem := Path(image.name).with_suffix("").as_posix()) in truths
    ]
    if not paired:
        raise SubmissionError(f"{masks}: no mask has the name of an image in {images}")
    loaded = load_network(checkpoint, Path(__file__).resolve().parent)
    side_px = mask_side_px(loaded.size_px)
    shown = np.stack([read_rgb(path, loaded.size_px) for path, _ in paired])
    tensor = torch.from_numpy(shown).permute(0, 3, 1, 2)
    return MaskedSet(
        name=name,
        checkpoint_sha256=sha256(checkpoint.read_bytes()),
        network=fold_batch_norm(loaded.network),
        pixels=np.stack([read_rgb(path, side_px) for path, _ in paired]),
        inputs=scaled(tensor, loaded.mean, loaded.std),
        masks=tuple(read_mask(path) for _, path in paired),
    )


def heatmaps_of(data: MaskedSet, explainer: str, batch_size: int = 8) -> list[Heatmap]:
    """Smoothed heatmaps of the predicted class, at the side at which masks are made."""
    found: list[Heatmap] = []
    for inputs in data.inputs.split(batch_size):
        with torch.no_grad():
            targets = data.network(inputs).argmax(1)
        found += list(EXPLAINERS[explainer](data.network, inputs, targets).numpy())
    return [
        smoothed(brought_to(heatmap, pixels))
        for heatmap, pixels in zip(found, data.pixels, strict=True)
    ]


def score(data: MaskedSet, explainers: Sequence[str]) -> Scores:
    """The IoU of every combination on every image."""
    scores: Scores = {}

    def row(item: tuple[Pixels, Heatmap, Mask]) -> list[float]:
        pixels, heatmap, truth = item
        return [
            foreground_iou(
                resized(refine(pixels, heatmap, threshold(heatmap)), *truth.shape), truth
            )
            for threshold in THRESHOLDS.values()
            for refine in REFINEMENTS.values()
        ]

    keys = [(threshold, refinement) for threshold in THRESHOLDS for refinement in REFINEMENTS]
    with ThreadPoolExecutor(torch.get_num_threads()) as pool:
        for explainer in explainers:
            heatmaps = heatmaps_of(data, explainer)
            rows = list(pool.map(row, zip(data.pixels, heatmaps, data.masks, strict=True)))
            for (threshold, refinement), column in zip(keys, np.array(rows).T, strict=True):
                scores[explainer, threshold, refinement] = column
            print(f"{data.name}: {explainer} done", file=sys.stderr, flush=True)
    return scores


def chosen_on_one_half(scores: Scores, seed: int = 0) -> float:
    """Mean IoU on one half of the images of what was best on the other half, over many random
    halvings: what choosing from the table is worth on images that it was not chosen by."""
    table = np.stack(list(scores.values()))
    rng = np.random.default_rng(seed)
    results = []
    for _ in range(SPLITS):
        order = rng.permutation(table.shape[1])
        half, other = np.array_split(order, 2)
        results.append(table[table[:, half].mean(axis=1).argmax(), other].mean())
    return float(np.mean(results))


def tables(data: MaskedSet, scores: Scores) -> list[str]:
    """Markdown: baselines and the chosen setting, then one table per threshold."""
    everything = [np.ones_like(mask) for mask in data.masks]
    ellipses = [centred_ellipse(*mask.shape) for mask in data.masks]

    def mean_iou(masks: Sequence[Mask]) -> float:
        pairs = zip(masks, data.masks, strict=True)
        return float(np.mean([foreground_iou(mask, truth) for mask, truth in pairs]))

    chosen = scores[EXPLAINER, THRESHOLD, REFINEMENT]
    best = max(scores, key=lambda key: scores[key].mean())
    lines = [
        f"### {data.name}: {len(data.masks)} images",
        "",
        f"Checkpoint with sha256 `{data.checkpoint_sha256}`, images of {data.inputs.shape[2]} px, "
        f"masks made at {data.pixels.shape[1]} px.",
        "",
        "| | mean IoU | median | 10th percentile |",
        "|---|---|---|---|",
        f"| everything foreground | {mean_iou(everything):.3f} | | |",
        f"| centred ellipse | {mean_iou(ellipses):.3f} | | |",
        f"| **chosen: {EXPLAINER}, {THRESHOLD}, {REFINEMENT}** | **{chosen.mean():.3f}** | "
        f"{np.median(chosen):.3f} | {np.quantile(chosen, 0.1):.3f} |",
        f"| best of the {len(scores)} below: {', '.join(best)} | {scores[best].mean():.3f} | "
        f"{np.median(scores[best]):.3f} | {np.quantile(scores[best], 0.1):.3f} |",
        f"| best on a random half, measured on the other ({SPLITS} halvings) | "
        f"{chosen_on_one_half(scores):.3f} | | |",
        "",
    ]
    means = {key: values.mean() for key, values in scores.items()}
    explainers = list(dict.fromkeys(key[0] for key in scores))
    for threshold in THRESHOLDS:
        lines += [
            f"Mean IoU, heatmaps cut at: **{threshold}**",
            "",
            f"| explainer | {' | '.join(REFINEMENTS)} |",
            "|---|" + "---|" * len(REFINEMENTS),
        ]
        highest = max(value for (_, name, _), value in means.items() if name == threshold)
        for explainer in explainers:
            row = [means[explainer, threshold, refinement] for refinement in REFINEMENTS]
            cells = [f"**{value:.3f}**" if value == highest else f"{value:.3f}" for value in row]
            lines.append(f"| {explainer} | {' | '.join(cells)} |")
        lines.append("")
    return lines


def with_tables(page: str, lines: Sequence[str]) -> str:
    """`page` with the part between the markers replaced; an empty page becomes the tables."""
    block = "\n".join([BEGIN, "", *lines, END])
    if BEGIN not in page or END not in page:
        return f"{page}{block}\n"
    return page[: page.index(BEGIN)] + block + page[page.index(END) + len(END) :]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--set",
        nargs=4,
        action="append",
        required=True,
        dest="sets",
        metavar=("NAME", "CHECKPOINT", "IMAGES", "MASKS"),
    )
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--explainers", nargs="+", choices=EXPLAINERS, default=list(EXPLAINERS))
    arguments = parser.parse_args()
    explainers = list(dict.fromkeys([*arguments.explainers, EXPLAINER]))
    try:
        lines: list[str] = []
        for name, checkpoint, images, masks in arguments.sets:
            data = load_set(name, Path(checkpoint), Path(images), Path(masks))
            lines += tables(data, score(data, explainers))
        page = arguments.out.read_text(encoding="utf-8") if arguments.out.exists() else ""
        write_atomically(arguments.out, with_tables(page, lines).encode())
    except (SubmissionError, UnreadableImage, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
