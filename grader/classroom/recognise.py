"""Which submission at the door is which one of earlier runs: what was stored stays with it.

A key alone tells nobody: "submission-2" depends on what else lies in the folder, and an entry
number may be mistyped. The file, the account and the person do.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from grader.classroom.final_marks import SUPERSEDED
from grader.classroom.records import Door, Submitted
from grader.classroom.same_person import are_one_party, are_strangers, who_of
from grader.classroom.store import Store

_ONE_OF_SEVERAL = {SUPERSEDED, "class.resubmitted"}
_MOST_PARTS = 3  # of a path below the folder of a class: group, person, file


def recognise(store: Store, door: Door) -> Door:
    """The same door, with the keys that its submissions have in the store; what is new gets keys
    that nobody has.

    A submission has another key than before, in the store, too, and with all that belongs to it,
    where a roster has told whose it is, and where another one of the same person counts now: the
    one that counts has the key without a number.
    """
    known = store.submitted()
    stems = _stems([*(one.key for one in door.submitted), *(one.key for one in door.absent)])
    before = _matches(known, door.submitted)
    keys = {
        one.key: old.key
        for one in door.submitted
        if (old := before.get(one.key)) is not None
        and _has_stem(old.key, stems[one.key])
        and not _ONE_OF_SEVERAL & {finding.code for finding in one.findings}
    }
    matched = {old.key for old in before.values()}
    taken = {one.key.casefold() for one in known if one.key not in matched}
    taken |= {key.casefold() for key in keys.values()}
    for key in sorted(stems, key=lambda key: key not in before):  # what is known comes first
        if key not in keys:
            keys[key] = _unused(key, stems[key], taken)
            taken.add(keys[key].casefold())
    moves = {old.key: keys[key] for key, old in before.items() if keys[key] != old.key}
    store.rename(_one_by_one(moves, taken | {one.key.casefold() for one in known}))
    submitted = [replace(one, key=keys[one.key]) for one in door.submitted]
    return replace(
        door,
        submitted=tuple(sorted(submitted, key=lambda one: one.key)),
        absent=tuple(replace(one, key=keys[one.key]) for one in door.absent),
    )


# --------------------------------------------------------------------------- who is who


def _matches(known: Sequence[Submitted], here: Sequence[Submitted]) -> dict[str, Submitted]:
    """Key at the door → the submission of before.

    The same file; else a person's file that is called so, for a folder may have moved; else a
    person's only one that is left, who has handed in another in its place. Where several fit, none
    does.
    """
    files = {one.zip_path: one for one in reversed(known)}
    found = {one.key: files[one.zip_path] for one in here if one.zip_path in files}
    for fits in (*(_same_end(parts) for parts in range(_MOST_PARTS, 0, -1)), are_one_party):
        matched = {old.key for old in found.values()}
        found |= _pairs(
            [one for one in known if one.key not in matched],
            [one for one in here if one.key not in found],
            fits,
        )
    return found


def _same_end(parts: int) -> Callable[[Submitted, Submitted], bool]:
    def fits(old: Submitted, new: Submitted) -> bool:
        is_one = old.zip_path.parts[-parts:] == new.zip_path.parts[-parts:]
        return is_one and not are_strangers(old, new)

    return fits


def _pairs(
    known: Iterable[Submitted],
    here: Iterable[Submitted],
    fits: Callable[[Submitted, Submitted], bool],
) -> dict[str, Submitted]:
    """Key at the door → the one submission of before that fits, and fits no other."""
    by_mark: dict[tuple[str, str], list[Submitted]] = defaultdict(list)
    for old in known:
        for mark in _marks(old):
            by_mark[mark].append(old)
    fitting = {
        new.key: {old.key: old for mark in _marks(new) for old in by_mark[mark] if fits(old, new)}
        for new in here
    }
    wanted = Counter(key for olds in fitting.values() for key in olds)
    return {
        new: old
        for new, olds in fitting.items()
        for key, old in olds.items()
        if len(olds) == 1 and wanted[key] == 1
    }


def _marks(one: Submitted) -> set[tuple[str, str]]:
    """What two submissions have in common that may be one."""
    number = one.platform_ids.get("gradescope")
    marks = who_of(one) | ({("gradescope", number)} if number else set())
    return marks or {("name", one.name or "")}


# --------------------------------------------------------------------------- what it is called


def _stems(keys: Sequence[str]) -> dict[str, str]:
    """Key → the key without the number that tells it from another one of these."""
    plain = set(keys)
    return {
        key: match[1] if (match := re.fullmatch(r"(.+)-\d+", key)) and match[1] in plain else key
        for key in keys
    }


def _has_stem(key: str, stem: str) -> bool:
    return re.fullmatch(rf"{re.escape(stem)}(-\d+)?", key) is not None


def _unused(key: str, stem: str, taken: Collection[str]) -> str:
    number = 2
    while key.casefold() in taken:
        key = f"{stem}-{number}"
        number += 1
    return key


def _one_by_one(moves: Mapping[str, str], taken: Collection[str]) -> dict[str, str]:
    """The moves (earlier key → key) in an order in which every key is free when it is given; of
    those that change places one steps aside first."""
    left = dict(moves)
    ordered: dict[str, str] = {}
    while left:
        held = {key.casefold() for key in left}
        free = [key for key, goal in left.items() if goal.casefold() not in held]
        if free:
            ordered |= {key: left.pop(key) for key in free}
        else:
            key, goal = left.popitem()
            aside = _unused(f"{key}-aside", f"{key}-aside", taken)
            ordered[key] = aside
            left[aside] = goal
    return ordered
