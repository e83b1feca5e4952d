"""Packing: what goes in and why, the same bytes every time, and never a worse zip over a better."""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from grader.assignments.load import load_assignment
from grader.errors import UsageError
from grader.findings import found
from grader.model import CheckResult, PackedZip
from grader.packing import pack
from grader.packing.plan import plan_files
from grader.packing.write import write_zip
from grader.readers.steady_file import SteadyFile

A2 = load_assignment("ail721-a2")
ENTRY = "2023AIB2080"

MINIMAL = {
    "train.py": "import os, sys, torch\ntorch.save({}, os.path.join(sys.argv[2], 'x.pth'))\n",
    "evaluate.py": "import sys\nprint(sys.argv[1:])\n",
}


def passing(path: Path) -> CheckResult:
    """A check that looks at nothing but whether the file is a zip."""
    assert zipfile.is_zipfile(path)
    return CheckResult(path.name, None, ENTRY, A2.id, (), True)


def counting_errors(path: Path) -> CheckResult:
    """A check that finds one error for every line ERROR in evaluate.py."""
    with zipfile.ZipFile(path) as archive:
        text = archive.read("evaluate.py").decode()
    findings = (found("source.syntax", "x", path="evaluate.py"),) * text.count("ERROR")
    return CheckResult(path.name, None, ENTRY, A2.id, findings, not findings)


@pytest.fixture
def folder(tmp_path: Path) -> Callable[[Mapping[str, str | bytes]], Path]:
    def make(files: Mapping[str, str | bytes]) -> Path:
        top = tmp_path / "work"
        for name, content in files.items():
            (top / name).parent.mkdir(parents=True, exist_ok=True)
            data = content.encode() if isinstance(content, str) else content
            (top / name).write_bytes(data)
        return top

    return make


@pytest.fixture
def packed(folder, tmp_path: Path) -> Callable[..., PackedZip]:
    def run(files: Mapping[str, str | bytes], *extras: str) -> PackedZip:
        top = folder({**MINIMAL, **files})
        return pack(top, ENTRY, A2, tmp_path / "out", extras, check=passing)

    return run


def names(result: PackedZip) -> set[str]:
    with zipfile.ZipFile(result.path) as archive:
        inside = archive.namelist()
    assert inside == sorted(inside) == [file.path for file in result.files]
    return set(inside) - set(MINIMAL)


# --------------------------------------------------------------------------- what goes in


def test_the_closure_goes_in_and_nothing_else(packed) -> None:
    result = packed(
        {
            "evaluate.py": "import sys\nfrom nets.resnet import R\nsys.exit()\n",
            "train.py": "import loop\n",
            "nets/__init__.py": "",
            "nets/resnet.py": "",
            "nets/old.py": "",
            "loop.py": "",
            "scratch.ipynb": "{}",
            "notes.txt": "",
            "data/train/OWL/1.jpg": b"x",
            "__pycache__/x.pyc": b"x",
            ".git/config": "",
        }
    )
    assert names(result) == {"nets/__init__.py", "nets/resnet.py", "loop.py"}
    assert {file.path: file.why for file in result.files}["loop.py"] == "imported by train.py"
    assert result.path.name == f"{ENTRY}.zip"
    assert result.left_out == ()


def test_modules_in_a_folder_that_is_put_on_the_search_path_go_in(packed) -> None:
    result = packed(
        {
            "evaluate.py": "import os, sys\nHERE = os.path.dirname(os.path.abspath(__file__))\n"
            "SRC = os.path.join(HERE, 'src', 'nets')\nsys.path.insert(0, SRC)\n"
            "from resnet import ResNet\n",
            "src/nets/resnet.py": "class ResNet: ...\n",
            "src/nets/other.py": "",
        }
    )
    assert names(result) == {"src/nets/resnet.py"}


@pytest.mark.parametrize(
    "source",
    [
        "json.load(open('class_labels.json'))",
        "json.load(open(os.path.join(os.path.dirname(__file__), 'class_labels.json')))",
        "def f(p='class_labels.json'):\n    return open(p)\nf()",
        "x = open('class_labels.json') if os.path.exists('class_labels.json') else None",
        # beside the checkpoint, a folder known only at run time
        "open(os.path.join(os.path.dirname(sys.argv[1]), 'class_labels.json'))",
    ],
)
def test_a_data_file_that_the_code_opens_goes_in(packed, source: str) -> None:
    result = packed({"evaluate.py": f"import json, os, sys\n{source}\n", "class_labels.json": "{}"})
    assert names(result) == {"class_labels.json"}
    why = {file.path: file.why for file in result.files}["class_labels.json"]
    assert why.startswith("opened by evaluate.py:")


def test_a_small_data_file_beside_the_weights_goes_in_if_the_code_names_it(packed) -> None:
    result = packed(
        {
            "evaluate.py": "import labels\n",
            "labels.py": "NAME = 'metadata.json'\ndef read(f):\n    return f(NAME)\n",
            "metadata.json": "{}",
            "run/metadata.json": "{}",
            "other.json": "{}",
            "run/resnet_model.pth": b"w",
        }
    )
    assert names(result) == {
        "labels.py",
        "metadata.json",
        "run/metadata.json",
        "run/resnet_model.pth",
    }
    assert {file.path: file.why for file in result.files}["metadata.json"] == "named in labels.py:1"


def test_what_the_code_loads_by_its_path_and_lists_goes_in(packed) -> None:
    result = packed(
        {
            "evaluate.py": "import cv2, glob, importlib.util, os, sys\nfrom pathlib import Path\n"
            "spec = importlib.util.spec_from_file_location('resnet', 'nets/resnet.py')\n"
            "faces = cv2.CascadeClassifier('haar.xml')\n"
            "names = os.listdir('classes')\n"
            "protos = glob.glob('protos/*.npy')\n"
            "deep = list(Path('deep').rglob('*.npy'))\n"
            "images = glob.glob(os.path.join(sys.argv[2], '*.jpg'))\n",
            "nets/resnet.py": "import blocks\n",
            "blocks.py": "",
            "haar.xml": "",
            "classes/OWL": "",
            "classes/a/b.txt": "",
            "protos/1.npy": "",
            "protos/1.txt": "",
            "protos/a/2.npy": "",
            "deep/a/3.npy": "",
            "x.jpg": "",
        }
    )
    assert names(result) == {
        "nets/resnet.py",
        "blocks.py",
        "haar.xml",
        "classes/OWL",
        "classes/a/b.txt",
        "protos/1.npy",
        "deep/a/3.npy",
    }
    why = {file.path: file.why for file in result.files}
    assert why["classes/OWL"] == "listed by evaluate.py:5"
    assert result.left_out == ()


def test_a_listed_data_set_is_left_out_and_said_to_be(packed) -> None:
    files = {f"data/OWL/{number}.jpg": b"x" for number in range(101)}
    result = packed({"train.py": "import os\nos.listdir('data')\n", **files})
    assert names(result) == set()
    (left,) = result.left_out
    assert (left.path, left.size_bytes) == ("data/", 101)
    assert left.why == "listed by train.py:2, but 101 files, 0 MiB: --extra data takes it along"
    assert names(packed({}, "data")) == set(files)


def test_a_folder_that_the_program_fills_or_that_is_everything_stays_behind(packed) -> None:
    result = packed(
        {
            "evaluate.py": "import os\nos.makedirs('cache')\nos.listdir('cache')\n"
            "os.listdir('seg_maps')\nos.listdir('.')\nos.listdir('../x')\nos.listdir('gone')\n",
            "cache/a": "",
            "seg_maps/1.png": "",
            "notes.txt": "",
        }
    )
    assert names(result) == set()
    assert result.left_out == ()


def test_what_a_script_writes_itself_and_what_it_puts_out_stays_behind(packed) -> None:
    result = packed(
        {
            "evaluate.py": "open('cache.json', 'w')\nopen('cache.json')\nopen('submission.csv')\n",
            "cache.json": "",
            "submission.csv": "",
        }
    )
    assert names(result) == set()


def test_a_data_set_is_left_out_and_said_to_be(packed) -> None:
    files = {"train.py": "open('all.npy')\n", "all.npy": b"\0" * (17 * 1024 * 1024)}
    result = packed(files)
    assert names(result) == set()
    (left,) = result.left_out
    assert left.path == "all.npy"
    assert "--extra" in left.why
    assert names(packed(files, "all.npy")) == {"all.npy"}


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        (["resnet_model.pth", "old.pth"], "resnet_model.pth"),
        (["runs/resnet_model.pth", "best.pth"], "runs/resnet_model.pth"),
        (["best.pth", "runs/last.pth"], "best.pth"),
        (["final.ckpt"], "final.ckpt"),
    ],
)
def test_the_checkpoint_is_chosen_as_the_course_will_choose_it(packed, files, wanted) -> None:
    assert names(packed(dict.fromkeys(files, b"w"))) == {wanted}


def test_two_checkpoints_have_to_be_told_apart(packed) -> None:
    files = {"epoch1.pth": b"1", "epoch2.pth": b"2"}
    with pytest.raises(UsageError, match=r"2 files could be .*: epoch1\.pth, epoch2\.pth"):
        packed(files)
    assert names(packed(files, "epoch2.pth")) == {"epoch2.pth"}


def test_a_recipe_that_is_loaded_by_name_is_chosen_by_an_extra(packed) -> None:
    files = {
        "train.py": "from recipes import load\n",
        "recipes/__init__.py": "import importlib\ndef load(n):\n"
        "    return importlib.import_module(f'recipes.{n}')\n",
        "recipes/a.py": "import only_a\n",
        "recipes/b.py": "import only_b\n",
        "only_a.py": "",
        "only_b.py": "",
    }
    assert names(packed(files)) == set(files) - {"train.py"}
    chosen = names(packed(files, "recipes/b.py"))
    assert chosen == {"recipes/__init__.py", "recipes/b.py", "only_b.py"}


def test_extras_are_files_or_folders(packed) -> None:
    files = {
        "README.md": "",
        "configs/a.yaml": "",
        "configs/deep/b.yaml": "",
        "configs/.DS_Store": "",
        "configs/__pycache__/x.pyc": "",
    }
    assert names(packed(files, "./README.md", "configs/")) == {
        "README.md",
        "configs/a.yaml",
        "configs/deep/b.yaml",
    }


@pytest.mark.parametrize("extra", ["gone.txt", "../secret", "/etc/passwd", "README.MD", "x/../y"])
def test_an_extra_that_is_not_there_is_named(packed, extra: str) -> None:
    with pytest.raises(UsageError, match="--extra"):
        packed({"readme.md": "", "y": ""}, extra)


# --------------------------------------------------------------------------- the bytes


def test_the_same_folder_gives_the_same_bytes(packed, tmp_path: Path) -> None:
    files = {"evaluate.py": "open('größe.json')\n", "größe.json": "{}", "resnet_model.pth": b"w"}
    first = packed(files).path.read_bytes()
    for path in (tmp_path / "work").rglob("*"):
        os.utime(path, (1, 1))
        path.chmod(0o755)
    result = packed(dict(reversed(files.items())))
    assert result.path.read_bytes() == first
    assert result.sha256 == hashlib.sha256(first).hexdigest()
    assert result.size_bytes == len(first)


def test_the_bytes_are_these_on_every_machine(packed) -> None:
    result = packed({"resnet_model.pth": bytes(range(256)) * 10})
    assert result.sha256 == "7ad9a6eeebad5e771ac5740f6454f3e0aac3e7fdeb0b05b0b9987f1a9456a05c"


def test_what_is_unpacked_is_what_was_packed(packed, tmp_path: Path) -> None:
    weights = os.urandom(3 * 1024 * 1024 + 1)
    result = packed({"resnet_model.pth": weights})
    with zipfile.ZipFile(result.path) as archive:
        assert archive.testzip() is None
        assert archive.read("resnet_model.pth") == weights
        for entry in archive.infolist():
            assert stat.S_IMODE(entry.external_attr >> 16) == 0o644
            assert entry.date_time == (1980, 1, 1, 0, 0, 0)


# --------------------------------------------------------------------------- never a worse one


def test_a_worse_zip_does_not_replace_a_better_one(folder, tmp_path: Path) -> None:
    def run(errors: int) -> PackedZip:
        top = folder({**MINIMAL, "evaluate.py": "# ERROR\n" * errors})
        return pack(top, ENTRY, A2, tmp_path / "out", check=counting_errors)

    assert run(2).written  # a faulty zip is better than none
    better = run(1)
    assert better.written
    kept = better.path.read_bytes()
    worse = run(3)
    assert not worse.written
    assert worse.reason == (
        "the new zip has 3 errors and 0 warnings, the one that is there 1 error and 0 warnings; "
        "remove that one to replace it all the same"
    )
    assert worse.path.read_bytes() == kept
    assert len(worse.check.findings) == 3
    assert run(1).written
    assert run(0).written


def test_nothing_is_left_behind(folder, tmp_path: Path) -> None:
    def broken(path: Path) -> CheckResult:
        raise RuntimeError("the check itself breaks")

    top = folder(MINIMAL)
    with pytest.raises(RuntimeError):
        pack(top, ENTRY, A2, tmp_path / "out", check=broken)
    assert list((tmp_path / "out").iterdir()) == []
    pack(top, ENTRY, A2, tmp_path / "out", check=passing)
    assert [path.name for path in (tmp_path / "out").iterdir()] == [f"{ENTRY}.zip"]


def test_the_check_sees_the_zip_under_its_own_name_before_it_is_in_place(
    folder, tmp_path: Path
) -> None:
    seen = []

    def looking(path: Path) -> CheckResult:
        seen.append((path.name, (tmp_path / "out" / path.name).exists()))
        return passing(path)

    pack(folder(MINIMAL), ENTRY, A2, tmp_path / "out", check=looking)
    assert seen == [(f"{ENTRY}.zip", False)]


# --------------------------------------------------------------------------- what cannot be packed


@pytest.mark.parametrize(
    ("entry", "hint"),
    [
        ("2023aib2080", "write it as 2023AIB2080"),
        (" 2023AIB2080", "write it as 2023AIB2080"),
        ("", "it has to look like"),
        ("../../x", "it has to look like"),
        ("2023AIB2080\n", "write it as 2023AIB2080"),
        ("２０２３AIB2080", "it has to look like"),
    ],
)
def test_a_bad_entry_number_is_refused(folder, tmp_path: Path, entry: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        pack(folder(MINIMAL), entry, A2, tmp_path / "out", check=passing)
    assert hint in caught.value.hint
    assert not (tmp_path / "out").exists()


def test_folders_that_hold_nothing_to_pack_are_named(folder, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"holds none of: evaluate\.py, train\.py"):
        pack(folder({"a.txt": ""}), ENTRY, A2, tmp_path / "out", check=passing)
    for wrong in (tmp_path / "gone", tmp_path / "work" / "a.txt"):
        with pytest.raises(UsageError, match="is not a folder"):
            pack(wrong, ENTRY, A2, tmp_path / "out", check=passing)


def test_a_goal_that_cannot_be_written_is_named(folder, tmp_path: Path) -> None:
    top = folder(MINIMAL)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        pack(top, ENTRY, A2, tmp_path / "file", check=passing)
    (tmp_path / "out" / f"{ENTRY}.zip").mkdir(parents=True)
    with pytest.raises(UsageError, match="is in the way"):
        pack(top, ENTRY, A2, tmp_path / "out", check=passing)


def test_a_file_that_turns_into_a_pipe_or_cannot_be_read_is_named(folder, tmp_path: Path) -> None:
    top = folder({**MINIMAL, "evaluate.py": "open('labels.json')\n", "labels.json": ""})
    plan = plan_files(top, A2, ())
    (top / "labels.json").unlink()
    os.mkfifo(top / "labels.json")
    with pytest.raises(UsageError, match="labels"):
        write_zip(top, tuple(plan.files), tmp_path / "x.zip")


def test_a_file_that_grows_while_it_is_copied_is_named(folder, tmp_path: Path, monkeypatch) -> None:
    top = folder({**MINIMAL, "resnet_model.pth": b"w" * 100})
    whole = SteadyFile.read

    def growing(self: SteadyFile, offset: int, length_bytes: int) -> bytes:
        with (top / "resnet_model.pth").open("ab") as file:
            file.write(b"more")
        return whole(self, offset, length_bytes)

    monkeypatch.setattr(SteadyFile, "read", growing)
    with pytest.raises(UsageError, match=r"resnet_model\.pth.*changed"):
        write_zip(top, ("resnet_model.pth",), tmp_path / "x.zip")


def test_a_name_that_is_not_text_is_named(folder, tmp_path: Path) -> None:
    top = folder(MINIMAL)
    (top / "data").mkdir()
    (top / "data" / os.fsdecode(b"\xff.json")).write_text("")
    with pytest.raises(UsageError, match="not text"):
        pack(top, ENTRY, A2, tmp_path / "out", ("data",), check=passing)


def test_links_to_weights_elsewhere_are_followed(packed, folder, tmp_path: Path) -> None:
    (tmp_path / "big.pth").write_bytes(b"weights")
    folder(MINIMAL)
    (tmp_path / "work" / "resnet_model.pth").symlink_to(tmp_path / "big.pth")
    result = packed({})
    with zipfile.ZipFile(result.path) as archive:
        assert archive.read("resnet_model.pth") == b"weights"
