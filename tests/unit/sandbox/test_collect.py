from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.errors import SandboxError
from grader.model import RunLimits
from grader.sandbox.collect import CollectedFiles, collect_files

LIMITS = RunLimits(
    wall_seconds=1,
    cpu_seconds=1,
    memory_bytes=1,
    processes=1,
    disk_bytes=1000,
    file_bytes=400,
    files=40,
    output_bytes=1,
)


@contextmanager
def opened(**folders: Path) -> Iterator[dict[str, int]]:
    descriptors = {f"/{name}": os.open(path, os.O_RDONLY) for name, path in folders.items()}
    try:
        yield descriptors
    finally:
        for descriptor in descriptors.values():
            os.close(descriptor)


def collect(work: Path, *wanted: str, limits: RunLimits = LIMITS) -> tuple[CollectedFiles, Path]:
    outputs = work.parent / "outputs"
    outputs.mkdir()
    with opened(work=work) as folders:
        return collect_files(folders, wanted, limits, outputs), outputs


@pytest.fixture
def work(tmp_path: Path) -> Path:
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def test_files_and_folders_keep_their_places(work: Path, tmp_path: Path) -> None:
    (work / "maps" / "inner").mkdir(parents=True)
    (work / "maps" / "b.png").write_bytes(b"b")
    (work / "maps" / "a.png").write_bytes(b"a")
    (work / "maps" / "inner" / "c.png").write_bytes(b"c")
    (work / "labels.csv").write_text("labels")
    (work / "other.txt").write_text("not wanted")
    files, outputs = collect(work, "labels.csv", "maps", "missing", "no/such/place")
    assert files.collected == ("labels.csv", "maps/a.png", "maps/b.png", "maps/inner/c.png")
    assert files.refused == ()
    assert (outputs / "maps" / "inner" / "c.png").read_bytes() == b"c"
    assert not (outputs / "other.txt").exists()


def test_a_writable_folder_is_named_from_the_root(work: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "weights.pth").write_bytes(b"w")
    (tmp_path / "outputs").mkdir()
    with opened(work=work, out=out) as folders:
        files = collect_files(folders, ("/out", "/out/weights.pth"), LIMITS, tmp_path / "outputs")
    assert files == CollectedFiles(("out/weights.pth",), ())


def test_everything_but_plain_files_is_refused(work: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    out = work / "out"
    out.mkdir()
    (out / "link").symlink_to(secret)
    os.mkfifo(out / "fifo")
    (out / "one").write_text("twice")
    os.link(out / "one", out / "two")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(out / "socket"))
    (out / "new\nline").touch()
    (out / "back\\slash").touch()
    os.close(os.open(bytes(out) + b"/\xff", os.O_CREAT))
    (work / "alias").symlink_to(out)
    (work / "labels.csv").symlink_to(secret)
    files, outputs = collect(work, "out", "alias", "alias/one", "labels.csv")
    assert files.collected == ()
    reasons = dict(files.refused)
    assert reasons["out/link"] == reasons["labels.csv"] == reasons["alias"] == "a symbolic link"
    assert reasons["out/fifo"] == "a named pipe"
    assert reasons["out/socket"] == "a socket"
    assert "hard link" in reasons["out/one"]
    assert "hard link" in reasons["out/two"]
    assert "control characters" in reasons["out/new\nline"]
    assert "backslashes" in reasons["out/back\\slash"]
    assert "bad encoding" in reasons["out/\udcff"]
    assert "alias/one" in reasons
    assert list(outputs.iterdir()) == []


def test_a_device_is_refused(work: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can make a device")
    (work / "out").mkdir()
    os.mknod(work / "out" / "zero", 0o20666, os.makedev(1, 5))
    files, _ = collect(work, "out")
    assert files == CollectedFiles((), (("out/zero", "a device"),))


def test_sizes_are_bounded_one_by_one_and_together(work: Path) -> None:
    (work / "out").mkdir()
    for name in "abcd":
        (work / "out" / name).write_bytes(b"x" * 300)
    (work / "out" / "huge").touch()
    os.truncate(work / "out" / "huge", 1 << 40)
    files, outputs = collect(work, "out")
    assert files.collected == ("out/a", "out/b", "out/c")
    reasons = dict(files.refused)
    assert "too much in all" in reasons["out/d"]
    assert "too large: 1024.0 GiB, 400 bytes are allowed" in reasons["out/huge"]
    assert sum(path.stat().st_size for path in (outputs / "out").iterdir()) == 900


def test_numbers_and_depth_are_bounded(work: Path) -> None:
    (work / "many").mkdir()
    for number in range(60):
        (work / "many" / str(number)).touch()
    deep = work / "deep" / "/".join("d" * 30)
    deep.mkdir(parents=True)
    (deep / "bottom").touch()
    files, _ = collect(work, "deep", "many", limits=replace(LIMITS, files=50))
    assert len(files.collected) <= 50
    reasons = dict(files.refused)
    assert "too many files (50 are allowed)" in reasons["many"]
    assert any("folders deep" in reason for reason in reasons.values())


def test_refusals_do_not_grow_without_bound(work: Path) -> None:
    (work / "out").mkdir()
    for number in range(300):
        (work / "out" / str(number)).symlink_to("nowhere")
    files, _ = collect(work, "out", limits=replace(LIMITS, files=1000))
    assert len(files.refused) == 101
    assert files.refused[-1][0] == "..."


def test_a_folder_closed_to_everybody_does_not_stop_the_rest(work: Path) -> None:
    (work / "out" / "closed").mkdir(parents=True)
    (work / "out" / "closed" / "x").touch()
    (work / "out" / "good").touch()
    (work / "out" / "closed").chmod(0)
    files, _ = collect(work, "out")
    (work / "out" / "closed").chmod(0o700)
    assert "out/good" in files.collected
    if os.geteuid() != 0:
        assert "Permission denied" in dict(files.refused)["out/closed"]


def test_a_full_folder_of_the_graders_is_the_graders_fault(work: Path, tmp_path: Path) -> None:
    (work / "labels.csv").touch()
    (tmp_path / "outputs").mkdir()
    (tmp_path / "outputs" / "labels.csv").touch()
    with opened(work=work) as folders, pytest.raises(SandboxError, match="could not be written"):
        collect_files(folders, ("labels.csv",), LIMITS, tmp_path / "outputs")


NAME = st.one_of(
    st.sampled_from(["a", "b", "ü", " ", "..."]), st.text("ab\n\\.", min_size=1, max_size=4)
).filter(lambda name: name not in {".", ".."})
KIND = st.sampled_from(["file", "big", "link", "fifo", "twin", "outside"])
TREE = st.recursive(KIND, lambda inner: st.dictionaries(NAME, inner, max_size=4), max_leaves=20)


@settings(max_examples=60)
@given(st.dictionaries(NAME, TREE, max_size=4))
def test_whatever_is_left_only_small_plain_files_come_out(
    tmp_path_factory: pytest.TempPathFactory, tree: dict[str, object]
) -> None:
    base = tmp_path_factory.mktemp("wild")
    secret = base / "secret"
    secret.write_text("secret")
    twin = base / "twin"
    twin.write_text("secret")
    work = base / "work"

    def make(path: Path, node: object) -> None:
        if isinstance(node, dict):
            path.mkdir()
            for name, inner in node.items():
                make(path / name, inner)
        elif node == "file":
            path.write_text("plain")
        elif node == "big":
            path.touch()
            os.truncate(path, 10_000)
        elif node == "fifo":
            os.mkfifo(path)
        elif node == "twin":
            os.link(twin, path)
        else:
            path.symlink_to(secret if node == "link" else base)

    make(work, {"out": tree})
    files, outputs = collect(work, "out")
    copies = [path for path in outputs.rglob("*") if not path.is_dir()]
    assert sorted(str(path.relative_to(outputs)) for path in copies) == sorted(files.collected)
    assert all(path.read_text() == "plain" and not path.is_symlink() for path in copies)
    assert len(copies) <= LIMITS.files
    assert {path for path, _ in files.refused}.isdisjoint(files.collected)
