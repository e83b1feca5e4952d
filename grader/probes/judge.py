"""Hold what a student's layer returned against the exact answers.

The convention (ε, the number of groups, …) is the right one that explains most checks; where some
fail, a wrong one that explains more says what the mistake is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from grader.probes.normalization import Array, Convention, Subject, exact
from grader.probes.plan import CHANNELS, GROUPS, Check, call_of


@dataclass(frozen=True, slots=True)
class CheckedProbe:
    """One check: `deviation` is a share of the largest exact magnitude, infinite where nothing
    comparable came back; `what` names the worst of the returned arrays."""

    check: Check
    passed: bool
    deviation: float
    what: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """All checks of one layer; `convention` in words where it is not PyTorch's, `mistake` in words
    where a wrong convention explains more."""

    checks: tuple[CheckedProbe, ...]
    convention: str = ""
    mistake: str = ""
    groups: int | None = None

    @property
    def passed(self) -> int:
        return sum(checked.passed for checked in self.checks)


@dataclass(frozen=True, slots=True)
class Returned:
    """What came out of the sandbox: "check/array" → array; `gate`: its value at the start."""

    arrays: Mapping[str, npt.NDArray[np.generic]] = field(default_factory=dict)
    gate: float = 1.0


def judge(
    subject: Subject,
    checks: Sequence[Check],
    arrays: Mapping[str, npt.NDArray[np.float32]],
    returned: Returned,
) -> Judgement:
    """The judgement of one layer. Never raises for what the student returned."""
    base = Convention(groups=GROUPS if subject.kind == "group" else 0, starts_at=returned.gate)

    def checked(convention: Convention) -> _Tried:
        probes = tuple(_check(subject, convention, check, arrays, returned) for check in checks)
        return _Tried(probes, convention)

    best = _first_best(map(checked, subject.conventions(base, CHANNELS)), len(checks))
    mistake = ""
    if best.passed < len(checks):
        usual = [c for c in subject.conventions(base, CHANNELS) if c.eps == base.eps]
        wrong = (mistake for convention in usual for mistake in subject.mistakes(convention))
        other = _first_best(map(checked, wrong), len(checks))
        if other.passed > best.passed:
            mistake = other.convention.describe()
    groups = best.convention.groups if subject.kind == "group" else None
    return Judgement(best.probes, best.convention.describe(), mistake, groups)


@dataclass(frozen=True, slots=True)
class _Tried:
    probes: tuple[CheckedProbe, ...]
    convention: Convention

    @property
    def passed(self) -> int:
        return sum(probe.passed for probe in self.probes)


def _first_best(tried: Iterable[_Tried], most: int) -> _Tried:
    """The first of those that pass most; what passes everything ends the search."""
    best: _Tried | None = None
    for one in tried:
        if best is None or one.passed > best.passed:
            best = one
        if best.passed == most:
            break
    assert best is not None
    return best


def _check(
    subject: Subject,
    convention: Convention,
    check: Check,
    arrays: Mapping[str, npt.NDArray[np.float32]],
    returned: Returned,
) -> CheckedProbe:
    wanted = exact(subject, convention, call_of(check, arrays))
    worst, what = 0.0, ""
    for name, answer in wanted.items():
        deviation = _deviation(answer, returned.arrays.get(f"{check.id}/{name}"))
        if deviation > worst or not what:
            worst, what = max(worst, deviation), name
    return CheckedProbe(check, worst <= check.tolerance, worst, what)


def _deviation(answer: Array, given: npt.NDArray[np.generic] | None) -> float:
    """The largest difference as a share of the largest magnitude; infinite where incomparable."""
    if given is None or given.dtype.kind != "f":
        return float("inf")
    values = given.astype(np.float64)
    if answer.ndim == 1 and values.size % answer.size == 0 and values.size > answer.size:
        # A parameter per element (C, H, W): together they are the channel's.
        values = values.reshape(answer.size, -1).sum(axis=1)
    if values.size != answer.size or not np.isfinite(values).all():
        return float("inf")
    scale = float(np.abs(answer).max()) or 1.0
    return float(np.abs(values.reshape(answer.shape) - answer).max()) / scale
