"""The table of explainers, thresholds and refinements: what it holds, and where it is put."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import compare_segmentation
import numpy as np
import pytest
import torch
from compare_segmentation import BEGIN, END, chosen_on_one_half, heatmaps_of, load_set, with_tables
from models.resnet import ResNet, ResNetConfig
from PIL import Image
from segmentation.mask_files import resized
from segmentation.overlap import foreground_iou, read_mask
from segmentation.refinement import REFINEMENTS
from segmentation.thresholds import THRESHOLDS

SIDE_PX, MASK_SIDE_PX = 24, 40


@pytest.fixture
def masked(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A checkpoint, images, and masks of another size than the network's input."""
    network = ResNet(ResNetConfig(n=1, num_classes=2, widths=(8, 8, 16)))
    checkpoint = tmp_path / "checkpoint" / "resnet_model.pth"
    checkpoint.parent.mkdir()
    torch.save(network.state_dict(), checkpoint)
    metadata = {"class_names": ["A", "B"], "size_px": SIDE_PX}
    checkpoint.with_name("metadata.json").write_text(json.dumps(metadata))
    rng = np.random.default_rng(0)
    for number in range(3):
        pixels = rng.integers(0, 120, (MASK_SIDE_PX, MASK_SIDE_PX, 3), dtype=np.uint8)
        mask = np.zeros((MASK_SIDE_PX, MASK_SIDE_PX), np.uint8)
        mask[8 : 20 + 4 * number, 10:30] = 255
        pixels[mask > 0, number] = 230
        for top, content in (("images", pixels), ("masks", mask)):
            (tmp_path / top / "A").mkdir(parents=True, exist_ok=True)
            Image.fromarray(content).save(tmp_path / top / "A" / f"{number}.png")
    return checkpoint, tmp_path / "images", tmp_path / "masks"


def test_the_page_holds_the_mean_of_every_combination(
    masked: tuple[Path, Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n", "utf-8")
    arguments = ["--set", "Set", *map(str, masked), "--out", str(page), "--explainers", "grad-cam"]
    monkeypatch.setattr(sys, "argv", ["compare_segmentation.py", *arguments])
    assert compare_segmentation.main() == 0

    text = page.read_text("utf-8")
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert "### Set: 3 images" in text
    data = load_set("Set", *masked)
    heatmaps = heatmaps_of(data, "grad-cam")
    truths = [read_mask(path) for path in sorted(masked[2].rglob("*.png"))]
    for threshold, part in THRESHOLDS.items():
        section = text[text.index(f"cut at: **{threshold}**") :]
        row = section[section.index("| grad-cam |") :].splitlines()[0]
        means = [
            np.mean(
                [
                    foreground_iou(
                        resized(refine(p, h, part(h)), MASK_SIDE_PX, MASK_SIDE_PX), truth
                    )
                    for p, h, truth in zip(data.pixels, heatmaps, truths, strict=True)
                ]
            )
            for refine in REFINEMENTS.values()
        ]
        assert row.replace("*", "") == f"| grad-cam | {' | '.join(f'{m:.3f}' for m in means)} |"


def test_masks_without_an_image_of_their_name_are_an_error(
    masked: tuple[Path, Path, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (masked[2] / "A").rename(masked[2] / "B")
    arguments = ["--set", "Set", *map(str, masked), "--out", str(tmp_path / "page.md")]
    monkeypatch.setattr(sys, "argv", ["compare_segmentation.py", *arguments])
    assert compare_segmentation.main() == 2
    assert "no mask has the name of an image" in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()


def test_a_new_page_is_the_tables_and_is_replaced_by_the_next() -> None:
    first = with_tables("", ["| 1 |"])
    assert with_tables(first, ["| 2 |"]) == first.replace("| 1 |", "| 2 |")


def test_choosing_by_chance_is_worth_the_mean_not_the_maximum() -> None:
    """Where all combinations are equally good, the best of a table is flattered by its noise."""
    flattered, honest = [], []
    for seed in range(40):
        noise = np.random.default_rng(seed).normal(0.5, 0.1, (40, 30))
        scores = {("e", "t", str(index)): row for index, row in enumerate(noise)}
        flattered.append(max(row.mean() for row in noise))
        honest.append(chosen_on_one_half(scores))
    assert np.mean(flattered) > 0.53
    assert np.mean(honest) == pytest.approx(0.5, abs=0.01)
