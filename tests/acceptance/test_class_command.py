"""`grader class` and its company as a teaching assistant types them, on real worker processes."""

from __future__ import annotations

import json
import os
import pty
import select
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from fixtures.build_submissions import build, list_fixtures
from fixtures.course import Course
from tests.acceptance.conftest import GRADER, Run

# What each gives: full marks, less, none because nothing came of it, none because it is no zip.
HANDED_IN = {
    "2023AIB2001": "accepted/as-asked",
    "2023AIB2002": "flawed/masks-inverted",
    "2023AIB2003": "partly-graded/no-checkpoint",
    "2023AIB2004": "rejected/not-a-zip",
}


@pytest.fixture(scope="module")
def class_of(tmp_path_factory: pytest.TempPathFactory, course: Course) -> Callable[[], Path]:
    """A fresh copy of the class's zips."""
    built = tmp_path_factory.mktemp("built")
    by_id = {fixture.id: fixture for fixture in list_fixtures()}
    for key, fixture in HANDED_IN.items():
        shutil.move(build(by_id[fixture], course, built), built / f"{key}.zip")

    def copied() -> Path:
        folder = tmp_path_factory.mktemp("class") / "zips"
        shutil.copytree(built, folder)
        return folder

    return copied


@pytest.fixture
def arguments(class_of: Callable[[], Path], course: Course, tmp_path: Path) -> list[str]:
    """A class as it is graded in these tests; `results` lies in the test's folder."""
    words = ["class", class_of(), "--gt", course.masks, "--out", tmp_path / "results"]
    return [*map(str, words), "--no-independent", "--no-similar", "--workers", "2"]


def _kept(results: Path) -> dict[str, Any]:
    """All results, without what differs from run to run."""
    with closing(sqlite3.connect(results / "class.sqlite")) as connection:
        rows = connection.execute(
            "SELECT key, why, zip_sha256, marks, awards FROM result"
        ).fetchall()
        states = connection.execute("SELECT key, state FROM submission").fetchall()
    reports = {}
    for path in sorted((results / "reports").glob("*/report.json")):
        reports[path.parent.name] = json.loads(path.read_text("utf-8"))
        del reports[path.parent.name]["volatile"]
        assert path.with_name("report.html").stat().st_size > 10_000
    return {"rows": sorted(rows), "states": sorted(states), "reports": reports}


def test_a_class_is_graded_looked_at_regraded_adjusted_and_compared(
    grader: Run, arguments: list[str], tmp_path: Path
) -> None:
    results = tmp_path / "results"
    done = grader(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[4/4]" in done.stdout
    assert results.stat().st_mode & 0o077 == 0
    first = _kept(results)
    assert [len(first[name]) for name in ("rows", "states", "reports")] == [4, 4, 4]
    verdicts = {key: report["verdict"] for key, report in first["reports"].items()}
    assert verdicts == {
        "2023AIB2001": "graded",
        "2023AIB2002": "graded",
        "2023AIB2003": "partly-graded",
        "2023AIB2004": "rejected",
    }

    again = grader(*arguments)
    assert again.returncode == 0
    assert "nothing to do" in again.stdout
    status = grader("status", results)
    assert status.returncode == 0
    assert "4 of 4 done" in status.stdout

    because = ["--because", "agreed in class"]
    adjusted = grader("adjust", results, "2023AIB2002", "segmentation", "1.25", *because)
    assert adjusted.returncode == 0, adjusted.stderr
    before = tmp_path / "before"
    shutil.copytree(results, before)

    zips = Path(arguments[1])
    shutil.copy(zips / "2023AIB2001.zip", zips / "2023AIB2003.zip")
    regraded = grader("regrade", results, "2023aib2002", "2023AIB2003", "--because", "a new zip")
    assert regraded.returncode == 0, regraded.stdout + regraded.stderr
    assert "2 done" not in regraded.stdout
    difference = grader("diff", before, results)
    assert difference.returncode == 1
    assert "2023AIB2003: 0 → " in difference.stdout
    assert "the zip changed" in difference.stdout
    assert "a new zip" in difference.stdout
    assert "1 changed" in difference.stdout  # the adjusted one keeps its marks
    past = grader("diff", results)
    assert past.returncode == 1
    assert "2023AIB2003: 0 → " in past.stdout
    assert "1 changed" in past.stdout
    assert (results / "reports" / "2023AIB2003" / "earlier").is_dir()


def test_a_graded_class_is_compared_with_itself_once(
    grader: Run, arguments: list[str], tmp_path: Path
) -> None:
    results = tmp_path / "results"
    arguments = [word for word in arguments if word != "--no-similar"]
    roster = Path(arguments[1]) / "roster.csv"
    roster.write_text("entry_number,name,email\n2023AIB2001,Asha Rao,asha@example.org\n", "utf-8")
    done = grader(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "6 pairs of submissions compared, 3 worth a look, in 1 group" in done.stdout
    document = json.loads((results / "similarity.json").read_text("utf-8"))
    # All but the one that is no zip are the same program.
    (cluster,) = document["clusters"]
    assert sorted(cluster["members"]) == ["2023AIB2001", "2023AIB2002", "2023AIB2003"]
    # Signatures of the masks are kept where there are some; nothing of the truth leaves by them.
    kept = {path.parent.name for path in (results / "reports").glob("*/masks.json")}
    assert kept == {"2023AIB2001", "2023AIB2002"}
    written = (results / "similarity.json").stat().st_mtime_ns
    again = grader(*arguments)
    assert again.returncode == 0
    assert "3 worth a look" in again.stdout
    assert (results / "similarity.json").stat().st_mtime_ns == written, "nothing has changed"
    assert "3 worth a look" in grader("status", results).stdout

    assert grader("report", results, "--html", tmp_path / "site").returncode == 0
    index = (tmp_path / "site" / "index.html").read_text("utf-8")
    assert 'href="similar/index.html"' in index
    for pair in document["pairs"]:
        assert (tmp_path / "site" / "similar" / pair["page"]).is_file()

    # The cache cannot be written any more: that costs nobody a mark, and is told.
    shutil.rmtree(results / ".fingerprints")
    (results / ".fingerprints").write_text("in the way")
    shutil.copy(Path(arguments[1]) / "2023AIB2001.zip", Path(arguments[1]) / "2023AIB2003.zip")
    failed = grader(*arguments)
    assert failed.returncode == 3
    assert "4 done" in failed.stdout
    assert "the submissions were not compared" in failed.stderr
    assert "marks and reports are complete" in failed.stderr
    (results / ".fingerprints").unlink()
    mended = grader(*arguments)
    assert mended.returncode == 0
    assert (results / "similarity.json").stat().st_mtime_ns != written
    document = json.loads((results / "similarity.json").read_text("utf-8"))
    copied = {"2023AIB2001", "2023AIB2003"}
    (same,) = (pair for pair in document["pairs"] if {pair["left"], pair["right"]} == copied)
    assert "masks.identical" in {evidence["code"] for evidence in same["evidence"]}


def test_what_a_comparison_needs_is_looked_at_before_hours_of_grading(
    grader: Run, arguments: list[str], tmp_path: Path
) -> None:
    (tmp_path / "broken").write_text("no archive")
    for words, told in (
        (["--archive", tmp_path / "broken"], "no archive"),
        (["--archive", tmp_path / "nothing"], "nothing"),
        (["--base", tmp_path / "nothing"], "no such file"),
    ):
        done = grader(*arguments, *words)
        assert done.returncode == 2, words
        assert told in done.stderr
        assert not (tmp_path / "results").exists()


def _running(arguments: list[str], folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [GRADER, *arguments], cwd=folder, stdout=subprocess.PIPE, text=True, bufsize=1
    )


def _offspring(process: subprocess.Popen[str]) -> list[psutil.Process]:
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.parametrize("after", [1, 2])
def test_a_killed_class_goes_on_where_it_was(
    grader: Run, arguments: list[str], tmp_path: Path, after: int
) -> None:
    results = tmp_path / "results"
    process = _running(arguments, tmp_path)
    assert process.stdout is not None
    for _ in range(after):
        assert process.stdout.readline().startswith("[")
    offspring = _offspring(process)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    _, alive = psutil.wait_procs(offspring, timeout=60)
    assert not alive  # nobody goes on grading for a class that is gone

    status = grader("status", results)
    assert status.returncode == 1
    assert "nobody is at work" in status.stdout
    kept = _kept(results)
    assert len(kept["rows"]) >= after
    done = grader(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    after_all = _kept(results)
    assert {key for key, *_ in after_all["rows"]} == set(HANDED_IN)
    assert len(after_all["rows"]) == len(HANDED_IN)
    assert set(kept["rows"]) <= set(after_all["rows"])


@pytest.fixture
def endless(arguments: list[str], course: Course) -> Path:
    """One submission more, in the class of `arguments`, that runs until its time limit."""
    fixture = next(one for one in list_fixtures() if one.id == "partly-graded/time-out")
    path = Path(arguments[1]) / "2023AIB2000.zip"
    shutil.move(build(fixture, course, path.parent), path)
    return path


def _until_closed(master: int) -> Iterator[str]:
    while select.select([master], [], [], 120)[0]:
        try:
            data = os.read(master, 65_536)
        except OSError:
            return
        if not data:
            return
        yield data.decode(errors="replace")


@pytest.mark.timeout(900)  # five submissions, on a machine that may be busy
def test_a_terminal_shows_what_runs_and_ctrl_c_says_how_to_go_on(
    grader: Run, arguments: list[str], endless: Path, tmp_path: Path
) -> None:
    child, master = pty.fork()
    if child == 0:
        os.environ["COLUMNS"] = "100"
        # a test run in the background ignores it, and what it starts would inherit that
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        os.execv(GRADER, [str(GRADER), *arguments])
    seen, asked = "", False
    try:
        for text in _until_closed(master):
            seen += text
            if not asked and "[4/5]" in seen:
                asked = True
                os.write(master, b"\x03")  # the terminal turns it into SIGINT for all processes
    except BaseException:
        os.kill(child, signal.SIGKILL)  # nobody reads its terminal any more
        raise
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 130, seen
    assert "2023AIB2000  running the student's program" in seen
    assert "\033[" in seen
    assert "go on with: grader class" in seen
    assert "Traceback" not in seen
    assert grader("status", tmp_path / "results").returncode == 1
    shutil.copy(endless.with_name("2023AIB2001.zip"), endless)
    done = grader(*arguments)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "[5/5] 2023AIB2000: graded" in done.stdout
    assert "2023AIB2001: graded" not in done.stdout
    assert len(_kept(tmp_path / "results")["rows"]) == len(HANDED_IN) + 1


def test_a_second_run_in_the_same_folder_is_refused(
    grader: Run, arguments: list[str], endless: Path, tmp_path: Path
) -> None:
    process = _running(arguments, tmp_path)
    assert process.stdout is not None
    process.stdout.readline()
    second = grader(*arguments)
    status = grader("status", tmp_path / "results")
    process.terminate()
    process.communicate()
    assert process.returncode == 130
    assert second.returncode == 2
    assert f"process {process.pid}" in second.stderr
    assert "at work: process" in status.stdout


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        (["--scheduler", "tcp://127.0.0.1:9"], "exclude each other"),
        (["--gt", "/nowhere"], "/nowhere"),
        (["--assignment", "none-such"], "none-such"),
    ],
)
def test_wrong_usage_is_told_before_anything_runs(
    grader: Run, arguments: list[str], changed: list[str], told: str
) -> None:
    done = grader(*arguments, *changed)
    assert done.returncode == 2
    assert told in done.stderr


def test_results_do_not_go_among_the_submissions(grader: Run, arguments: list[str]) -> None:
    done = grader(*arguments, "--out", arguments[1])
    assert done.returncode == 2
    assert "is the folder of the submissions" in done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["status"], "holds no results of a class"),
        (["regrade", "--because", "x"], "holds no results of a class"),
        (["diff"], "holds no results of a class"),
        (["adjust", "a", "b", "1", "--because", "x"], "holds no results of a class"),
    ],
)
def test_a_folder_without_results_is_named(
    grader: Run, tmp_path: Path, words: list[str], told: str
) -> None:
    done = grader(words[0], tmp_path, *words[1:])
    assert done.returncode == 2
    assert told in done.stderr


def test_what_a_roster_said_does_not_go_away_in_silence(
    grader: Run, arguments: list[str], tmp_path: Path
) -> None:
    submissions = Path(arguments[1])
    for path in sorted(submissions.iterdir())[1:]:
        path.unlink()
    roster = tmp_path / "people.csv"
    roster.write_text(
        "entry_number,name,Late (hours),team\n2023AIB2001,Asha,3,4\n2023AIB2999,Bela,3,4\n", "utf-8"
    )
    first = grader(*arguments, "--roster", roster)
    again = grader(*arguments)
    assert (first.returncode, again.returncode) == (0, 0)
    assert "not used: Late (hours)" in first.stdout
    assert "by several people together: Asha, Bela (" in first.stdout
    assert "without" not in first.stderr
    assert f"lateness are without {roster}" in again.stderr
