"""Where the code lies, and what lies beside it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.assignments.load import load_assignment
from grader.model import Assignment, CheckedLayout, InspectedZip, TreeFile, UnpackedTree
from grader.stages.check_layout import check_layout, matches

A2 = load_assignment("ail721-a2")
COL775 = load_assignment("col775-a1")


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
    codes = {str(one.place): one.code for one in _checked(tmp_path, listed, COL775).findings}
    assert codes["checkpoints/gn/resnet_model.pth"] == "layout.no-checkpoint"
    assert codes["report.pdf"] == "layout.missing-optional"


# --------------------------------------------------------------------------- which folder is meant


def _base(root: Path, *names: str, assignment: Assignment = A2) -> str:
    return _checked(root, dict.fromkeys(names, ""), assignment).base


def test_a_folder_around_everything_is_seen_through_whatever_it_holds(tmp_path: Path) -> None:
    # `*/resnet.py` and `*/normalization.py` are accepted: that made the wrapper the top level.
    names = ("evaluate.py", "train.py", "normalization.py", "resnet.py")
    weights = [f"checkpoints/{key}/resnet_model.pth" for key in ("bn", "in", "bin", "ln", "gn")]
    files = dict.fromkeys([f"2023AIB2080/{name}" for name in (*names, *weights)], "")
    layout = _checked(tmp_path, files, COL775)
    assert layout.base == "2023AIB2080"
    assert layout.roles["normalization"] == "normalization.py"
    assert layout.roles["checkpoint_gn"] == "checkpoints/gn/resnet_model.pth"
    assert "layout.missing-file" not in {one.code for one in layout.findings}


@pytest.mark.parametrize(
    ("names", "base"),
    [
        # what is only called like a script does not make a folder the one of the code
        (("a2/train.py", "a2/evaluate.py", "tests/test.py"), "a2"),
        (("a2/train.py", "a2/evaluate.py", "test.py"), "a2"),
        (("a2/train.py", "a2/evaluate.py", "train.py"), ""),
        (("x/a2/train.py", "x/a2/evaluate.py", "x/README.md", "x/tests/test.py"), "x/a2"),
        (("README.md", "x/a2/train.py", "x/a2/evaluate.py"), "x/a2"),
        # the outer one of two that are equal; beside each other, the one with the first names
        (("train.py", "evaluate.py", "old/train.py", "old/evaluate.py"), ""),
        (("training.py", "eval.py", "unet/train.py", "unet/evaluate.py"), ""),
        (("a/train.py", "a/evaluate.py", "a/old/train.py", "a/old/evaluate.py"), "a"),
        (("a/training.py", "a/eval.py", "b/train.py", "b/evaluate.py"), "b"),
        (("a/train.py", "a/evaluate.py", "x/b/train.py", "x/b/evaluate.py"), "a"),
        (("a/train.py", "a/evaluate.py", "b/train.py", "b/evaluate.py"), ""),
        # somebody's repository never takes the place of the student's own script
        (("evaluate.py", "unet/train.py", "unet/evaluate.py"), ""),
        (("a/evaluate.py", "a/unet/train.py", "a/unet/evaluate.py"), "a"),
        (("train.py", "code/evaluate.py"), ""),
        (("my.py", "env/Lib/site-packages/x/train.py"), ""),
        # no deeper than anybody wraps
        (("1/2/3/4/5/6/train.py", "1/2/3/4/5/6/evaluate.py"), "1/2/3/4/5/6"),
        (("1/2/3/4/5/6/7/train.py", "1/2/3/4/5/6/7/evaluate.py"), ""),
    ],
)
def test_the_folder_of_the_code(tmp_path: Path, names: tuple[str, ...], base: str) -> None:
    assert _base(tmp_path, *names) == base


@given(
    st.lists(
        st.lists(
            st.sampled_from(["a", "b", "models", "train.py", "test.py", "x.pth", "Train.py"]),
            min_size=1,
            max_size=4,
        ),
        max_size=8,
    )
)
def test_no_tree_loses_a_file_or_gives_a_role_to_one_that_is_not_there(
    tmp_path_factory: pytest.TempPathFactory, tree: list[list[str]]
) -> None:
    names = {"/".join(parts): "/".join(parts) for parts in tree}
    folders = {str(parent) for name in names for parent in Path(name).parents}
    files = {name: name for name in names if name not in folders}
    layout = _checked(tmp_path_factory.mktemp("tree"), files)
    root = layout.unpacked.root
    there = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
    assert there == {file.path for file in layout.unpacked.files}
    assert sorted(path.read_text("utf-8") for path in root.rglob("*") if path.is_file()) == sorted(
        files
    )
    assert all((layout.top / path).is_file() for path in layout.roles.values())


# --------------------------------------------------------------------------- what lies beside it


def test_an_outer_folder_changes_nothing_of_where_weights_are_found(tmp_path: Path) -> None:
    files = {"code/train.py": "", "code/evaluate.py": "", "weights/best.pth": "weights"}
    plain = _checked(tmp_path / "plain", files)
    wrapped = _checked(tmp_path / "wrapped", {f"2023/x/{name}": files[name] for name in files})
    assert wrapped.base == "2023/x/code"
    assert wrapped.roles == plain.roles
    assert plain.roles["checkpoint"] == "weights/best.pth"
    assert (wrapped.top / "weights/best.pth").read_text("utf-8") == "weights"


def test_what_lies_nearest_to_the_code_is_taken_first(tmp_path: Path) -> None:
    files = {
        "classes.json": "far",
        "x/classes.json": "near",
        "x/code/train.py": "",
        "x/code/evaluate.py": "",
    }
    layout = _checked(tmp_path, files)
    assert (layout.top / "classes.json").read_text("utf-8") == "near"
    assert (tmp_path / "classes.json").read_text("utf-8") == "far"


# --------------------------------------------------------------------------- weights


@pytest.mark.parametrize(
    "name", ["weights/best/model.pth", "model_best.pth.tar", "model.safetensors", "net.h5"]
)
def test_weights_that_are_not_accepted_are_named(tmp_path: Path, name: str) -> None:
    layout = _checked(tmp_path, {"train.py": "", "evaluate.py": "", name: "weights"})
    (finding,) = layout.findings
    assert finding.code == "layout.no-checkpoint"
    assert name in finding.message
    assert finding.hint is not None
    assert "torch.save as resnet_model.pth" in finding.hint


def test_weights_of_another_experiment_are_not_offered_for_the_missing_one(tmp_path: Path) -> None:
    names = ("train.py", "evaluate.py", "normalization.py", "checkpoints/bn/resnet_model.pth")
    layout = _checked(tmp_path, dict.fromkeys(names, ""), COL775)
    messages = [one.message for one in layout.findings if one.code == "layout.no-checkpoint"]
    assert len(messages) == 5
    assert not any("checkpoints/bn/" in message for message in messages)


@pytest.mark.parametrize("key", ["BN", "bn", "Bn"])
def test_each_experiment_gets_its_own_weights_in_whatever_capitals(
    tmp_path: Path, key: str
) -> None:
    keys = {name.lower(): name for name in (key, "IN", "BIN", "LN", "GN", "NN")}
    names = ("train.py", "evaluate.py", "normalization.py")
    weights = [f"resnet_{name}.pth" for name in keys.values()]
    layout = _checked(tmp_path, dict.fromkeys((*names, *weights), ""), COL775)
    for lower, name in keys.items():
        assert layout.roles[f"checkpoint_{lower}"] == f"resnet_{name}.pth"


def test_a_pattern_counts_before_capitals_do() -> None:
    role = next(role for role in A2.roles if role.id == "checkpoint")
    names = ["resnet_model.pth", "Resnet_Model.PTH", "x/resnet_model.pth", "best.pth", "best.PTH"]
    ranks = [matches(role, name) for name in names]
    assert ranks == sorted(set(ranks))
    assert ranks[0] == 1
    assert matches(role, "a/b/resnet_model.pth") == 0
