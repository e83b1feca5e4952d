"""Which functions a script may call, by their names alone.

Names decide generously: a function counts as reached when anything that is reached mentions its
name, on whatever object. What is not reached is a leftover that nothing runs, and a leftover's
faults are not held against a student.
"""

from __future__ import annotations

from grader.source.facts import MAIN_UNIT, MODULE_UNIT, Unit
from grader.source.imports import Closure

Place = tuple[str, int]


def reached_units(closure: Closure) -> frozenset[Place]:
    """(path, unit) of the code that running `closure.entry` may run."""
    search = _Search()
    for facts in closure.read:
        for number, unit in enumerate(facts.units):
            if number == MODULE_UNIT or (number == MAIN_UNIT and facts.path == closure.entry):
                search.reach((facts.path, number), unit)
            elif number != MAIN_UNIT:
                search.wait((facts.path, number), unit)
    search.run()
    return frozenset(search.reached)


class _Search:
    """Units wait under the words that could wake them; every word wakes its units once."""

    def __init__(self) -> None:
        self.reached: set[Place] = set()
        self.units: dict[Place, Unit] = {}
        self.by_word: dict[str, list[Place]] = {}
        self.by_parent: dict[Place, list[Place]] = {}
        self.words: set[str] = set()
        self.woken: list[Place] = []

    def wait(self, place: Place, unit: Unit) -> None:
        self.units[place] = unit
        for word in {unit.name, unit.owner} - {""}:
            self.by_word.setdefault(word, []).append(place)
        if unit.parent is not None:
            self.by_parent.setdefault((place[0], unit.parent), []).append(place)

    def reach(self, place: Place, unit: Unit) -> None:
        self.reached.add(place)
        self.units.pop(place, None)
        for word in unit.words - self.words:
            self.words.add(word)
            self.woken += self.by_word.get(word, ())
        self.woken += self.by_parent.get(place, ())

    def run(self) -> None:
        # What waited after the first words were heard has not been woken by them.
        self.woken += self.units
        while self.woken:
            place = self.woken.pop()
            unit = self.units.get(place)
            if unit is not None and self._may_run(place, unit):
                self.reach(place, unit)

    def _may_run(self, place: Place, unit: Unit) -> bool:
        if unit.parent is not None and (place[0], unit.parent) not in self.reached:
            return False
        if not unit.owner:
            return unit.hooked or unit.name in self.words
        # A method: its class has to be used, and it be named or be called by the class's makers.
        return unit.owner in self.words and (
            unit.hooked or unit.name.startswith("__") or unit.name in self.words
        )
