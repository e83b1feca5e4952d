"""What unit tests of several rooms share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from grader.model import CheckedLayout, InspectedZip, TreeFile, UnpackedTree

LayoutOf = Callable[..., CheckedLayout]

_ROLES = {
    "evaluate": ("evaluate.py", "eval.py"),
    "train": ("train.py",),
    "checkpoint": ("resnet_model.pth",),
}


@pytest.fixture
def layout_of(tmp_path: Path) -> LayoutOf:
    """Make the CheckedLayout of a submission out of its files: path → content."""

    def make(files: Mapping[str, str | bytes], base: str = "") -> CheckedLayout:
        root = tmp_path / "submission"
        listed = []
        for name, content in files.items():
            path = root / base / name
            path.parent.mkdir(parents=True, exist_ok=True)
            data = content.encode() if isinstance(content, str) else content
            path.write_bytes(data)
            listed.append(TreeFile(path.relative_to(root).as_posix(), len(data), ""))
        root.mkdir(exist_ok=True)
        inspected = InspectedZip(tmp_path / "x.zip", "", 0, None, (), ())
        roles = {
            role: next(name for name in names if name in files)
            for role, names in _ROLES.items()
            if any(name in files for name in names)
        }
        return CheckedLayout(UnpackedTree(inspected, root, tuple(listed), ()), base, roles, ())

    return make
