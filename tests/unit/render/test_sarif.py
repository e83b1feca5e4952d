"""SARIF 2.1.0: what the standard requires, and that places are harmless relative URIs."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.findings import CATALOGUE, found
from grader.model import CheckResult, Finding, Place
from grader.render.sarif import sarif

URI = re.compile(r"(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})+")


def _sarif(*findings: Finding) -> Any:
    document: Any = sarif([CheckResult("a.zip", None, None, "ail721-a2", findings, False)])
    _validate(document)
    return document["runs"][0]


def _validate(document: Any) -> None:
    """The required properties of SARIF 2.1.0 (sections 3.13 to 3.52) for what is emitted."""
    assert document["version"] == "2.1.0"
    (run,) = document["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"]
    assert driver["version"]
    ids = [rule["id"] for rule in driver["rules"]]
    assert ids == sorted(set(ids))
    for rule in driver["rules"]:
        assert rule["shortDescription"]["text"]
        assert rule["help"]["text"]
        assert rule["defaultConfiguration"]["level"] in {"error", "warning", "note"}
    for result in run["results"]:
        assert result["message"]["text"]
        assert ids[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in {"error", "warning", "note"}
        assert re.fullmatch("[0-9a-f]{64}", result["partialFingerprints"]["findingHash/v1"])
        for location in result.get("locations", ()):
            physical = location["physicalLocation"]
            assert URI.fullmatch(physical["artifactLocation"]["uri"])
            assert physical.get("region", {"startLine": 1})["startLine"] >= 1


STATIC = next(code for code in CATALOGUE if code.startswith("source."))


def test_a_static_finding_has_its_rule_and_its_line() -> None:
    run = _sarif(found(STATIC, "what", path="models/my net.py", line=12))
    (result,) = run["results"]
    assert result["ruleId"] == STATIC
    physical = result["locations"][0]["physicalLocation"]
    assert physical["artifactLocation"] == {"uri": "models/my%20net.py", "uriBaseId": "%SRCROOT%"}
    assert physical["region"] == {"startLine": 12}


def test_how_a_program_ran_is_not_in_it() -> None:
    dynamic = [
        code for code in CATALOGUE if code.split(".")[0] in {"run", "labels", "mask", "result"}
    ]
    assert dynamic
    run = _sarif(*(found(code, "what") for code in dynamic))
    assert run["results"] == []
    assert run["tool"]["driver"]["rules"] == []


@pytest.mark.parametrize("path", ["../../etc/passwd", "/etc/passwd", "a/../../b", "", "."])
def test_a_place_outside_the_submission_is_no_location(path: str) -> None:
    (result,) = _sarif(found(STATIC, "what", path=path))["results"]
    assert "locations" not in result


@given(st.text(st.characters(exclude_categories=())))
def test_any_path_and_message_give_a_valid_log(text: str) -> None:
    _sarif(replace(found(STATIC, text or "x"), place=Place(text)))


def test_equal_findings_keep_their_fingerprint() -> None:
    one, two = (_sarif(found(STATIC, "what", path="a.py"))["results"][0] for _ in range(2))
    assert one["partialFingerprints"] == two["partialFingerprints"]
