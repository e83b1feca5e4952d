"""The tokens of one submission: spellings, numbered, and what of them is the student's own."""

from __future__ import annotations

import builtins
from dataclasses import dataclass, field

BUILTINS = frozenset(dir(builtins))
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

    `bound`: spellings that the student chose; `constants`: what those of them stand for that are
    but another name for a number, a text or one of Python's functions.
    """

    def __init__(
        self, kind: str, number: int, keys: list[tuple[int, str]], bound: set[str]
    ) -> None:
        super().__init__()
        self.kind = kind
        self.bound = bound
        self.constants: dict[str, str] = {}
        # Its number and not itself: workers look for no cycles, and would keep it for ever.
        self._number = number
        self._keys = keys

    def __missing__(self, spelling: str) -> int:
        symbol = self[spelling] = len(self._keys)
        self._keys.append((self._number, spelling))
        return symbol


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one file or notebook. `outer`: those of the module; `inner`: those of functions,
    which hide them. `bound`: what the student chose in either; `assigned`: in the module.
    `aliases`: local name → library path."""

    outer: Namespace
    inner: Namespace
    aliases: dict[str, str]
    assigned: set[str] = field(default_factory=set)

    @property
    def bound(self) -> set[str]:
        return self.outer.bound

    def assign(self, spelling: str) -> None:
        """The module gives something this name. Nothing that has it twice is a constant."""
        if spelling in self.assigned:
            self.outer.constants.pop(spelling, None)
        self.assigned.add(spelling)


@dataclass(frozen=True, slots=True)
class Given:
    """The names and attributes that base code binds."""

    names: frozenset[str] = frozenset()
    attrs: frozenset[str] = frozenset()


NOTHING_GIVEN = Given()


class Symbols:
    """Symbols of one submission. What is bound in it is known only when all its files are read,
    so tokens are numbers first and get their meaning at the end.

    Attributes belong to the whole submission. So do names that their own file (or notebook) does
    not bind, unless they are Python's: a star import or a careless split leaves such. What the
    base code calls its own (`given`) is so in every submission, whether that file was edited or
    left out.
    """

    def __init__(self, given: Given = NOTHING_GIVEN) -> None:
        self._given = given
        self._keys: list[tuple[int, str]] = []
        self._spaces: list[Namespace] = []
        self._files: list[Names] = []
        self.nodes = self._namespace("node", set())
        self.values = self._namespace("value", set())
        self.attrs = self._namespace("attr", set(given.attrs))
        self.functions = self._namespace("function", set())  # and classes, of libraries
        self.methods = self._namespace("method", self.attrs.bound)

    def names_of_file(self, aliases: dict[str, str]) -> Names:
        """The names of one more file. `aliases`: what it need not import."""
        bound: set[str] = set()
        outer, inner = (self._namespace("name", bound) for _ in range(2))
        names = Names(outer, inner, dict(aliases))
        self._files.append(names)
        return names

    def _namespace(self, kind: str, bound: set[str]) -> Namespace:
        space = Namespace(kind, len(self._spaces), self._keys, bound)
        self._spaces.append(space)
        return space

    def bound_names(self) -> set[str]:
        """What is bound in any file."""
        return set().union(*(names.bound for names in self._files))

    def meanings(self) -> list[str]:
        """What each symbol stands for: the same text in two submissions, the same token."""
        anywhere = (self._given.names | self.bound_names()) - BUILTINS
        return [_meaning(self._spaces[n], spelling, anywhere) for n, spelling in self._keys]


def _meaning(space: Namespace, spelling: str, anywhere: frozenset[str]) -> str:
    if spelling in space.constants:
        return space.constants[spelling]
    kind = space.kind
    if spelling in space.bound or (kind == "name" and spelling in anywhere):
        return "own name" if kind in _CALLABLE else f"own {kind}"
    return meaning_of_function(spelling) if kind in _CALLABLE else f"{kind} {spelling}"


def meaning_of_function(spelling: str) -> str:
    """Whose function it is shows in nothing: `sum(x)`, `x.sum()` and `torch.sum(x)` are one."""
    spelling = spelling.rstrip("_")
    return f"name {SYNONYMS.get(spelling, spelling)}"
