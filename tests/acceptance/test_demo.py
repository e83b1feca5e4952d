"""`make demo` from its second line on: generated images, a packed zip, its score, the report."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from fixtures import demo

CHECKPOINTS = Path(demo.__file__).parent / "checkpoints"


def test_the_model_card_describes_the_checkpoint_that_lies_beside_it() -> None:
    data = (CHECKPOINTS / "fixture_resnet14.pth").read_bytes()
    card = (CHECKPOINTS / "README.md").read_text("utf-8")
    assert hashlib.sha256(data).hexdigest() in card


@pytest.mark.timeout(600)
def test_the_demo_grades_the_reference_submission(tmp_path: Path) -> None:
    code = demo.main(tmp_path)
    report = json.loads((tmp_path / "report" / "report.json").read_text("utf-8"))
    assert (code, report["verdict"]) == (0, "graded"), report["findings"]
    values = {m["id"]: m["value"] for m in report["measurements"]}
    baselines = {m["id"]: max(m["baselines"].values()) for m in report["measurements"]}
    # Hard enough that the numbers mean something, and well above every trivial answer.
    assert 0.7 < values["accuracy"] < 1.0
    assert values["accuracy"] > 5 * baselines["accuracy"]
    assert values["iou"] > baselines["iou"] + 0.1
    assert report["independent"]["agreement"] >= 0.95
    assert report["independent"]["network"]["n"] == 2
    assert (tmp_path / "report" / "report.html").stat().st_size > 100_000
