"""One cause, one finding: drop what another finding says better.

The source is read before the program runs, and the run may then confirm what was foreseen. What a
student reads is the one that says more; a fault that the run never came to stays.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from grader.model import Finding, Place

# dropped: kept, where both are about the same line of the same file
_SAME_LINE: Mapping[str, str] = {
    "source.opens-missing-file": "run.missing-file",
    "source.may-lack-file": "run.missing-file",
    "source.missing-local-module": "run.missing-module",
    "source.missing-conditional-module": "run.missing-module",
    "source.relative-import": "run.missing-module",
    "source.absolute-path": "run.missing-file",
    "source.hardcoded-cuda": "run.cuda",
    "run.crash": "source.syntax",
    "run.not-run": "layout.missing-file",
}
# dropped: kept, wherever they are
_ANYWHERE: Mapping[str, str] = {
    "layout.no-checkpoint": "run.no-checkpoint",
    "labels.missing-file": "run.no-output",
    "mask.missing-folder": "run.no-output",
    "result.empty-masks": "mask.low-contrast",
    "result.class-order": "result.wrong-class-order",
}


def merge_findings(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """`findings` in their order, without those that another one of them makes superfluous."""
    everything = tuple(findings)
    codes = {finding.code for finding in everything}
    places = {(finding.code, _line(finding.place)) for finding in everything}
    return tuple(
        finding
        for finding in everything
        if _ANYWHERE.get(finding.code) not in codes
        and (_SAME_LINE.get(finding.code), _line(finding.place)) not in places
    )


def _line(place: Place | None) -> tuple[str, int | None] | None:
    return None if place is None else (place.path, place.line)
