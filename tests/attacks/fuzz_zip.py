"""Fuzz the zip door with coverage feedback. Not part of the test run: it needs the package
`atheris` (`pip install atheris`) and as many minutes as it is given.

    python -m tests.attacks.fuzz_zip CORPUS_DIR -max_total_time=600

CORPUS_DIR is filled with both corpora of `fixtures/archives` when it is empty. What is asserted
is what `test_archives.py` asserts of every mutation: a documented outcome, nothing outside the
tree, and Python's zipfile agreeing on everything that was let in.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["grader.readers", "grader.stages"]):
    from tests.attacks.test_archives import assert_let_in_or_kept_out

from fixtures.archives.hostile import HOSTILE
from fixtures.archives.legitimate import LEGITIMATE

MAX_SEED_BYTES = 1 << 16


def _attack(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        assert_let_in_or_kept_out(data, Path(name))


def _fill(corpus: Path) -> None:
    corpus.mkdir(parents=True, exist_ok=True)
    if any(corpus.iterdir()):
        return
    for entry in (*LEGITIMATE, *HOSTILE):
        data = entry.build()
        if len(data) <= MAX_SEED_BYTES:
            (corpus / entry.id).write_bytes(data)


def main() -> None:
    if len(sys.argv) < 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__)
    _fill(Path(sys.argv[1]))
    atheris.Setup(sys.argv, _attack)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
