"""Items said once for a list are written out, and errors still name their line."""

from __future__ import annotations

import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from grader.assignments import load
from grader.assignments.load import load_assignment
from grader.assignments.repeat import Repeated, UnknownListError
from grader.errors import DefinitionError

COL775 = Path(load.__file__).parent / "col775-a1"


def test_an_item_is_repeated_with_key_and_value_put_in() -> None:
    repeated = Repeated(
        {
            "lists": {"norms": {"bn": "batch", "gn": "group"}},
            "cases": [
                {"id": "plain"},
                {"each": "norms", "id": "<key>", "argv": ["{w_<key>}"], "at": {"norm": "<value>"}},
            ],
            "submission": {"roles": {"w_<key>": {"each": "norms", "title": "<value>"}}},
        }
    )

    assert repeated.table["cases"] == [
        {"id": "plain"},
        {"id": "bn", "argv": ["{w_bn}"], "at": {"norm": "batch"}},
        {"id": "gn", "argv": ["{w_gn}"], "at": {"norm": "group"}},
    ]
    assert repeated.table["submission"]["roles"] == {
        "w_bn": {"title": "batch"},
        "w_gn": {"title": "group"},
    }
    assert repeated.origin(("cases", 2, "argv", 0)) == ("cases", 1, "argv", 0)
    assert repeated.origin(("cases", 0)) == ("cases", 0)
    assert repeated.origin(("submission", "roles", "w_gn", "title")) == (
        *("submission", "roles", "w_<key>"),
        "title",
    )


def test_a_list_that_does_not_exist_is_named() -> None:
    with pytest.raises(UnknownListError, match="there is no list 'colours'"):
        Repeated({"cases": [{"each": "colours"}]})


def test_col775_a1_has_six_experiments_five_layers_and_marks_for_a_person() -> None:
    loaded = load_assignment("col775-a1")

    assert [spec.id for spec in loaded.experiments] == ["bn", "in", "bin", "ln", "gn", "nn"]
    assert [spec.constraints["norm"] for spec in loaded.experiments][2] == ["batch-instance"]
    assert {spec.constraints["n"] for spec in loaded.experiments} == {2}
    assert len(loaded.probes) == 5
    assert loaded.checkpoint is None
    manual = [criterion for criterion in loaded.criteria if criterion.is_manual]
    assert sum(criterion.max_marks for criterion in manual) == Decimal(5)
    assert all(criterion.look_at for criterion in manual)


@pytest.mark.parametrize(
    ("old", "new", "line_holds", "says"),
    [
        ('each = "layers"\nid = "layer-<key>"\ntitle = "normalisation: <value>"',
         'each = "colours"\nid = "layer-<key>"\ntitle = "normalisation: <value>"',
         "[[probes]]", "no list 'colours'"),
        ('subject = "normalization.<value>"', 'subject = "normalisation.<value>"', "subject =",
         "no subject of a probe"),
        ('case = "evaluate-<key>"\nhistory', 'case = "test-<key>"\nhistory', "case =", "no case"),
        ('of_experiment = "<key>"', 'of_experiment = "x<key>"', "of_experiment", "no experiment"),
        ('probe = "layer-<key>"', 'probe = "probe-<key>"', "probe =", "there is no probe"),
        ('voided_by = ["checkpoint.shared"', 'voided_by = ["checkpoint.stolen"', "voided_by",
         "no finding code 'checkpoint.stolen'"),
        ('role = "checkpoint_<key>"', 'role = "weights_<key>"', "role =", "there is no role"),
        ('reader = "heatmap_images"', 'reader = "heat"', "outputs =", "there is no reader"),
    ],
)  # fmt: skip
def test_a_wrong_repeated_item_is_refused_at_its_own_line(
    tmp_path: Path, old: str, new: str, line_holds: str, says: str
) -> None:
    shutil.copytree(COL775, tmp_path / "a1")
    path = tmp_path / "a1" / "assignment.toml"
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")

    with pytest.raises(DefinitionError, match=says) as caught:
        load_assignment(str(path))

    line = caught.value.line
    assert line is not None
    assert line_holds in path.read_text("utf-8").splitlines()[line - 1]
