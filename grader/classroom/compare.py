"""Whose marks changed, and why: two results folders side by side, or a class with its own past."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from grader.classroom.marks import counted, in_force, maxima, misfits, total, with_adjustments
from grader.classroom.records import Adjustment, PastResult
from grader.classroom.store import Store


@dataclass(frozen=True, slots=True)
class Side:
    """A submission on one side of a comparison."""

    result: PastResult
    adjustments: tuple[Adjustment, ...]
    late_penalty: Decimal

    @property
    def awards(self) -> dict[str, Decimal]:
        most = maxima(self.result.report)
        return with_adjustments(self.result.awards, self.adjustments, most)

    @property
    def marks(self) -> Decimal:
        return max(Decimal(0), total(self.awards) - self.late_penalty)


@dataclass(frozen=True, slots=True)
class Change:
    """A submission whose marks differ, None on the side where it has none, and what explains it."""

    key: str
    name: str | None
    before: Decimal | None
    after: Decimal | None
    reasons: tuple[str, ...]


def compare(before: Store, after: Store) -> tuple[Change, ...]:
    """Every submission whose marks differ between two classes, in the order of the second one."""
    return _changes(_names(before) | _names(after), _current(before), _current(after))


def compare_with_past(store: Store) -> tuple[Change, ...]:
    """Every submission whose current marks differ from those of the result before it.

    Lateness is counted as it is now on both sides: the store keeps no earlier rule.
    """
    now = _current(store)
    past = {}
    for key in now:
        results = store.history(key)
        if len(results) > 1:
            earlier = tuple(
                one for one in store.adjustments(key) if one.when <= results[-1].graded_at
            )
            past[key] = Side(results[-2], in_force(earlier), now[key].late_penalty)
    return _changes(_names(store), past, {key: now[key] for key in past})


def _changes(
    names: Mapping[str, str | None], before: Mapping[str, Side], after: Mapping[str, Side]
) -> tuple[Change, ...]:
    changes = []
    for key in dict.fromkeys([*after, *before]):
        old, new = before.get(key), after.get(key)
        if old is not None and new is not None:
            if old.marks != new.marks:
                reasons = _reasons(old, new)
                changes.append(Change(key, names[key], old.marks, new.marks, reasons))
        elif new is not None:
            changes.append(Change(key, names[key], None, new.marks, ("has no result before",)))
        elif old is not None:
            changes.append(Change(key, names[key], old.marks, None, ("has no result any more",)))
    return tuple(changes)


def _reasons(old: Side, new: Side) -> tuple[str, ...]:
    rested_on, rests_on = old.result.fingerprint, new.result.fingerprint
    reasons = [f"{what} changed" for what in rested_on.differences(rests_on)]
    if not reasons and old.result.awards != new.result.awards:
        reasons.append("the program itself gave something else: nothing around it changed")
    if new.result.why and new.result.number != old.result.number:
        reasons.append(f"graded again by {new.result.who}: {new.result.why}")
    for criterion in dict.fromkeys([*old.awards, *new.awards]):
        one, other = old.awards.get(criterion), new.awards.get(criterion)
        if one != other:
            reasons.append(
                f"{criterion}: {_shown(one)} → {_shown(other)}{_values(old, new, criterion)}"
            )
    reasons += [
        f"{one.criterion} set to {one.marks:f} by {one.who}: {one.because}"
        for one in new.adjustments
        if one not in old.adjustments
    ]
    unfit = misfits(new.result.key, new.adjustments, maxima(new.result.report))
    lost = [one.adjustment for one in unfit if one.adjustment in _counted_in_full(old)]
    reasons += [
        f"the {one.marks:f} that {one.who} gave for {one.criterion} no longer fit the definition"
        for one in lost
    ]
    if old.late_penalty != new.late_penalty:
        reasons.append(f"off for lateness: {old.late_penalty:f} → {new.late_penalty:f}")
    earlier, later = _codes(old), _codes(new)
    reasons += [f"new finding: {code}" for code in later if code not in earlier]
    reasons += [f"finding gone: {code}" for code in earlier if code not in later]
    return tuple(reasons)


def _counted_in_full(side: Side) -> tuple[Adjustment, ...]:
    return counted(side.adjustments, maxima(side.result.report))


def _values(old: Side, new: Side, criterion: str) -> str:
    values = [
        next(
            (
                award["value"]
                for award in side.result.report.get("awards", ())
                if award["criterion"] == criterion
            ),
            None,
        )
        for side in (old, new)
    ]
    if values[0] == values[1]:
        return ""
    shown = ["nothing" if value is None else f"{value:.4g}" for value in values]
    return f" (measured {shown[0]} → {shown[1]})"


def _codes(side: Side) -> list[str]:
    findings = side.result.report.get("findings", ())
    return list(dict.fromkeys(finding["code"] for finding in findings))


def _shown(marks: Decimal | None) -> str:
    return "none" if marks is None else f"{marks:f}"


def _names(store: Store) -> dict[str, str | None]:
    return {one.key: one.name for one in store.submitted()}


def _current(store: Store) -> dict[str, Side]:
    late = store.late_penalties()
    return {
        key: Side(result, in_force(store.adjustments(key)), late[key])
        for key in store.states()
        if (result := store.latest(key)) is not None
    }
