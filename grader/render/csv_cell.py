"""One cell of a CSV file that a spreadsheet will not run."""

from __future__ import annotations

import re
from decimal import Decimal

from grader.render.printable import printable

# What Excel, LibreOffice and Google Sheets take for the start of a formula, with blanks before it
# and in full width; a quotation mark or a pipe inside never matters without one of them.
_FORMULA = re.compile(r"^[\s'\"]*[=+\-@＝＋－＠﹢﹣﹦﹫|%]")


def csv_cell(content: str | int | float | Decimal | None) -> str:
    """`content` for `csv.writer`, which adds the quotes and separators.

    Numbers stay numbers, also negative ones. Text of strangers loses its control characters, and
    text that would be a formula gets an apostrophe in front: spreadsheets show it as it is.
    """
    if content is None:
        return ""
    if not isinstance(content, str):
        return str(content)
    text = printable(content)
    return f"'{text}" if _FORMULA.match(text) else text
