from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from grader.errors import SandboxError
from grader.model import RunLimits
from grader.sandbox import Command
from grader.sandbox.policy import is_below

LIMITS = RunLimits(1, 1, 1, 1, 1, 1, 1, 1)


def command(**changes: Any) -> Command:
    words: dict[str, Any] = {
        "argv": ("python", "evaluate.py"),
        "workdir": Path("/w"),
        "mounts": {},
        "limits": LIMITS,
        "collect": (),
        "outputs": Path("/o"),
    }
    return Command(**words | changes)


def test_what_the_stages_ask_for_is_accepted() -> None:
    made = command(
        mounts={"/test": Path("/i"), "/checkpoint/weights.pth": Path("/c")},
        writable_dirs=("/model_ckpt",),
        collect=("submission.csv", "seg_maps", "/model_ckpt", "/model_ckpt/a.pth"),
    )
    assert made.gpu is False


@pytest.mark.parametrize(
    "changes",
    [
        {"argv": ()},
        {"argv": ("python", "a\0b")},
        {"mounts": {"test": Path("/i")}},
        {"mounts": {"/test/../etc": Path("/i")}},
        {"mounts": {"/test/": Path("/i")}},
        {"mounts": {"/": Path("/i")}},
        {"mounts": {"/usr/lib/x": Path("/i")}},
        {"mounts": {"/proc": Path("/i")}},
        {"mounts": {"/work/images": Path("/i")}},
        {"mounts": {"/out/images": Path("/i")}, "writable_dirs": ("/out",)},
        {"writable_dirs": ("/dev/shm",)},
        {"collect": ("../x",)},
        {"collect": ("",)},
        {"collect": (".",)},
        {"collect": ("/etc/passwd",)},
        {"collect": ("/outer/x",), "writable_dirs": ("/out",)},
    ],
)
def test_what_no_back_end_could_do_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(SandboxError):
        command(**changes)


def test_a_folder_is_not_a_prefix_of_letters() -> None:
    assert is_below("/out/x", "/out")
    assert is_below("/out", "/out")
    assert not is_below("/outer", "/out")
