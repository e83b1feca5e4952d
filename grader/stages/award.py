"""Turn measurements into marks by the definition's piecewise-linear curves.

Marks are exact decimals. They are rounded **down** to the definition's step, never up: 2.249 is
2.24, so nobody is shown a boundary that was not reached.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_FLOOR, Decimal, localcontext
from fractions import Fraction
from itertools import pairwise

from grader.model import VOID_BECAUSE, Assignment, Award, Criterion, CurvePoint, Measurement

Curve = tuple[tuple[float, Decimal], ...]

# Beyond it lies the last bits' noise of a mean, not a difference.
_NOISE = Fraction(1, 2 * 10**12)
# Shares of images, F1 and overlaps of a few images are fractions with a denominator below this.
_LARGEST_DENOMINATOR = 10**6


def award(assignment: Assignment, measurements: Sequence[Measurement]) -> tuple[Award, ...]:
    """One award per criterion, in the definition's order.

    A measurement without a value gives no marks and says that it could not be measured.
    """
    by_id = {measurement.id: measurement for measurement in measurements}
    return tuple(
        _manual(criterion)
        if criterion.is_manual
        else _award(criterion, by_id.get(criterion.measurement), assignment.marks_step)
        for criterion in assignment.criteria
    )


def _manual(criterion: Criterion) -> Award:
    """Marks that wait for a person: none yet, and what that person has to look at."""
    return Award(
        criterion=criterion.id,
        title=criterion.title,
        measurement="",
        value=None,
        marks=Decimal(0),
        max_marks=criterion.max_marks,
        exact_marks=Decimal(0),
        curve=(),
        rounding="",
        reason="a person gives these marks",
        look_at=criterion.look_at,
    )


def _award(criterion: Criterion, measurement: Measurement | None, step: Decimal) -> Award:
    baselines = measurement.baselines if measurement is not None else {}
    curve = resolve_curve(criterion.curve, baselines)
    value = None if measurement is None else measurement.value
    void = () if measurement is None else measurement.details.get(VOID_BECAUSE, ())
    if void:
        exact, reason = Decimal(0), f"does not count because of a finding: {', '.join(void)}"
    elif value is None:
        exact, reason = Decimal(0), "could not be measured; the findings say why"
    else:
        exact, reason = marks_on(curve, value), _reason(curve, value, baselines)
    return Award(
        criterion=criterion.id,
        title=criterion.title,
        measurement=criterion.measurement,
        value=value,
        marks=(exact / step).to_integral_value(ROUND_FLOOR) * step,
        max_marks=criterion.max_marks,
        exact_marks=exact,
        curve=curve,
        rounding=f"rounded down to a multiple of {step}",
        reason=reason,
    )


def resolve_curve(points: Sequence[CurvePoint], baselines: Mapping[str, float]) -> Curve:
    """The curve with the best trivial baseline put in for "baseline".

    Points at or below the baseline are dropped, so a mark is never given for what a constant
    answer reaches. A measurement without baselines starts the curve at 0. When even the last point
    is not above the baseline, only a value above it earns the full marks.
    """
    if not isinstance(points[0].at, str):
        return tuple((float(point.at), point.marks) for point in points)
    start = max(baselines.values(), default=0.0)
    rest = [(float(p.at), p.marks) for p in points[1:] if float(p.at) > start]
    return ((start, points[0].marks), *(rest or [(1.0, points[-1].marks)]))


def marks_on(curve: Curve, value: float) -> Decimal:
    """Marks at `value`: linear between the curve's points, constant outside them.

    The interpolation is done in fractions, so a share of images that earns a whole step earns all
    of it, and the same value gives the same marks on every machine. Marks that no decimal of 28
    digits holds are cut, never rounded up.
    """
    x = _fraction(value)
    if x <= _fraction(curve[0][0]):
        return curve[0][1]
    for (left, low), (right, high) in pairwise(curve):
        x0, x1 = _fraction(left), _fraction(right)
        if x <= x1:
            exact = Fraction(low) + Fraction(high - low) * (x - x0) / (x1 - x0)
            with localcontext(prec=28, rounding=ROUND_FLOOR):
                return Decimal(exact.numerator) / exact.denominator
    return curve[-1][1]


def _fraction(value: float) -> Fraction:
    """The fraction that `value` was rounded from, as 4/12, else `value` to twelve decimals.

    No float is 1/3: two of them that were rounded up and down put a mark that is exactly on a step
    below it.
    """
    exact = Fraction(value)
    simple = exact.limit_denominator(_LARGEST_DENOMINATOR)
    return simple if abs(exact - simple) <= _NOISE else Fraction(_decimal(value))


def _decimal(value: float) -> Decimal:
    return Decimal(repr(value)).quantize(Decimal("1e-12"))


def _reason(curve: Curve, value: float, baselines: Mapping[str, float]) -> str:
    shown = _shown(value)
    start, end = curve[0][0], curve[-1][0]
    if value <= start:
        if baselines:
            name = max(baselines, key=lambda key: baselines[key])
            return f"{shown} is not above the trivial baseline {_shown(start)} ({name})"
        return f"{shown} is not above {_shown(start)}, where the curve starts"
    if value >= end:
        return f"{shown} reaches the end of the curve at {_shown(end)}"
    (left, low), (right, high) = next(
        (one, other) for one, other in pairwise(curve) if value <= other[0]
    )
    return f"{shown} lies between {_shown(left)} (marks: {low}) and {_shown(right)} (marks: {high})"


def _shown(value: float) -> str:
    """Four places, rounded down: a boundary that was not reached is not shown as reached."""
    return str(_decimal(value).quantize(Decimal("1e-4"), ROUND_FLOOR))
