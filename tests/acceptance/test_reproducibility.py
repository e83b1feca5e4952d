"""The same zip gives the same report.json, wherever, whenever and by whomever it is scored.

Apart from `volatile`, where times, host, costs and printed text stand, not a byte may differ.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from fixtures.course import Course
from tests.acceptance.conftest import GRADER
from tests.other_user import as_other_user

ROOT = Path(__file__).parents[2]
USER = 1_800_000_002
# Everything about a process that a mark must not depend on, and a hash seed for good measure.
HERE = {"TZ": "UTC", "LC_ALL": "C", "OMP_NUM_THREADS": "1", "PYTHONHASHSEED": "1"}
ELSEWHERE = {
    "TZ": "Pacific/Kiritimati",
    "LC_ALL": "C.UTF-8",
    "LANG": "tr_TR.UTF-8",
    "LANGUAGE": "hi",
    "OMP_NUM_THREADS": "2",
    "OPENBLAS_NUM_THREADS": "2",
    "PYTHONHASHSEED": "77",
    "COLUMNS": "41",
    "HOME": "/nowhere",
    "USER": "somebody",
}


@pytest.fixture
def elsewhere() -> Iterator[Path]:
    """A folder that every user may use, outside of those that pytest closes to others."""
    with tempfile.TemporaryDirectory(prefix="elsewhere ü ") as name:
        Path(name).chmod(0o777)
        yield Path(name)


def _score(
    zip_path: Path,
    course: Path,
    out: Path,
    variables: Mapping[str, str],
    *options: str,
    umask: int = 0o022,
    run: Callable[..., subprocess.CompletedProcess[str]] = subprocess.run,
) -> dict[str, Any]:
    argv = [str(GRADER), "score", str(zip_path), "--gt", str(course / "MASKS" / "test")]
    done = run(
        [*argv, "--out", str(out), *options],
        cwd="/",
        env={"PATH": os.environ["PATH"], **variables},
        umask=umask,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode in (0, 1), done.stdout + done.stderr
    report: dict[str, Any] = json.loads((out / "report.json").read_text("utf-8"))
    assert report.pop("volatile")
    assert report["marks"]["given"] != "0"
    return report


def test_another_folder_time_zone_language_umask_and_number_of_threads(
    zip_of: Callable[[str], Path],
    course: Course,
    small_definition: Path,
    tmp_path: Path,
    elsewhere: Path,
) -> None:
    zip_path = zip_of("accepted/as-asked")
    options = ("--assignment", str(small_definition))
    first = _score(zip_path, course.root, tmp_path / "out", HERE, *options)
    assert first["independent"]["labels"], "the network's own sums are part of the promise"
    moved = Path(shutil.copy(zip_path, elsewhere / zip_path.name))
    shutil.copytree(course.root, elsewhere / "truth of this year")
    os.utime(moved, (0, 0))
    temporary = elsewhere / "tmp"
    temporary.mkdir()
    second = _score(
        moved,
        elsewhere / "truth of this year",
        elsewhere / "out",
        {**ELSEWHERE, "TMPDIR": str(temporary)},
        *options,
        umask=0o077,
    )
    assert json.dumps(second) == json.dumps(first)
    assert not list(temporary.iterdir())
    for text in (str(elsewhere), str(tmp_path), str(course.root)):
        assert text not in json.dumps(second)


def test_another_user(
    zip_of: Callable[[str], Path], course: Course, tmp_path: Path, elsewhere: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    zip_path = zip_of("accepted/as-asked")
    first = _score(zip_path, course.root, tmp_path / "out", HERE, "--no-independent")
    moved = Path(shutil.copy(zip_path, elsewhere / zip_path.name))
    needed = [ROOT, course.root, moved]
    second = _score(
        moved,
        course.root,
        elsewhere / "out",
        {**ELSEWHERE, "TMPDIR": str(elsewhere)},
        "--no-independent",
        run=lambda argv, **options: _as_another_user(argv, needed, **options),
    )
    assert (elsewhere / "out" / "report.json").stat().st_uid == USER
    assert json.dumps(second) == json.dumps(first)


def _as_another_user(
    argv: Sequence[str], needed: Sequence[Path], env: Mapping[str, str], check: bool, **options: Any
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(as_other_user(USER, argv, env, needed), env={}, check=check, **options)
