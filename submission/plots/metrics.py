"""Error, accuracy and F1 of runs, epoch by epoch, as PNGs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from plots.png import to_png

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, float]]
"""One mapping an epoch, named as in metrics.csv."""

PANELS = (
    ("loss", "error (cross-entropy)", 1.0),
    ("accuracy", "accuracy in %", 100.0),
    ("micro_f1", "micro F1 in %", 100.0),
    ("macro_f1", "macro F1 in %", 100.0),
)
SPLITS = {"train": ("training", "--"), "val": ("validation", "-")}


def draw_metrics(rows: Rows) -> bytes:
    """Four panels of one run, training and validation in each."""
    figure = _figure(3.4 * len(PANELS), 3.2)
    for axes, (name, title, factor) in zip(figure.subplots(1, len(PANELS)), PANELS, strict=True):
        for split, (label, style) in SPLITS.items():
            epochs, values = _series(rows, f"{split}_{name}", factor)
            axes.plot(epochs, values, style, label=label)
        _dress(axes, title)
    _name_lines(figure)
    return to_png(figure)


def draw_comparison(runs: Mapping[str, Rows]) -> bytes:
    """Several runs: a row of panels for each split, a colour for each run."""
    figure = _figure(3.4 * len(PANELS), 5.6)
    for row, (split, (label, _)) in zip(
        figure.subplots(len(SPLITS), len(PANELS)), SPLITS.items(), strict=True
    ):
        for axes, (name, title, factor) in zip(row, PANELS, strict=True):
            for run, rows in runs.items():
                axes.plot(*_series(rows, f"{split}_{name}", factor), label=run)
            _dress(axes, f"{label}: {title}")
    _name_lines(figure)
    return to_png(figure)


def _figure(width_inches: float, height_inches: float) -> Figure:
    # evaluate.py and train.py need not wait for matplotlib unless they draw
    from matplotlib.figure import Figure  # noqa: PLC0415

    return Figure(figsize=(width_inches, height_inches), layout="constrained")


def _series(rows: Rows, name: str, factor: float) -> tuple[list[float], list[float]]:
    return [row["epoch"] for row in rows], [factor * row[name] for row in rows]


def _dress(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize="medium")
    axes.set_xlabel("epoch")
    axes.grid(alpha=0.3)
    axes.xaxis.get_major_locator().set_params(integer=True)


def _name_lines(figure: Figure) -> None:
    """Below the panels, which have the same lines: inside one it would cover some."""
    lines, names = figure.axes[0].get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower center", ncols=len(names))
