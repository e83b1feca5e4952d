"""A folder of masks: pairing by name, what is aggregated, and a decoder that dies."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
import pytest

from grader.errors import InternalFault
from grader.model import Fault, Finding, OutputSpec
from grader.readers.decode_masks import READY, serve
from grader.readers.mask_image import read_mask_file, read_mask_images
from grader.readers.reading import Expected, Launch, Reading

Mask = npt.NDArray[np.bool_]
Encode = Callable[..., bytes]
NAMES = ("img_000_aaaaaaaa.jpg", "img_001_bbbbbbbb.jpg", "img_002_cccccccc.png")
STEMS = tuple(name.rsplit(".", 1)[0] for name in NAMES)
SPEC = OutputSpec(id="masks", path="seg_maps", reader="mask_images", options={})


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> Launch:
    """The decoder without a process, and without limits that would be this process's."""
    monkeypatch.setattr("grader.readers.decode_masks._limit", lambda *_: None)

    def launch(module: str, asked: bytes, folder: Path) -> bytes:
        assert module == "grader.readers.decode_masks"
        assert folder.is_dir()
        answered = io.BytesIO()
        serve(io.BytesIO(asked), answered)
        return answered.getvalue()

    return launch


@pytest.fixture
def mask_file(shape: Mask, encode: Encode) -> bytes:
    return encode(shape.astype(np.uint8) * 255, "PNG")


def read(outputs: Path, launch: Launch) -> Reading:
    sizes = dict.fromkeys(STEMS, (120, 90))
    return read_mask_images(outputs, SPEC, Expected(NAMES, sizes, (), launch))


def lay(outputs: Path, *names: str, data: bytes) -> None:
    for name in names:
        (outputs / name).parent.mkdir(parents=True, exist_ok=True)
        (outputs / name).write_bytes(data)


def summary(reading: Reading) -> list[tuple[str, int]]:
    return [
        (finding.code, finding.evidence.get("count", 0))
        for finding in sorted(reading.findings, key=lambda finding: finding.code)
    ]


def test_a_mask_of_an_image_without_truth_is_not_extra(
    tmp_path: Path, mask_file: bytes, in_process: Launch
) -> None:
    lay(tmp_path, *(f"seg_maps/{name}" for name in NAMES), "seg_maps/other.jpg", data=mask_file)
    expected = Expected(NAMES, {STEMS[2]: (120, 90)}, (), in_process)
    reading = read_mask_images(tmp_path, SPEC, expected)
    assert list(reading.value) == [STEMS[2]]
    assert [f.message for f in reading.findings if f.code == "mask.extra"] == [
        f.message for f in reading.findings if "other.jpg" in f.message
    ]
    assert ("mask.extra", 1) in summary(reading)


def test_masks_named_as_their_images(
    tmp_path: Path, encode: Encode, shape: Mask, in_process: Launch
) -> None:
    for name in NAMES:
        format_name = "JPEG" if name.endswith("jpg") else "PNG"
        lay(tmp_path, f"seg_maps/{name}", data=encode(shape.astype(np.uint8) * 255, format_name))
    reading = read(tmp_path, in_process)
    assert reading.findings == ()
    assert list(reading.value) == list(STEMS)
    assert all((mask.mask == shape).mean() > 0.999 for mask in reading.value.values())


@pytest.mark.parametrize(
    ("name", "findings"),
    [
        ("seg_maps/{stem}.png", [("mask.other-suffix", 2)]),
        ("seg_maps/{stem}.jpg.png", [("mask.other-name", 3)]),
        ("seg_maps/{stem}", [("mask.other-suffix", 3), ("mask.renamed-format", 3)]),
        ("seg_maps/{stem}_mask.png", [("mask.other-name", 3)]),
        ("seg_maps/mask_{stem}.png", [("mask.other-name", 3)]),
        ("seg_maps/deeper/{stem}.png", [("mask.other-suffix", 2)]),
        ("seg_maps/{upper}.PNG", [("mask.other-suffix", 3)]),
        ("Seg_Maps/{stem}.png", [("mask.other-place", 0), ("mask.other-suffix", 2)]),
        ("masks/{stem}.png", [("mask.other-place", 0), ("mask.other-suffix", 2)]),
        ("{stem}.png", [("mask.other-place", 0), ("mask.other-suffix", 2)]),
    ],
)
def test_masks_named_and_placed_otherwise(
    tmp_path: Path,
    shape: Mask,
    mask_file: bytes,
    in_process: Launch,
    name: str,
    findings: list[tuple[str, int]],
) -> None:
    paths = [name.format(stem=stem, upper=stem.upper()) for stem in STEMS]
    lay(tmp_path, *paths, data=mask_file)
    lay(tmp_path, "submission.csv", data=b"image_name,label\n")
    reading = read(tmp_path, in_process)
    assert list(reading.value) == list(STEMS)
    assert all((mask.mask == shape).all() for mask in reading.value.values())
    assert summary(reading) == findings


def test_missing_extra_and_doubled_masks(
    tmp_path: Path, mask_file: bytes, in_process: Launch
) -> None:
    lay(
        tmp_path,
        f"seg_maps/{STEMS[0]}.png",
        f"seg_maps/{STEMS[0]}.jpg.png",
        f"seg_maps/{NAMES[2]}",
        f"seg_maps/{STEMS[2]}.jpg",
        "seg_maps/other.png",
        "seg_maps/.DS_Store",
        "seg_maps/Thumbs.db",
        data=mask_file,
    )
    reading = read(tmp_path, in_process)
    assert list(reading.value) == [STEMS[0], STEMS[2]]
    assert summary(reading) == [
        ("mask.duplicate", 2),
        ("mask.extra", 1),
        ("mask.missing", 1),
        ("mask.other-suffix", 1),
    ]
    messages = {finding.code: finding.message for finding in reading.findings}
    assert messages["mask.missing"] == f"images without a mask: 1 of 3 ({STEMS[1]})"
    # the file with the very name of its image is the one that counts
    assert f"{STEMS[2]}.jpg" in messages["mask.duplicate"]


def test_many_of_a_kind_are_one_finding(
    tmp_path: Path, encode: Encode, shape: Mask, in_process: Launch
) -> None:
    small = encode(shape[::2, ::2].astype(np.uint8), "PNG")
    lay(tmp_path, *(f"seg_maps/{stem}.png" for stem in STEMS), data=small)
    reading = read(tmp_path, in_process)
    assert summary(reading) == [
        ("mask.other-suffix", 2),
        ("mask.size-mismatch", 3),
        ("mask.zero-one", 3),
    ]
    size = next(finding for finding in reading.findings if finding.code == "mask.size-mismatch")
    assert f"3 of 3 ({STEMS[0]}.png is 60 × 45 instead of 120 × 90" in size.message
    for mask in reading.value.values():
        assert mask.mask.shape == (90, 120)
        assert (mask.mask == shape).mean() > 0.98


def test_unreadable_masks_are_told_apart(
    tmp_path: Path, mask_file: bytes, png_claim: Callable[..., bytes], in_process: Launch
) -> None:
    lay(tmp_path, f"seg_maps/{NAMES[0]}", data=b"")
    lay(tmp_path, f"seg_maps/{NAMES[1]}", data=mask_file[:100])
    lay(tmp_path, f"seg_maps/{NAMES[2]}", data=png_claim(50_000, 50_000, 1, 0))
    reading = read(tmp_path, in_process)
    assert reading.value == {}
    assert summary(reading) == [
        ("mask.damaged", 1),
        ("mask.empty-file", 1),
        ("mask.too-large", 1),
    ]
    assert "50000 × 50000 pixels" in " ".join(finding.message for finding in reading.findings)


def test_loose_names_are_looked_at_so_often_and_no_more(
    tmp_path: Path, mask_file: bytes, in_process: Launch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("grader.readers.mask_image._MAX_LOOSE_NAMES", 3)
    lay(tmp_path, *(f"seg_maps/{n}.png" for n in range(5)), data=mask_file)
    lay(tmp_path, f"seg_maps/x_{STEMS[0]}.png", data=mask_file)
    assert summary(read(tmp_path, in_process)) == [("mask.extra", 6), ("mask.missing", 3)]


def test_no_folder_is_no_value(tmp_path: Path, in_process: Launch) -> None:
    reading = read(tmp_path, in_process)
    assert reading.value is None
    assert summary(reading) == [("mask.missing-folder", 0)]


def test_an_empty_folder_is_all_missing(tmp_path: Path, in_process: Launch) -> None:
    (tmp_path / "seg_maps").mkdir()
    reading = read(tmp_path, in_process)
    assert reading.value == {}
    assert summary(reading) == [("mask.missing", 3)]


def dying_of(name: str, launch: Launch, asked_for: list[list[str]]) -> Launch:
    """A decoder whose answer ends before the file `name`; notes which files it was asked for."""

    def dying(module: str, asked: bytes, folder: Path) -> bytes:
        document = json.loads(asked)
        names = [PurePosixPath(file["path"]).name for file in document["files"]]
        asked_for.append(names)
        if name in names:
            document["files"] = document["files"][: names.index(name)]
        return launch(module, json.dumps(document).encode(), folder)

    return dying


def test_a_decoder_that_dies_costs_one_mask_and_is_started_again(
    tmp_path: Path, mask_file: bytes, in_process: Launch
) -> None:
    lay(tmp_path, *(f"seg_maps/{name}" for name in NAMES), data=mask_file)
    asked_for: list[list[str]] = []
    reading = read(tmp_path, dying_of(NAMES[1], in_process, asked_for))
    assert list(reading.value) == [STEMS[0], STEMS[2]]
    stopped = [finding for finding in reading.findings if finding.code == "mask.decoder-stopped"]
    # it may have died of what the files before had used up: it is asked again
    assert asked_for == [list(NAMES), list(NAMES[1:]), list(NAMES[2:])]
    assert [(finding.evidence["count"], finding.fault) for finding in stopped] == [(1, Fault.LIMIT)]
    assert NAMES[1] in stopped[0].message


def slow_of(in_process: Launch, most_files: int) -> tuple[Launch, list[str]]:
    """A decoder whose time is over after so many files, and what was launched so far."""
    launches: list[str] = []

    def slow(module: str, asked: bytes, folder: Path) -> bytes:
        launches.append(module)
        document = json.loads(asked)
        document["files"] = document["files"][:most_files]
        return in_process(module, json.dumps(document).encode(), folder)

    return slow, launches


def test_a_decoder_whose_time_is_used_up_costs_no_mask(
    tmp_path: Path, mask_file: bytes, in_process: Launch
) -> None:
    """As on a slow machine: each launch gets through three files."""
    names = [f"img_{number:02d}.png" for number in range(20)]
    lay(tmp_path, *(f"seg_maps/{name}" for name in names), data=mask_file)
    slow, launches = slow_of(in_process, 3)
    sizes = {name[:-4]: (120, 90) for name in names}
    reading = read_mask_images(tmp_path, SPEC, Expected(tuple(names), sizes, (), slow))
    assert list(reading.value) == list(sizes)
    assert len(launches) == 7
    assert "mask.decoder-stopped" not in dict(summary(reading))


def test_files_that_use_up_all_time_do_so_for_a_while_only(
    tmp_path: Path, mask_file: bytes, in_process: Launch
) -> None:
    names = [f"img_{number:03d}.png" for number in range(400)]
    lay(tmp_path, *(f"seg_maps/{name}" for name in names), data=mask_file)
    slow, launches = slow_of(in_process, 1)
    sizes = {name[:-4]: (120, 90) for name in names}
    reading = read_mask_images(tmp_path, SPEC, Expected(tuple(names), sizes, (), slow))
    # eight, and thirty seconds each out of a quarter of a second per file
    assert len(launches) == len(reading.value) == 8 + 3
    assert dict(summary(reading))["mask.decoder-stopped"] == 400 - 11


def test_a_decoder_that_always_dies_is_not_started_forever(tmp_path: Path) -> None:
    names = [f"img_{number}.png" for number in range(40)]
    lay(tmp_path, *(f"seg_maps/{name}" for name in names), data=b"x")
    launches = []

    def dead(module: str, asked: bytes, folder: Path) -> bytes:
        launches.append(asked)
        return READY

    sizes = {name[:-4]: (3, 3) for name in names}
    reading = read_mask_images(tmp_path, SPEC, Expected(tuple(names), sizes, (), dead))
    assert reading.value == {}
    assert summary(reading) == [("mask.decoder-stopped", 40)]
    assert len(launches) == 4


def test_a_decoder_that_never_starts_costs_the_student_nothing(
    tmp_path: Path, mask_file: bytes
) -> None:
    lay(tmp_path, f"seg_maps/{NAMES[0]}", data=mask_file)
    with pytest.raises(InternalFault):
        read(tmp_path, lambda *_: b"")


def test_what_the_decoder_says_is_made_harmless(
    tmp_path: Path, mask_file: bytes, in_process: Launch
) -> None:
    lay(tmp_path, f"seg_maps/{NAMES[0]}", data=mask_file)

    def lying(module: str, asked: bytes, folder: Path) -> bytes:
        answer = in_process(module, asked, folder)
        return answer.replace(b"grey level > 127", b"\\u001b[31m\\u202e>").replace(
            b'"quirks": ["mask.renamed-format"]', b'"quirks": ["no.such-code"]'
        )

    mask = read(tmp_path, lying).value[STEMS[0]]
    assert mask.rule.isprintable()
    assert mask.quirks == ()


def test_links_and_pipes_are_no_masks(tmp_path: Path, mask_file: bytes, in_process: Launch) -> None:
    truth = tmp_path / "truth.png"
    truth.write_bytes(mask_file)
    folder = tmp_path / "outputs" / "seg_maps"
    folder.mkdir(parents=True)
    (folder / NAMES[0]).symlink_to(truth)
    (folder / NAMES[1]).hardlink_to(truth)
    reading = read(folder.parent, in_process)
    assert reading.value == {}
    assert summary(reading) == [("mask.damaged", 1), ("mask.missing", 2)]


def test_findings_hold_nothing_a_terminal_obeys(
    tmp_path: Path, mask_file: bytes, in_process: Launch
) -> None:
    lay(tmp_path, "seg_maps/\x1b[31m\u202egnp.png", f"seg_maps/{STEMS[0]}\x07.png", data=mask_file)
    findings: tuple[Finding, ...] = read(tmp_path, in_process).findings
    assert {finding.code for finding in findings} == {
        "mask.extra",
        "mask.other-name",
        "mask.missing",
    }
    assert all(finding.message.isprintable() for finding in findings)


def test_the_courses_own_masks_follow_the_same_rules(shape: Mask, mask_file: bytes) -> None:
    read_one = read_mask_file(mask_file, "truth.png")
    assert (read_one.mask == shape).all()
    assert read_one.rule == "grey level > 127"
    with pytest.raises(ValueError, match="the file is empty"):
        read_mask_file(b"", "truth.png")
