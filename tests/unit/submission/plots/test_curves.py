from __future__ import annotations

import io

import numpy as np
from PIL import Image
from plots.curves import draw_curves
from training.history import EpochRecord, history_to_csv


def record(epoch: int, size_px: int, held_out: float | None) -> EpochRecord:
    return EpochRecord(
        epoch=epoch,
        step=10 * epoch,
        seconds=60.0 * epoch,
        size_px=size_px,
        learning_rate=0.1 / epoch,
        train_loss=3.0 / epoch,
        train_accuracy=0.1 * epoch,
        held_out_loss=held_out,
        held_out_accuracy=held_out,
        images_per_second=12.3456789,
    )


def test_the_figure_is_a_png_and_the_same_every_time() -> None:
    records = [record(1, 32, 0.2), record(2, 32, 0.4), record(3, 64, 0.5)]
    figure = draw_curves(records)
    with Image.open(io.BytesIO(figure)) as image:
        assert np.asarray(image.convert("L")).std() > 5
    assert draw_curves(records) == figure
    assert draw_curves(records[:2]) != figure


def test_one_epoch_without_held_out_images_can_be_drawn() -> None:
    assert draw_curves([record(1, 32, None)]).startswith(b"\x89PNG")


def test_csv_has_a_row_an_epoch_and_leaves_unknown_cells_empty() -> None:
    lines = history_to_csv([record(1, 32, None), record(2, 32, 0.25)]).decode().splitlines()
    assert lines[0].startswith("epoch,step,seconds,size_px,learning_rate")
    assert lines[1] == "1,10,60,32,0.1,3,0.1,,,12.3457"
    assert lines[2].split(",")[7:9] == ["0.25", "0.25"]
