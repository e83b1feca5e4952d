"""Which submissions have to be graded, and why: what is done and unchanged is left alone."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from grader.classroom.final_marks import SUPERSEDED
from grader.classroom.fingerprint import content_hash, is_there, stamp_of
from grader.classroom.lateness import late_penalty, reckoned
from grader.classroom.marks import total
from grader.classroom.records import Door, Fingerprint, Setup, State, Submitted
from grader.classroom.same_person import are_strangers, who_of
from grader.classroom.store import Store
from grader.errors import UsageError
from grader.findings import found, quoted
from grader.model import Assignment, Finding


def plan(
    store: Store,
    door: Door,
    current: Fingerprint,
    setup: Setup,
    assignment: Assignment,
    who: str,
    *,
    force: bool,
) -> tuple[Submitted, ...]:
    """Bring the store up to what lies at the door; returns what has to be graded, in that order.

    `current` is what a result would rest on now (its `zip_sha256` is not looked at), `setup` what
    is asked for; the store still holds what was asked for last time. The `door` has the store's
    keys (`recognise`). Work that a killed run left, and what was parked, is due again. Raises
    UsageError when the results are those of another class.
    """
    submitted = door.submitted
    _check_class(store, submitted)
    store.put_back()
    store.enrol(door, who)
    store.note(_replaced(store, submitted))
    here = {one.key: one for one in submitted}
    store.settle(key for key in store.states() if key not in here)
    states = store.states()
    reasons = {
        key: "parked before: tried again"
        for key, state in states.items()
        if state is State.PARKED and key in here
    }
    done = [one for key, one in here.items() if states[key] is State.DONE]
    if force:
        reasons |= dict.fromkeys(here, "asked for with --force")
    else:
        if asked := _newly_asked(store.info().setup, setup):
            reasons |= dict.fromkeys([one.key for one in done], asked)
        reasons |= changes(store, done, current)
    store.ask(reasons, who)
    charge(store, assignment)
    states = store.states()
    return tuple(one for key, one in here.items() if states[key] is State.WAITING)


def changes(store: Store, done: Sequence[Submitted], current: Fingerprint) -> dict[str, str]:
    """key → what has changed since the result was made, where something has.

    Zips whose stamp is that of last time are not read. A result whose zip has gone stays as it is:
    it cannot be made again.
    """
    stamps, known = store.zip_stamps(), store.fingerprints()
    reasons, unchanged = {}, {}
    for one in done:
        if not is_there(one.zip_path):
            continue
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


def _newly_asked(before: Setup, now: Setup) -> str:
    """What a report is to hold that was left out last time, in words; "" for nothing."""
    asked = {
        "the independent evaluation": now.independent and not before.independent,
        "--probe": now.probed and not before.probed,
    }
    names = [name for name, is_new in asked.items() if is_new]
    return f"{' and '.join(names)} asked for now" if names else ""


def charge(store: Store, assignment: Assignment) -> None:
    """Charge every submission's lateness by the definition as it is now, at the door or gone."""
    known = store.submitted()
    now = [reckoned(one, assignment.late) for one in known]
    store.tell_lateness([one for one, before in zip(now, known, strict=True) if one != before])
    awards: Mapping[str, Mapping[str, Decimal]] = store.awards()
    store.charge(
        {
            one.key: late_penalty(total(awards[one.key]), one.late_seconds, assignment)
            for one in now
            if one.key in awards
        }
    )


def _replaced(store: Store, submitted: Sequence[Submitted]) -> dict[str, Finding]:
    """key → a finding, for submissions that are no longer at the door while another one of the
    same person is: exports would give that person the marks of both."""
    here = {one.key for one in submitted}
    owned: dict[tuple[str, str], list[Submitted]] = defaultdict(list)
    for one in submitted:
        for who in who_of(one):
            owned[who].append(one)
    return {
        gone.key: found(SUPERSEDED, f"is no longer there; {quoted(other.zip_name)} counts")
        for gone in store.submitted()
        if gone.key not in here
        for who in who_of(gone)
        for other in owned.get(who, ())
        if not are_strangers(gone, other)
    }


def _marks_of(one: Submitted) -> set[object]:
    """What tells a submission from those of another class: its key, its file, or whose it is."""
    return {one.key, one.zip_path, *who_of(one)}


def _check_class(store: Store, submitted: Sequence[Submitted]) -> None:
    known = store.submitted()
    told = {mark for one in known for mark in _marks_of(one)}
    if known and not any(_marks_of(one) & told for one in submitted):
        raise UsageError(
            f"{store.results}: holds the results of another class: none of its {len(known)} "
            f"submissions is among the {len(submitted)} given",
            hint="give every class a folder of its own with --out",
        )
