"""What two submissions have in common beside source and weights: files, times, names in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import PurePosixPath

from grader.findings import listed, quoted
from grader.similarity.model import Channel, Evidence, Strength
from grader.similarity.submission.names import Mention
from grader.similarity.submission.read_material import (
    CHECKPOINT_SUFFIXES,
    Material,
    MaterialFile,
)

PairKey = tuple[str, str]

_LEAST_BYTES = 64
_RESULT_BYTES = 1024
_LEAST_TIMES = 3
_LEAST_OUTPUTS = 5  # masks: fewer may be alike because their objects are
# Written by a run or by a person: two runs never write the same bytes.
_RESULTS = frozenset({".log", ".ipynb", ".csv", ".out", ".err", ".pdf", ".docx", ".npy"})


@dataclass(frozen=True, slots=True)
class _Shared:
    """A file of the left and one of the right submission; `size_bytes`: of the left one."""

    left: str
    right: str
    size_bytes: int


def most_holders(submissions: int) -> int:
    """What more submissions than this have in common was given out, or found in one place."""
    return max(3, submissions // 10)


def relate_files(
    materials: Sequence[Material],
    given_out: frozenset[str],
    outputs: frozenset[str] = frozenset(),
) -> dict[PairKey, tuple[Evidence, ...]]:
    """Byte-identical files and identical times. `given_out`: SHA-256 of the base code's files;
    `outputs`: folders that the assignment's program writes, its masks say.

    Checkpoints are left to the comparison of weights.
    """
    most = most_holders(len(materials))
    files = _same_files(materials, given_out, most)
    times = _same_times(materials, given_out, most)
    return {
        pair: (
            *([_files_evidence(files[pair], outputs)] if pair in files else ()),
            *([_times_evidence(times[pair])] if pair in times else ()),
        )
        for pair in sorted({*files, *times})
    }


def _same_files(
    materials: Sequence[Material], given_out: frozenset[str], most: int
) -> dict[PairKey, list[_Shared]]:
    holders: dict[object, dict[str, MaterialFile]] = defaultdict(dict)
    for material in materials:
        for file in material.files:
            if file.size_bytes < _LEAST_BYTES or file.sha256 in given_out:
                continue
            if PurePosixPath(file.path).suffix.lower() not in CHECKPOINT_SUFFIXES:
                holders[file.sha256].setdefault(material.name, file)
    return _held_by_few(holders, most)


def _same_times(
    materials: Sequence[Material], given_out: frozenset[str], most: int
) -> dict[PairKey, list[_Shared]]:
    """Files with the same time of change, each time counted once; to two seconds, which is what
    DOS keeps."""
    holders: dict[object, dict[str, MaterialFile]] = defaultdict(dict)
    for material in materials:
        for file in material.files:
            if file.written is not None and file.sha256 not in given_out:
                stamp = file.written.replace(tzinfo=None, second=file.written.second // 2 * 2)
                stamp = stamp.replace(microsecond=0)
                holders[stamp].setdefault(material.name, file)
    shared = _held_by_few(holders, most)
    return {pair: found for pair, found in shared.items() if len(found) >= _LEAST_TIMES}


def _held_by_few(
    holders: Mapping[object, Mapping[str, MaterialFile]], most: int
) -> dict[PairKey, list[_Shared]]:
    """Every two of the submissions that hold something which at most `most` hold: their files."""
    shared: dict[PairKey, list[_Shared]] = defaultdict(list)
    for places in holders.values():
        if 1 < len(places) <= most:
            for left, right in combinations(sorted(places), 2):
                shared[left, right].append(
                    _Shared(places[left].path, places[right].path, places[left].size_bytes)
                )
    return shared


def _files_evidence(shared: Sequence[_Shared], outputs: frozenset[str]) -> Evidence:
    results = [
        file
        for file in shared
        if file.size_bytes >= _RESULT_BYTES and PurePosixPath(file.left).suffix.lower() in _RESULTS
    ]
    written = [file for file in shared if not outputs.isdisjoint(PurePosixPath(file.left).parts)]
    if len(written) >= _LEAST_OUTPUTS:
        results += written
    count = f"{len(shared)} files are" if len(shared) > 1 else "1 file is"
    told = ", written by a run or a person" if results else ""
    named = listed(file.left for file in results or shared)
    return Evidence(
        channel=Channel.ZIP,
        code=f"{Channel.ZIP}.same-files",
        strength=Strength.STRONG if results else Strength.WEAK,
        message=f"{count} equal, byte for byte{told}: {named}",
        meaning="Files with the same bytes that hardly anybody else has; base code and checkpoints "
        "are not counted here.",
        honest="Pictures and helper files from one public place are equal between honest pairs. "
        "Logs, notebooks, tables and reports are not: every run and every person writes others.",
        value=float(len(shared)),
        unit="files",
        details={"files": _listed_files(shared, "equal bytes")},
    )


def _times_evidence(shared: Sequence[_Shared]) -> Evidence:
    return Evidence(
        channel=Channel.ZIP,
        code=f"{Channel.ZIP}.same-times",
        strength=Strength.WEAK,
        message=f"{len(shared)} different times of change, to two seconds, occur in both zips: "
        f"{listed(file.left for file in shared)}",
        meaning="Times at which files of both were last changed, and which hardly anybody else "
        "has; files of the base code are not counted.",
        honest="0 between people who worked apart; many after both unpacked one archive, be it a "
        "public one.",
        value=float(len(shared)),
        unit="times",
        details={"files": _listed_files(shared, "same time")},
    )


def _listed_files(shared: Sequence[_Shared], what: str) -> list[dict[str, str]]:
    return [
        {"left": quoted(f.left, 200), "right": quoted(f.right, 200), "what": what} for f in shared
    ]


def relate_names(
    mentions: Mapping[str, Sequence[Mention]],
    entry_numbers: Mapping[str, str],
    emails: Mapping[str, frozenset[str]] | None = None,
) -> dict[PairKey, tuple[Evidence, ...]]:
    """Pairs one of which names the other, or both of which name the same person.

    mentions: submission → what stands in it, without what is common; entry_numbers and emails:
    submission → its own, as far as they are known.
    """
    owners = {("entry number", number.upper()): name for name, number in entry_numbers.items()}
    owners |= {("e-mail", one.lower()): name for name, own in (emails or {}).items() for one in own}
    related: dict[PairKey, list[Evidence]] = defaultdict(list)
    holders: dict[tuple[str, str], list[str]] = defaultdict(list)
    for name in sorted(mentions):
        for mention in mentions[name]:
            owner = owners.get((mention.kind, mention.text))
            if owner is not None and owner != name:
                pair = (name, owner) if name < owner else (owner, name)
                related[pair].append(_names_the_other(name, mention, pair))
            elif mention.kind != "entry number" and owner is None:
                holders[mention.kind, mention.text].append(name)
    for (kind, text), names in holders.items():
        for left, right in combinations(names, 2):
            related[left, right].append(_same_name(kind, text))
    return {pair: tuple(found) for pair, found in related.items()}


def _names_the_other(name: str, mention: Mention, pair: PairKey) -> Evidence:
    other = pair[1] if name == pair[0] else pair[0]
    where = quoted(mention.path, 100) + ("" if mention.line is None else f":{mention.line}")
    return Evidence(
        channel=Channel.ZIP,
        code=f"{Channel.ZIP}.names-the-other",
        strength=Strength.WEAK,
        message=f"{quoted(name)} holds the {mention.kind} of {quoted(other)}, in {where}.",
        meaning="Whether one submission names the other's entry number or address anywhere in its "
        "texts, notebooks, pictures' metadata or paths.",
        honest="Rare between people who worked apart; partners and thanks are honest reasons.",
    )


def _same_name(kind: str, text: str) -> Evidence:
    return Evidence(
        channel=Channel.ZIP,
        code=f"{Channel.ZIP}.same-{kind.replace(' ', '-')}",
        strength=Strength.WEAK,
        message=f"Both name the {kind} {quoted(text)}, which hardly anybody else does.",
        meaning="Addresses in texts, and users in paths such as /home/NAME, that both have.",
        honest="A machine that two people share and an author that both cite are honest reasons.",
    )
