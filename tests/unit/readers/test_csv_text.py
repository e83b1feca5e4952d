"""Bytes of a table → rows: the parts that the label table's own tests do not reach."""

from __future__ import annotations

import csv

import pytest

from grader.readers.csv_text import CsvText, decode_csv, read_columns


@pytest.mark.parametrize(
    ("data", "columns"),
    [
        (b"image_name,label\na.jpg,X\n", ("image_name", "label")),
        (b"\n \nimage_name;label\n", ("image_name", "label")),
        ("image_name\tlabel".encode("utf-16"), ("image_name", "label")),
        (b"one column\n", ("one column",)),
        (b"", ()),
        (b"PK\x03\x04xl", None),
    ],
)
def test_columns_are_the_cells_of_the_first_row(
    data: bytes, columns: tuple[str, ...] | None
) -> None:
    assert read_columns(data) == columns


def test_a_sample_always_parses() -> None:
    columns = read_columns(b'"' + b"x\n" * 200_000)
    assert columns is not None
    assert len(columns[0]) == 200


def test_columns_are_bounded() -> None:
    columns = read_columns(b",".join([b"x" * 500] * 300))
    assert columns is not None
    assert (len(columns), len(columns[0])) == (100, 200)


def test_a_line_without_end_is_cut_and_nul_characters_counted() -> None:
    text = CsvText(b"a\0,b\0\n" + b"x" * 200_000 + b"\nlast,row\n", "utf-8")
    lines = list(text.lines())
    assert [len(line) for line in lines] == [4, (1 << 16) + 1, 9]
    assert text.nul_characters == 2
    assert [row.cells for row in text.rows(",")][-1] == ["last", "row"]


def test_a_cell_beyond_the_limit_is_an_error_of_the_csv_module() -> None:
    text = CsvText(b'"' + b"x\n" * 200_000, "utf-8")
    with pytest.raises(csv.Error):
        list(text.rows(","))
    assert len(list(text.rows(",", csv.QUOTE_NONE))) == 200_000


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"abc", "utf-8"),
        ("ä,ö\n".encode(), "utf-8"),
        ("ä,ö\n".encode("latin-1"), "cp1252"),
        ("ä,ö\n".encode("utf-16-le"), "utf-16-le"),
        (b"\xff\xfea\0", "utf-16-le"),
        (b"\xff\xfe\0\0a\0\0\0", "utf-32-le"),
    ],
)
def test_the_encoding_is_found_out(data: bytes, encoding: str) -> None:
    text = decode_csv(data, "x.csv")
    assert isinstance(text, CsvText)
    assert text.encoding == encoding
