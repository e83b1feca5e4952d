"""JSON of a stranger: strict, bounded, never a traceback."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.model import OutputSpec
from grader.readers import json_file
from grader.readers.json_file import parse_json, read_json_file
from grader.readers.reading import Expected

SPEC = OutputSpec(id="numbers", path="numbers.json", reader="json_file", options={})
EXPECTED = Expected(names=(), sizes_px={}, classes=(), launch=lambda *_: b"")

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)  # fmt: skip


@given(values, st.sampled_from(["utf-8", "utf-8-sig", "utf-16", "utf-32"]))
def test_what_json_writes_is_read_back(value: object, encoding: str) -> None:
    assert parse_json(json.dumps(value).encode(encoding)) == value


@pytest.mark.parametrize(
    ("data", "part"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b"[-Infinity]", "-Infinity is not JSON"),
        (b'{"a": 1, "b": 2, "a": 3}', "the key 'a' stands twice"),
        (b"\xff\xff", "not UTF-8"),
        (b"[" * 100_000, "nested too deeply"),
        (b"1" * 5_000, "Exceeds the limit"),
        (b"1 2", "Extra data"),
    ],
)
def test_what_is_no_json_is_refused(data: bytes, part: str) -> None:
    with pytest.raises(ValueError, match=part):
        parse_json(data)


@given(st.binary(max_size=200))
def test_any_bytes_give_a_value_or_a_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        parse_json(data)


def test_as_a_reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    missing = read_json_file(tmp_path, SPEC, EXPECTED)
    assert missing.value is None
    assert [finding.code for finding in missing.findings] == ["run.unreadable-json"]
    path = tmp_path / "numbers.json"
    path.write_text('{"accuracy": 0.5}')
    assert read_json_file(tmp_path, SPEC, EXPECTED).value == {"accuracy": 0.5}
    monkeypatch.setattr(json_file, "MAX_BYTES", 5)
    refused = read_json_file(tmp_path, SPEC, EXPECTED)
    assert refused.value is None
    assert "5 are read at most" in refused.findings[0].message
