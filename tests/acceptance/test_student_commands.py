"""`grader init`, `pack` and `check` as a student types them."""

from __future__ import annotations

import hashlib
import json
import xml.etree.ElementTree as ET
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.conftest import Run

ENTRY = "2023AIB2080"


@pytest.fixture
def skeleton(grader: Run, tmp_path: Path) -> Path:
    folder = tmp_path / "a2"
    assert grader("init", "ail721-a2", folder).returncode == 0
    return folder


def _codes(done_stdout: str) -> list[str]:
    (check,) = json.loads(done_stdout)["checks"]
    return [finding["code"] for finding in check["findings"]]


def test_the_skeleton_packs_and_misses_only_the_work(
    grader: Run, skeleton: Path, tmp_path: Path
) -> None:
    packed = grader("pack", skeleton, "--entry-number", ENTRY, "--out", tmp_path)
    assert packed.returncode == 0, packed.stdout + packed.stderr
    checked = grader("check", tmp_path / f"{ENTRY}.zip", "--format", "json")
    assert _codes(checked.stdout) == ["layout.no-checkpoint"]


def test_the_skeleton_fails_a_smoke_run_only_where_work_is_missing(
    grader: Run, skeleton: Path, tmp_path: Path
) -> None:
    grader("pack", skeleton, "--entry-number", ENTRY, "--out", tmp_path)
    checked = grader("check", tmp_path / f"{ENTRY}.zip", "--smoke", "--format", "json")
    assert checked.returncode == 1
    codes = _codes(checked.stdout)
    assert "run.crash" in codes
    assert "train the network here" in checked.stdout


def test_init_never_overwrites_a_students_work(grader: Run, skeleton: Path) -> None:
    (skeleton / "train.py").write_text("mine", "utf-8")
    again = grader("init", "ail721-a2", skeleton)
    assert again.returncode == 2
    assert "train.py" in again.stderr
    assert (skeleton / "train.py").read_text("utf-8") == "mine"


def test_the_same_folder_gives_the_same_bytes(grader: Run, skeleton: Path, tmp_path: Path) -> None:
    hashes = set()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        grader("pack", skeleton, "--entry-number", ENTRY, "--out", tmp_path / name)
        data = (tmp_path / name / f"{ENTRY}.zip").read_bytes()
        hashes.add(hashlib.sha256(data).hexdigest())
    assert len(hashes) == 1


def test_a_worse_zip_never_replaces_a_better_one(
    grader: Run, skeleton: Path, tmp_path: Path
) -> None:
    grader("pack", skeleton, "--entry-number", ENTRY, "--out", tmp_path)
    before = (tmp_path / f"{ENTRY}.zip").read_bytes()
    (skeleton / "evaluate.py").write_text("def broken(:\n", "utf-8")
    worse = grader("pack", skeleton, "--entry-number", ENTRY, "--out", tmp_path)
    assert worse.returncode == 1
    assert "was not written" in worse.stdout
    assert (tmp_path / f"{ENTRY}.zip").read_bytes() == before


def test_weights_that_were_lost_do_not_replace_weights_that_were_packed(
    grader: Run, skeleton: Path, tmp_path: Path
) -> None:
    weights = skeleton / "resnet_model.pth"
    weights.write_bytes(b"weights")
    grader("pack", skeleton, "--entry-number", ENTRY, "--out", tmp_path)
    before = (tmp_path / f"{ENTRY}.zip").read_bytes()
    weights.unlink()
    assert grader("pack", skeleton, "--entry-number", ENTRY, "--out", tmp_path).returncode == 1
    assert (tmp_path / f"{ENTRY}.zip").read_bytes() == before


@pytest.mark.parametrize("entry", ["", "2080", "2023aib2080x", "../../etc", "2023AIB2080.zip"])
def test_a_wrong_entry_number_is_named_before_anything_is_written(
    grader: Run, skeleton: Path, tmp_path: Path, entry: str
) -> None:
    out = tmp_path / "out"
    out.mkdir()
    done = grader("pack", skeleton, "--entry-number", entry, "--out", out)
    assert done.returncode == 2
    assert "2023AIB2080" in done.stderr
    assert not list(out.iterdir())


def test_a_file_that_the_code_opens_and_nobody_packed_is_named(
    grader: Run, skeleton: Path, tmp_path: Path
) -> None:
    code = (skeleton / "evaluate.py").read_text("utf-8")
    (skeleton / "evaluate.py").write_text(
        code.replace(
            '    raise NotImplementedError("label and segment the images here")',
            '    names = open("class_labels.json").read()\n    print(names)',
        ),
        "utf-8",
    )
    missing = grader("pack", skeleton, "--entry-number", ENTRY, "--out", tmp_path)
    assert "class_labels.json" in missing.stdout
    assert "source.opens-missing-file" in missing.stdout
    (skeleton / "class_labels.json").write_text("[]", "utf-8")
    packed = grader("pack", skeleton, "--entry-number", ENTRY, "--out", tmp_path)
    assert "source.opens-missing-file" not in packed.stdout
    assert packed.returncode == 0


@pytest.mark.parametrize("style", ["text", "json", "junit", "github", "sarif"])
def test_every_format_names_what_is_wrong(
    grader: Run, zip_of: Callable[[str], Path], style: str
) -> None:
    zip_path = zip_of("flawed/wrong-zip-name")
    done = grader("check", zip_path, "--format", style)
    assert "zip.name" in done.stdout
    if style == "junit":
        ET.fromstring(done.stdout)
    elif style in ("json", "sarif"):
        json.loads(done.stdout)
    elif style == "github":
        assert done.stdout.startswith("::")


def test_the_summary_of_a_github_step_is_written(
    grader: Run, zip_of: Callable[[str], Path], tmp_path: Path
) -> None:
    summary = tmp_path / "summary.md"
    zip_path = zip_of("accepted/as-asked")
    done = grader("check", zip_path, "--format", "github", GITHUB_STEP_SUMMARY=str(summary))
    assert done.returncode == 0
    assert zip_path.name in summary.read_text("utf-8")


def test_several_zips_are_checked_at_once(
    grader: Run, zip_of: Callable[[str], Path], tmp_path: Path
) -> None:
    good = zip_of("accepted/as-asked")
    bad = tmp_path / "2023AIB2081.zip"
    bad.write_bytes(b"")
    done = grader("check", good, bad)
    assert done.returncode == 1
    assert good.name in done.stdout
    assert bad.name in done.stdout


@pytest.mark.parametrize("command", ["check", "pack", "init"])
def test_what_does_not_exist_is_a_wrong_command(grader: Run, tmp_path: Path, command: str) -> None:
    arguments = {
        "check": ("check", tmp_path / "no.zip"),
        "pack": ("pack", tmp_path / "no", "--entry-number", ENTRY),
        "init": ("init", "no-such-assignment", tmp_path / "no"),
    }[command]
    done = grader(*arguments)
    assert done.returncode == 2
    assert "no" in done.stderr


def test_doctor_says_which_sandbox_works(grader: Run) -> None:
    done = grader("doctor")
    assert done.returncode in (0, 1)
    assert "bubblewrap" in done.stdout
    assert "landlock" in done.stdout


def test_every_finding_can_be_explained(grader: Run) -> None:
    assert "zip.name" in grader("findings").stdout
    assert "what to do" in grader("findings", "zip.name").stdout
    assert grader("findings", "zip.nothing").returncode == 2


def test_a_summary_that_cannot_be_written_is_no_defect(
    grader: Run, zip_of: Callable[[str], Path], tmp_path: Path
) -> None:
    nowhere = tmp_path / "no" / "summary.md"
    good = zip_of("accepted/as-asked")
    done = grader("check", good, "--format", "github", GITHUB_STEP_SUMMARY=str(nowhere))
    assert done.returncode == 0
    assert "passes the check" in done.stdout
    assert str(nowhere) in done.stderr
