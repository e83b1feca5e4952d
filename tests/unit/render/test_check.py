"""What `grader check` prints in each format."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from jsonschema import Draft202012Validator
from referencing import Registry, Resource

from grader.render.check import RENDERERS, render_checks
from grader.render.check_json import SCHEMA, checks_document
from grader.render.json_report import SCHEMA as REPORT_SCHEMA
from tests.unit.render.example_report import example_check


def test_json_is_valid_by_its_schema() -> None:
    schemas = [json.loads(path.read_text("utf-8")) for path in (SCHEMA, REPORT_SCHEMA)]
    registry: Registry[object] = Registry().with_resources(
        (schema["$id"], Resource.from_contents(schema)) for schema in schemas
    )
    results = [example_check(), example_check(hostile="\ud800\x00")]
    document = json.loads(render_checks(results, "json"))
    Draft202012Validator(schemas[0], registry=registry).validate(document)
    assert document == checks_document(results)


@pytest.mark.parametrize("style", RENDERERS)
def test_every_format_ends_with_one_line_end(style: str) -> None:
    shown = render_checks([example_check(), example_check()], style)
    assert shown.endswith("\n")
    assert not shown.endswith("\n\n")


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(KeyError):
        render_checks([], "yaml")


def test_rendering_a_check_needs_neither_numpy_nor_jinja() -> None:
    heavy = "{'numpy', 'cv2', 'torch', 'jinja2', 'PIL'}"
    code = f"import sys, grader.render.check; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
