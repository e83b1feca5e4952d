"""Loss, accuracy and learning rate over a run, as a PNG."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from plots.png import to_png
from training.history import EpochRecord


def draw_curves(records: Sequence[EpochRecord]) -> bytes:
    """Three panels over the minutes of the run; a grey line where the image size changes."""
    # evaluate.py imports this room, too, and draws nothing: it need not wait for matplotlib
    from matplotlib.figure import Figure  # noqa: PLC0415

    minutes = [record.seconds / 60 for record in records]
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    loss, accuracy, rate = figure.subplots(1, 3)
    loss.plot(minutes, [record.train_loss for record in records], label="training")
    accuracy.plot(minutes, [100 * record.train_accuracy for record in records], label="training")
    held_out = [record for record in records if record.held_out_accuracy is not None]
    if held_out:
        at = [record.seconds / 60 for record in held_out]
        loss.plot(at, [record.held_out_loss for record in held_out], label="held out")
        accuracy.plot(
            at, [100 * (record.held_out_accuracy or 0) for record in held_out], label="held out"
        )
    rate.plot(minutes, [record.learning_rate for record in records])
    titles = ("loss", "accuracy in %", "learning rate")
    for axes, title in zip((loss, accuracy, rate), titles, strict=True):
        axes.set_title(title)
        axes.set_xlabel("minutes")
        axes.grid(alpha=0.3)
        for before, after in itertools.pairwise(records):
            if before.size_px != after.size_px:
                axes.axvline(before.seconds / 60, color="grey", linewidth=0.8)
    loss.legend()
    accuracy.legend()
    return to_png(figure, dots_per_inch=110)
