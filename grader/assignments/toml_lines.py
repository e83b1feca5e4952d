"""Where in a TOML file a value stands, so that an error can name its line.

`tomllib` gives values without positions. This reads only what is needed to find a key again:
table headers, arrays of tables, and `key =` at the start of a line. A value inside a multi-line
array or an inline table is placed at the line of the key that holds it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

_HEADER = re.compile(r"^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?\s*(#.*)?$")
_KEY = re.compile(r"^\s*([A-Za-z0-9_.\"'-]+)\s*=")


def _split_key(dotted: str) -> tuple[str, ...]:
    return tuple(part.strip().strip("\"'") for part in dotted.split("."))


def line_of(text: str, path: Sequence[str | int]) -> int | None:
    """Return the 1-based line of the value at `path` in the TOML document `text`.

    `path` is as jsonschema gives it: keys and array indices. Where the value itself has no line
    of its own, the line of the nearest enclosing key or table; None when nothing matches.
    """
    lines: dict[tuple[str | int, ...], int] = {}
    counts: dict[tuple[str | int, ...], int] = {}
    current: tuple[str | int, ...] = ()

    def resolve(keys: tuple[str, ...]) -> tuple[str | int, ...]:
        """A header's keys, with the index of the last element where a prefix is an array."""
        resolved: tuple[str | int, ...] = ()
        for key in keys:
            resolved = (*resolved, key)
            if resolved in counts:
                resolved = (*resolved, counts[resolved] - 1)
        return resolved

    for number, line in enumerate(text.splitlines(), start=1):
        header = _HEADER.match(line)
        if header:
            keys = _split_key(header.group(2))
            if header.group(1) == "[[":
                parent = resolve(keys[:-1])
                array = (*parent, keys[-1])
                counts[array] = counts.get(array, 0) + 1
                lines.setdefault(array, number)
                current = (*array, counts[array] - 1)
            else:
                current = resolve(keys)
            lines.setdefault(current, number)
            continue
        key = _KEY.match(line)
        if key:
            lines.setdefault((*current, *_split_key(key.group(1))), number)

    wanted = tuple(path)
    for length in range(len(wanted), 0, -1):
        if wanted[:length] in lines:
            return lines[wanted[:length]]
    return None
