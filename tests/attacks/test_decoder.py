"""What a hole in an image library would be worth: the decoder's process, taken over.

A module that attacks stands in the decoder's place, confined as the real one is, and tries what
code of an attacker would try. Under "held by" stands what refuses it; a machine without Landlock
has the filter alone, and docs/security.md says what that leaves open.
"""

from __future__ import annotations

import _sqlite3
import importlib.util
import io
import json
import os
import signal
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from PIL import Image

from grader.readers.decode_masks import MaskFile, read_frames, request
from grader.sandbox.direct import kernel_abi
from grader.sandbox.helper import Helper, answer_of, confinement
from grader.sandbox.launch import Confinement
from grader.sandbox.syscalls import syscall_numbers

pytestmark = pytest.mark.attack

# attempt → what refuses it
LANDLOCK, FILTER = "Landlock", "seccomp, listed calls only"
NONE_LEFT = "closed in the copy before it begins"
ATTEMPTS = {
    "read the truth": LANDLOCK,
    "list the truth's folder": LANDLOCK,
    "read the truth through a symbolic link": LANDLOCK,
    "read the password file": LANDLOCK,
    "read the grader's environment": LANDLOCK,
    "read the grader's memory": LANDLOCK,
    "change the mask that it reads": FILTER,
    "write beside it": FILTER,
    "write to shared memory": FILTER,
    "remove the mask": FILTER,
    "make a link": FILTER,
    "change a mode": FILTER,
    "start a program": FILTER,
    "become another program": FILTER,
    "fork": FILTER,
    "start a thread": FILTER,
    "make a socket": FILTER,
    "make a pair of sockets": FILTER,
    "signal the grader": FILTER,
    "signal the helper that it is a copy of": FILTER,
    "change the memory of that helper": FILTER,
    "use a descriptor that it was not given": NONE_LEFT,
    "trace the grader": FILTER,
    "read another process's memory by a call": FILTER,
    "make new memory executable": FILTER,
    "load a library": FILTER,
    "hide memory in an unnamed file (memfd)": FILTER,
    "hide memory in a shared mapping": FILTER,
    "become another user": FILTER,
    "make a namespace": FILTER,
    "mount a file system": FILTER,
    "change another process's limits": FILTER,
    "ask a device": FILTER,
    "make a filter of its own": FILTER,
}

_ATTACKER = """
import ctypes, json, mmap, os, resource, socket, subprocess, threading

libc = ctypes.CDLL(None, use_errno=True)


helper = os.getpid()


def prepare():
    subprocess.run(["true"])  # whatever it loads on the way is loaded now


def use_others():
    own = {0, 1, 2, *given_to_it}
    for descriptor in set(range(1024)) - own:
        try:
            os.fstat(descriptor)
        except OSError:
            continue
        return
    raise OSError("there is none")


def called(number, *arguments):
    if libc.syscall(number, *arguments) < 0:
        raise OSError(ctypes.get_errno(), "refused")


def rehearse():
    pass


def serve(requested, answered):
    global given_to_it
    given_to_it = requested.fileno(), answered.fileno()
    given = json.load(requested)
    mask, truth, grader = given["mask"], given["truth"], given["grader"]
    beside = os.path.dirname(mask)
    attempts = {
        "read the truth": lambda: open(truth).read(),
        "list the truth's folder": lambda: os.listdir(os.path.dirname(truth)),
        "read the truth through a symbolic link": lambda: open(given["link"]).read(),
        "read the password file": lambda: open("/etc/shadow").read(),
        "read the grader's environment": lambda: open(f"/proc/{grader}/environ").read(),
        "read the grader's memory": lambda: open(f"/proc/{grader}/mem", "rb").read(1),
        "change the mask that it reads": lambda: open(mask, "r+b"),
        "write beside it": lambda: open(beside + "/x", "w"),
        "write to shared memory": lambda: open(given["shared"], "w"),
        "remove the mask": lambda: os.unlink(mask),
        "make a link": lambda: os.symlink(truth, beside + "/y"),
        "change a mode": lambda: os.chmod(mask, 0o777),
        "start a program": lambda: subprocess.run(["true"]),
        "become another program": lambda: os.execv("/bin/true", ["true"]),
        "fork": lambda: os.fork() or os._exit(0),
        "start a thread": lambda: threading.Thread(target=int).start(),
        "make a socket": lambda: socket.socket(),
        "make a pair of sockets": lambda: socket.socketpair(),
        "signal the grader": lambda: os.kill(grader, 0),
        "signal the helper that it is a copy of": lambda: os.kill(helper, 0),
        "change the memory of that helper": lambda: open(f"/proc/{helper}/mem", "r+b"),
        "use a descriptor that it was not given": use_others,
        "trace the grader": lambda: called(given["calls"]["ptrace"], 16, grader, 0, 0),
        "read another process's memory by a call": lambda: called(
            given["calls"]["process_vm_readv"], grader, 0, 0, 0, 0, 0),
        "make new memory executable": lambda: mmap.mmap(
            -1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS,
            mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC),
        "load a library": lambda: ctypes.CDLL(given["library"]),
        "hide memory in an unnamed file (memfd)": lambda: os.memfd_create("x"),
        "hide memory in a shared mapping": lambda: mmap.mmap(-1, 4096),
        "become another user": lambda: os.setuid(65534),
        "make a namespace": lambda: called(given["calls"]["unshare"], 0x10000000),
        "mount a file system": lambda: called(given["calls"]["mount"], 0, 0, 0, 0, 0),
        "change another process's limits": lambda: resource.prlimit(
            grader, resource.RLIMIT_CORE, (0, 0)),
        "ask a device": lambda: os.get_terminal_size(0) and None,
        "make a filter of its own": lambda: called(given["calls"]["seccomp"], 1, 0, 0),
    }
    results = {"read its own mask": len(open(mask, "rb").read())}
    for name, attempt in attempts.items():
        if name in given["skipped"]:
            continue
        try:
            attempt()
        except (OSError, RuntimeError) as error:
            results[name] = getattr(error, "errno", None) or str(error)
        else:
            results[name] = "reached"
    answered.write(json.dumps(results).encode())
"""
# Takes the process over at its first request, and waits for the next one's.
_LINGERER = """
import json, os, signal

spoilt = []


def prepare():
    pass


def rehearse():
    pass


def serve(requested, answered):
    question = requested.read().decode()
    answer = {"process": os.getpid(), "spoilt": list(spoilt), "question": question}
    answered.write(json.dumps(answer).encode())
    spoilt.append(question)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    answered.close()
    while question == "the attacker's":
        pass
"""
_DRIVER = """
import sys
sys.path.insert(0, sys.argv[1])
from grader.sandbox.inside.confined import main
main(sys.argv[2], int(sys.argv[3]))
"""


# What would end the attacker itself, or change this process, where nothing holds it.
_UNSAFE = {
    "become another program",
    "become another user",
    "make a namespace",
    "change another process's limits",
    "trace the grader",
}
# What needs arguments that are right, a terminal or a right that not everybody has.
_UNSURE = {
    "ask a device",
    "change a mode",
    "make a filter of its own",
    "mount a file system",
    "read another process's memory by a call",
    "read the grader's memory",
    "read the password file",
}


@dataclass(frozen=True)
class Scene:
    """A folder of masks, the truth beside it, and the attacker's module."""

    masks: Path
    truth: Path
    code: Path
    shared: Path

    def attack(self, order: Confinement, skipped: set[str]) -> dict[str, str | int]:
        """attempt → "reached", or what refused it."""
        words = {
            "mask": str(self.masks / "a.png"),
            "link": str(self.masks / "link.png"),
            "truth": str(self.truth),
            "grader": os.getpid(),
            "calls": syscall_numbers(os.uname().machine),
            "library": _sqlite3.__file__,
            "skipped": sorted(skipped),
            "shared": str(self.shared),
        }
        with closing_helper(self.helper("attacker")) as helper:
            answer = helper.answer(order, json.dumps(words).encode())
        assert answer is not None
        results: dict[str, str | int] = json.loads(answer)
        assert results.pop("read its own mask") == len("a mask")
        return results

    def helper(self, module: str) -> Helper:
        """A helper whose module is one of the attacker's."""
        return Helper([sys.executable, "-I", "-c", _DRIVER, str(self.code), module])


_IGNORED = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


class KeptBytes(io.BytesIO):
    """What was written is there after it was closed."""

    kept = b""

    def close(self) -> None:
        self.kept = self.getvalue()
        super().close()


@contextmanager
def closing_helper(helper: Helper) -> Iterator[Helper]:
    try:
        yield helper
    finally:
        helper.end()


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    scene = Scene(
        masks=tmp_path / "seg_maps",
        truth=tmp_path / "truth" / "mask.png",
        code=tmp_path / "code",
        shared=Path(f"/dev/shm/decoder-{uuid.uuid4().hex}"),
    )
    for folder in (scene.masks, scene.truth.parent, scene.code):
        folder.mkdir()
    (scene.masks / "a.png").write_bytes(b"a mask")
    scene.truth.write_text("the truth")
    (scene.masks / "link.png").symlink_to(scene.truth)
    (scene.code / "attacker.py").write_text(_ATTACKER)
    (scene.code / "lingerer.py").write_text(_LINGERER)
    return scene


def test_a_decoder_that_was_taken_over_reaches_nothing(scene: Scene) -> None:
    before = (scene.masks / "a.png").stat()
    results = scene.attack(confinement(scene.masks), set())
    assert set(results) == set(ATTEMPTS)
    reached = {name for name, result in results.items() if result == "reached"}
    open_without_landlock = {name for name, held in ATTEMPTS.items() if held == LANDLOCK}
    assert reached <= (set() if kernel_abi() else open_without_landlock)
    assert sorted(path.name for path in scene.masks.iterdir()) == ["a.png", "link.png"]
    after = (scene.masks / "a.png").stat()
    assert (after.st_mode, after.st_size, after.st_mtime_ns) == (
        before.st_mode,
        before.st_size,
        before.st_mtime_ns,
    )
    assert not scene.shared.exists()


def test_without_walls_the_same_attempts_succeed(scene: Scene) -> None:
    """Otherwise they would prove nothing."""
    nothing = Confinement(landlock=None, seccomp=b"", syscalls={})
    try:
        results = scene.attack(nothing, _UNSAFE)
    finally:
        scene.shared.unlink(missing_ok=True)
    refused = {name for name, result in results.items() if result != "reached"}
    assert refused <= _UNSURE | {name for name, held in ATTEMPTS.items() if held == NONE_LEFT}


@pytest.mark.parametrize("walls", [True, False], ids=["confined", "without walls"])
def test_a_decoder_that_was_taken_over_does_not_reach_the_next_answer(
    scene: Scene, walls: bool
) -> None:
    """Also where nothing else holds it: another process answers, and the first one is dead."""
    order = (
        confinement(scene.masks) if walls else Confinement(landlock=None, seccomp=b"", syscalls={})
    )
    with closing_helper(scene.helper("lingerer")) as helper:
        answers = []
        for question in ("the attacker's", "another's", "the attacker's", "another's"):
            answered = helper.answer(order, question.encode())
            assert answered is not None
            answers.append(json.loads(answered))
            assert not psutil.pid_exists(answers[-1]["process"])
    assert [answer["question"] for answer in answers] == [
        "the attacker's",
        "another's",
        "the attacker's",
        "another's",
    ]
    assert [answer["spoilt"] for answer in answers] == [[], [], [], []]
    assert len({answer["process"] for answer in answers}) == len(answers)


def test_what_lingers_in_the_same_process_would_reach_the_next_answer(scene: Scene) -> None:
    """Otherwise the test above would prove nothing."""
    spec = importlib.util.spec_from_file_location("lingerer", scene.code / "lingerer.py")
    assert spec is not None
    assert spec.loader is not None
    lingerer = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(lingerer)
    before = {number: signal.getsignal(number) for number in _IGNORED}
    try:
        first, second = io.BytesIO(), KeptBytes()
        lingerer.serve(io.BytesIO(b"one"), first)
        lingerer.serve(io.BytesIO(b"two"), second)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert json.loads(second.kept)["spoilt"] == ["one"]


@pytest.mark.parametrize("file_format", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "MPO"])
def test_every_format_decodes_where_no_code_can_be_loaded(tmp_path: Path, file_format: str) -> None:
    written = io.BytesIO()
    options = {"append_images": [Image.new("L", (24, 24))]} if file_format == "MPO" else {}
    Image.new("L", (24, 24), 255).save(
        written, file_format, save_all=file_format == "MPO", **options
    )
    (tmp_path / "a.png").write_bytes(written.getvalue())
    files = [MaskFile("a.png", 24, 24)]
    asked = request(tmp_path, files, memory_bytes=1 << 29, cpu_seconds=20)
    (frame,) = read_frames(answer_of("grader.readers.decode_masks", asked, tmp_path), files)
    assert frame.code == "", frame.refusal
    assert set(frame.levels) == {255}
