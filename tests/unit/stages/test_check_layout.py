"""Where the code lies, and what lies beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from grader.assignments.load import load_assignment
from grader.model import Assignment, CheckedLayout, InspectedZip, TreeFile, UnpackedTree
from grader.stages.check_layout import check_layout

A2 = load_assignment("ail721-a2")


def _checked(root: Path, files: Mapping[str, str], assignment: Assignment = A2) -> CheckedLayout:
    listed = []
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")
        listed.append(TreeFile(name, len(content), ""))
    inspected = InspectedZip(root / "x.zip", "", 0, None, (), ())
    return check_layout(UnpackedTree(inspected, root, tuple(listed), ()), assignment)


def _message(layout: CheckedLayout, code: str) -> str:
    return next(one.message for one in layout.findings if one.code == code)


def test_what_lies_beside_the_folder_of_the_code_is_moved_into_it(tmp_path: Path) -> None:
    layout = _checked(
        tmp_path,
        {
            "src/train.py": "",
            "src/evaluate.py": "",
            "saved/resnet_model.pth": "weights",
            "class_labels.json": "[]",
        },
    )
    assert (layout.base, layout.roles["checkpoint"]) == ("src", "saved/resnet_model.pth")
    assert (layout.top / layout.roles["checkpoint"]).read_text("utf-8") == "weights"
    assert (layout.top / "class_labels.json").is_file()
    assert {file.path for file in layout.unpacked.files} == {
        "src/train.py",
        "src/evaluate.py",
        "src/saved/resnet_model.pth",
        "src/class_labels.json",
    }
    assert "class_labels.json" in _message(layout, "layout.wrapping-folder")
    assert (layout.top / "saved").stat().st_mode & 0o777 == 0o755


def test_nothing_beside_the_code_takes_the_place_of_what_lies_there(tmp_path: Path) -> None:
    files = {
        "src/train.py": "",
        "src/evaluate.py": "right",
        "src/resnet_model.pth": "right",
        "src/models": "a file",
        "resnet_model.pth": "wrong",
        "Resnet_Model.pth": "wrong",
        "models/resnet.py": "below a file",
        "notes/evaluate.py/x": "",
    }
    layout = _checked(tmp_path, files)
    assert (layout.top / layout.roles["checkpoint"]).read_text("utf-8") == "right"
    assert (layout.top / "models").read_text("utf-8") == "a file"
    assert not (layout.top / "Resnet_Model.pth").exists()
    assert (layout.top / "notes" / "evaluate.py" / "x").is_file()


def test_one_folder_with_everything_moves_nothing(tmp_path: Path) -> None:
    layout = _checked(tmp_path, {"a/b/train.py": "", "a/b/evaluate.py": ""})
    assert layout.base == "a/b"
    assert "moved" not in _message(layout, "layout.wrapping-folder")


def test_weights_are_found_under_their_name_however_deep_they_lie(tmp_path: Path) -> None:
    deep = "out/models/run 1/Resnet_model.pth"
    layout = _checked(tmp_path, {"train.py": "", "evaluate.py": "", deep: "weights"})
    assert layout.roles["checkpoint"] == deep
    assert [one.code for one in layout.findings] == ["layout.other-name"]


def test_a_script_that_lies_deep_is_named_and_not_taken(tmp_path: Path) -> None:
    layout = _checked(tmp_path, {"train.py": "", "code/a/evaluate.py": ""})
    assert "evaluate" not in layout.roles
    assert "code/a/evaluate.py was found" in _message(layout, "layout.missing-file")


def test_weights_that_marks_rest_on_are_no_mere_note_when_they_are_missing(tmp_path: Path) -> None:
    listed = {"train.py": "", "evaluate.py": "", "models/normalization.py": ""}
    codes = {
        str(one.place): one.code
        for one in _checked(tmp_path, listed, load_assignment("col775-a1")).findings
    }
    assert codes["checkpoints/gn/resnet_model.pth"] == "layout.no-checkpoint"
    assert codes["report.pdf"] == "layout.missing-optional"
