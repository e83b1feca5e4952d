from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from grader.errors import SandboxError
from grader.model import CaseStatus, RunLimits
from grader.sandbox import Backend, Command
from grader.sandbox.bubblewrap import BubblewrapBackend, packaged_program, system_program
from grader.sandbox.direct import DirectBackend, kernel_abi
from grader.sandbox.probe import find_weakness
from grader.sandbox.supervise import parse_exit

LIMITS = RunLimits(
    wall_seconds=30,
    cpu_seconds=30,
    memory_bytes=512 << 20,
    processes=16,
    disk_bytes=8 << 20,
    file_bytes=4 << 20,
    files=50,
    output_bytes=10_000,
)


def test_init_is_understood() -> None:
    message = parse_exit(b"exit 256 1500000 2048")
    assert message is not None
    assert (message.wait_status, message.cpu_seconds, message.peak_bytes) == (256, 1.5, 2 << 20)


@given(st.binary(max_size=60))
@example(b"exit 99999 0 0")
@example(b"exit -1 0 0")
@example(b"exit 0 0 0\n")
@example("exit ٣ 0 0".encode())
@example(b"")
def test_anything_else_is_a_fault(message: bytes) -> None:
    parsed = parse_exit(message)
    if parsed is not None:
        assert 0 <= parsed.wait_status <= 0xFFFF
        status, cpu, peak = parsed.wait_status, round(parsed.cpu_seconds * 1e6), parsed.peak_bytes
        assert message.split() == [b"exit", b"%d" % status, b"%d" % cpu, b"%d" % (peak // 1024)]


def backends() -> Iterator[Backend]:
    for program in (system_program(), packaged_program()):
        if program is not None:
            yield BubblewrapBackend(program)
    yield DirectBackend(kernel_abi())


@pytest.fixture(params=list(backends()), ids=lambda backend: backend.name)
def backend(request: pytest.FixtureRequest) -> Backend:
    chosen: Backend = request.param
    try:
        weakness = find_weakness(chosen)
    except SandboxError as error:
        weakness = error.message
    if weakness:
        pytest.skip(weakness)
    return chosen


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("work", "outputs", "images"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o755)
    return tmp_path


def command(folder: Path, program: str, **changes: Any) -> Command:
    script = folder / "work" / "evaluate.py"
    script.write_text(program)
    script.chmod(0o644)
    words: dict[str, Any] = {
        "argv": ("python", "evaluate.py"),
        "workdir": folder / "work",
        "mounts": {},
        "limits": LIMITS,
        "collect": (),
        "outputs": folder / "outputs",
    }
    return Command(**words | changes)


def test_a_program_sees_its_files_and_leaves_its_results(backend: Backend, folder: Path) -> None:
    (folder / "images" / "one.png").write_bytes(b"image")
    (folder / "work" / "models").mkdir()
    (folder / "work" / "models" / "net.py").write_text("WIDTH = 3\n")
    outcome = backend.run(
        command(
            folder,
            "import os, sys\n"
            "from models.net import WIDTH\n"
            "images, out = sys.argv[1:]\n"
            "print(WIDTH, sorted(os.listdir(images)), os.environ['OMP_NUM_THREADS'])\n"
            "print('a warning', file=sys.stderr)\n"
            "open('submission.csv', 'w').write('labels')\n"
            "open(os.path.join(out, 'weights.pth'), 'w').write('weights')\n"
            "open('models/net.py', 'w').write('changed')\n",
            argv=("python", "evaluate.py", "/test", "/out/"),
            mounts={"/test": folder / "images"},
            writable_dirs=("/out",),
            collect=("submission.csv", "/out", "missing"),
            environment={"OMP_NUM_THREADS": "2"},
        )
    )
    assert outcome.status is CaseStatus.FINISHED, outcome
    assert (outcome.exit_code, outcome.signal, outcome.limit) == (0, None, "")
    assert outcome.stdout == "3 ['one.png'] 2\n"
    assert outcome.stderr == "a warning\n"
    assert outcome.collected == ("submission.csv", "out/weights.pth")
    assert (folder / "outputs" / "out" / "weights.pth").read_text() == "weights"
    assert (folder / "work" / "models" / "net.py").read_text() == "WIDTH = 3\n"
    assert outcome.wall_seconds > 0
    assert outcome.cpu_seconds > 0
    assert outcome.peak_memory_bytes > 1 << 20


def test_one_file_can_be_shown(backend: Backend, folder: Path) -> None:
    weights = folder / "weights.pth"
    weights.write_text("weights")
    outcome = backend.run(
        command(
            folder,
            "import sys; print(open(sys.argv[1]).read())",
            argv=("python", "evaluate.py", "/checkpoint/resnet.pth"),
            mounts={"/checkpoint/resnet.pth": weights},
        )
    )
    assert outcome.stdout == "weights\n", outcome


def test_the_environment_is_the_same_everywhere(
    backend: Backend, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRADER_SECRET", "secret")
    monkeypatch.setenv("http_proxy", "http://proxy")
    monkeypatch.setenv("LANG", "de_DE.UTF-8")
    outcome = backend.run(
        command(folder, "import os\nfor item in sorted(os.environ.items()): print(*item)\n")
    )
    seen = dict(line.split(" ", 1) for line in outcome.stdout.splitlines())
    assert "GRADER_SECRET" not in seen
    assert not [name for name in seen if "proxy" in name.lower()]
    assert (seen["LANG"], seen["TZ"], seen["PYTHONHASHSEED"]) == ("C.UTF-8", "UTC", "0")
    assert seen["HOME"] == seen["TMPDIR"]


def test_runs_do_not_see_each_other(backend: Backend, folder: Path) -> None:
    program = "import os; print(os.listdir('.'), os.listdir(os.environ['TMPDIR']))\n"
    program += "open('left', 'w'); open(os.environ['TMPDIR'] + '/left', 'w')\n"
    first, second = (backend.run(command(folder, program)) for _ in range(2))
    assert first.stdout == second.stdout == "['evaluate.py'] []\n"


def test_runs_side_by_side(backend: Backend, folder: Path) -> None:
    made = [command(folder, "import time; time.sleep(0.2); print('done')")] * 4
    with ThreadPoolExecutor(len(made)) as pool:
        outcomes = list(pool.map(backend.run, made))
    assert [outcome.stdout for outcome in outcomes] == ["done\n"] * 4


def test_a_program_that_is_missing_is_the_graders_fault(backend: Backend, folder: Path) -> None:
    with pytest.raises(SandboxError, match="could not be started"):
        backend.run(command(folder, "", argv=("no-such-program",)))


def test_a_folder_that_is_missing_is_the_graders_fault(backend: Backend, folder: Path) -> None:
    with pytest.raises(SandboxError, match="no-images cannot be shown"):
        backend.run(command(folder, "", mounts={"/test": folder / "no-images"}))


def test_a_link_among_the_unpacked_files_is_the_graders_fault(
    backend: Backend, folder: Path
) -> None:
    (folder / "work" / "link").symlink_to("/etc/passwd")
    with pytest.raises(SandboxError, match="neither a file nor a folder"):
        backend.run(command(folder, ""))


def test_what_another_user_could_not_read_is_named(backend: Backend, folder: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only a grader who is root gives up root")
    (folder / "images" / "one.png").touch(mode=0o600)
    with pytest.raises(SandboxError, match=r"one\.png: the sandbox gives up root"):
        backend.run(command(folder, "", mounts={"/test": folder / "images"}))


def test_the_death_of_init_is_the_graders_fault(backend: Backend, folder: Path) -> None:
    """Killed from outside, as by the system when memory runs out: never the student's zero."""
    mark = "a-mark-in-the-arguments"
    killer = threading.Thread(target=_kill_init, args=(mark,))
    killer.start()
    with pytest.raises(SandboxError, match="the sandbox broke while the command ran"):
        backend.run(
            command(
                folder,
                "import time; time.sleep(30)",
                argv=("python", "evaluate.py", mark),
            )
        )
    killer.join()


def _kill_init(mark: str) -> None:
    """Kill the parent of the process that has `mark` among its arguments."""
    while True:
        for process in Path("/proc").iterdir():
            if process.name.isdigit() and process.name != str(os.getpid()):
                try:
                    words = (process / "cmdline").read_bytes().split(b"\0")
                    stat = (process / "stat").read_text().rpartition(")")[2].split()
                except OSError:
                    continue
                if mark.encode() in words and b"evaluate.py" in words:
                    os.kill(int(stat[1]), signal.SIGKILL)
                    return
