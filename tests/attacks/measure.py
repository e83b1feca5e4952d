"""What the attacks cost and what held them: the tables of docs/security.md, from real runs.

    python -m tests.attacks.measure            writes them again from tests/attacks/measured.json
    python -m tests.attacks.measure --run      runs every attack first, and measures (minutes)

A test holds the page against measured.json and the corpora.
"""

from __future__ import annotations

import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SECURITY = ROOT / "docs" / "security.md"
MEASURED = Path(__file__).with_name("measured.json")


# --------------------------------------------------------------------------- measuring


def _worst(costs: dict[str, dict[str, float]]) -> dict[str, Any]:
    """How many were tried, and which of them took longest and most."""
    slowest = max(costs, key=lambda name: costs[name]["seconds"])
    largest = max(costs, key=lambda name: costs[name]["memory_bytes"])
    return {
        "tried": len(costs),
        "slowest": slowest,
        "seconds": round(costs[slowest]["seconds"], 3),
        "largest": largest,
        "memory_bytes": int(costs[largest]["memory_bytes"]),
    }


def _measure_here(
    names: Iterable[str], attack: Callable[[str, Path], object]
) -> dict[str, dict[str, float]]:
    """Seconds of processor time, and memory by Python's own count, of attacks in this process."""
    costs = {}
    for name in names:
        with tempfile.TemporaryDirectory() as folder:
            start = time.process_time()
            attack(name, Path(folder))
            seconds = time.process_time() - start
        with tempfile.TemporaryDirectory() as folder:
            tracemalloc.start()  # takes time of its own
            attack(name, Path(folder))
            memory_bytes = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        costs[name] = {"seconds": seconds, "memory_bytes": float(memory_bytes)}
    return costs


def _archives() -> dict[str, Any]:
    from fixtures.archives.hostile import HOSTILE
    from fixtures.archives.legitimate import LEGITIMATE
    from tests.attacks.test_archives import _open

    data = {entry.id: entry.build() for entry in HOSTILE}
    costs = _measure_here(data, lambda name, folder: _open(data[name], folder))
    return {**_worst(costs), "legitimate": len(LEGITIMATE)}


def _checkpoints() -> dict[str, Any]:
    from fixtures.checkpoints.hostile import HOSTILE
    from grader.networks.unpickle.loader_inside import read_checkpoint
    from tests.attacks.test_checkpoints import MAX_BYTES

    with tempfile.TemporaryDirectory() as name:
        base = Path(name)
        for number, attack in enumerate(HOSTILE.values()):
            attack.write(base / f"{number}.pth", base / "canary")
        places = {name: base / f"{number}.pth" for number, name in enumerate(HOSTILE)}
        return _worst(
            _measure_here(
                HOSTILE, lambda name, folder: read_checkpoint(places[name], folder, MAX_BYTES)
            )
        )


def _masks() -> dict[str, Any]:
    from grader.readers.decode_masks import MaskFile, read_frames, request
    from grader.sandbox.helper import answer_of, end_helpers
    from tests.attacks.test_masks_and_csvs import MASKS, NAMES_OF_TABLES, SIDE_PX

    costs = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        files = [MaskFile("a.png", SIDE_PX, SIDE_PX)]
        asked = request(folder, files, memory_bytes=320 << 20, cpu_seconds=30)
        for what, make in MASKS.items():
            (folder / "a.png").write_bytes(make())
            before = resource.getrusage(resource.RUSAGE_CHILDREN)
            list(read_frames(answer_of("grader.readers.decode_masks", asked, folder), files))
            end_helpers()  # what its copies took is known when it has ended
            after = resource.getrusage(resource.RUSAGE_CHILDREN)
            seconds = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
            # of all so far: it grows at the first that takes more
            costs[what] = {"seconds": seconds, "memory_bytes": after.ru_maxrss * 1024.0}
    return {**_worst(costs), "tables": len(NAMES_OF_TABLES)}


def _sandbox() -> dict[str, Any]:
    """Every room's record, by the tests themselves; raises CalledProcessError when one fails."""
    with tempfile.TemporaryDirectory() as folder:
        record = Path(folder, "record.json")
        subprocess.run(
            [
                *(sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-m", "not attack"),
                *("tests/attacks/test_sandbox_attacks.py", "-k", "not page"),
            ],
            cwd=ROOT,
            env={**os.environ, "ATTACKS_RECORD": str(record)},
            check=True,
        )
        return judge_rooms(json.loads(record.read_text("utf-8")))


def judge_rooms(rooms: dict[str, Any]) -> dict[str, Any]:
    """Attacks tried and contained in each room, from the record of tests that all passed."""
    from tests.attacks.test_sandbox_attacks import ATTACKS

    # The honest programs that the tests run as well are no attacks.
    by_themselves = {attack.program for attack in ATTACKS}
    measured = {}
    for name, room in rooms.items():
        if "attempts" not in room:
            continue
        attempts = room["attempts"]
        outputs = room.get("outputs", {"tried": 0, "contained": 0})
        costs = {
            program: cost
            for program, cost in room["programs"].items()
            if program in {*by_themselves, "attempts", "leaves_strange_outputs"}
        }
        programs = len(by_themselves & set(costs))
        measured[name] = {
            **_worst(costs),
            "tried": programs + attempts["tried"] + outputs["tried"],
            "contained": programs + attempts["contained"] + outputs["contained"],
        }
    return measured


def measure() -> dict[str, Any]:
    """Run everything; takes minutes."""
    return {
        "machine": f"Linux {platform.release().split('-')[0]}, Python {platform.python_version()}, "
        f"{os.cpu_count()} processors",
        "masks": _masks(),  # first: the peak of this process's children counts
        "archives": _archives(),
        "checkpoints": _checkpoints(),
        "sandbox": _sandbox(),
    }


# --------------------------------------------------------------------------- the page


def _mebibytes(count_bytes: float) -> str:
    return f"{count_bytes / (1 << 20):.1f} MiB"


def numbers_table(measured: dict[str, Any]) -> str:
    """Attacks tried, contained, and the worst of them, in Markdown."""
    lines = [
        "| what was attacked | tried | contained | slowest | most memory |",
        "|---|---|---|---|---|",
    ]
    rows = {f"sandbox: {name}": room for name, room in sorted(measured["sandbox"].items())}
    rows["hostile archives"] = measured["archives"]
    rows["hostile checkpoints"] = measured["checkpoints"]
    rows["hostile masks"] = measured["masks"]
    for what, row in rows.items():
        lines.append(
            f"| {what} | {row['tried']} | {row.get('contained', row['tried'])} | "
            f"{row['seconds']:.2f} s ({row['slowest']}) | "
            f"{_mebibytes(row['memory_bytes'])} ({row['largest']}) |"
        )
    lines += ["", f"Measured on {measured['machine']}."]
    return "\n".join(lines)


def blocks() -> dict[str, str]:
    """Marker → what stands between it and the end marker."""
    from tests.attacks.test_decoder import ATTEMPTS
    from tests.attacks.test_sandbox_attacks import attacks_table

    decoder = ["| attempt of a decoder that was taken over | held by |", "|---|---|"]
    decoder += [f"| {name} | {held} |" for name, held in ATTEMPTS.items()]
    return {
        "attacks": attacks_table(),
        "decoder": "\n".join(decoder),
        "numbers": numbers_table(json.loads(MEASURED.read_text("utf-8"))),
    }


def page(text: str) -> str:
    """The page with its made blocks made again. Raises ValueError where a marker is missing."""
    for name, content in blocks().items():
        begin, end = f"<!-- {name}: made by tests/attacks/measure.py -->\n", f"<!-- end {name} -->"
        head, found, rest = text.partition(begin)
        _, closed, tail = rest.partition(end)
        if not found or not closed:
            raise ValueError(f"docs/security.md has no block {name}")
        text = f"{head}{begin}{content}\n{end}{tail}"
    return text


def main() -> None:
    if "--run" in sys.argv[1:]:
        MEASURED.write_text(json.dumps(measure(), indent=1, ensure_ascii=False) + "\n", "utf-8")
    SECURITY.write_text(page(SECURITY.read_text("utf-8")), "utf-8")


if __name__ == "__main__":
    main()
