"""The tokens of one submission: spellings, numbered, and what of them is the student's own."""

from __future__ import annotations

import builtins

_BUILTINS = frozenset(dir(builtins))
# What can be called has one space of names, be it a library's, a method or Python's.
_CALLABLE = frozenset({"name", "function", "method"})
# Functions of torch and numpy that their documentation names as the same, or nearly.
SYNONYMS = {
    "absolute": "abs",
    "asarray": "array",
    "clip": "clamp",
    "concat": "cat",
    "concatenate": "cat",
    "view": "reshape",
}


class Namespace(dict[str, int]):
    """Spelling → symbol; a new spelling gets the next number of the submission.

    `bound`: spellings that the student chose; `constants`: those that stand for one number
    wherever they stand, being bound once, to it.
    """

    def __init__(self, kind: str, keys: list[tuple[Namespace, str]]) -> None:
        super().__init__()
        self.kind = kind
        self.bound: set[str] = set()
        self.constants: dict[str, str] = {}
        self._keys = keys

    def bind(self, spelling: str) -> None:
        """The student gives something this name; no constant has it twice."""
        if spelling in self.bound:
            self.constants.pop(spelling, None)
        else:
            self.bound.add(spelling)

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
        self.functions = Namespace("function", self._keys)  # of libraries, when they are called
        self.methods = Namespace("method", self._keys)
        self.methods.bound = self.attrs.bound

    def names_of_file(self) -> Namespace:
        """The names of one more file."""
        names = Namespace("name", self._keys)
        self._files.append(names)
        return names

    def meanings(self) -> list[str]:
        """What each symbol stands for: the same text in two submissions, the same token."""
        anywhere = set().union(*(names.bound for names in self._files)) - _BUILTINS
        return [self._meaning(space, spelling, anywhere) for space, spelling in self._keys]

    @staticmethod
    def _meaning(space: Namespace, spelling: str, anywhere: set[str]) -> str:
        kind = space.kind
        if spelling in space.constants:
            return f"value {space.constants[spelling]}"
        if spelling in space.bound or (kind == "name" and spelling in anywhere):
            return "own name" if kind in _CALLABLE else f"own {kind}"
        if kind in _CALLABLE:  # whose function it is shows in nothing else: `sum(x)` is `x.sum()`
            return f"name {SYNONYMS.get(spelling.rstrip('_'), spelling.rstrip('_'))}"
        return f"{kind} {spelling}"
