"""Which submissions have to be graded, and why: what is done and unchanged is left alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from grader.classroom.fingerprint import content_hash, stamp_of
from grader.classroom.lateness import late_penalty
from grader.classroom.marks import total
from grader.classroom.records import Door, Fingerprint, State, Submitted
from grader.classroom.store import Store
from grader.errors import UsageError
from grader.model import Assignment


def plan(
    store: Store,
    door: Door,
    current: Fingerprint,
    assignment: Assignment,
    who: str,
    *,
    force: bool,
) -> tuple[Submitted, ...]:
    """Bring the store up to what lies at the door; returns what has to be graded, in that order.

    `current` is what a result would rest on now (its `zip_sha256` is not looked at). Work that a
    killed run left, and what was parked, is due again. Raises UsageError when the results are those
    of another class.
    """
    submitted = door.submitted
    _check_class(store, submitted)
    store.put_back()
    store.enrol(door, who)
    states = store.states()
    here = {one.key: one for one in submitted}
    reasons = {
        key: "parked before: tried again"
        for key, state in states.items()
        if state is State.PARKED and key in here
    }
    done = [one for key, one in here.items() if states[key] is State.DONE]
    if force:
        reasons |= dict.fromkeys(here, "asked for with --force")
    else:
        reasons |= changes(store, done, current)
    store.ask(reasons, who)
    store.charge(penalties(store, submitted, assignment))
    states = store.states()
    return tuple(one for key, one in here.items() if states[key] is State.WAITING)


def changes(store: Store, done: Sequence[Submitted], current: Fingerprint) -> dict[str, str]:
    """key → what has changed since the result was made, where something has.

    Zips whose stamp is that of last time are not read.
    """
    stamps, known = store.zip_stamps(), store.fingerprints()
    reasons, unchanged = {}, {}
    for one in done:
        rested_on = known[one.key]
        zip_sha256, stamp = rested_on.zip_sha256, stamp_of([one.zip_path])
        if stamp != stamps[one.key]:
            zip_sha256 = content_hash(one.zip_path)
            if zip_sha256 == rested_on.zip_sha256:
                unchanged[one.key] = stamp
        changed = rested_on.differences(replace(current, zip_sha256=zip_sha256))
        if changed:
            reasons[one.key] = f"{' and '.join(changed)} changed"
    store.stamp_zips(unchanged)
    return reasons


def penalties(
    store: Store, submitted: Sequence[Submitted], assignment: Assignment
) -> dict[str, Decimal]:
    """key → what lateness costs by the definition as it is now, where there is a result."""
    awards: Mapping[str, Mapping[str, Decimal]] = store.awards()
    return {
        one.key: late_penalty(total(awards[one.key]), one.late_seconds, assignment)
        for one in submitted
        if one.key in awards
    }


def _check_class(store: Store, submitted: Sequence[Submitted]) -> None:
    known = store.states()
    if known and not any(one.key in known for one in submitted):
        raise UsageError(
            f"{store.results}: holds the results of another class: none of its {len(known)} "
            f"submissions is among the {len(submitted)} given",
            hint="give every class a folder of its own with --out",
        )
