"""Names of members: what they mean, and that nothing gets out by one."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fixtures.archives.records import unicode_path
from grader.model import Finding, Severity
from grader.readers.member_name import (
    MAX_COMPONENT_BYTES,
    MAX_PATH_BYTES,
    collision_key,
    decode_name,
    read_path,
)


def _read(name: str, *, windows_separators: bool = False) -> tuple[str, bool, list[Finding]]:
    place, findings = read_path(name, windows_separators=windows_separators, max_depth=12)
    return place.path, place.is_dir, findings


@pytest.mark.parametrize(
    ("name", "path", "is_dir"),
    [
        ("evaluate.py", "evaluate.py", False),
        ("models/resnet.py", "models/resnet.py", False),
        ("models/", "models", True),
        ("./a", "a", False),
        ("a//b/./c", "a/b/c", False),
        ("./", "", True),
        (".gitignore", ".gitignore", False),
        ("a..b/..c/d..", "a..b/..c/d..", False),
        ("cafe\u0301", "caf\u00e9", False),
        ("a b/ c", "a b/ c", False),
        ("100%.txt", "100%.txt", False),
    ],
)
def test_harmless_names(name: str, path: str, is_dir: bool) -> None:
    found_path, found_dir, findings = _read(name)
    assert (found_path, found_dir) == (path, is_dir)
    assert not [f for f in findings if f.severity is Severity.ERROR]


def test_backslashes_are_folders_only_where_the_whole_archive_says_so() -> None:
    assert _read("a\\b.py", windows_separators=True) == ("a/b.py", False, [])
    assert [f.code for f in _read("a\\b.py")[2]] == ["zip.backslash"]
    codes = {f.code for f in _read("..\\b.py", windows_separators=True)[2]}
    assert codes == {"zip.traversal"}


def test_lengths_are_counted_in_bytes() -> None:
    fits = "é" * (MAX_COMPONENT_BYTES // 2)
    assert _read(fits)[2] == []
    assert [f.code for f in _read(fits + "é")[2]] == ["zip.name-too-long"]
    part = "a" * 127
    count = MAX_PATH_BYTES // 128
    assert _read("/".join([part] * count))[2] == []
    assert {f.code for f in _read("/".join([part] * (count + 1)))[2]} == {"zip.name-too-long"}


def test_depth_is_counted_in_names() -> None:
    assert _read("/".join("a" * 12))[2] == []
    assert [f.code for f in _read("/".join("a" * 13))[2]] == ["zip.too-deep"]


@given(st.text(st.sampled_from("./\\~ %25eEfF\u2025\uff0e\uff0f\0aC:é"), max_size=12))
def test_a_name_without_an_error_stays_below_its_folder(name: str) -> None:
    path, _, findings = _read(name)
    if any(f.severity is Severity.ERROR for f in findings):
        return
    assert not path.startswith("/")
    assert "\0" not in path
    assert "\\" not in path
    for part in path.split("/") if path else []:
        assert part not in {"", ".", ".."}
        assert unicodedata.normalize("NFKC", part).strip() != ".."


@given(st.text(max_size=30))
def test_any_text_is_read_and_the_findings_are_printable(name: str) -> None:
    for finding in _read(name)[2]:
        assert finding.message.isprintable()
        assert finding.place is not None
        assert finding.place.path.isprintable()


@given(st.text(max_size=20))
def test_names_that_differ_in_normal_form_or_case_share_a_key(name: str) -> None:
    key = collision_key(name)
    for form in ("NFC", "NFD", "NFKC", "NFKD"):
        assert collision_key(unicodedata.normalize(form, name)) == key


@pytest.mark.parametrize(
    ("one", "other"),
    [("a.py", "A.PY"), ("a", "a."), ("a /b", "a/b"), ("ﬁ", "fi"), ("ß", "SS"), ("a\u200d", "a")],
)
def test_names_that_collide(one: str, other: str) -> None:
    assert collision_key(one) == collision_key(other)


@pytest.mark.parametrize(("one", "other"), [("a", "b"), ("a.py", "apy"), (".a", "a"), ("é", "e")])
def test_names_that_do_not_collide(one: str, other: str) -> None:
    assert collision_key(one) != collision_key(other)


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_flagged_utf8_is_read_as_it_is(name: str) -> None:
    assert decode_name(name.encode(), utf8=True, unicode_path=None) == (name, [])


@given(st.binary(max_size=20))
def test_every_name_without_the_flag_has_a_text(raw: bytes) -> None:
    name, findings = decode_name(raw, utf8=False, unicode_path=None)
    assert name is not None
    assert bool(findings) != raw.isascii()


def test_a_unicode_path_replaces_a_name_that_could_not_be_written() -> None:
    for raw, name in ((b"?.txt", "é.txt"), (b"#U65e5.txt", "日.txt"), (b"caf\x82", "café")):
        field = unicode_path(raw, name)[4:]
        assert decode_name(raw, utf8=False, unicode_path=field) == (name, [])


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"notes.py", "train.py"),  # plain letters for plain letters
        (b"caf\x82.py", "train.py"),  # plain letters for foreign ones
        (b"notes.py", "traïn.py"),  # nothing in the plain name leaves room for that
        (b"?.py", "a/é.py"),  # another folder
    ],
)
def test_a_unicode_path_that_is_another_name_is_refused(raw: bytes, name: str) -> None:
    text, findings = decode_name(raw, utf8=False, unicode_path=unicode_path(raw, name)[4:])
    assert text is None
    assert [f.code for f in findings] == ["zip.unicode-path-mismatch"]


@pytest.mark.parametrize("field", [b"", b"\x01\0\0\0\0x", b"\x02" + bytes(9)])
def test_a_broken_unicode_path_is_refused(field: bytes) -> None:
    assert decode_name(b"a.py", utf8=False, unicode_path=field)[0] is None
