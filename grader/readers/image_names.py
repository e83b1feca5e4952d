"""Which image a name means that a stranger wrote, and what had to be forgiven for it."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath

_MAX_PARTS = 32
_AROUND = " \t\r\n\v\f\u00a0'\""
_BRACKETS = "[](),"


class ImageNames:
    """Resolves written names against the true ones, strictest reading first.

    A looser reading (another case, suffix, no folders) is used only where it means one image.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.exact: Mapping[str, str] = {name: name for name in names}
        bases = [(name.rsplit("/", 1)[-1], name) for name in self.exact]
        self._by_base = unique(bases)
        self._by_fold = unique((_fold(base), name) for base, name in bases)
        self._by_stem = unique((_fold(PurePosixPath(base).stem), name) for base, name in bases)

    def resolve(self, written: str) -> tuple[str | None, str]:
        """The image's name and the code of what was forgiven ("" for nothing); None if unknown."""
        if written in self.exact:
            return written, ""
        bare = written.strip(_AROUND)
        for spelling in dict.fromkeys((bare, _unwrap(bare))):
            for known, key, code in self._readings(spelling):
                if key in known:
                    return known[key], code
        return None, ""

    def _readings(self, bare: str) -> Iterator[tuple[Mapping[str, str], str, str]]:
        yield self.exact, bare, "labels.name-spelling"
        parts = bare.replace("\\", "/").split("/")[-_MAX_PARTS:]
        for start in range(1, len(parts)):
            yield self.exact, "/".join(parts[start:]), "labels.paths"
        yield self._by_base, parts[-1], "labels.paths"
        folded = _fold(parts[-1])
        yield self._by_fold, folded, "labels.name-spelling"
        yield self._by_stem, folded, "labels.other-suffix"
        yield self._by_stem, folded.rpartition(".")[0], "labels.other-suffix"


def _unwrap(name: str) -> str:
    """The name in `('img.jpg',)`, as Python writes a batch of one; several stay as they are."""
    unwrapped = name.strip(_AROUND + _BRACKETS)
    return name if any(mark in unwrapped for mark in ",'\"") else unwrapped


def _fold(name: str) -> str:
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def unique(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """key → value for those non-empty keys that stand once."""
    pairs = list(pairs)
    counts = Counter(key for key, _ in pairs)
    return {key: value for key, value in pairs if key and counts[key] == 1}
