"""Masks that lie in the zips: decoded by the confined decoder, compared without a truth."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from grader.assignments.load import load_assignment
from grader.errors import SandboxError
from grader.model import Assignment
from grader.sandbox import Backend
from grader.sandbox.helper import answer_of
from grader.similarity.model import ClassSimilarity, Strength, SubmissionSummary, Threshold
from grader.similarity.source.read_sources import FoundSubmission, find_base, find_submissions
from grader.similarity.submission import read_masks as module
from grader.similarity.submission.compare import compare_beyond_source
from grader.similarity.submission.read_masks import SIDE_PX, read_masks
from grader.similarity.submission.read_material import read_material
from grader.similarity.submission.relate_zip_masks import relate_zip_masks
from tests.unit.similarity.submission.zips import Entry, write_zip

Mask = npt.NDArray[np.bool_]
IMAGES = 12
STUDENTS = [f"2023AIB20{n:02}" for n in range(9)]
COPY, NEAR = "2023AIB2090", "2023AIB2091"


def _drawn(student: int, image: int) -> Mask:
    """An object as a student's program sees it: its edge is his own."""
    rng = np.random.default_rng((student, image))
    y, x = (np.mgrid[:160, :160] - 80) / 60
    angle = np.arctan2(y, x)
    edge = 1 + sum(0.06 * rng.normal() * np.cos(k * angle + rng.uniform(0, 6)) for k in range(1, 8))
    return np.hypot(y, x * (1 + image / 20)) < edge


def _png(mask: Mask) -> bytes:
    return cv2.imencode(".png", mask.astype(np.uint8) * 255)[1].tobytes()


def _hand_in(folder: Path, name: str, masks: dict[str, bytes], day: int) -> FoundSubmission:
    entries: dict[str, Entry] = {"train.py": f"x = {day}\n" * day, **masks}
    return write_zip(folder, name, entries, day)


@pytest.fixture(scope="module")
def assignment() -> Assignment:
    return load_assignment("ail721-a2")


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine who worked apart; a copy in another format, and one with some pixels changed."""
    folder = tmp_path_factory.mktemp("zips")
    for day, name in enumerate(STUDENTS, 1):
        masks = {f"seg_maps/i{n}.png": _png(_drawn(day, n)) for n in range(IMAGES)}
        _hand_in(folder, name, masks, day)
    copied, near = {}, {}
    for n in range(IMAGES):
        mask = _drawn(3, n)
        copied[f"out/seg_maps/i{n}.bmp"] = cv2.imencode(".bmp", mask.astype(np.uint8) * 255)[
            1
        ].tobytes()
        touched = _drawn(5, n)
        touched[np.random.default_rng(n).integers(0, 160, 6), 80] ^= True
        near[f"seg_maps/i{n}.png"] = _png(touched)
    _hand_in(folder, COPY, copied, 20)
    _hand_in(folder, NEAR, near, 21)
    return folder


def _no_sandbox() -> Backend:
    raise SandboxError("no sandbox works here")


def _class_of(folder: Path) -> ClassSimilarity:
    names = [one.name for one in find_submissions(folder)]
    return ClassSimilarity(
        tuple(SubmissionSummary(name, 1, 10, 1.0) for name in names),
        (),
        (),
        Threshold(0.5, 0.0, 6, "a test"),
    )


def test_masks_in_zips_are_compared_whatever_their_format(
    course: Path, tmp_path: Path, assignment: Assignment
) -> None:
    result = compare_beyond_source(
        _class_of(course), find_submissions(course), assignment, _no_sandbox, tmp_path
    )
    codes = {
        pair.key: [(one.code, one.strength) for one in pair.evidence if one.channel == "masks"]
        for pair in result.pairs
    }
    assert codes == {
        (STUDENTS[2], COPY): [("masks.identical", Strength.STRONG)],
        (STUDENTS[4], NEAR): [("masks.shared-errors", Strength.STRONG)],
    }
    told = result.pairs[0].evidence[0]
    assert told.message.startswith("In the zips: ")
    assert "what most of the class drew stands for the truth" in told.meaning


def test_masks_that_were_given_out_are_nobodys(
    course: Path, tmp_path: Path, assignment: Assignment
) -> None:
    starter = tmp_path / "starter" / "seg_maps"
    starter.mkdir(parents=True)
    for n in range(IMAGES):
        mask = _drawn(3, n).astype(np.uint8) * 255
        (starter / f"i{n}.bmp").write_bytes(cv2.imencode(".bmp", mask)[1].tobytes())
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    result = compare_beyond_source(
        _class_of(course),
        find_submissions(course),
        assignment,
        _no_sandbox,
        scratch,
        base=[find_base(tmp_path / "starter")],
    )
    assert {pair.key for pair in result.pairs} == {(STUDENTS[4], NEAR)}


def test_what_is_no_picture_is_left_out_and_no_more_are_read_than_the_bound(
    tmp_path: Path, assignment: Assignment, monkeypatch: pytest.MonkeyPatch
) -> None:
    masks = {f"seg_maps/i{n}.png": _png(_drawn(1, n)) for n in range(6)}
    masks |= {"seg_maps/broken.png": b"\x89PNG and nothing", "elsewhere/i0.png": _png(_drawn(2, 0))}
    found = _hand_in(tmp_path, "one", masks, 1)
    material = read_material(found, assignment, tmp_path / "tree")
    folders = frozenset({"seg_maps"})
    read = read_masks(material, folders, frozenset(), answer_of)
    assert set(read) == {f"i{n}" for n in range(6)}
    assert {mask.shape for mask in read.values()} == {(SIDE_PX * SIDE_PX // 8,)}
    assert np.unpackbits(read["i0"]).mean() == pytest.approx(_drawn(1, 0).mean(), abs=0.02)
    monkeypatch.setattr(module, "MOST_MASKS", 3)
    assert len(read_masks(material, folders, frozenset(), answer_of)) <= 3


def test_where_the_decoder_cannot_be_confined_a_note_says_so(
    course: Path, tmp_path: Path, assignment: Assignment
) -> None:
    def refused(module: str, question: bytes, folder: Path) -> bytes:
        raise SandboxError(f"nothing confines {module} to {folder}, of {len(question)} bytes")

    result = compare_beyond_source(
        _class_of(course),
        find_submissions(course),
        assignment,
        _no_sandbox,
        tmp_path,
        launch=refused,
    )
    assert any(
        note.startswith("masks in zips were compared as files alone") for note in result.notes
    )
    assert result.pairs == ()


def test_of_a_few_submissions_only_equal_masks_are_told() -> None:
    """What two or three drew is no truth, and errors against it say nothing."""
    bits = {
        name: {f"i{n}": np.packbits(_drawn(student, n)) for n in range(IMAGES)}
        for name, student in (("a", 1), ("b", 1), ("c", 2))
    }
    related = relate_zip_masks(bits)
    assert {(pair, found.code) for pair, found in related.items()} == {
        (("a", "b"), "masks.identical")
    }
