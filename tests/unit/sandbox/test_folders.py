from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.sandbox.folders import count_tree, erase_tree, measure_untrusted

PAGE = os.sysconf("SC_PAGE_SIZE")


def dig(folder: Path, levels: int, name: str = "d" * 100) -> None:
    """Make folders deeper than a path may be long, without changing this process's folder."""
    current = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(name, dir_fd=current)
        inner = os.open(name, os.O_RDONLY, dir_fd=current)
        os.close(current)
        current = inner
    os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=current))
    os.close(current)


def test_a_tree_is_counted_in_pages(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "one").write_bytes(b"x")
    (tmp_path / "empty").touch()
    assert count_tree(tmp_path) == (PAGE, 3)
    assert count_tree(tmp_path / "inner") == (PAGE, 1)


def test_measuring_stops_when_it_is_enough(tmp_path: Path) -> None:
    for number in range(30):
        (tmp_path / str(number)).write_bytes(b"x" * 100)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        assert measure_untrusted(folder, 30)[1] == 30
        assert measure_untrusted(folder, 30)[0] >= 30 * 100
        assert measure_untrusted(folder, 10)[1] == 11
    finally:
        os.close(folder)


def test_a_tree_without_bottom_counts_as_enough(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    dig(tmp_path / "deep", 300)
    folder = os.open(tmp_path, os.O_RDONLY)
    try:
        assert measure_untrusted(folder, 5000)[1] > 5000
    finally:
        os.close(folder)
    erase_tree(tmp_path / "deep")


def test_links_are_measured_not_followed(tmp_path: Path) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "big").write_bytes(b"x" * 1_000_000)
    (tmp_path / "inside" / "link").symlink_to(tmp_path / "big")
    (tmp_path / "inside" / "loop").symlink_to(tmp_path / "inside")
    folder = os.open(tmp_path / "inside", os.O_RDONLY)
    try:
        size, files = measure_untrusted(folder, 100)
        assert files == 2
        assert size < 100_000
    finally:
        os.close(folder)


def test_erasing_reaches_any_depth_and_follows_nothing(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.write_text("kept")
    victim = tmp_path / "victim"
    victim.mkdir()
    dig(victim, 150)
    (victim / "link").symlink_to(tmp_path)
    (victim / "locked").mkdir()
    (victim / "locked" / "file").touch()
    (victim / "locked").chmod(0)
    os.mkfifo(victim / "fifo")
    erase_tree(victim)
    assert not victim.exists()
    assert kept.read_text() == "kept"


NAMES = st.sampled_from(["a", "b", "...", "x y", "\n"])
TREES = st.recursive(st.none(), lambda inner: st.dictionaries(NAMES, inner, max_size=4))


@given(TREES)
def test_erasing_leaves_nothing(tmp_path_factory: pytest.TempPathFactory, tree: object) -> None:
    top = tmp_path_factory.mktemp("erase") / "top"

    def make(path: Path, node: object) -> None:
        if isinstance(node, dict):
            path.mkdir()
            for name, inner in node.items():
                make(path / name, inner)
        else:
            path.touch()

    make(top, tree if isinstance(tree, dict) else {})
    erase_tree(top)
    assert not top.exists()
