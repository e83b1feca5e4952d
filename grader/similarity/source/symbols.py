"""The tokens of one submission: spellings, numbered, and what of them is the student's own."""

from __future__ import annotations


class _Namespace(dict[str, int]):
    """Spelling → symbol; a new spelling gets the next number of the shared list."""

    def __init__(self, kind: str, keys: list[tuple[str, str]]) -> None:
        super().__init__()
        self._kind = kind
        self._keys = keys

    def __missing__(self, spelling: str) -> int:
        symbol = self[spelling] = len(self._keys)
        self._keys.append((self._kind, spelling))
        return symbol


class Symbols:
    """Symbols of one submission. What is bound in it is known only when all its files are read,
    so tokens are numbers first and get their meaning at the end.

    `keys[i]` is (kind, spelling) of symbol i.
    """

    def __init__(self) -> None:
        self.keys: list[tuple[str, str]] = []
        self.nodes = _Namespace("node", self.keys)
        self.libraries = _Namespace("library", self.keys)
        self.values = _Namespace("value", self.keys)
        self.names = _Namespace("name", self.keys)
        self.attrs = _Namespace("attr", self.keys)
        self.bound_names: set[str] = set()
        self.bound_attrs: set[str] = set()

    def meanings(self) -> list[str]:
        """What each symbol stands for: the same text in two submissions, the same token."""
        own = {"name": self.bound_names, "attr": self.bound_attrs}
        return [
            f"own {kind}" if spelling in own.get(kind, ()) else f"{kind} {spelling}"
            for kind, spelling in self.keys
        ]
