"""Outputs read by their readers and held against their schema."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from grader.errors import UsageError
from grader.model import CaseRun, CaseSpec, OutputSpec
from grader.readers.decode_masks import READY
from grader.stages.collect import collect
from grader.stages.load_truth import truth_masks

Course = Any  # the fixture's class lives in conftest.py
RunOf = Callable[..., CaseRun]


@pytest.fixture
def evaluate(three_classes: Any) -> CaseSpec:
    return next(case for case in three_classes.cases if case.id == "evaluate")


def right_answers(course: Course, png_of: Callable[..., bytes]) -> dict[str, bytes]:
    truth = course.load()
    masks = truth_masks(truth)
    rows = [f"{item.staged_name},{item.label}" for item in truth.items]
    files = {"submission.csv": "\n".join(["image_name,label", *rows, ""]).encode()}
    for item in truth.items:
        files[f"seg_maps/{item.stem}.png"] = png_of(masks[item.stem])
    return files


@pytest.fixture
def png_of() -> Callable[..., bytes]:
    import io

    from PIL import Image

    def make(mask: np.ndarray) -> bytes:
        written = io.BytesIO()
        Image.fromarray(mask.astype(np.uint8) * 255).save(written, "PNG")
        return written.getvalue()

    return make


def test_everything_right_is_collected_by_a_real_process(
    full_course: Course, evaluate: CaseSpec, run_of: RunOf, png_of: Callable[..., bytes]
) -> None:
    truth = full_course.load()
    run = run_of(right_answers(full_course, png_of))
    collected = collect(run, evaluate, truth, full_course.assignment)
    assert [finding.code for finding in collected.findings] == ["mask.other-suffix"]
    assert collected.labels == {item.staged_name: item.label for item in truth.items}
    assert collected.masks is not None
    for stem, mask in truth_masks(truth).items():
        assert (collected.masks[stem].mask == mask).all()
    assert collected.case == "evaluate"
    assert set(collected.outputs) == {"labels", "masks"}


def test_readers_learn_nothing_of_labels_and_masks(
    full_course: Course, evaluate: CaseSpec, run_of: RunOf, png_of: Callable[..., bytes]
) -> None:
    """What the decoder's process is sent are paths and sizes."""
    sent: list[bytes] = []

    def launch(module: str, asked: bytes, folder: Path) -> bytes:
        sent.append(asked)
        return READY

    run = run_of(right_answers(full_course, png_of))
    collect(run, evaluate, full_course.load(), full_course.assignment, launch)
    assert sent
    assert all(str(full_course.root).encode() not in asked for asked in sent)
    assert all(name.encode() not in asked for name in ("ADONIS", "MORPHO") for asked in sent)


def test_nothing_written_is_two_findings_and_no_values(
    full_course: Course, evaluate: CaseSpec, run_of: RunOf
) -> None:
    collected = collect(run_of({}), evaluate, full_course.load(), full_course.assignment)
    assert (collected.labels, collected.masks) == (None, None)
    assert [finding.code for finding in collected.findings] == [
        "labels.missing-file",
        "mask.missing-folder",
    ]


def test_the_schema_speaks_where_no_reader_has(
    full_course: Course, evaluate: CaseSpec, run_of: RunOf
) -> None:
    schema = {
        "properties": {
            "files": {
                "required": ["submission.csv", "report.txt"],
                "properties": {
                    "submission.csv": {"x-code": "labels.missing-file"},
                    "report.txt": {"x-message": "there is no report.txt"},
                },
            }
        }
    }
    case = replace(evaluate, outputs_schema=schema, outputs=evaluate.outputs[:1])
    collected = collect(run_of({}), case, full_course.load(), full_course.assignment)
    assert [(finding.code, finding.message) for finding in collected.findings] == [
        ("labels.missing-file", "submission.csv was not written: no image has a label"),
        ("layout.violates-schema", "there is no report.txt"),
    ]


def test_json_and_folders_are_outputs_too(
    full_course: Course, evaluate: CaseSpec, run_of: RunOf
) -> None:
    case = replace(
        evaluate,
        outputs_schema=None,
        outputs=(
            OutputSpec("numbers", "numbers.json", "json_file", {}),
            OutputSpec("plots", "plots", "folder", {}),
        ),
    )
    run = run_of({"numbers.json": b'{"accuracy": 1}', "plots/loss.png": b"x"})
    collected = collect(run, case, full_course.load(), full_course.assignment)
    assert collected.outputs == {"numbers": {"accuracy": 1}, "plots": ("loss.png",)}
    assert (collected.labels, collected.masks, collected.findings) == (None, None, ())


def test_a_reader_that_is_not_registered_is_the_courses_fault(
    full_course: Course, evaluate: CaseSpec, run_of: RunOf
) -> None:
    case = replace(evaluate, outputs=(OutputSpec("x", "x", "yaml", {}),))
    with pytest.raises(UsageError, match="there is no reader 'yaml'"):
        collect(run_of({}), case, full_course.load(), full_course.assignment)
