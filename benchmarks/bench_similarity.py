"""Finding planted copies, and what it costs: `grader similar` beside copydetect and compare50.

    python -m benchmarks.bench_similarity [--classes SEED …] [--numbers N …] [--lines N]

Classes come from a grammar of submissions to the butterfly assignment (similarity_classes/), with
copies of known obfuscations: *standard* (verbatim, comments, renames, function order, statement
order, dead code, control flow, all combined, split over files, 30 % partial) and *hard* (15 to 30 %
partial with everything, also with expressions pulled into temporaries; 70 % dead code). The seeds
here were never used while the engine was made. AP is the average precision of the planted pairs;
recall is that at the first false positive. Costs are those of the whole command, the memory that
of all its processes together. Peers run where PEERS_PYTHON (else this interpreter) has them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from tabulate import tabulate

from benchmarks.similarity_classes.generate import submission
from benchmarks.similarity_classes.obfuscate import Files
from benchmarks.similarity_classes.planted import PlantedClass, hard_class, standard_class

SEEDS = (20260, 20261)
CLASS_SIZE, CLASS_LINES = 80, 600  # the real submissions of ail721-a2 have about 1900
NUMBERS, COST_LINES = (50, 100, 200, 500), 400
PEERS_UP_TO = 100  # submissions; beyond, a peer takes minutes
PEERS = ("copydetect", "compare50")
GOALS = {"AP standard": 0.99, "AP hard": 0.95, "recall hard": 0.90}
# 6 s and 300 MB for 200 submissions of 390,000 lines, 12 s for 500, on two quiet cores
SECONDS_GOALS = {50: 3.0, 100: 4.0, 200: 6.0, 500: 12.0}
MEMORY_GOAL_MB = 300.0

GRADER = str(Path(sys.executable).with_name("grader"))
PEER_PROGRAM = Path(__file__).parent / "similarity_classes" / "peer_scores.py"
PEERS_PYTHON = os.environ.get("PEERS_PYTHON", sys.executable)
MB = 1_000_000

Scores = dict[tuple[str, str], float]


def write_class(folder: Path, submissions: dict[str, Files]) -> int:
    """Lay a class out as folders; the number of its lines."""
    lines = 0
    for name, files in submissions.items():
        for path, text in files.items():
            place = folder / name / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text, "utf-8")
            lines += text.count("\n")
    return lines


def measured(command: list[str]) -> tuple[float, float]:
    """Seconds and peak MB of a command with all its processes."""
    peak = 0.0
    ended = threading.Event()

    def watch(group: int) -> None:
        nonlocal peak
        while not ended.wait(0.02):
            peak = max(peak, _group_mb(group))

    start = time.perf_counter()
    with subprocess.Popen(
        command,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        watcher = threading.Thread(target=watch, args=(process.pid,))
        watcher.start()
        _, errors = process.communicate()
        seconds = time.perf_counter() - start
        ended.set()
        watcher.join()
    if process.returncode:
        raise RuntimeError(f"{command[0]} ended with {process.returncode}: {errors[-2000:]}")
    return seconds, peak


def _group_mb(session: int) -> float:
    """Memory of all processes of a session, shared pages counted once (PSS)."""
    total = 0
    for place in Path("/proc").glob("[0-9]*"):
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            if int(fields[3]) == session:
                rollup = (place / "smaps_rollup").read_text()
                total += int(rollup.split("\nPss:")[1].split()[0]) * 1024
        except (OSError, IndexError, ValueError):
            continue  # it has ended meanwhile
    return total / MB


def our_scores(folder: Path, scratch: Path) -> tuple[Scores, float, float]:
    """Scores of all pairs that the command reports, seconds and MB."""
    out = scratch / "ours.json"
    seconds, peak = measured([GRADER, "similar", str(folder), "--source-only", "--json", str(out)])
    document = json.loads(out.read_text("utf-8"))
    return (
        {(a, b): score for a, row in document["scores"].items() for b, score in row.items()},
        seconds,
        peak,
    )


def peer_scores(tool: str, folder: Path, scratch: Path) -> tuple[Scores, float, float] | None:
    """The same of a peer, or None where it is not installed."""
    if subprocess.run(
        [PEERS_PYTHON, "-c", f"import {tool}"], capture_output=True, check=False
    ).returncode:
        return None
    out = scratch / f"{tool}.json"
    seconds, peak = measured([PEERS_PYTHON, str(PEER_PROGRAM), tool, str(folder), str(out)])
    found = json.loads(out.read_text("utf-8"))
    return {(a, b): score for a, b, score in found}, seconds, peak


def average_precision(scores: Scores, planted: PlantedClass) -> tuple[float, float]:
    """Average precision, and recall before the first false positive; ties count against."""
    names = sorted(planted.submissions)
    pairs = [(a, b) for i, a in enumerate(names) for b in names[i + 1 :]]
    ranked = sorted(pairs, key=lambda pair: (-scores.get(pair, 0.0), pair in planted.planted))
    hits = 0
    precisions = 0.0
    clean: int | None = None
    for rank, pair in enumerate(ranked, start=1):
        if pair in planted.planted:
            hits += 1
            precisions += hits / rank
        elif clean is None:
            clean = hits
    total = len(planted.planted)
    return precisions / total, (hits if clean is None else clean) / total


def quality(seeds: tuple[int, ...]) -> list[dict[str, Any]]:
    """AP and recall on classes of held-out seeds; means over the seeds."""
    found: dict[str, dict[str, list[float]]] = {}
    for seed in seeds:
        for kind, make in (("standard", standard_class), ("hard", hard_class)):
            planted = make(CLASS_SIZE, seed, CLASS_LINES)
            with tempfile.TemporaryDirectory(prefix="bench-similar-") as name:
                folder, scratch = Path(name) / "class", Path(name)
                write_class(folder, planted.submissions)
                tools = {"ours": our_scores(folder, scratch)}
                tools |= {tool: peer_scores(tool, folder, scratch) for tool in PEERS}
            for tool, result in tools.items():
                if result is None:
                    continue
                precision, recall = average_precision(result[0], planted)
                values = found.setdefault(tool, {})
                values.setdefault(f"AP {kind}", []).append(precision)
                values.setdefault(f"recall {kind}", []).append(recall)
    rows = []
    for what, goal in GOALS.items():
        ours = _mean(found["ours"][what])
        for tool in PEERS:
            theirs = _mean(found[tool][what]) if tool in found else None
            name = f"{what}, N = {CLASS_SIZE} / {tool}{'' if tool in found else ' (not installed)'}"
            rows.append(
                {
                    "name": name,
                    "ours": ours,
                    "theirs": theirs,
                    "unit": "of 1",
                    "ratio": ours / theirs if theirs else None,
                    "goal": f"≥ {goal:g}",
                    "ok": ours >= goal,
                }
            )
    return rows


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)


def costs(numbers: tuple[int, ...], lines: int) -> list[dict[str, Any]]:
    """Seconds and peak MB for classes of growing size, beside the goal, and peers where they
    answer within minutes."""
    rows = []
    largest = {f"s{i:03}": submission(f"cost/{i}", lines) for i in range(max(numbers))}
    for number in numbers:
        class_ = dict(list(largest.items())[:number])
        with tempfile.TemporaryDirectory(prefix="bench-similar-") as name:
            folder, scratch = Path(name) / "class", Path(name)
            total = write_class(folder, class_)
            _, seconds, peak = our_scores(folder, scratch)
            title = f"N = {number}, {total // 1000}k lines"
            goal = SECONDS_GOALS.get(number, 12.0)
            rows.append(_cost(f"{title} / goal", seconds, goal, "s"))
            rows.append(_cost(f"{title}, peak / goal", peak, MEMORY_GOAL_MB, "MB"))
            for tool in PEERS if number <= PEERS_UP_TO else ():
                result = peer_scores(tool, folder, scratch)
                if result is not None:
                    rows.append(_cost(f"{title} / {tool}", seconds, result[1], "s"))
                    memory = _cost(f"{title}, peak / {tool}", peak, result[2], "MB")
                    rows.append({**memory, "goal": None, "ok": True})  # for comparison only
    return rows


def _cost(name: str, ours: float, theirs: float, unit: str) -> dict[str, Any]:
    ratio = ours / theirs
    return {
        "name": name,
        "ours": round(ours, 1),
        "theirs": round(theirs, 1),
        "unit": unit,
        "ratio": round(ratio, 2),
        "goal": "≤ 1",
        "ok": ratio <= 1,
    }


def run() -> list[dict[str, Any]]:
    """Rows {name, ours, theirs, unit, ratio, goal, ok}: how good, then how dear."""
    return [*quality(SEEDS), *costs(NUMBERS, COST_LINES)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--classes", type=int, nargs="*", default=list(SEEDS), metavar="SEED")
    parser.add_argument("--numbers", type=int, nargs="*", default=list(NUMBERS), metavar="N")
    parser.add_argument("--lines", type=int, default=COST_LINES)
    arguments = parser.parse_args()
    rows = quality(tuple(arguments.classes)) if arguments.classes else []
    if arguments.numbers:
        rows += costs(tuple(arguments.numbers), arguments.lines)
    print(tabulate(rows, headers="keys", floatfmt=".3f"))


if __name__ == "__main__":
    main()
