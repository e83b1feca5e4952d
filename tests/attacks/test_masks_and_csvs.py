"""Hostile masks and label tables, collected as from a real run: with the decoder's own process.

Every file is either read or refused with a finding; nothing is raised, nothing outside is read,
and no finding repeats more of a stranger's text than a line can hold.
"""

from __future__ import annotations

import io
import os
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from grader.assignments.load import load_assignment
from grader.model import CaseRun, CaseStatus, Collected, Finding, Truth, TruthItem
from grader.readers import mask_image
from grader.stages.collect import collect
from grader.stages.measure import measure

pytestmark = pytest.mark.attack

SIDE_PX = 24
COUNT = 4


@dataclass(frozen=True)
class Course:
    """Four images with masks, and the folder that a student's program has written."""

    truth: Truth
    outputs: Path

    @property
    def stems(self) -> list[str]:
        return [item.stem for item in self.truth.items]

    def lay(self, path: str, data: bytes) -> None:
        (self.outputs / path).parent.mkdir(parents=True, exist_ok=True)
        (self.outputs / path).write_bytes(data)

    def collect(self) -> Collected:
        assignment = load_assignment("ail721-a2")
        case = next(case for case in assignment.cases if case.id == "evaluate")
        run = CaseRun(
            case="evaluate",
            argv=(),
            variant=0,
            status=CaseStatus.FINISHED,
            exit_code=0,
            signal=None,
            limit="",
            wall_seconds=1.0,
            cpu_seconds=1.0,
            peak_memory_bytes=1,
            stdout="accuracy: 100",
            stderr="",
            stdout_truncated=False,
            stderr_truncated=False,
            outputs=self.outputs,
            backend="none",
        )
        collected = collect(run, case, self.truth, assignment)
        measurements, noted = measure(collected, self.truth, assignment)
        for finding in (*collected.findings, *noted):
            assert_harmless(finding)
        assert all(m.value is None or 0.0 <= m.value <= 1.0 for m in measurements)
        return collected


def assert_harmless(finding: Finding) -> None:
    assert finding.message.isprintable()
    assert len(finding.message) < 600
    assert finding.place is None or str(finding.place).isprintable()
    assert all(len(str(value)) < 600 for value in finding.evidence.values())


@pytest.fixture
def course(tmp_path: Path) -> Course:
    mask = np.zeros((SIDE_PX, SIDE_PX), dtype=np.uint8)
    mask[4:20, 6:18] = 255
    items = []
    for number in range(COUNT):
        path = tmp_path / "truth" / f"{number}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.roll(mask, number, 1)).save(path)
        staged = f"img_{number:03d}_zq9a899{number}.png"
        items.append(TruthItem(f"A/{number}.png", staged, path, "ADONIS", path))
    classes = load_assignment("ail721-a2").classes
    truth = Truth(tuple(items), classes, "the definition", f"{tmp_path}", 1)
    (tmp_path / "outputs").mkdir()
    return Course(truth, tmp_path / "outputs")


def good_mask() -> bytes:
    return encoded("PNG", Image.new("L", (SIDE_PX, SIDE_PX), 255))


def encoded(format_name: str, image: Image.Image, **options: Any) -> bytes:
    written = io.BytesIO()
    image.save(written, format_name, **options)
    return written.getvalue()


# --------------------------------------------------------------------------- hostile images


def chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width: int, height: int, bits: int = 8, colour: int = 0, *extra: bytes) -> bytes:
    """A PNG that claims a size and holds a megabyte of zeros."""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(bytes(1 << 20)))
    return b"\x89PNG\r\n\x1a\n" + header + b"".join(extra) + pixels + chunk(b"IEND", b"")


def tiff(*entries: tuple[int, int, int, int], tail: bytes = b"") -> bytes:
    """A little-endian TIFF of one directory: entries are (tag, type, count, value or offset)."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + bytes(4) + tail


def strip_of(width: int, height: int, *more: tuple[int, int, int, int]) -> bytes:
    base = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1),
            (262, 3, 1, 1), (273, 4, 1, 8), (277, 3, 1, 1), (278, 4, 1, height),
            (279, 4, 1, width * height & 0xFFFFFFFF)]  # fmt: skip
    merged = {entry[0]: entry for entry in (*base, *more)}
    return tiff(*(merged[tag] for tag in sorted(merged)), tail=bytes(5000))


def jpeg_claiming(width: int, height: int) -> bytes:
    data = bytearray(encoded("JPEG", Image.new("L", (16, 16))))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", height, width)
    return bytes(data)


def jpeg_of_many_scans(scans: int) -> bytes:
    """A progressive JPEG that goes over its pixels again and again."""
    data = encoded("JPEG", Image.effect_noise((2048, 2048), 90), progressive=True, quality=95)
    last = data.rindex(b"\xff\xda")
    return data[:last] + data[last:-2] * scans + b"\xff\xd9"


def gif_claiming(width: int, height: int) -> bytes:
    data = bytearray(encoded("GIF", Image.new("L", (4, 4))))
    data[6:10] = struct.pack("<HH", width, height)
    return bytes(data)


def gif_frame_beyond_its_screen() -> bytes:
    data = bytearray(encoded("GIF", Image.new("L", (4, 4))))
    at = data.index(b"\x2c") + 5
    data[at : at + 4] = struct.pack("<HH", 65535, 65535)
    return bytes(data)


def bmp_claiming(width: int, height: int) -> bytes:
    data = bytearray(encoded("BMP", Image.new("L", (4, 4))))
    data[18:26] = struct.pack("<ii", width, height)
    return bytes(data)


def webp_claiming(width: int, height: int) -> bytes:
    body = (
        b"\x00\x00\x00\x00" + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")
    )
    vp8x = b"VP8X" + struct.pack("<I", 10) + body
    return b"RIFF" + struct.pack("<I", 4 + len(vp8x)) + b"WEBP" + vp8x


def npy(header: str, body: bytes = b"") -> bytes:
    text = header.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def frames(format_name: str, count: int) -> bytes:
    first, *rest = (Image.new("L", (8, 8), number % 256) for number in range(count))
    return encoded(format_name, first, save_all=True, append_images=rest)


MASKS: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "one byte": lambda: b"\x89",
    "text": lambda: b"mask",
    "html": lambda: b"<!DOCTYPE html><script>alert(1)</script>",
    "svg": lambda: b"<svg xmlns='http://www.w3.org/2000/svg' width='9' height='9'/>",
    "postscript": lambda: b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nquit\n",
    "pickle": lambda: b"\x80\x04cos\nsystem\n(S'false'\ntR.",
    "zip": lambda: b"PK\x03\x04" + bytes(100),
    "1-bit PNG of 50000²": lambda: png(50_000, 50_000, 1),
    "grey PNG of 13000²": lambda: png(13_000, 13_000),
    "16-bit RGBA PNG of 9400²": lambda: png(9_400, 9_400, 16, 6),
    "PNG of 2³¹ − 1": lambda: png(2**31 - 1, 2**31 - 1),
    "PNG of one row of 2³¹ − 1": lambda: png(2**31 - 1, 1),
    "PNG of no pixels": lambda: png(0, 0),
    "PNG with far too many pixels": lambda: png(SIDE_PX, SIDE_PX),
    "PNG with far too few pixels": lambda: png(4000, 4000),
    "PNG of an unknown colour type": lambda: png(SIDE_PX, SIDE_PX, 8, 5),
    "PNG of 3 bits": lambda: png(SIDE_PX, SIDE_PX, 3),
    "PNG with a compressed text bomb": lambda: png(
        SIDE_PX, SIDE_PX, 8, 0, *[chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(64 << 20)))] * 3),
    "PNG with a profile bomb": lambda: png(
        SIDE_PX, SIDE_PX, 8, 0, chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(64 << 20)))),
    "PNG with a chunk that claims 4 GB": lambda: (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 9, 8, 0, 0, 0, 0))
        + b"\xff\xff\xff\xffIDAT"),
    "PNG with a hundred thousand chunks": lambda: png(
        SIDE_PX, SIDE_PX, 8, 0, chunk(b"tEXt", b"a\0b") * 100_000),
    "PNG with a wrong checksum": lambda: png(SIDE_PX, SIDE_PX).replace(b"IEND\xae", b"IEND\xaf"),
    "palette PNG without a palette": lambda: png(SIDE_PX, SIDE_PX, 8, 3),
    "PNG of a thousand frames": lambda: frames("PNG", 1000),
    "PNG with a zip behind it": lambda: good_mask() + b"PK\x03\x04" + bytes(1000),
    "JPEG of 65500²": lambda: jpeg_claiming(65_500, 65_500),
    "JPEG of 4000² with data for 16²": lambda: jpeg_claiming(4000, 4000),
    "JPEG of no height": lambda: jpeg_claiming(16, 0),
    "JPEG of markers only": lambda: b"\xff\xd8" + b"\xff\xe1\x00\x02" * 200_000,
    "JPEG of fill bytes": lambda: b"\xff\xd8" + b"\xff" * 1_000_000,
    "GIF with a screen of 65535²": lambda: gif_claiming(65_535, 65_535),
    "GIF with a frame beyond its screen": gif_frame_beyond_its_screen,
    "GIF of five thousand frames": lambda: frames("GIF", 5000),
    "BMP of 2³¹ − 1": lambda: bmp_claiming(2**31 - 1, 2**31 - 1),
    "BMP of negative sizes": lambda: bmp_claiming(-4, -(2**31)),
    "WebP of 16384²": lambda: webp_claiming(16_384, 16_384),
    "WebP of 2²⁴ × 2²⁴": lambda: webp_claiming(2**24, 2**24),
    "TIFF of 60000²": lambda: strip_of(60_000, 60_000),
    "TIFF of 4000² without data": lambda: strip_of(4000, 4000),
    "TIFF in one tile of 65000²": lambda: strip_of(
        24, 24, (322, 4, 1, 65_000), (323, 4, 1, 65_000), (324, 4, 1, 8), (325, 4, 1, 100)),
    "TIFF with a tag of 4 GB": lambda: strip_of(24, 24, (270, 2, 2**32 - 1, 8)),
    "TIFF of 65535 samples": lambda: strip_of(24, 24, (277, 3, 1, 65_535)),
    "TIFF whose next page is itself": lambda: strip_of(24, 24)[:-5004] + b"\x08\0\0\0" + bytes(5000),
    "TIFF of compression 50000": lambda: strip_of(24, 24, (259, 3, 1, 50_000)),
    "TIFF whose directory lies outside": lambda: b"II*\0\xf0\xff\xff\xff",
    "array with a call in its header": lambda: npy("__import__('os').system('false')"),
    "array of objects": lambda: npy(
        "{'descr': '|O', 'fortran_order': False, 'shape': (24, 24), }", b"\x80\x04."),
    "array of 10¹⁸ values": lambda: npy(
        "{'descr': '|u1', 'fortran_order': False, 'shape': (999999999, 999999999), }"),
    "array shorter than it says": lambda: npy(
        "{'descr': '<f8', 'fortran_order': False, 'shape': (24, 24), }", bytes(9)),
    "array with a nested header": lambda: npy("(" * 60_000),
}  # fmt: skip


@pytest.mark.parametrize("name", MASKS)
def test_a_hostile_mask_costs_itself_only(course: Course, name: str) -> None:
    data = MASKS[name]()
    course.lay(f"seg_maps/{course.stems[0]}.png", good_mask())
    course.lay(f"seg_maps/{course.stems[1]}.png", data)
    course.lay(f"seg_maps/{course.stems[2]}.png", good_mask())
    collected = course.collect()
    assert collected.masks is not None
    assert {course.stems[0], course.stems[2]} <= set(collected.masks)
    read = collected.masks.get(course.stems[1])
    assert read is None or read.mask.shape == (SIDE_PX, SIDE_PX)
    told = [finding.code for finding in collected.findings if finding.code != "mask.missing"]
    if read is None:
        assert set(told) & {
            "mask.empty-file", "mask.not-an-image", "mask.damaged", "mask.too-large",
            "mask.unsupported", "mask.decoder-stopped",
        }  # fmt: skip


def test_a_mask_that_eats_time_is_stopped(course: Course, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_image, "_DECODER_CPU_SECONDS", 1)
    for stem in course.stems[:3]:
        course.lay(f"seg_maps/{stem}.png", good_mask())
    course.lay(f"seg_maps/{course.stems[1]}.png", jpeg_of_many_scans(60))
    collected = course.collect()
    assert collected.masks is not None
    assert set(collected.masks) == {course.stems[0], course.stems[2]}
    assert "mask.decoder-stopped" in [finding.code for finding in collected.findings]


def test_masks_that_are_no_files(course: Course) -> None:
    folder = course.outputs / "seg_maps"
    folder.mkdir()
    secret = course.truth.items[0].mask
    assert secret is not None
    (folder / f"{course.stems[0]}.png").symlink_to(secret)
    (folder / f"{course.stems[1]}.png").hardlink_to(secret)
    os.mkfifo(folder / f"{course.stems[2]}.png")
    (folder / f"{course.stems[3]}.png").mkdir()
    (folder / "device.png").symlink_to("/dev/zero")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(folder / "s.png"))
        collected = course.collect()
    assert collected.masks == {}


def test_the_folder_of_masks_is_a_link_to_the_truth(course: Course) -> None:
    (course.outputs / "seg_maps").symlink_to(course.truth.items[0].image.parent)
    collected = course.collect()
    assert collected.masks is None


def test_names_of_all_kinds(course: Course) -> None:
    wicked = [
        "\x1b[2J\x1b[31m.png", "\u202egnp.exe", "a\nb.png", "::error::x.png", "=cmd.png",
        "<script>alert(1)</script>.png".replace("/", "\u2215"), "x" * 250, "蝶🦋.png", " .png",
        os.fsdecode(b"\xff\xfe.png"), f"{course.stems[1]}\r\n.png", "%s%n{0}.png", "-rf.png",
    ]  # fmt: skip
    for name in wicked:
        course.lay(f"seg_maps/{name}", good_mask())
    course.lay(f"seg_maps/{course.stems[0]}.png", good_mask())
    collected = course.collect()
    assert collected.masks is not None
    assert set(collected.masks) == {course.stems[0], course.stems[1]}


def test_more_files_than_anybody_needs(course: Course) -> None:
    folder = course.outputs / "seg_maps" / "a"
    folder.mkdir(parents=True)
    for number in range(3000):
        (folder / f"{number}.png").touch()
    course.lay(f"seg_maps/{course.stems[0]}.png", good_mask())
    collected = course.collect()
    assert collected.masks is not None
    assert list(collected.masks) == [course.stems[0]]
    extra = next(finding for finding in collected.findings if finding.code == "mask.extra")
    assert extra.evidence["count"] == 3000


# --------------------------------------------------------------------------- hostile tables


def rows(course: Course, template: str = "{name},ADONIS\n") -> str:
    return "image_name,label\n" + "".join(
        template.format(name=item.staged_name) for item in course.truth.items
    )


def tables(course: Course) -> Iterator[tuple[str, bytes, bool]]:
    """(what it is, its bytes, whether the right answers are in it all the same)."""
    plain = rows(course)
    yield "nothing", b"", False
    yield "a zip", b"PK\x03\x04" + bytes(50), False
    yield "random bytes", np.random.default_rng(0).bytes(5000), False
    yield "zeros", bytes(100_000), False
    yield "one line of ten megabytes", b"x" * 10_000_000, False
    yield "a cell of two megabytes", (plain + '"' + "x\n" * 1_000_000).encode(), True
    yield "quotes only", b'"' * 1_000_000, False
    yield "delimiters only", b"," * 1_000_000, False
    yield "line ends only", b"\r\n" * 500_000, False
    yield (
        "two hundred rows of sixty thousand columns",
        (plain + ("x," * 30_000 + "\n") * 200).encode(),
        True,
    )
    yield "an early end", plain.encode()[:-3], False
    yield "BOM in the middle", plain.replace("\n", "\n\ufeff", 1).encode(), False
    yield "two BOMs", b"\xef\xbb\xbf\xef\xbb\xbf" + plain.encode(), True
    yield "UTF-16", plain.encode("utf-16"), True
    yield "half of UTF-16", plain.encode("utf-16")[:-1], True
    yield "UTF-32", plain.encode("utf-32"), True
    yield "broken UTF-8", plain.encode() + b"\xc3\x28,\xff\n", True
    yield "NULs everywhere", plain.replace("A", "A\0").encode(), True
    yield "formulas", (plain + "=cmd|'/C calc'!A0,@SUM(1)\n+1+1,-2+3\n").encode(), True
    yield "formula labels", rows(course, '{name},"=HYPERLINK(""http://x"")"\n').encode(), False
    yield "terminal codes", (plain + "\x1b]0;title\x07\x1b[2J,ADONIS\n").encode(), True
    yield "workflow commands", (plain + "::error::x,::set-output name=a::b\n").encode(), True
    yield "markup", (plain + "<script>alert(1)</script>,<img src=x onerror=y>\n").encode(), True
    yield "paths out", rows(course, "../../../../{name},ADONIS\n").encode(), True
    yield (
        "all labels for each image",
        (
            "image_name,label\n"
            + "".join(
                f"{item.staged_name},{label}\n"
                for item in course.truth.items
                for label in reversed(course.truth.classes)
            )
        ).encode(),
        False,
    )
    yield "format strings", rows(course, "{name},%s%n{{0}}\n").encode(), False
    yield (
        "numbers of a thousand digits",
        rows(course, "{name}," + "9" * 1000 + "\n").encode(),
        False,
    )
    yield "negative numbers", rows(course, "{name},-1\n").encode(), False
    yield "look-alike letters", rows(course, "{name},АDONIS\n").encode(), False  # a Cyrillic А
    yield "full-width letters", rows(course, "{name},ＡＤＯＮＩＳ\n").encode(), True
    yield "a quotation mark that never ends", plain.replace(",", ',"', 2).encode(), True
    yield "a million rows of others", (plain + "other.png,ADONIS\n" * 1_000_000).encode(), True
    yield (
        "100,000 times the same",
        (plain + plain.split("\n")[1] + "\n").encode()
        + (plain.split("\n")[1] + "\n").encode() * 100_000,
        True,
    )


NAMES_OF_TABLES = [
    "nothing", "a zip", "random bytes", "zeros", "one line of ten megabytes",
    "a cell of two megabytes", "quotes only", "delimiters only", "line ends only",
    "two hundred rows of sixty thousand columns", "an early end", "BOM in the middle", "two BOMs", "UTF-16",
    "half of UTF-16", "UTF-32", "broken UTF-8", "NULs everywhere", "formulas",
    "formula labels", "terminal codes", "workflow commands", "markup", "paths out",
    "all labels for each image", "format strings", "numbers of a thousand digits",
    "negative numbers", "look-alike letters", "full-width letters",
    "a quotation mark that never ends", "a million rows of others", "100,000 times the same",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES_OF_TABLES)
def test_a_hostile_table_gives_labels_or_findings(course: Course, name: str) -> None:
    (data, has_answers) = next(
        (data, right) for what, data, right in tables(course) if what == name
    )
    course.lay("submission.csv", data)
    collected = course.collect()
    labels = collected.labels or {}
    assert set(labels) <= {item.staged_name for item in course.truth.items}
    assert all(len(label) <= 200 for label in labels.values())
    right = {item.staged_name: "ADONIS" for item in course.truth.items}
    assert (labels == right) is has_answers
    assert [finding for finding in collected.findings if finding.code.startswith("labels.")]
    assert len(collected.findings) < 20


def test_every_table_is_tried(course: Course) -> None:
    assert [what for what, _, _ in tables(course)] == NAMES_OF_TABLES


def test_a_table_that_is_no_file(course: Course, tmp_path: Path) -> None:
    secret = tmp_path / "labels.csv"
    secret.write_text(rows(course))
    path = course.outputs / "submission.csv"
    for make in (path.symlink_to, path.hardlink_to):
        make(secret)
        assert course.collect().labels is None
        path.unlink()
    os.mkfifo(path)
    assert course.collect().labels is None
    path.unlink()
    path.mkdir()
    assert course.collect().labels is None


def test_a_table_of_sixty_four_mebibytes_and_one_byte(course: Course) -> None:
    path = course.outputs / "submission.csv"
    path.write_bytes(rows(course).encode())
    os.truncate(path, (64 << 20) + 1)  # a hole: it costs no disk
    collected = course.collect()
    assert collected.labels is None
    assert "labels.refused" in [finding.code for finding in collected.findings]
