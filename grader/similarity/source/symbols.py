"""The tokens of one submission: spellings, numbered, and what of them is the student's own."""

from __future__ import annotations

import builtins

_BUILTINS = frozenset(dir(builtins))


class Namespace(dict[str, int]):
    """Spelling → symbol; a new spelling gets the next number of the submission.

    `bound`: spellings that the student chose.
    """

    def __init__(self, kind: str, keys: list[tuple[Namespace, str]]) -> None:
        super().__init__()
        self.kind = kind
        self.bound: set[str] = set()
        self._keys = keys

    def __missing__(self, spelling: str) -> int:
        symbol = self[spelling] = len(self._keys)
        self._keys.append((self, spelling))
        return symbol


class Symbols:
    """Symbols of one submission. What is bound in it is known only when all its files are read,
    so tokens are numbers first and get their meaning at the end.

    Attributes belong to the whole submission. So do names that their own file (or notebook) does
    not bind, unless they are Python's: a star import or a careless split leaves such.
    """

    def __init__(self) -> None:
        self._keys: list[tuple[Namespace, str]] = []
        self._files: list[Namespace] = []
        self.nodes = Namespace("node", self._keys)
        self.libraries = Namespace("library", self._keys)
        self.values = Namespace("value", self._keys)
        self.attrs = Namespace("attr", self._keys)

    def names_of_file(self) -> Namespace:
        """The names of one more file."""
        names = Namespace("name", self._keys)
        self._files.append(names)
        return names

    def meanings(self) -> list[str]:
        """What each symbol stands for: the same text in two submissions, the same token."""
        anywhere = set().union(*(names.bound for names in self._files)) - _BUILTINS
        return [
            f"own {space.kind}"
            if spelling in space.bound or (space.kind == "name" and spelling in anywhere)
            else f"{space.kind} {spelling}"
            for space, spelling in self._keys
        ]
