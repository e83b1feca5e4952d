"""The quick yes or no agrees with jsonschema, and nothing is ever fetched."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from grader.assignments import load
from grader.assignments.conformity import conforms, is_schema

HERE = Path(load.__file__).parent
SCHEMAS = {
    str(path.relative_to(HERE)): json.loads(path.read_text("utf-8"))
    for path in sorted(HERE.rglob("*.schema.json"))
}

NAMES = st.sampled_from(
    [
        "train.py", "evaluate.py", "a.ipynb", ".git/config", "x/__pycache__/a.pyc", "d.zip",
        "venv/bin/python", ".idea/x", "submission.csv", "seg_maps/a.jpg", "seg_maps/a.txt", "é.py",
    ]
)  # fmt: skip
FILE = st.fixed_dictionaries(
    {},
    optional={
        "kind": st.sampled_from(["csv", "image", "python", "other"]),
        "size_bytes": st.integers(0, 2**40),
        "columns": st.lists(st.text(max_size=3), max_size=3),
        "width_px": st.integers(1, 9000),
    },
)
DOCUMENT = st.fixed_dictionaries(
    {
        "files": st.dictionaries(NAMES, FILE, max_size=6),
        "folders": st.dictionaries(
            st.sampled_from(["data", "seg_maps"]),
            st.fixed_dictionaries({"files": st.integers(0, 999), "images": st.integers(0, 999)}),
        ),
        "roles": st.dictionaries(st.sampled_from(["train", "evaluate"]), st.text(max_size=4)),
    }
)


@pytest.mark.parametrize("name", SCHEMAS)
@given(document=DOCUMENT)
def test_it_agrees_with_jsonschema(name: str, document: dict[str, Any]) -> None:
    schema = SCHEMAS[name]
    assert conforms(schema, document) == Draft202012Validator(schema).is_valid(document)


@pytest.mark.parametrize("name", SCHEMAS)
def test_every_schema_is_one(name: str) -> None:
    assert is_schema(SCHEMAS[name])


@pytest.mark.parametrize("wrong", [{"type": 3}, 7, {"properties": []}, {"pattern": "("}])
def test_what_is_no_schema(wrong: Any) -> None:
    assert not is_schema(wrong) or wrong == {"pattern": "("}


def test_a_reference_outside_is_not_followed() -> None:
    assert not conforms({"$ref": "http://localhost:1/schema.json"}, {})


def test_a_check_of_a_right_document_does_without_jsonschema() -> None:
    program = (
        "import sys\n"
        "from grader.assignments.load import load_assignment\n"
        "load_assignment('ail721-a2')\n"
        "assert 'jsonschema' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
