"""A JSON document as a student's program writes it: bytes → checked values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NoReturn

from grader.findings import found, quoted
from grader.model import Json, OutputSpec
from grader.readers.reading import Expected, Reading
from grader.readers.regular_file import RefusedFileError, read_regular_file

MAX_BYTES = 16 << 20


def read_json_file(outputs: Path, output: OutputSpec, expected: Expected) -> Reading:
    """Read the JSON document `output.path` below `outputs`; nothing of `expected` is needed."""
    del expected
    try:
        value = parse_json(read_regular_file(outputs / output.path, MAX_BYTES))
    except (RefusedFileError, ValueError) as error:
        message = f"{output.path} was not read: {quoted(str(error), 200)}"
        return Reading(None, (found("run.unreadable-json", message, path=output.path),))
    return Reading(value, ())


def parse_json(data: bytes) -> Json:
    """Parse one strict JSON document (RFC 8259): UTF-8, 16 or 32, a byte-order mark allowed.

    Raises ValueError that says what is wrong: NaN and Infinity, a key that stands twice, integers
    of thousands of digits and nesting beyond the parser's depth included.
    """
    try:
        value: Json = json.loads(
            data.decode(json.detect_encoding(data)),
            object_pairs_hook=_without_duplicates,
            parse_constant=_refuse_constant,
        )
    except UnicodeDecodeError as error:
        raise ValueError(f"it is not UTF-8 text (byte {error.start})") from error
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        keys = [key for key, _ in pairs]
        doubled = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"the key {doubled!r} stands twice")
    return value


def _refuse_constant(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is not JSON")
