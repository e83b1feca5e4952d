"""The written report of the assignment: every table, figure and sentence comes from the runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from data.class_folders import LabelledFiles
from errors import SubmissionError
from models.loading import LoadedNetwork, load_network
from models.variants import NORMS, TITLES
from plots.metrics import draw_comparison, draw_metrics
from plots.superimposed import draw_grid
from report.heatmaps import (
    EACH,
    ExplainedClass,
    centrality,
    choose_species,
    explain_class,
    spread,
)
from report.runs import FinishedRun, read_runs
from training.devices import Compute
from training.files import write_atomically

REPORT_NAME = "report.md"
SIX = NORMS[1:]
BATCH_SIZES = (8, 128)
_METRICS = {"accuracy": "accuracy", "micro_f1": "micro F1", "macro_f1": "macro F1"}


class _Page:
    """Markdown and the figures beside it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.parts: list[str] = []

    def say(self, *paragraphs: str) -> None:
        self.parts += paragraphs

    def show(self, name: str, png: bytes, what: str) -> None:
        self.save(name, png)
        self.parts.append(f"![{what}]({name})")

    def save(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        try:
            write_atomically(path, content)
        except OSError as error:
            raise SubmissionError(f"{path}: cannot be written ({error.strerror})") from error
        return path


def write_report(
    runs_folder: Path,
    names: Sequence[str],
    validation: LabelledFiles,
    folder: Path,
    compute: Compute,
    *,
    species: Sequence[str] | None = None,
) -> Path:
    """Write report.md and its figures into `folder`; what was not trained is said to be missing.

    Raises SubmissionError.
    """
    runs = read_runs(runs_folder, names)
    page = _Page(folder)
    page.say("# ResNet 6n+2 and its normalisation", _setting(runs))
    _tell_resnet(page, runs)
    _tell_sanity(page, runs)
    _tell_six(page, runs)
    _tell_batch_size(page, runs)
    best = max(runs.values(), key=lambda run: run.best["val_accuracy"])
    loaded = load_network(best.checkpoint, best.checkpoint.parent)
    loaded.network.to(compute.device)
    _tell_heatmaps(page, best, loaded, validation, compute, species)
    return page.save(
        REPORT_NAME, ("\n\n".join(page.parts) + "\n").encode(errors="backslashreplace")
    )


def _setting(runs: Mapping[str, FinishedRun]) -> str:
    first = next(iter(runs.values())).metadata
    return (
        f"{6 * first['n'] + 2} layers (n = {first['n']}) with {_listed(first['widths'])} filters, "
        f"images of {first['size_px']}×{first['size_px']} pixels, {first['num_classes']} classes; "
        f"{first['train_images']} images to train on, {first['val_images']} to validate. SGD with "
        f"momentum, initial learning rate {first['learning_rate']:g} at a batch of "
        f"{first['batch_size']} and proportional to the batch, falling by a cosine over "
        f"{first['epochs_asked']} epochs. Computed on: {first['device']}. Every number is measured "
        "in evaluation mode on unaugmented images; tables give the epoch with the best validation "
        "accuracy, whose weights are the checkpoint."
    )


# --------------------------------------------------------------------------- the sections


def _tell_resnet(page: _Page, runs: Mapping[str, FinishedRun]) -> None:
    page.say("## 1.1 Image classification with the residual network")
    run = runs.get("inbuilt")
    if run is None:
        page.say(_missing("inbuilt"))
        return
    page.say(_table([run]))
    page.show("resnet.png", draw_metrics(run.rows), "error, accuracy and F1 of the network")
    gap = run.last["train_accuracy"] - run.last["val_accuracy"]
    page.say(
        "Each image has one label and gets one, so micro F1 is the accuracy. After the last epoch "
        f"training accuracy is {_points(gap)} above validation accuracy."
    )


def _tell_sanity(page: _Page, runs: Mapping[str, FinishedRun]) -> None:
    page.say("## 2.4 Batch normalisation from scratch against the built-in one")
    if "inbuilt" not in runs or "bn" not in runs:
        page.say(_missing(*(name for name in ("inbuilt", "bn") if name not in runs)))
        return
    pair = {"built-in": runs["inbuilt"].rows, "from scratch": runs["bn"].rows}
    page.say(_table([runs["inbuilt"], runs["bn"]]))
    page.show("sanity.png", draw_comparison(pair), "built-in and own batch normalisation")
    differences = {
        name: [abs(a[name] - b[name]) for a, b in zip(*pair.values(), strict=False)]
        for name in ("train_loss", "val_loss", "val_accuracy")
    }
    page.say(
        "Both runs start from the same filters and see the same batches. The difference after the "
        f"first epoch: training error {differences['train_loss'][0]:.2g}, validation error "
        f"{differences['val_loss'][0]:.2g}, validation accuracy "
        f"{_points(differences['val_accuracy'][0])}; the largest after any epoch: training error "
        f"{max(differences['train_loss']):.2g}, validation error "
        f"{max(differences['val_loss']):.2g}, validation accuracy "
        f"{_points(max(differences['val_accuracy']))}. The layers give equal numbers up to "
        "rounding, which training amplifies from step to step."
    )


def _tell_six(page: _Page, runs: Mapping[str, FinishedRun]) -> None:
    page.say("## 2.5 The six variants")
    six = [runs[name] for name in SIX if name in runs]
    if missing := [name for name in SIX if name not in runs]:
        page.say(_missing(*missing))
    if not six:
        return
    page.say(_table(six))
    page.show(
        "six.png",
        draw_comparison({TITLES[run.metadata["norm"]]: run.rows for run in six}),
        "error, accuracy and F1 of the six variants",
    )
    ranked = sorted(six, key=lambda run: -run.best["val_accuracy"])
    order = ", ".join(f"{_title(run)} ({100 * run.best['val_accuracy']:.1f} %)" for run in ranked)
    fastest = min(six, key=lambda run: run.rows[0]["train_loss"])
    page.say(
        f"By validation accuracy: {order}. The lowest training error after the first epoch has "
        f"{_title(fastest)}. {_noise(six[0])}"
    )


def _tell_batch_size(page: _Page, runs: Mapping[str, FinishedRun]) -> None:
    page.say("## 2.6 Batch size")
    names = [f"{norm}-batch{size}" for norm in ("bn", "gn") for size in BATCH_SIZES]
    found = [runs[name] for name in names if name in runs]
    if missing := [name for name in names if name not in runs]:
        page.say(_missing(*missing))
    if not found:
        return
    page.say(_table(found))
    page.show(
        "batch-size.png",
        draw_comparison({run.name: run.rows for run in found}),
        "batch and group normalisation at two batch sizes",
    )
    sentences = []
    for norm in ("bn", "gn"):
        pair = [runs.get(f"{norm}-batch{size}") for size in BATCH_SIZES]
        if None in pair:
            continue
        small, large = (run.best["val_accuracy"] for run in pair if run is not None)
        word = "better" if small >= large else "worse"
        sentences.append(
            f"With {TITLES[norm]} normalisation batches of {BATCH_SIZES[0]} end "
            f"{_points(abs(small - large))} {word} than batches of {BATCH_SIZES[1]}."
        )
    stopped = [run.name for run in found if len(run.rows) < run.metadata["epochs_asked"]]
    sentences.append(
        f"Stopped early, on validation accuracy: {_listed(stopped)}."
        if stopped
        else "No run stopped before its last epoch."
    )
    steps = [run.metadata["train_images"] // run.metadata["batch_size"] for run in found]
    sentences.append(
        f"In an epoch, small batches take {max(steps)} steps and large ones {max(min(steps), 1)}, "
        "so batch sizes differ by more than the statistics of batch normalisation: compare the two "
        "normalisations with each other at each size."
    )
    page.say(" ".join(sentences))


def _tell_heatmaps(
    page: _Page,
    best: FinishedRun,
    loaded: LoadedNetwork,
    validation: LabelledFiles,
    compute: Compute,
    species: Sequence[str] | None,
) -> None:
    names = best.metadata["class_names"]
    if list(validation.class_names) != names:
        raise SubmissionError(
            f"the class folders of the validation images are not the {len(names)} classes of "
            f"{best.checkpoint}"
        )
    shown, why = choose_species(names, species)
    page.say(
        "## 2.7 Grad-CAM",
        f"Of the best network, `{best.name}` ({100 * best.best['val_accuracy']:.1f} % on the "
        f"validation images): the gradient of the correct class, over the last "
        f"{2 * best.metadata['n']} layers, brought to [0, 1] for each layer, averaged, and laid "
        f"over the image; up to {EACH} images called right and {EACH} called wrong. {why}",
    )
    explained = [explain_class(name, validation, loaded, names, compute) for name in shown]
    for item in explained:
        rows = [("right", item.right), ("wrong", item.wrong)]
        file = f"grad-cam-{re.sub(r'[^a-z0-9]+', '-', item.name.casefold())}.png"
        page.say(f"### {item.name}: {item.right_count} right, {item.wrong_count} wrong")
        page.show(file, draw_grid(item.name, rows, EACH), f"Grad-CAM of {item.name}")
    page.say("### Observations", _heatmap_table(explained), _heatmap_words(explained))


# --------------------------------------------------------------------------- words


def _table(runs: Sequence[FinishedRun]) -> str:
    heads = ["experiment", "normalisation", "batch", "parameters", "epoch"]
    heads += [f"{split} {title}" for split in ("train", "val") for title in _METRICS.values()]
    lines = [heads, ["---"] * len(heads)]
    for run in runs:
        cells = [
            f"`{run.name}`",
            _title(run),
            str(run.metadata["batch_size"]),
            f"{run.metadata['parameters']:,}",
            f"{run.best['epoch']:.0f} of {len(run.rows)}",
        ]
        cells += [
            f"{100 * run.best[f'{split}_{name}']:.1f}"
            for split in ("train", "val")
            for name in _METRICS
        ]
        lines.append(cells)
    return _markdown(lines)


def _heatmap_table(explained: Sequence[ExplainedClass]) -> str:
    lines = [
        ["class", "right", "wrong", "wide: right", "wide: wrong", "middle: right", "middle: wrong"]
    ]
    lines.append(["---"] * len(lines[0]))
    for item in explained:
        numbers = [spread(item.right), spread(item.wrong)]
        numbers += [centrality(item.right), centrality(item.wrong)]
        cells = ["" if number is None else f"{100 * number:.0f} %" for number in numbers]
        lines.append([item.name, str(item.right_count), str(item.wrong_count), *cells])
    return _markdown(lines)


def _heatmap_words(explained: Sequence[ExplainedClass]) -> str:
    right = [image for item in explained for image in item.right]
    wrong = [image for item in explained for image in item.wrong]
    text = (
        "*Wide* is the share of the image where a map exceeds half of its maximum, *middle* the "
        "share of the map that falls on the middle quarter of the image (25 % for an even map)."
    )
    if not right or not wrong:
        missing = "wrong" if right else "right"
        return f"{text} No image was called {missing}, so that there is nothing to compare."
    wider = (spread(right) or 0.0) - (spread(wrong) or 0.0)
    nearer = (centrality(right) or 0.0) - (centrality(wrong) or 0.0)
    return (
        f"{text} Over all classes shown, maps of images called right are "
        f"{_points(abs(wider))} {'wider' if wider > 0 else 'narrower'}, and have "
        f"{_points(abs(nearer))} {'more' if nearer > 0 else 'less'} of themselves in the middle, "
        "than those of the correct class on images called wrong."
    )


def _markdown(lines: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _title(run: FinishedRun) -> str:
    return TITLES[run.metadata["norm"]]


def _missing(*names: str) -> str:
    return f"Not trained yet: {_listed(names)} (`train.py … --experiment {' '.join(names)}`)."


def _noise(run: FinishedRun) -> str:
    """What chance alone does to the numbers of this table."""
    count = run.metadata["val_images"]
    share = run.best["val_accuracy"]
    deviation = (share * (1 - share) / count) ** 0.5
    return (
        f"With {count} validation images the standard error of each accuracy is about "
        f"{_points(deviation)}: smaller differences say nothing."
    )


def _points(share: float) -> str:
    return f"{100 * share:.1f} percentage points"


def _listed(items: Sequence[object]) -> str:
    words = [str(item) for item in items]
    return " and ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]
