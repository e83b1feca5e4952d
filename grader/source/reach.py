"""Which functions a script may call, by their names alone.

Names decide generously: a function counts as reached when anything that is reached mentions its
name, on whatever object. What is not reached is a leftover that nothing runs, and a leftover's
faults are not held against a student.
"""

from __future__ import annotations

from grader.source.facts import MAIN_UNIT, MODULE_UNIT
from grader.source.imports import Closure


def reached_units(closure: Closure) -> frozenset[tuple[str, int]]:
    """(path, unit) of the code that running `closure.entry` may run."""
    reached: set[tuple[str, int]] = set()
    words: set[str] = set()
    # A class is built by its name, its methods by any object that has them.
    waiting: dict[tuple[str, int], tuple[str, str, bool, int | None]] = {}
    for facts in closure.read:
        for number, unit in enumerate(facts.units):
            runs = number == MODULE_UNIT or (number == MAIN_UNIT and facts.path == closure.entry)
            if runs:
                reached.add((facts.path, number))
                words |= unit.words
            elif number != MAIN_UNIT:
                waiting[facts.path, number] = (unit.name, unit.owner, unit.hooked, unit.parent)
    units = {facts.path: facts.units for facts in closure.read}
    grew = True
    while grew:
        grew = False
        for key, (name, owner, hooked, parent) in list(waiting.items()):
            if parent is not None and (key[0], parent) not in reached:
                continue
            of_used_class = bool(owner) and owner in words
            is_hook = name.startswith("__") or hooked
            called = name in words and (not owner or of_used_class)
            if called or (of_used_class and is_hook) or (not owner and hooked):
                reached.add(key)
                words |= units[key[0]][key[1]].words
                del waiting[key]
                grew = True
    return frozenset(reached)
