"""What one experiment is held against: metadata beside its checkpoint."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from grader.assignments.load import load_assignment
from grader.experiments import _Experiments, _State
from grader.model import (
    Assignment,
    CheckedLayout,
    InspectedZip,
    LoadedCheckpoint,
    Truth,
    UnpackedTree,
)
from grader.stages.compare_history import ReadLog


@pytest.fixture(scope="module")
def assignment() -> Assignment:
    return load_assignment("col775-a1")


def declared(
    assignment: Assignment, top: Path, paths: Mapping[str, str], metadata: Mapping[str, Any]
) -> dict[str, str | None]:
    """Experiment → what its metadata say, where the checkpoints lie at `paths` (by experiment)
    and the JSON files `metadata` (by folder) beside them."""
    for folder, document in metadata.items():
        (top / folder).mkdir(parents=True, exist_ok=True)
        (top / folder / "metadata.json").write_text(json.dumps(document))
    roles = {f"checkpoint_{key}": path for key, path in paths.items()}
    layout = CheckedLayout(
        UnpackedTree(InspectedZip(top, "", 0, None, (), ()), top, (), ()), "", roles, ()
    )
    truth = Truth((), (), "", "", 0)
    nowhere: Any = None  # nothing is run
    journey = _Experiments(layout, assignment, truth, nowhere, top, {}, print)
    said = {}
    for spec in assignment.experiments:
        if spec.id in paths:
            state = _State(spec, paths[spec.id], None, None, ReadLog())
            path = paths[spec.id]
            state.loaded = LoadedCheckpoint(path, "", "state_dict", top / path, None, ())
            said[spec.id] = journey._declared_norm(state)
    return said


TOGETHER = {key: f"checkpoints/{key}.pth" for key in ("bn", "in", "bin", "ln", "gn", "nn")}
RIGHT = {
    "bn": "batch",
    "in": "instance",
    "bin": "batch-instance",
    "ln": "layer",
    "gn": "group",
    "nn": "none",
}


def test_one_file_for_all_experiments_says_of_each_what_stands_under_its_name(
    assignment: Assignment, tmp_path: Path
) -> None:
    document = {key: {"norm": key, "epochs": 50} for key in TOGETHER}
    assert declared(assignment, tmp_path, TOGETHER, {"checkpoints": document}) == RIGHT
    del document["in"]
    said = declared(assignment, tmp_path, TOGETHER, {"checkpoints": document})
    assert said == {**RIGHT, "in": None}


def test_one_file_that_names_nobody_says_nothing_of_several_checkpoints(
    assignment: Assignment, tmp_path: Path
) -> None:
    said = declared(assignment, tmp_path, TOGETHER, {"checkpoints": {"norm": "nn"}})
    assert set(said.values()) == {None}


def test_a_file_beside_one_checkpoint_is_about_it(assignment: Assignment, tmp_path: Path) -> None:
    apart = {key: f"checkpoints/{key}/resnet_model.pth" for key in TOGETHER}
    metadata = {f"checkpoints/{key}": {"norm": key} for key in TOGETHER}
    assert declared(assignment, tmp_path, apart, metadata) == RIGHT
    # One checkpoint that every experiment overwrote is one.
    same = {"bn": "a/resnet_model.pth", "gn": "a/resnet_model.pth"}
    said = declared(assignment, tmp_path, same, {"a": {"norm": "gn"}})
    assert said == {"bn": "group", "gn": "group"}
