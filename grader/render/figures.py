"""Numbers as people read them. Displayed figures are never rounded up past a boundary.

0.84999 is shown as 0.8499, for nobody is to be told a value that was not reached; the ends of an
interval are rounded outwards. The exact numbers stand in report.json.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from grader.model import Interval

_BINARY = ("B", "KiB", "MiB", "GiB", "TiB")


def value(number: float | None, *, places: int = 4, up: bool = False) -> str:
    """A measured number with `places` decimals, rounded down (`up`: up); a dash for None."""
    if number is None:
        return "–"
    return f"{_rounded(number, places, up):.{places}f}"


def percent(share: float | None) -> str:
    """A share in [0, 1] in percent with one decimal, rounded down: 0.99999 is 99.9 %."""
    return "–" if share is None else f"{_rounded(share * 100, 1, False):.1f} %"


def interval(bounds: Interval | None) -> str:
    """`0.7213 – 0.8049`, rounded outwards."""
    if bounds is None:
        return "–"
    return f"{value(bounds.low)} – {value(bounds.high, up=True)}"


def level(bounds: Interval) -> str:
    """The level of an interval: `95 %`."""
    return f"{bounds.level * 100:g} %"


def marks(exact: Decimal, step: Decimal) -> str:
    """Exact marks with the decimals of the definition's step, more where the number has more."""
    places = max(_places(exact), _places(step))
    return f"{exact:.{places}f}"


def seconds(duration: float) -> str:
    """`850 ms`, `12.3 s` or `14 min 5 s`."""
    if duration < 1:
        return f"{duration * 1000:.0f} ms"
    if duration < 60:
        return f"{duration:.1f} s"
    whole = int(duration)
    return f"{whole // 60} min {whole % 60} s"


def size(count_bytes: int) -> str:
    """Bytes in binary units: `3.2 GiB`."""
    amount = float(count_bytes)
    for unit in _BINARY[:-1]:
        if amount < 1024:
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{amount:.1f} {_BINARY[-1]}"


def counted(number: int, noun: str) -> str:
    """`1 image`, `24 images`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _rounded(number: float, places: int, up: bool) -> Decimal:
    # Twelve decimals first: beyond them lies the last bit's noise, and 0.58 × 100 is 58.
    exact = Decimal(repr(number)).quantize(Decimal("1e-12"))
    return exact.quantize(Decimal(1).scaleb(-places), ROUND_CEILING if up else ROUND_FLOOR)


def _places(number: Decimal) -> int:
    exponent = number.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
