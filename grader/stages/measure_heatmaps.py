"""Measure heatmaps: their form, whether they depend on the weights, whether they show what counts.

The first needs the maps alone; the second the maps of the same program under weights drawn anew
(`grader.stages.randomise_weights`); the third the grader's own network with the student's weights.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from grader.findings import found
from grader.metrics.evidence import HeatmapEvidence, HeatmapMetric
from grader.metrics.heatmaps import (
    area_under,
    centred_bump,
    hottest_first,
    rank_correlation,
    varies,
)
from grader.metrics.load import load_metric
from grader.model import (
    Finding,
    IndependentEvaluation,
    LoadedCheckpoint,
    Measurement,
    MeasurementSpec,
    Preprocessing,
    ReadHeatmap,
    TruthItem,
)
from grader.networks.prepare_image import decode_image, normalise_pixels, resize_image
from grader.networks.read_shape import read_shape
from grader.networks.resnet_6n2 import ResNet6n2, build_resnet, possible_forms
from grader.readers.safetensors_file import read_safetensors

Heatmaps = Mapping[str, ReadHeatmap]
_STEPS = 8
# Images that the network sees again and again, a dozen times each.
DELETED_IMAGES = 6
_MAX_TENSOR_BYTES = 4 << 30
_INSENSITIVE = 0.9


def measure_heatmaps(
    specs: Sequence[MeasurementSpec],
    items: Sequence[TruthItem],
    heatmaps: Heatmaps,
    randomised: Heatmaps | None,
    side_px: int,
    areas: Mapping[str, tuple[float, float]],
    baseline: Mapping[str, tuple[float, float]],
) -> tuple[dict[str, Measurement], tuple[Finding, ...]]:
    """A measurement for each of `specs`, whose metrics are over heatmaps.

    `heatmaps` and `randomised`: staged stem → map of the trained and of the redrawn weights;
    `areas`: stem → (deletion, insertion) of the student's map, `baseline` of a bump in the middle.
    """
    stems = [PurePosixPath(item.staged_name).stem for item in items]
    evidence = _evidence(stems, heatmaps, randomised, side_px, areas)
    trivial = _evidence(stems, heatmaps, None, side_px, baseline)
    measured: dict[str, Measurement] = {}
    for spec in specs:
        metric = load_metric(spec.metric)
        assert isinstance(metric, HeatmapMetric)
        values, trivially = metric.of_images(evidence), metric.of_images(trivial)
        known = np.isfinite(values)
        baselines = {}
        if np.isfinite(trivially).any() and not np.array_equal(values, trivially, equal_nan=True):
            baselines["centred-bump"] = float(np.nanmean(trivially))
        measured[spec.id] = Measurement(
            id=spec.id,
            title=spec.title,
            value=float(values[known].mean()) if known.any() else None,
            count=int(known.sum()),
            baselines=baselines,
            per_item={
                item.staged_name: float(value)
                for item, value, is_known in zip(items, values, known, strict=True)
                if is_known
            },
            convention=metric.convention,
        )
    return measured, tuple(_findings(evidence, heatmaps, side_px))


def _evidence(
    stems: Sequence[str],
    heatmaps: Heatmaps,
    randomised: Heatmaps | None,
    side_px: int,
    areas: Mapping[str, tuple[float, float]],
) -> HeatmapEvidence:
    nothing = (float("nan"), float("nan"))
    pairs = np.array([areas.get(stem, nothing) for stem in stems], dtype=np.float64).reshape(-1, 2)
    return HeatmapEvidence(
        well_formed=np.array([_is_well_formed(heatmaps.get(stem), side_px) for stem in stems]),
        correlation=np.array([_correlation(stem, heatmaps, randomised) for stem in stems]),
        deletion=pairs[:, 0],
        insertion=pairs[:, 1],
    )


def _is_well_formed(heatmap: ReadHeatmap | None, side_px: int) -> float:
    if heatmap is None or heatmap.in_colour:
        return 0.0
    return float(
        (heatmap.width_px, heatmap.height_px) == (side_px, side_px) and varies(heatmap.heat)
    )


def _correlation(stem: str, heatmaps: Heatmaps, randomised: Heatmaps | None) -> float:
    if randomised is None or stem not in randomised:
        return float("nan")
    if stem not in heatmaps:
        return 1.0  # no map of an image that the program can make one of shows nothing
    one, other = heatmaps[stem].heat, randomised[stem].heat
    if not varies(one):
        return 1.0  # the same whatever the weights: it shows nothing of them
    return rank_correlation(one, other) if varies(other) else 0.0


def _findings(evidence: HeatmapEvidence, heatmaps: Heatmaps, side_px: int) -> list[Finding]:
    findings = []
    wrong = int((evidence.well_formed == 0).sum())
    if wrong:
        sizes = sorted({(h.width_px, h.height_px) for h in heatmaps.values()})[:3]
        shown = ", ".join(f"{width} × {height}" for width, height in sizes)
        colours = sum(heatmap.in_colour for heatmap in heatmaps.values())
        flat = sum(not varies(heatmap.heat) for heatmap in heatmaps.values())
        message = (
            f"{wrong} of {evidence.well_formed.size} images have no grey map of {side_px} × "
            f"{side_px} that varies (sizes: {shown}; in colour: {colours}; flat: {flat})"
        )
        findings.append(found("result.heatmaps-malformed", message))
    known = evidence.correlation[np.isfinite(evidence.correlation)]
    if known.size and float(known.mean()) > _INSENSITIVE:
        message = (
            f"with weights drawn anew the maps stay nearly the same: rank correlation "
            f"{float(known.mean()):.3f}, mean over {known.size} images"
        )
        findings.append(found("result.heatmaps-insensitive", message))
    return findings


# --------------------------------------------------------------------------- deletion, insertion


def deletion_and_insertion(
    loaded: LoadedCheckpoint,
    evaluation: IndependentEvaluation,
    items: Sequence[TruthItem],
    heatmaps: Heatmaps,
) -> tuple[dict[str, tuple[float, float]], dict[str, tuple[float, float]]]:
    """Areas (deletion, insertion) by staged stem: of the maps, and of a bump in the middle.

    The probability is the grader's network's for the class that it predicts for the whole image;
    taken-away pixels become the mean colour, put-back ones start from a blurred image.
    """
    way = evaluation.preprocessing
    network = _network(loaded, evaluation)
    areas: dict[str, tuple[float, float]] = {}
    trivial: dict[str, tuple[float, float]] = {}
    for item in items:
        stem = PurePosixPath(item.staged_name).stem
        if stem not in heatmaps or len(areas) == DELETED_IMAGES or network is None:
            continue
        image = _input(item, way)
        height, width = int(image.shape[2]), int(image.shape[3])
        heat = torch.from_numpy(heatmaps[stem].heat)[None, None]
        fitted = F.interpolate(heat, (height, width), mode="bilinear", align_corners=False)[0, 0]
        areas[stem] = _areas(network, image, fitted.numpy())
        trivial[stem] = _areas(network, image, centred_bump(height, width))
    return areas, trivial


def _network(loaded: LoadedCheckpoint, evaluation: IndependentEvaluation) -> ResNet6n2 | None:
    """The network as the evaluation ran it: the form whose labels were the best explanation."""
    weights = read_safetensors(loaded.tensors, _MAX_TENSOR_BYTES)
    shapes = {name: array.shape for name, array in weights.tensors.items()}
    reading = read_shape(shapes, loaded.module_classes)
    rows = [
        row for row in evaluation.candidates if row["preprocessing"] == evaluation.preprocessing.id
    ]
    if reading.network is None or not rows:
        return None
    chosen = max(
        rows, key=lambda row: (row["finished"], row.get("agreement", row.get("accuracy", 0)))
    )
    form = next((f for f in possible_forms(reading.network) if str(f) == chosen["form"]), None)
    return None if form is None else build_resnet(reading.network, weights.tensors, form)


def _input(item: TruthItem, way: Preprocessing) -> Tensor:
    return normalise_pixels(resize_image(decode_image(item.image), way), way)


def _areas(network: ResNet6n2, image: Tensor, heat: np.ndarray) -> tuple[float, float]:
    masks = torch.from_numpy(hottest_first(heat.astype(np.float64), _STEPS))[:, None].float()
    blur = 2 * (min(image.shape[2:]) // 8) + 1
    blurred = F.avg_pool2d(image, blur, stride=1, padding=blur // 2, count_include_pad=False)
    with torch.inference_mode():
        target = int(network(image).argmax())
        deleted = network(image * (1 - masks))
        inserted = network(image * masks + blurred * (1 - masks))
    curves = [logits.softmax(dim=1)[:, target].double().numpy() for logits in (deleted, inserted)]
    return area_under(curves[0]), area_under(curves[1])
