"""Minify a submission with python-minifier (from PyPI), in a process of its own.

    python minify.py IN.json OUT.json          # both: {path: source text}

Stands alone: the interpreter that runs it has the tool, and may lack this project. Names of every
scope become letters, literals and Python's functions get names, imports and statements are joined.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path


def main() -> None:
    import python_minifier  # noqa: PLC0415 - whoever imports this module need not have it

    source, out = sys.argv[1:]
    files = json.loads(Path(source).read_text("utf-8"))
    minified = {
        path: python_minifier.minify(
            text, rename_globals=True, remove_literal_statements=True, remove_asserts=True
        )
        for path, text in files.items()
    }
    Path(out).write_text(json.dumps(minified), "utf-8")


if __name__ == "__main__":
    main()
