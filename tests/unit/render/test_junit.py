"""JUnit XML: shape, counts and whose fault is what."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from grader.model import CheckResult, Fault, Finding, Place, Severity
from grader.render.junit import junit_of_checks, junit_of_report
from tests.unit.render.example_report import (
    example_check,
    example_report,
    failed_report,
    rejected_report,
)

# tag → (attributes that have to be there, attributes that may be, children)
SHAPE: dict[str, tuple[set[str], set[str], set[str]]] = {
    "testsuites": ({"name", "tests", "failures", "errors", "time"}, {"skipped"}, {"testsuite"}),
    "testsuite": (
        {"name", "tests", "failures", "errors", "skipped", "time"},
        {"timestamp"},
        {"testcase"},
    ),
    "testcase": (
        {"name", "classname", "time"},
        {"file", "line"},
        {"failure", "error", "system-out"},
    ),
    "failure": ({"message", "type"}, set(), set()),
    "error": ({"message", "type"}, set(), set()),
    "system-out": (set(), set(), set()),
}


def _parsed(text: str) -> ET.Element:
    """The document, after its shape and its counts were held against SHAPE."""
    root = ET.fromstring(text.encode())
    assert root.tag == "testsuites"
    for element in root.iter():
        needed, allowed, children = SHAPE[element.tag]
        assert needed <= set(element.keys()) <= needed | allowed, element.tag
        assert {child.tag for child in element} <= children
    for suite in (root, *root.iter("testsuite")):
        for attribute, tag in (("tests", "testcase"), ("failures", "failure"), ("errors", "error")):
            assert int(suite.attrib[attribute]) == len(list(suite.iter(tag)))
    return root


def _finding(severity: Severity, fault: Fault) -> Finding:
    return Finding("zip.x", severity, fault, "what", "mend it", Place("a/b.py", 7))


def _check(*findings: Finding, passed: bool) -> CheckResult:
    return CheckResult("a.zip", None, None, "ail721-a2", findings, passed)


def test_a_students_fault_and_a_limit_are_failures_a_graders_fault_is_an_error() -> None:
    findings = [_finding(Severity.ERROR, fault) for fault in Fault]
    root = _parsed(junit_of_checks([_check(*findings, passed=False)]))
    outcomes = [[child.tag for child in case] for case in root.iter("testcase")]
    assert outcomes == [["failure"], ["failure"], ["error"]]
    case = next(root.iter("testcase"))
    assert (case.attrib["file"], case.attrib["line"]) == ("a/b.py", "7")
    assert case.attrib["classname"] == "ail721-a2.zip.x"
    failure = next(root.iter("failure"))
    assert failure.attrib == {"message": "what", "type": "zip.x"}
    assert "→ mend it" in (failure.text or "")


def test_warnings_pass_and_keep_their_words() -> None:
    root = _parsed(junit_of_checks([example_check()]))
    assert root.attrib["failures"] == "0"
    assert any("write one row per image" in (out.text or "") for out in root.iter("system-out"))
    assert list(root.iter("testcase"))[-1].attrib["name"].endswith("passes the check")


def test_no_findings_are_a_test_that_passes_or_fails_with_the_check() -> None:
    good = _parsed(junit_of_checks([_check(passed=True)]))
    bad = _parsed(junit_of_checks([_check(passed=False)]))
    assert (good.attrib["tests"], good.attrib["failures"]) == ("1", "0")
    assert (bad.attrib["tests"], bad.attrib["failures"]) == ("1", "1")


def test_several_zips_are_several_suites() -> None:
    root = _parsed(junit_of_checks([example_check(), example_check()]))
    assert len(root) == 2


def test_a_report_has_its_criteria_its_runs_and_its_findings() -> None:
    root = _parsed(junit_of_report(example_report()))
    assert [suite.attrib["name"].split(": ")[1] for suite in root] == ["marks", "runs", "findings"]
    assert root.attrib["failures"] == "0"
    assert root[0].attrib["timestamp"] == "2025-03-17T09:41:03"
    assert root[1][0].attrib["time"] == "9.410"
    assert "1.62 of 2.50" in root[0][0].attrib["name"]


def test_what_was_not_measured_fails_and_blames_nobody_but_the_one_at_fault() -> None:
    failed = _parsed(junit_of_report(failed_report()))
    assert [child.tag for case in failed[0] for child in case] == ["failure"] * 2
    assert "stopped after 900 s" in next(failed[1].iter("failure")).attrib["message"]
    own = replace(rejected_report(), findings=(_finding(Severity.ERROR, Fault.GRADER),))
    assert [child.tag for case in _parsed(junit_of_report(own))[0] for child in case] == [
        "error"
    ] * 2


@given(st.text(st.characters(exclude_categories=())))
def test_any_text_gives_well_formed_xml(text: str) -> None:
    finding = replace(
        _finding(Severity.ERROR, Fault.STUDENT), message=text, hint=text, place=Place(text)
    )
    root = _parsed(junit_of_checks([replace(_check(finding, passed=False), zip_name=text)]))
    assert root.attrib["failures"] == "1"
