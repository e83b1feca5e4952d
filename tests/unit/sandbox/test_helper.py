"""A helper is started once, is there again after it was killed, and is one's own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from PIL import Image

from grader.readers.decode_masks import MaskFile, read_frames, request
from grader.sandbox.helper import answer_of, end_helpers

_DECODER = "grader.readers.decode_masks"


@pytest.fixture(autouse=True)
def _own_helpers() -> Iterator[None]:
    end_helpers()
    yield
    end_helpers()


def _helpers() -> set[psutil.Process]:
    return {
        child
        for child in psutil.Process().children()
        if child.is_running() and _DECODER in child.cmdline()
    }


def _standing_ready(helper: psutil.Process) -> psutil.Process:
    """The copy for the next request, which is forked when the last one's is dead."""
    while True:
        if children := helper.children():
            (copy,) = children
            return copy
        os.sched_yield()


def _levels(folder: Path, level: int) -> set[int]:
    """The grey levels of a mask of one level, as the decoder gives them back."""
    path = folder / f"{level}.png"
    Image.new("L", (24, 24), level).save(path)
    files = [MaskFile(path.name, 24, 24)]
    asked = request(folder, files, memory_bytes=1 << 29, cpu_seconds=20)
    (frame,) = read_frames(answer_of(_DECODER, asked, folder), files)
    assert frame.code == "", frame.refusal
    return set(frame.levels)


def test_one_helper_answers_again_and_again_for_any_folder(tmp_path: Path) -> None:
    for number in range(4):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert _levels(folder, 200 + number) == {200 + number}
    (helper,) = _helpers()
    copy = _standing_ready(helper)
    assert _levels(tmp_path, 7) == {7}
    assert not copy.is_running()
    copy = _standing_ready(helper)
    end_helpers()
    assert not _helpers()
    assert not copy.is_running()


def test_a_helper_that_was_killed_has_a_successor(tmp_path: Path) -> None:
    assert _levels(tmp_path, 255) == {255}
    (helper,) = _helpers()
    copy = _standing_ready(helper)
    helper.send_signal(signal.SIGKILL)
    helper.wait()
    copy.wait(20)  # nobody else would end it
    assert _levels(tmp_path, 254) == {254}
    (successor,) = _helpers()
    assert successor.pid != helper.pid


def test_threads_that_ask_together_get_their_own_answers(tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as threads:
        answers = list(threads.map(lambda level: _levels(tmp_path, level), range(128, 160)))
    assert answers == [{level} for level in range(128, 160)]
    assert 1 <= len(_helpers()) <= 4


def test_a_forked_process_starts_a_helper_of_its_own(tmp_path: Path) -> None:
    assert _levels(tmp_path, 255) == {255}
    (parents,) = _helpers()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            right = _levels(tmp_path, 201) == {201}
            status = 0 if right and parents.pid not in {one.pid for one in _helpers()} else 2
            end_helpers()
        finally:
            os._exit(status)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert _levels(tmp_path, 202) == {202}
    assert _helpers() == {parents}


def test_a_helper_does_not_outlive_its_grader(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _levels(tmp_path, 255)
            (helper,) = _helpers()
            os.write(writing, str(helper.pid).encode())
            signal.pause()
        finally:
            os._exit(1)
    os.close(writing)
    helper = psutil.Process(int(os.read(reading, 20)))
    os.close(reading)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    psutil.wait_procs([helper], timeout=60)
    assert not helper.is_running() or helper.status() == psutil.STATUS_ZOMBIE


def test_a_file_that_kills_the_decoder_leaves_the_next_request_alone(tmp_path: Path) -> None:
    Image.new("L", (4000, 4000), 255).save(tmp_path / "large.png")
    files = [MaskFile("large.png", 4000, 4000)]
    asked = request(tmp_path, files, memory_bytes=1 << 24, cpu_seconds=20)
    assert not [frame for frame in _frames_or_nothing(asked, tmp_path, files) if not frame.code]
    assert _levels(tmp_path, 253) == {253}


def _frames_or_nothing(asked: bytes, folder: Path, files: list[MaskFile]) -> list:  # type: ignore[type-arg]
    answer = answer_of(_DECODER, asked, folder)
    return list(read_frames(answer, files)) if answer else []
