"""Items of a definition that are said once and stand for several: `each = "LIST"`.

`[lists.LIST]` is a table of keys and values. An item with `each` is repeated for every entry, with
`<key>` and `<value>` put in wherever they stand in its texts. Nothing is computed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

_ARRAYS = ("cases", "measurements", "criteria", "experiments", "probes")

Place = tuple[str | int, ...]


class UnknownListError(ValueError):
    """An item's `each` names no list. `place` is the item's."""

    def __init__(self, message: str, place: Place) -> None:
        super().__init__(message)
        self.place = place


class Repeated:
    """A definition's table with every repetition written out, and where each item came from."""

    def __init__(self, table: Mapping[str, Any]) -> None:
        """Raises UnknownListError where `each` names a list that does not exist."""
        self.lists = table.get("lists", {})
        self._origins: dict[Place, Place] = {}
        self.table: dict[str, Any] = dict(table)
        for name in _ARRAYS:
            if isinstance(table.get(name), list):
                self.table[name] = self._array(table[name], name)
        submission = table.get("submission")
        if isinstance(submission, dict) and isinstance(submission.get("roles"), dict):
            self.table["submission"] = {**submission, "roles": self._roles(submission["roles"])}

    def origin(self, where: Sequence[str | int]) -> Place:
        """The place in the file of a place in `table`."""
        for length in range(len(where), 0, -1):
            known = self._origins.get(tuple(where[:length]))
            if known is not None:
                return (*known, *where[length:])
        return tuple(where)

    def _array(self, items: Sequence[Any], name: str) -> list[Any]:
        written: list[Any] = []
        for index, item in enumerate(items):
            for _, copy in self._copies(item, (name, index)):
                self._origins[(name, len(written))] = (name, index)
                written.append(copy)
        return written

    def _roles(self, roles: Mapping[str, Any]) -> dict[str, Any]:
        written: dict[str, Any] = {}
        for name, role in roles.items():
            place: Place = ("submission", "roles", name)
            for entry, copy in self._copies(role, place):
                own = _filled(name, entry)
                self._origins[("submission", "roles", own)] = place
                written[own] = copy
        return written

    def _copies(self, item: Any, place: Place) -> list[tuple[tuple[str, str], Any]]:
        if not isinstance(item, dict) or "each" not in item:
            return [(("<key>", "<value>"), item)]
        entries = self.lists.get(item["each"]) if isinstance(self.lists, dict) else None
        if not isinstance(entries, dict):
            known = ", ".join(sorted(self.lists)) or "none"
            raise UnknownListError(f"there is no list {item['each']!r} (known: {known})", place)
        rest = {key: value for key, value in item.items() if key != "each"}
        return [
            ((key, str(value)), _filled(rest, (key, str(value)))) for key, value in entries.items()
        ]


def _filled(value: Any, entry: tuple[str, str]) -> Any:
    if isinstance(value, str):
        return value.replace("<key>", entry[0]).replace("<value>", entry[1])
    if isinstance(value, list):
        return [_filled(part, entry) for part in value]
    if isinstance(value, dict):
        return {key: _filled(part, entry) for key, part in value.items()}
    return value
