"""Say what violates a schema, in the words of the schema's own annotations.

`grader.assignments.validate_tree` describes the document and the annotations.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError, best_match
from referencing import Registry
from referencing.exceptions import Unresolvable

from grader.errors import UsageError
from grader.findings import found, listed, quoted
from grader.model import Finding

_DEFAULT_CODE = "layout.violates-schema"
# So many different violations are told; a tree that breaks more is not a near miss.
_MAX_FINDINGS = 100
_MAX_MESSAGE_CHARS = 300

_Natural = list[tuple[int, str]]


def explain_violations(
    schema: Mapping[str, Any], document: Mapping[str, Any]
) -> tuple[Finding, ...]:
    """What in `document` violates `schema`: one finding per rule, with its count and first places.

    Raises UsageError when the schema refers to something that it does not hold itself: nothing is
    ever fetched.
    """
    # The empty registry: a remote $ref is an error, not a download.
    validator = Draft202012Validator(schema, registry=Registry())
    rules: dict[tuple[str, ...], list[_Violation]] = {}
    try:
        # jsonschema walks some keywords as sets: without an order of ours, findings would come in
        # another order in every process.
        for error in sorted(validator.iter_errors(document), key=_order):
            violation = _Violation(schema, error)
            if len(rules) < _MAX_FINDINGS or violation.rule in rules:
                rules.setdefault(violation.rule, []).append(violation)
    except Unresolvable as error:
        raise UsageError(
            f"the schema refers to {error.ref!r}, which it does not hold",
            hint='define it under "$defs" in the same file',
        ) from error
    return tuple(_finding(broken) for broken in rules.values())


def _order(error: ValidationError) -> tuple[_Natural, _Natural]:
    return _natural(error.absolute_path), _natural(error.absolute_schema_path)


def _natural(parts: Iterable[Any]) -> _Natural:
    """A key under which mask 2 comes before mask 10."""
    words = re.split(r"([0-9]+)", "/".join(str(part) for part in parts))
    return [(int(word), "") if word.isdecimal() else (-1, word) for word in words]


class _Violation:
    """One violation with what the schema's annotations say about it."""

    def __init__(self, schema: Mapping[str, Any], error: ValidationError) -> None:
        self.error = error
        self.keyword = str(error.validator)
        self.levels = list(_levels(schema, error))
        self.place = self._place()
        self.missing = self._missing()
        code = self.annotation("x-code") or _DEFAULT_CODE
        schema_path = [str(part) for part in error.absolute_schema_path]
        if self.missing is not None:
            schema_path.append(self.missing)
        self.rule = (code, *schema_path)

    def _missing(self) -> str | None:
        """The property whose absence this violation is."""
        if self.keyword != "required":
            return None
        # One error per missing property; only the message says which.
        wanted = cast("list[str]", self.error.validator_value)
        return next((name for name in wanted if self.error.message.startswith(repr(name))), None)

    def _place(self) -> str:
        """The path that is at fault: a file or folder of the document, "" for the tree itself."""
        if "propertyNames" in self.error.absolute_schema_path:
            return str(self.error.instance)
        parts = [str(part) for part in self.error.absolute_path]
        inside = len(parts) > 1 and parts[0] in ("files", "folders")
        return parts[1] if inside else ""

    def annotation(self, name: str) -> str:
        """The nearest annotation `name`, "" when no level has it for this keyword."""
        levels = self.levels
        if self.missing is not None:
            level: Any = self.error.schema
            levels = [level.get("properties", {}).get(self.missing), *levels]
        for level in levels:
            value = level.get(name) if isinstance(level, Mapping) else None
            if isinstance(value, Mapping):
                value = value.get(self.keyword)
            if isinstance(value, str):
                return value
        return ""

    @property
    def path(self) -> str:
        if self.missing is not None and not self.place:
            return self.missing
        return self.place

    @property
    def message(self) -> str:
        if said := self.annotation("x-message"):
            return said
        if self.missing is not None:
            return f"{self.missing} is missing" + (f" in {self.place}" if self.place else "")
        error = best_match(self.error.context or ()) or self.error
        if error.validator in ("minProperties", "maxProperties", "additionalProperties", "not"):
            # These messages repeat the whole object.
            return f"{error.validator} of {_spelled(error.absolute_schema_path)} is not met"
        return error.message


def _spelled(parts: Iterable[Any]) -> str:
    return "/".join(str(part) for part in parts)


def _levels(schema: Mapping[str, Any], error: ValidationError) -> Iterator[Any]:
    """The subschemas from the violated one outwards to the whole."""
    outwards: list[Any] = [schema]
    level: Any = schema
    for part in error.absolute_schema_path:
        while isinstance(level, Mapping) and part not in level and "$ref" in level:
            level = _local(schema, str(level["$ref"]))  # the path of an error passes over them
            outwards.append(level)
        if isinstance(level, Mapping):
            level = level.get(part)
        elif isinstance(level, list) and isinstance(part, int):
            level = level[part]
        outwards.append(level)
    yield from reversed(outwards)


def _local(schema: Mapping[str, Any], reference: str) -> Any:
    level: Any = schema
    for part in reference.removeprefix("#").strip("/").split("/"):
        name = part.replace("~1", "/").replace("~0", "~")
        level = level.get(name) if isinstance(level, Mapping) else None
    return level


def _finding(broken: list[_Violation]) -> Finding:
    first = broken[0]
    message = quoted(first.message, _MAX_MESSAGE_CHARS)
    places = [violation.path for violation in broken if violation.path]
    if len(broken) > 1:
        message = f"{message} ({len(broken)} times: {listed(places)})"
    elif places and places[0] not in message:
        message = f"{quoted(places[0], 200)}: {message}"
    where = first.annotation("x-path") or (quoted(places[0], 200) if places else None)
    return found(
        first.annotation("x-code") or _DEFAULT_CODE,
        message,
        path=where,
        hint=first.annotation("x-hint") or None,
        evidence={"count": len(broken), "first": [quoted(place) for place in places[:3]]},
    )
