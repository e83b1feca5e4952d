"""`grader score` says what it needs: masks where they are measured, images where they are not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

GRADER = Path(sys.executable).with_name("grader")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--assignment", "col775-a1"], "col775-a1 needs the hidden images"),
        ([], "ail721-a2 measures masks"),
        (["--images", "."], "give --gt MASKS/"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, arguments: list[str], says: str) -> None:
    zip_path = tmp_path / "2023AIB2080.zip"
    zip_path.write_bytes(b"")

    ended = subprocess.run(
        [GRADER, "score", zip_path, *arguments, "--out", tmp_path / "report"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )

    assert ended.returncode == 2, ended.stdout + ended.stderr
    assert says in ended.stderr
    assert "Traceback" not in ended.stderr
