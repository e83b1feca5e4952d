"""Label tables as students write them: what is understood, and what it is called."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.model import Finding, OutputSpec, Severity
from grader.readers import labels_csv
from grader.readers.labels_csv import label_key, parse_labels, read_labels_csv
from grader.readers.reading import Expected

CLASSES = ("ADONIS", "BLUE MORPHO", "Iphiclus sister", "MONARCH")
ROWS = {
    "img_000_zq9a8994.jpg": "MONARCH",
    "img_001_0b3kx2aa.jpg": "ADONIS",
    "img_002_7f0c1dpq.png": "BLUE MORPHO",
    "img_003_m2m2m2m2.jpg": "MONARCH",
    "img_004_xxyyzz00.jpeg": "Iphiclus sister",
}
NAMES = tuple(ROWS)
BODY = "".join(f"{name},{label}\n" for name, label in ROWS.items())
PLAIN = "image_name,label\n" + BODY


def parse(data: str | bytes) -> tuple[dict[str, str] | None, list[Finding]]:
    if isinstance(data, str):
        data = data.encode()
    labels, findings = parse_labels(data, NAMES, CLASSES, path="submission.csv")
    return labels, list(findings)


def codes(findings: list[Finding]) -> list[str]:
    return [finding.code for finding in findings]


def rows(template: str, header: str = "image_name,label\n") -> str:
    """The right answers, each written as `template` says."""
    return header + "".join(
        template.format(
            name=name,
            stem=name.rsplit(".", 1)[0],
            label=label,
            number=CLASSES.index(label),
            one=CLASSES.index(label) + 1,
            lower=label.lower().replace(" ", "_"),
        )
        for name, label in ROWS.items()
    )


def test_the_plain_form_gives_no_finding() -> None:
    assert parse(PLAIN) == (ROWS, [])


@pytest.mark.parametrize(
    "data",
    [
        "image_name,label\n" + "".join(reversed(BODY.splitlines(keepends=True))),
        PLAIN.rstrip("\n"),
        PLAIN.replace("\n", "\r\n"),
        PLAIN.replace("\n", "\r"),
        PLAIN + "\n\n  \n",
        rows('"{name}","{label}"\n'),
    ],
    ids=["another order", "no last newline", "CRLF", "CR", "blank lines at the end", "quoted"],
)
def test_what_is_no_quirk_gives_no_finding(data: str) -> None:
    assert parse(data) == (ROWS, [])


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"\xef\xbb\xbf" + PLAIN.encode(), ["labels.byte-order-mark"]),
        (PLAIN.encode("utf-16"), ["labels.encoding"]),
        (PLAIN.encode("utf-16-le"), ["labels.encoding"]),
        (PLAIN.encode("utf-16-be"), ["labels.encoding"]),
        (b"\xff\xfe\x00\x00" + PLAIN.encode("utf-32-le"), ["labels.encoding"]),
        (PLAIN.encode() + "é.jpg,MONARCH\n".encode("cp1252"), ["labels.encoding", "labels.extra-rows"]),
        (PLAIN.replace(",", ";"), ["labels.delimiter"]),
        (PLAIN.replace(",", "\t"), ["labels.delimiter"]),
        (PLAIN.replace(",", "|"), ["labels.delimiter"]),
        (PLAIN.replace(",", " "), ["labels.delimiter"]),
        (BODY, ["labels.no-header"]),
        (rows("{name},{label}\n", "Filename,Prediction\n"), ["labels.header-names"]),
        (rows("{name},{label}\n", "image_name , label\n"), ["labels.header-names"]),
        (rows("{label},{name}\n"), ["labels.swapped-columns"]),
        (rows("{label},{name}\n", ""), ["labels.no-header", "labels.swapped-columns"]),
        (rows("{label},{name}\n", "label,image_name\n"), ["labels.column-order"]),
        (rows("7,{name},{label}\n", ",image_name,label\n"), ["labels.extra-columns"]),
        (rows("{name},{label},0.93\n", "image_name,label,p\n"), ["labels.extra-columns"]),
        (rows("0.93,{name},{label}\n", ""), ["labels.no-header", "labels.extra-columns"]),
        (PLAIN.replace("\n", "\r\r\n"), ["labels.blank-lines"]),
        (rows("/test/{name},{label}\n"), ["labels.paths"]),
        (rows("C:\\test\\{name},{label}\n"), ["labels.paths"]),
        (rows("{stem},{label}\n"), ["labels.other-suffix"]),
        (rows("{stem}.webp,{label}\n"), ["labels.other-suffix"]),
        (rows("'{name}' ,{label}\n"), ["labels.name-spelling"]),
        (rows("['{name}'],{label}\n"), ["labels.name-spelling"]),
        (rows("\"('{name}',)\",\"('{label}',)\"\n"), ["labels.name-spelling", "labels.label-spelling"]),
        (rows("{name},{lower}\n"), ["labels.label-spelling"]),
        (rows('{name},"{label}\n"\n'), ["labels.label-spelling"]),
        (rows("{name},['{label}']\n"), ["labels.label-spelling"]),
        (rows("{name},{number}\n"), ["labels.index-labels"]),
        (rows("{name},{number}.0\n"), ["labels.index-labels"]),
        (rows("{name},{one}\n"), ["labels.index-labels"]),
        (rows("{name},tensor({number})\n"), ["labels.index-labels"]),
        (rows("{name},\"tensor({number}, device='cuda:0')\"\n"), ["labels.index-labels"]),
        (PLAIN.replace("ADONIS", "ADO\0NIS"), ["labels.nul-bytes"]),
        (rows("{name}\0\0\0\0,{label}\0\0\0\0\n"), ["labels.nul-bytes"]),
        (
            PLAIN.replace("img_002", '"img_002'),
            ["labels.name-spelling", "labels.malformed-quotes"],
        ),
        (PLAIN + f"{NAMES[1]},ADONIS\n", ["labels.duplicate-rows"]),
        (PLAIN + f"{NAMES[1]},MONARCH\n", ["labels.contradicting-rows"]),
        (PLAIN + "other.jpg,MONARCH\n", ["labels.extra-rows"]),
        (PLAIN + "=1+1.jpg,MONARCH\n", ["labels.formula", "labels.extra-rows"]),
    ],
)  # fmt: skip
def test_what_is_forgiven_loses_nothing(data: str | bytes, expected: list[str]) -> None:
    labels, findings = parse(data)
    assert labels == ROWS
    assert codes(findings) == expected
    assert all(finding.severity is not Severity.ERROR for finding in findings)


@pytest.mark.parametrize("header", ["image_name,label,second_label", "file,predicted,runner_up"])
@pytest.mark.parametrize("second_first", [False, True])
def test_a_second_choice_is_not_graded_for_a_misspelt_first_one(
    header: str, second_first: bool
) -> None:
    """The header says which column is the labels; a misspelling does not make it another one."""
    table = [header.split(",")]
    for number, (name, label) in enumerate(ROWS.items()):
        second = CLASSES[(CLASSES.index(label) + 1) % len(CLASSES)]
        table.append([name, "ADONYS" if number == 1 else label, second])
    if second_first:
        table = [[name, second, first] for name, first, second in table]
    labels, findings = parse("".join(f"{','.join(row)}\n" for row in table))
    assert labels == {**ROWS, NAMES[1]: "ADONYS"}
    assert "labels.swapped-columns" not in codes(findings)


@pytest.mark.parametrize(
    "data",
    [
        rows("{name},{number},{label}\n", "image_name,label,class_name\n"),
        rows("{name},,{label}\n", "image_name,label,prediction\n"),
        rows("{name},,{number}\n", "image_name,label,prediction\n"),
        rows("{name},{number},\n", "image_name,prediction,label\n"),
        rows("{name},0.93,{label}\n", "image_name,class,top_1\n"),
        rows("{number},{name},{label}\n", "image_name,path,label\n"),
        rows("{number},{name},{label}\n", "id,filename,label\n"),
    ],
)
def test_a_column_that_holds_nothing_of_what_it_is_called_is_passed_over(data: str) -> None:
    labels, _ = parse(data)
    assert labels == ROWS


def test_a_lost_row_is_missing_and_nothing_else() -> None:
    labels, findings = parse(PLAIN.replace(f"{NAMES[0]},MONARCH\n", ""))
    assert labels == {name: label for name, label in ROWS.items() if name != NAMES[0]}
    assert codes(findings) == ["labels.missing-rows"]
    assert findings[0].evidence == {"count": 1, "first": [NAMES[0]]}


def test_the_first_of_contradicting_rows_counts() -> None:
    listing_all = "".join(f"{NAMES[0]},{name}\n" for name in CLASSES)
    labels, findings = parse("image_name,label\n" + listing_all)
    assert labels == {NAMES[0]: "ADONIS"}
    assert findings[0].code == "labels.contradicting-rows"
    assert findings[0].evidence["count"] == 3
    assert findings[0].place is not None
    assert findings[0].place.line == 3


def test_a_label_that_is_no_class_stays_text_and_counts_as_no_class() -> None:
    labels, findings = parse(PLAIN.replace("ADONIS", "=cmd|' /C calc'!A0"))
    assert labels is not None
    assert labels[NAMES[1]] == "=cmd|' /C calc'!A0"
    assert codes(findings) == ["labels.formula", "labels.unknown-labels"]


def test_a_label_is_bounded() -> None:
    labels, _ = parse(PLAIN.replace("ADONIS", "A" * 5000))
    assert labels is not None
    assert labels[NAMES[1]] == "A" * labels_csv.MAX_LABEL_CHARS


def test_an_empty_label_is_no_label() -> None:
    labels, findings = parse(PLAIN.replace("ADONIS", ""))
    assert labels is not None
    assert NAMES[1] not in labels
    assert codes(findings) == ["labels.empty-labels"]
    assert findings[0].place is not None
    assert findings[0].place.line == 3


def test_numbers_out_of_range_are_no_classes() -> None:
    labels, findings = parse(rows("{name},{number}\n").replace(",0\n", ",17\n"))
    assert labels is not None
    assert labels[NAMES[1]] == "17"
    assert labels[NAMES[0]] == "MONARCH"
    assert codes(findings) == ["labels.index-labels", "labels.unknown-labels"]


def test_classes_that_are_numbers_are_names_and_not_places() -> None:
    data = b"image_name,label\na.png,2\nb.png,1\n"
    labels, findings = parse_labels(data, ("a.png", "b.png"), ("2", "1", "0"), path="x")
    assert labels == {"a.png": "2", "b.png": "1"}
    assert findings == ()


WRAPPED_NUMBERS = [
    "{}",
    "{}.0",
    "[{}]",
    "[{}.]",
    "({},)",
    "['{}']",
    "tensor({})",
    "tensor([{}])",
    "tensor([{}], device='cuda:0')",
    "tensor([[{}]], device='cuda:0')",
    "array([{}], dtype=int64)",
]


def labelled(written: Iterable[str], classes: Sequence[str]) -> tuple[list[str], list[Finding]]:
    """The label of each row, in their order, and what was found."""
    table = io.StringIO()
    rows = [(f"img_{row}.jpg", label) for row, label in enumerate(written)]
    csv.writer(table).writerows([("image_name", "label"), *rows])
    names = [name for name, _ in rows]
    labels, findings = parse_labels(table.getvalue().encode(), names, classes, path="x")
    assert labels is not None
    return [labels[name] for name in names], list(findings)


@pytest.mark.parametrize("wrapped", WRAPPED_NUMBERS)
@pytest.mark.parametrize(
    "classes", [("001", "002", "003", "004", "005"), ("1", "10", "2", "3", "4"), ("-1", "0", "1")]
)
def test_numbers_are_the_classes_of_that_value(wrapped: str, classes: tuple[str, ...]) -> None:
    for used in (classes, classes[:-1], classes[1:]):
        labels, findings = labelled([wrapped.format(int(name)) for name in used], classes)
        assert labels == list(used)
        assert set(codes(findings)) <= {"labels.label-spelling"}


@pytest.mark.parametrize("wrapped", WRAPPED_NUMBERS[1:])
def test_one_number_in_brackets_is_a_place_in_the_classes(wrapped: str) -> None:
    places = [3, 0, 1, 3, 2]
    labels, findings = labelled(map(wrapped.format, places), CLASSES)
    assert labels == [CLASSES[place] for place in places]
    assert codes(findings) == ["labels.index-labels"]


def test_places_in_padded_class_numbers_are_told_by_the_nought() -> None:
    classes = ("001", "002", "003", "004", "005")
    labels, findings = labelled(["0", "3", "4", "-1", "2", "1"], classes)
    assert labels == ["001", "004", "005", "-1", "003", "002"]
    assert codes(findings) == ["labels.index-labels", "labels.unknown-labels"]


@pytest.mark.parametrize("unsure", ["-1", "-1.0", "[-1]", " '-1'", "tensor([-1])"])
@pytest.mark.parametrize(
    ("known", "classes"), [(["1", "2", "3"], ("1", "2", "3")), (["0", "1", "2"], CLASSES)]
)
def test_minus_one_is_no_class(unsure: str, known: list[str], classes: Sequence[str]) -> None:
    """Many write it where they do not know; it is neither class 1 nor in the way of the others."""
    labels, findings = labelled([*known, unsure], classes)
    assert labels == [*classes[:3], unsure.strip()]
    assert codes(findings)[-1] == "labels.unknown-labels"
    assert findings[-1].evidence["count"] == 1


@pytest.mark.parametrize(
    "label", ["[1, 2]", "(1, 0.93)", "tensor([1, 2])", "[]", "1.5", "[[1], [2]]"]
)
def test_two_numbers_are_no_class(label: str) -> None:
    labels, _ = labelled([label], CLASSES)
    assert labels == [label]


def test_without_classes_labels_are_taken_as_they_are() -> None:
    labels, findings = parse_labels(b"image_name,label\na.png, X y \n", ("a.png",), None, path="x")
    assert labels == {"a.png": "X y"}
    assert findings == ()


@pytest.mark.parametrize(
    ("data", "code", "part"),
    [
        (b"PK\x03\x04" + bytes(60), "labels.unreadable", "a zip archive"),
        (b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "labels.unreadable", "a PNG image"),
        (bytes(range(256)) * 9, "labels.unreadable", "of an unknown format"),
    ],
)
def test_what_is_no_text_is_no_table(data: bytes, code: str, part: str) -> None:
    labels, findings = parse(data)
    assert labels is None
    assert codes(findings) == [code]
    assert part in findings[0].message


@pytest.mark.parametrize("data", ["", "\n\n", "image_name,label\n", "\ufeff"])
def test_a_table_without_rows_is_an_error_that_says_so(data: str) -> None:
    labels, findings = parse(data)
    assert labels == {}
    assert codes(findings)[-1] == "labels.no-rows"
    assert findings[-1].severity is Severity.ERROR


def test_a_cell_without_end_is_read_around() -> None:
    labels, findings = parse(PLAIN + '"' + "x" * 300_000)
    assert labels == ROWS
    assert codes(findings) == ["labels.short-rows"]
    labels, findings = parse(PLAIN + '"' + "x\n" * 300_000)
    assert labels == ROWS
    assert "labels.malformed-quotes" in codes(findings)
    labels, findings = parse("x" * 300_000)
    assert labels == {}
    assert codes(findings)[-1] == "labels.no-rows"


def test_rows_beyond_the_limit_are_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(labels_csv, "MAX_ROWS", 1000)
    flood = "".join(f"other_{number}.jpg,MONARCH\n" for number in range(1500))
    labels, findings = parse(PLAIN + flood)
    assert labels == ROWS
    assert codes(findings) == ["labels.extra-rows", "labels.too-many-rows"]
    assert findings[0].evidence["count"] == 995
    assert "1000 rows for 5 images; what comes after" in findings[1].message


def test_nothing_of_the_student_reaches_a_terminal_raw() -> None:
    _, findings = parse(PLAIN + "\x1b[31mred\u202egpj.exe,MONARCH\x9b\n")
    assert findings
    assert all(finding.message.isprintable() for finding in findings)


@settings(deadline=None)
@given(st.binary(max_size=400))
def test_any_bytes_give_labels_or_a_finding(data: bytes) -> None:
    labels, findings = parse(data)
    assert labels == ROWS or findings
    assert all(finding.message.isprintable() for finding in findings)


@settings(deadline=None)
@given(
    st.lists(
        st.lists(st.sampled_from([*NAMES, *CLASSES, "image_name", "", "=1", "a\nb", '"', "3"]),
                 max_size=4),
        max_size=8,
    ),
    st.sampled_from([",", ";", "\t"]),
)  # fmt: skip
def test_any_table_gives_known_names_only(table: list[list[str]], delimiter: str) -> None:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter).writerows(table)
    labels, _ = parse(text.getvalue())
    assert labels is not None
    assert set(labels) <= set(NAMES)
    cells = [cell for row in table for cell in row]
    written = {label_key(part) for cell in cells for part in (cell, *cell.split("\n"))}
    assert all(label_key(label) in written or label in CLASSES for label in labels.values())


@given(st.permutations(list(ROWS.items())), st.sampled_from(["\n", "\r\n", "\r"]))
def test_what_the_csv_module_writes_is_read_back(pairs: list[tuple[str, str]], end: str) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator=end).writerows([("image_name", "label"), *pairs])
    assert parse(text.getvalue()) == (ROWS, [])


# --------------------------------------------------------------------------- as a reader


def expected() -> Expected:
    return Expected(names=NAMES, sizes_px={}, classes=CLASSES, launch=lambda *_: b"")


SPEC = OutputSpec(id="labels", path="submission.csv", reader="labels_csv", options={})


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("submission.csv", []),
        ("Submission.CSV", ["labels.other-place"]),
        ("out/submissions.csv", ["labels.other-place"]),
        ("results.csv", ["labels.other-place"]),
    ],
)
def test_the_file_is_found_where_it_was_meant(tmp_path: Path, path: str, wanted: list[str]) -> None:
    (tmp_path / path).parent.mkdir(exist_ok=True)
    (tmp_path / path).write_text(PLAIN)
    reading = read_labels_csv(tmp_path, SPEC, expected())
    assert reading.value == ROWS
    assert codes(list(reading.findings)) == wanted


def test_no_file_and_two_strange_ones_are_no_file(tmp_path: Path) -> None:
    for name in ("", "one.csv", "two.csv"):
        if name:
            (tmp_path / name).write_text(PLAIN)
        if name != "one.csv":
            reading = read_labels_csv(tmp_path, SPEC, expected())
            assert reading.value is None
            assert codes(list(reading.findings)) == ["labels.missing-file"]


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(PLAIN)
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    (outputs / "submission.csv").symlink_to(secret)
    reading = read_labels_csv(outputs, SPEC, expected())
    assert reading.value is None


def test_a_file_beyond_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels_csv, "MAX_BYTES", 20)
    (tmp_path / "submission.csv").write_text(PLAIN)
    reading = read_labels_csv(tmp_path, SPEC, expected())
    assert reading.value is None
    assert codes(list(reading.findings)) == ["labels.refused"]
