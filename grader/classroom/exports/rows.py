"""Whose row of a worksheet is whose: nobody's rather than somebody else's.

Each person is looked for by what tells most first, and has the first row that is found so. One way
is tried for everybody before the next is tried for anybody, so that a weak sign never wins a row of
which a strong one says whose it is, in whatever order the class stands.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from grader.classroom.exports.filled import Filled
from grader.classroom.exports.worksheet import Worksheet
from grader.classroom.owners import owners_of
from grader.classroom.records import Entry, Owner, State

# The rows that a sign names for one owner of an entry.
Way = Callable[[Owner, Entry], Sequence[int]]
_Person = tuple[int, int]  # the number of an entry, and of an owner of it


@dataclass(frozen=True, slots=True)
class Placed:
    """`rows` of each entry, and the owners for whom there is none, by its number in `entries`.
    `disputed`: the rows in which several entries are found, in words; `in_dispute`: who has none
    for that reason."""

    rows: Mapping[int, tuple[int, ...]]
    rowless: Mapping[int, tuple[Owner, ...]]
    disputed: tuple[str, ...]
    in_dispute: frozenset[int]  # numbers of entries


def fill_rows(
    sheet: Worksheet, entries: Sequence[Entry], placed: Placed, put: Callable[[int, Entry], str]
) -> Filled:
    """Write into every row that is somebody's who has marks.

    `put` writes one row, or leaves it as it is and returns why.
    """
    kept, filled = [], 0
    for number, entry in enumerate(entries):
        for row in placed.rows[number] if entry.marks is not None else ():
            why = put(row, entry)
            if why:
                kept.append(why)
            else:
                filled += 1
    return Filled(
        text=sheet.text(),
        filled=filled,
        kept=tuple(kept),
        unplaced=unplaced(entries, placed),
        members=members_without_rows(entries, placed),
        disputed=placed.disputed,
    )


def unplaced(entries: Sequence[Entry], placed: Placed) -> tuple[Entry, ...]:
    """Of the entries, those that have no row, and are not in dispute over one, or have no marks."""
    return tuple(
        entry
        for number, entry in enumerate(entries)
        if entry.marks is None or not (placed.rows[number] or number in placed.in_dispute)
    )


def members_without_rows(entries: Sequence[Entry], placed: Placed) -> tuple[str, ...]:
    """Who of a team has no row where others of it have one, in words."""
    return tuple(
        member_in_words(owner, entry)
        for number, entry in enumerate(entries)
        for owner in placed.rowless[number]
        if placed.rows[number]
    )


def member_in_words(owner: Owner, entry: Entry) -> str:
    """One owner of a submission, and which one it is."""
    number = " ".join(owner.platform_ids.values())
    who = owner.name or owner.entry_number or owner.email or number or "somebody unnamed"
    return f"{who} (with {entry.submitted.key})"


def place(
    entries: Sequence[Entry],
    others: Sequence[Entry],
    sure: Sequence[Way],
    guesses: Sequence[Way],
    called: Callable[[int], str],
) -> Placed:
    """Find the rows of the `entries`.

    `others` get no marks, and their rows are theirs all the same. `sure` and `guesses` are ways to
    find somebody's rows, the strongest first; a guess takes only what nobody else is known to have.
    `called` is what a row is called in a message. Where one way leads several submissions to a row,
    it is nobody's; who handed in nothing has only rows that no submission has.
    """
    everybody = [*entries, *others]
    search = _Search(everybody)
    absent = {number for number, one in enumerate(everybody) if one.state is State.ABSENT}
    for group in ([n for n in range(len(everybody)) if n not in absent], sorted(absent)):
        for way in sure:
            search.ask(group, way, is_sure=True)
        for way in guesses:
            search.ask(group, way, is_sure=False)
    exported = range(len(entries))
    return Placed(
        rows={number: tuple(sorted(search.rows[number])) for number in exported},
        rowless={
            number: tuple(
                owner
                for position, owner in enumerate(search.owners[number])
                if (number, position) not in search.settled
                # By a team's name one owner has found the rows of all.
                and len(search.rows[number]) < len(search.owners[number])
            )
            for number in exported
        },
        disputed=tuple(search.told(row, called) for row in search.disputes(exported)),
        in_dispute=frozenset(n for row in search.disputes(exported) for n in search.claims[row]),
    )


class _Search:
    """Who has which row so far."""

    def __init__(self, everybody: Sequence[Entry]) -> None:
        self.everybody = everybody
        self.owners = [owners_of(one.submitted) for one in everybody]
        self.rows: dict[int, list[int]] = defaultdict(list)
        self.settled: set[_Person] = set()  # found, or in dispute
        self.claims: dict[int, list[int]] = defaultdict(list)  # row → who is in dispute over it
        self._holders: dict[int, int | None] = {}  # row → whose it is; None: nobody's

    def ask(self, group: Sequence[int], way: Way, *, is_sure: bool) -> None:
        """Look one way for the people of these entries who have not been found."""
        wanted: dict[int, list[_Person]] = defaultdict(list)
        for number in group:
            for position, owner in enumerate(self.owners[number]):
                if (number, position) not in self.settled:
                    for row in way(owner, self.everybody[number]):
                        wanted[row].append((number, position))
        before = dict(self._holders)
        for row, people in wanted.items():
            numbers = list(dict.fromkeys(number for number, _ in people))
            if row not in before and len(numbers) == 1:
                # Two of a team cannot both have the row: the other one is looked for elsewhere.
                self._holders[row] = numbers[0]
                self.rows[numbers[0]].append(row)
                self.settled.add(people[0])
            elif row not in before:
                self._holders[row] = None
                self._dispute(row, people)
            elif is_sure:
                self._dispute(row, [one for one in people if one[0] != before[row]])

    def _dispute(self, row: int, people: Sequence[_Person]) -> None:
        self.settled.update(people)
        for number, _ in people:
            if number not in self.claims[row]:
                self.claims[row].append(number)

    def disputes(self, exported: Sequence[int]) -> list[int]:
        """The rows in dispute that concern anybody who is exported."""
        return sorted(row for row, who in self.claims.items() if set(who) & set(exported))

    def told(self, row: int, called: Callable[[int], str]) -> str:
        """What became of a row in dispute, in words."""
        claimants = [self.everybody[number] for number in self.claims[row]]
        keys = " and ".join(
            f"{one.submitted.key}{' (handed in nothing)' if one.state is State.ABSENT else ''}"
            for one in claimants
        )
        holder = self._holders[row]
        if holder is None:
            return f"{called(row)}: {keys} are found there; nothing was written there"
        has = self.everybody[holder].submitted.key
        return f"{called(row)}: is the row of {has}; {keys}, found there too, has none"
