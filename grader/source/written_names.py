"""Which names the code of a script writes: those that it spells out, those of which it spells out
a part, and those that it hands to a helper which writes them."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from grader.source.facts import HandedName, Parameter, Pieces, VagueWrite
from grader.source.file_functions import FOLDERS
from grader.source.name_patterns import ANYTHING, append

# A pattern with fewer letters than this besides its suffix says too little to be sure of a name.
_FEWEST_LETTERS = 2
_MAX_STEPS = 2_000
_MAX_DEPTH = 8
_MAX_PATTERNS = 256


@dataclass(frozen=True)
class WrittenNames:
    """`exact`: names without folders. `surely`, `perhaps`: pieces of names, or of paths where the
    folder is known; what only fits one of `perhaps` may be written or not. `folders`: patterns of
    the folders that are made.
    """

    exact: frozenset[str]
    surely: frozenset[Pieces]
    perhaps: frozenset[Pieces]
    folders: frozenset[Pieces]

    def hold(self, path: str) -> bool:
        """Whether a file called like `path` is written."""
        return posixpath.basename(path) in self.exact or _fits(self.surely, path)

    def may_hold(self, path: str) -> bool:
        return _fits(self.perhaps, path)

    def may_make(self, folder: str) -> bool:
        return _fits(self.folders, folder)


def gather_written_names(
    exact: Iterable[str], writes: Sequence[VagueWrite], handed: Iterable[HandedName]
) -> WrittenNames:
    """What `writes` come to when helpers get what the calls among `handed` give them.

    `exact`: paths that are known already; `handed`: of functions of the program only.
    """
    by_function: dict[tuple[str, bool], list[HandedName]] = {}
    if any(write.parameter for write in writes):
        for item in handed:
            by_function.setdefault((item.function, item.is_method), []).append(item)
    names = {posixpath.basename(path) for path in exact}
    surely: set[Pieces] = set()
    perhaps: set[Pieces] = set()
    folders: set[Pieces] = set()
    for write in _followed(writes, by_function):
        pieces = write.pieces
        if not pieces[-1].endswith(write.appended):
            pieces = append(pieces, (write.appended,))
        if write.kinds == FOLDERS:
            folders.add(_below_known_folder(pieces))
        elif len(pieces) == 1 or "/" in pieces[-1]:
            names.add(posixpath.basename(pieces[-1]))
        elif len(_letters(pieces)) >= _FEWEST_LETTERS:
            surely.add(_below_known_folder(pieces))
        elif pieces[-1] or not write.kinds:
            perhaps.add(_below_known_folder(pieces))
        else:
            perhaps.update(_below_known_folder(append(pieces, (kind,))) for kind in write.kinds)
    return WrittenNames(frozenset(names), _bounded(surely), _bounded(perhaps), _bounded(folders))


def _followed(
    writes: Sequence[VagueWrite], by_function: Mapping[tuple[str, bool], Sequence[HandedName]]
) -> Iterator[VagueWrite]:
    """`writes` without parameters: each replaced by what the calls hand over."""
    waiting = [(write, 0) for write in writes]
    seen = set(writes)
    steps = 0
    while waiting:
        write, depth = waiting.pop()
        if write.parameter is None:
            yield write
            continue
        calls = _giving(write.parameter, by_function)
        steps += len(calls)
        if not calls or depth >= _MAX_DEPTH or steps > _MAX_STEPS:
            yield write
            continue
        for call in calls:
            pieces = append(write.pieces[:-1], call.pieces)
            given = write._replace(pieces=pieces, parameter=call.parameter)
            if not call.told and given not in seen:
                seen.add(given)
                waiting.append((given, depth + 1))


def _giving(
    parameter: Parameter, by_function: Mapping[tuple[str, bool], Sequence[HandedName]]
) -> list[HandedName]:
    return [
        call
        for call in by_function.get((parameter.function, parameter.is_method), ())
        if call.keyword == parameter.name or (call.position == parameter.position)
    ]


def _letters(pieces: Pieces) -> str:
    """The letters and digits of the name, without its folders and its suffix."""
    stem = posixpath.splitext("\0".join(pieces).rpartition("/")[2])[0]
    return "".join(letter for letter in stem if letter.isalnum())


def _below_known_folder(pieces: Pieces) -> Pieces:
    """The pieces of the path where its folder is known, else of the name alone."""
    text = "\0".join(pieces)
    folder, slash, name = text.rpartition("/")
    if slash and "\0" not in folder:
        name = f"{posixpath.normpath(folder)}/{name}"
    return tuple(name.split("\0"))


def _bounded(patterns: set[Pieces]) -> frozenset[Pieces]:
    return frozenset(patterns if len(patterns) <= _MAX_PATTERNS else {ANYTHING})


def _fits(patterns: Iterable[Pieces], path: str) -> bool:
    name = posixpath.basename(path)
    return any(_has(path, pieces) or _has(name, pieces) for pieces in patterns)


def _has(text: str, pieces: Pieces) -> bool:
    """Whether `text` is `pieces` with anything between each two."""
    if len(pieces) == 1:
        return text == pieces[0]
    first, last = pieces[0], pieces[-1]
    if len(text) < len(first) + len(last) or not text.startswith(first):
        return False
    start, end = len(first), len(text) - len(last)
    for piece in pieces[1:-1]:
        found = text.find(piece, start, end)
        if found < 0:
            return False
        start = found + len(piece)
    return text.endswith(last)
