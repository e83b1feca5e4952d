"""Plain JSON of whatever the stages produced, and its text.

- Marks (Decimal) become **strings** of exact decimals ("2.25"): no reader makes a binary fraction
  of them. Other numbers keep their shortest exact form; what is not finite becomes null.
- Keys keep their order, so that equal documents are equal bytes.
- Controls and invisible characters are written as \\u escapes: `cat report.json` is harmless.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

from grader.model import Json
from grader.render.printable import UNSAFE

_SURROGATE = re.compile("[\ud800-\udfff]")
# A list of numbers over several lines; a string cannot look like it, for it holds no line end.
_NUMBERS = re.compile(r"\[\n\s+((?:[-+.\deE]+|null)(?:,\n\s+(?:[-+.\deE]+|null))*)\n\s+\]")
_LINE_END = re.compile(r"\n\s+")


def plain(content: Any) -> Json:
    """Only what JSON knows; raises TypeError for what has no plain form."""
    if isinstance(content, Mapping):
        return {_text(str(name)): plain(inner) for name, inner in content.items()}
    if isinstance(content, str):
        return _text(content)
    if isinstance(content, Sequence) and not isinstance(content, (bytes, bytearray)):
        return [plain(inner) for inner in content]
    if hasattr(content, "tolist"):  # numpy's arrays and numbers
        return plain(content.tolist())
    return _number(content)


def plain_object(content: Mapping[str, Any]) -> dict[str, Json]:
    """`plain` of a mapping."""
    return {_text(name): plain(inner) for name, inner in content.items()}


def json_text(document: Json) -> str:
    """A plain document as indented text with a final newline, encodable as UTF-8.

    Lists of numbers stand on one line each, so that a matrix reads as one.

    No line of it is a command to a build server: `##[` is written `#\\u0023[`, which is the same.
    """
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    text = _NUMBERS.sub(lambda match: f"[{_LINE_END.sub(' ', match[1])}]", text)
    text = text.replace("##", "#\\u0023")
    return "\n".join(UNSAFE.sub(_escaped, line) for line in text.split("\n")) + "\n"


def _number(content: Any) -> Json:
    if content is None or isinstance(content, (bool, int)):
        return content
    if isinstance(content, float):
        return content if math.isfinite(content) else None
    if isinstance(content, Decimal):
        return f"{content:f}"
    raise TypeError(f"{type(content).__name__} has no place in a report")


def _text(content: str) -> str:
    return _SURROGATE.sub("\ufffd", str(content))


def _escaped(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]
