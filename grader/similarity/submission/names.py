"""Entry numbers, e-mail addresses and user names in a submission's texts and paths."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from grader.similarity.submission.read_material import Material

_EMAIL = re.compile(
    r"\b[A-Za-z0-9][A-Za-z0-9._%+-]{1,40}@(?:[A-Za-z0-9-]{1,40}\.){1,4}[A-Za-z]{2,12}\b"
)
_HOME = re.compile(r"(?:/home/|/Users/|\\Users\\\\?|/scratch/|/DATA/)([A-Za-z][\w.-]{2,30})")
# Nobody's own: accounts of services, and what documents give as examples.
_NOBODY = re.compile(
    r"example|noreply|no-reply|^git@|localhost|\.(?:png|jpg|py)$|^(?:user|name|you)@", re.I
)
_GENERIC_USERS = frozenset(
    {"user", "users", "ubuntu", "root", "admin", "student", "students", "kaggle", "colab", "public"}
    | {
        "content",
        "runner",
        "jovyan",
        "shared",
        "default",
        "username",
        "you",
        "name",
        "apps",
        "home",
    }
)
_MAX_FOUND = 200


@dataclass(frozen=True, slots=True)
class Mention:
    """`text` stands in the file `path`, in `line` (1-based; None where it has no lines), or in the
    path itself."""

    kind: str  # "entry number", "e-mail" or "user name"
    text: str
    path: str
    line: int | None
    in_path: bool = False


def mentions(material: Material, entry_number: str) -> tuple[Mention, ...]:
    """Every name in a submission, each once with its first place. `entry_number`: the pattern of
    the assignment. In binary files only entry numbers are looked for."""
    found: dict[tuple[str, str], Mention] = {}

    def add(kind: str, text: str, path: str, line: int | None, in_path: bool = False) -> None:
        if len(found) < _MAX_FOUND:
            found.setdefault((kind, text), Mention(kind, text, path, line, in_path))

    pattern = _number_pattern(entry_number)
    for file in material.files:
        for match in pattern.finditer(file.path):
            add("entry number", match[0].upper(), file.path, None, in_path=True)
    for text in material.texts:
        for number, line in enumerate(text.lines, 1):
            place = number if text.numbered else None
            for match in pattern.finditer(line):
                add("entry number", match[0].upper(), text.path, place)
            if text.binary:
                continue
            if "@" in line:
                for match in _EMAIL.finditer(line):
                    if not _NOBODY.search(match[0]):
                        add("e-mail", match[0].lower(), text.path, place)
            if "/" in line or "\\" in line:
                for match in _HOME.finditer(line):
                    if match[1].lower() not in _GENERIC_USERS:
                        add("user name", match[1], text.path, place)
    return tuple(found.values())


@lru_cache(maxsize=8)
def _number_pattern(entry_number: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![A-Za-z0-9])(?:{entry_number})(?![A-Za-z0-9])", re.I | re.A)


def without_common(
    everybody: Iterable[tuple[str, tuple[Mention, ...]]], given_out: Iterable[Mention], most: int
) -> dict[str, tuple[Mention, ...]]:
    """Each submission's mentions without those that stand in what was given out, or with more than
    `most` submissions: the teacher's address, the template's number."""
    listed = list(everybody)
    counts: dict[tuple[str, str], int] = {}
    for _, found in listed:
        for mention in found:
            counts[mention.kind, mention.text] = counts.get((mention.kind, mention.text), 0) + 1
    base = {(mention.kind, mention.text) for mention in given_out}
    return {
        name: tuple(
            mention
            for mention in found
            if (mention.kind, mention.text) not in base
            and counts[mention.kind, mention.text] <= most
        )
        for name, found in listed
    }
