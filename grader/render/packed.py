"""What `grader pack` prints before the findings: what went in, why, and what stayed out."""

from __future__ import annotations

from tabulate import tabulate

from grader.model import PackedZip
from grader.render import figures
from grader.render.printable import printable


def packed_text(packed: PackedZip) -> str:
    """The files of the zip with their reasons, its size and hash, or why it was not written."""
    rows = [
        (printable(file.path), figures.size(file.size_bytes), printable(file.why))
        for file in packed.files
    ]
    lines = [tabulate(rows, headers=("file", "size", "why it is in"), disable_numparse=True), ""]
    if packed.left_out:
        rows = [
            (printable(file.path), figures.size(file.size_bytes), printable(file.why))
            for file in packed.left_out
        ]
        lines += [
            tabulate(rows, headers=("left out", "size", "why"), disable_numparse=True),
            "",
        ]
    name = printable(str(packed.path))
    if packed.written:
        lines.append(f"{name}: {figures.size(packed.size_bytes)}, sha256 {packed.sha256}")
    else:
        lines.append(f"{name} was not written: {printable(packed.reason)}")
    return "\n".join(lines) + "\n"
