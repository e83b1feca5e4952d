"""One cause is told once, and two causes twice."""

from __future__ import annotations

import pytest

from grader.findings import found
from grader.model import Finding
from grader.stages import merge_findings as module
from grader.stages.merge_findings import merge_findings

SAME_LINE = sorted(module._SAME_LINE.items())
ANYWHERE = sorted(module._ANYWHERE.items())


def _codes(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.code for finding in findings]


@pytest.mark.parametrize(("dropped", "kept"), SAME_LINE)
def test_what_the_run_confirms_is_told_once(dropped: str, kept: str) -> None:
    both = (found(dropped, "x", path="a.py", line=3), found(kept, "y", path="a.py", line=3))

    assert _codes(merge_findings(both)) == [kept]
    assert _codes(merge_findings(reversed(both))) == [kept]


@pytest.mark.parametrize(("dropped", "kept"), SAME_LINE)
@pytest.mark.parametrize("place", [("a.py", 4), ("b.py", 3), ("a.py", None)])
def test_a_fault_that_the_run_never_came_to_stays(
    dropped: str, kept: str, place: tuple[str, int | None]
) -> None:
    path, line = place
    both = (found(dropped, "x", path=path, line=line), found(kept, "y", path="a.py", line=3))

    assert merge_findings(both) == both


@pytest.mark.parametrize(("dropped", "kept"), ANYWHERE)
def test_a_consequence_is_dropped_wherever_its_cause_lies(dropped: str, kept: str) -> None:
    both = (found(dropped, "x", path="a"), found(kept, "y", path="b"))

    assert _codes(merge_findings(both)) == [kept]


def test_what_stands_alone_and_what_has_no_place_stay_in_their_order() -> None:
    alone = (
        *(found(code, "x", path="a.py", line=3) for code in module._SAME_LINE),
        *(found(code, "x") for code in module._ANYWHERE),
        found("result.below-baseline", "x"),
    )

    assert merge_findings(alone[:1]) == alone[:1]
    kept = [finding for finding in alone if finding.code != "source.syntax"]
    assert merge_findings(kept) == tuple(kept)
