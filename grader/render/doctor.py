"""What `grader doctor` prints: which sandbox works here, why others do not, what to install."""

from __future__ import annotations

from collections.abc import Sequence

from tabulate import tabulate

from grader.sandbox import NOT_HELD, BackendReport, GpuReport

_PROMISE = {
    "full": "full: no network, no files but its own, limits on everything",
    "reduced": "reduced: stamped into every report",
    "none": "none: only with --unsafe-no-sandbox, stamped into every report",
}


def doctor_text(backends: Sequence[BackendReport], gpu: GpuReport) -> str:
    """A table of back ends, the remedies, and which one will be used."""
    rows = [
        (
            backend.name,
            "works" if backend.works else "does not work",
            _PROMISE[backend.isolation],
            backend.detail,
        )
        for backend in backends
    ]
    rows.append(("gpu", "usable" if gpu.usable else "not usable", "", gpu.detail))
    lines = [
        tabulate(
            rows,
            headers=("what", "here", "isolation", "detail"),
            maxcolwidths=[None, None, 30, 46],
            tablefmt="simple",
        ),
        "",
    ]
    for name, remedy in [(b.name, b.remedy) for b in backends] + [("gpu", gpu.remedy)]:
        if remedy:
            lines.append(f"{name}: {remedy}")
    chosen = next((backend for backend in backends if backend.works), None)
    if chosen is None or chosen.isolation == "none":
        lines.append("No sandbox works here: grader refuses to run student code.")
    else:
        lines.append(f"grader will use {chosen.name} ({chosen.isolation} isolation).")
        if NOT_HELD[chosen.isolation]:
            lines.append(
                f"Warning: {chosen.name} does not hold back a program that tries to "
                f"{', to '.join(NOT_HELD[chosen.isolation])} (docs/security.md, known limits)."
            )
    return "\n".join(lines)
