"""`make bench`: every promised speed, measured side by side in this run.

    python -m benchmarks [--write] [NAME …]

Each module `bench_NAME` gives rows of {name, ours, theirs, unit, ratio, goal, ok}; `--write` puts
the tables into docs/performance.md. Exits with 1 when a goal is missed.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import re
import sys
from pathlib import Path

from benchmarks.measuring import table

HERE = Path(__file__).parent
PAGE = HERE.parent / "docs" / "performance.md"


def names() -> list[str]:
    """What can be measured, sorted."""
    return sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--write", action="store_true", help="rewrite docs/performance.md")
    arguments = parser.parse_args()
    sections = _written()
    met = True
    for name in arguments.names or names():
        module = importlib.import_module(f"benchmarks.bench_{name}")
        rows = module.run()
        met = met and all(row["ok"] for row in rows)
        print(f"\n{name}\n{table(rows)}", flush=True)
        summary = (module.__doc__ or "").strip().splitlines()[0]
        sections[name] = f"{summary}\n\n{table(rows, 'github')}\n"
        if arguments.write:  # after each: a run that is stopped keeps what it has measured
            PAGE.write_text(_page(sections), "utf-8")
    return 0 if met else 1


def _written() -> dict[str, str]:
    """The page's sections so far, by name: what is not measured now stays."""
    if not PAGE.exists():
        return {}
    parts = re.split(r"^## (\w+)\n\n", PAGE.read_text("utf-8"), flags=re.MULTILINE)[1:]
    known = set(names())
    return {
        name: f"{text.strip()}\n"
        for name, text in zip(parts[::2], parts[1::2], strict=True)
        if name in known
    }


def _page(sections: dict[str, str]) -> str:
    head = [
        "# Performance\n",
        "Every speed is a ratio of two things measured in turn in one run on one machine: compare "
        "the ratios, not the seconds. Made by `make bench`, which runs "
        "`python -m benchmarks --write`.\n",
        f"Measured on {os.cpu_count()} cores, {platform.machine()}, "
        f"Python {platform.python_version()}, without a GPU.\n",
    ]
    return "\n".join([*head, *(f"## {name}\n\n{sections[name]}" for name in sorted(sections))])


if __name__ == "__main__":
    sys.exit(main())
