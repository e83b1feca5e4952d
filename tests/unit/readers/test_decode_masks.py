"""The decoder's process: its limits, its answers, and that the answers are doubted."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.errors import InternalFault
from grader.readers.decode_masks import READY, MaskFile, decode_file, read_frames, request
from grader.sandbox.helper import answer_of

Mask = npt.NDArray[np.bool_]
Encode = Callable[..., bytes]
FILES = [MaskFile("a.png", 120, 90), MaskFile("missing.png", 4, 4), MaskFile("b.png", 60, 30)]


@pytest.fixture
def folder(tmp_path: Path, shape: Mask, encode: Encode) -> Path:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(encode(shape.astype(np.uint8) * 255, "PNG"))
    return tmp_path


def ask(folder: Path, files: list[MaskFile], memory_bytes: int = 1 << 29) -> bytes:
    asked = request(folder, files, memory_bytes=memory_bytes, cpu_seconds=20)
    return answer_of("grader.readers.decode_masks", asked, folder)


def test_every_file_is_answered_in_order_and_in_the_wanted_size(folder: Path, shape: Mask) -> None:
    first, missing, resized = read_frames(ask(folder, FILES), FILES)
    assert first == decode_file(folder, FILES[0])
    assert np.frombuffer(first.levels, np.uint8).reshape(90, 120).astype(bool).tolist() == (
        shape.tolist()
    )
    assert missing.code == "mask.damaged"
    assert "No such file" in missing.refusal
    assert len(resized.levels) == 60 * 30
    assert (resized.width_px, resized.height_px) == (120, 90)
    # nearest neighbour takes the middle of each block of 3 × 2
    nearest = shape[1::3, 1::2]
    assert np.frombuffer(resized.levels, np.uint8).reshape(30, 60).astype(bool).tolist() == (
        nearest.tolist()
    )


def test_the_limits_are_in_force_before_the_first_file() -> None:
    program = (
        "import io, json, resource, sys\n"
        "from grader.readers import decode_masks\n"
        "sys.stdin = io.TextIOWrapper(io.BytesIO(sys.argv[1].encode()))\n"
        "decode_masks.serve(sys.stdin.buffer, sys.stdout.buffer)\n"
        "names = ['AS', 'CPU', 'FSIZE', 'NPROC', 'CORE']\n"
        "print(json.dumps([resource.getrlimit(getattr(resource, 'RLIMIT_' + n)) for n in names]))\n"
    )
    asked = request(Path("/"), [], memory_bytes=1 << 29, cpu_seconds=7).decode()
    answer = subprocess.run(
        [sys.executable, "-c", program, asked], capture_output=True, check=True
    ).stdout
    assert json.loads(answer.removeprefix(READY)) == [
        [1 << 29, 1 << 29],
        [7, 7],
        [0, 0],
        [0, 0],
        [0, 0],
    ]
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 0  # and not in this process


def test_too_little_memory_refuses_a_file_or_ends_the_answer_before_it(
    folder: Path, encode: Encode
) -> None:
    (folder / "big.png").write_bytes(encode(np.zeros((4000, 4000, 4), np.uint8), "PNG"))
    files = [FILES[0], MaskFile("big.png", 8, 8), FILES[2]]
    frames = list(read_frames(ask(folder, files, memory_bytes=128 << 20), files))
    assert frames[0].levels
    assert len(frames) == 1 or frames[1].code == "mask.too-large"
    assert all(not frame.code for frame in read_frames(ask(folder, files), files))


def test_an_answer_that_ends_early_gives_the_frames_before(folder: Path) -> None:
    files = [FILES[0], FILES[2]]
    answer = ask(folder, files)
    whole = list(read_frames(answer, files))
    assert len(whole) == 2
    for length in (len(READY), 20, len(answer) // 2, len(answer) - 1):
        assert list(read_frames(answer[:length], files)) == whole[: 1 if length > 11_000 else 0]


@pytest.mark.parametrize(
    "head",
    [
        b"not json",
        b"[]",
        b"{}",
        b'{"levels_bytes": "x"}',
        b'{"levels_bytes": 1, "threshold": 0, "rule": "", "width_px": 1, "height_px": 1, '
        b'"quirks": 3, "code": "", "refusal": ""}',
        b'{"levels_bytes": 2, "threshold": 0, "rule": "", "width_px": 1, "height_px": 1, '
        b'"quirks": [], "code": "", "refusal": ""}',
    ],
)
def test_an_answer_that_is_not_as_asked_ends(head: bytes) -> None:
    assert list(read_frames(READY + head + b"\n\x01\x01", [MaskFile("a", 1, 1)])) == []


@given(st.binary(max_size=300))
def test_any_answer_gives_whole_frames_only(answer: bytes) -> None:
    files = [MaskFile("a", 2, 1), MaskFile("b", 1, 3)]
    for frame, file in zip(read_frames(READY + answer, files), files, strict=False):
        assert len(frame.levels) == (0 if frame.code else file.width_px * file.height_px)


@pytest.mark.parametrize("answer", [b"", b"read", b"Traceback (most recent call last):\n"])
def test_a_process_that_never_started_is_the_graders_fault(answer: bytes) -> None:
    with pytest.raises(InternalFault, match="did not start"):
        list(read_frames(answer, FILES))


def test_a_large_image_may_be_decoded_as_large_as_it_should_be() -> None:
    assert MaskFile("a", 224, 224).max_pixels == 1 << 24
    assert MaskFile("a", 6000, 4000).max_pixels == 2 * 6000 * 4000
