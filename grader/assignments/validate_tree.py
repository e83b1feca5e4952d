"""Hold a tree of files against a JSON Schema (2020-12) and turn violations into findings.

The tree becomes a document::

    {"files":   {"submission.csv": {"kind": "csv", "suffix": ".csv", "size_bytes": 812,
                                    "columns": ["image_name", "label"]},
                 "seg_maps/a.jpg": {"kind": "image", "suffix": ".jpg", "size_bytes": 4711,
                                    "format": "JPEG", "width_px": 224, "height_px": 224,
                                    "channels": 1, "bits": 8}},
     "folders": {"seg_maps": {"files": 1, "images": 1}}}

`kind` is "image" where the content is one, whatever the suffix; otherwise it goes by the suffix:
"csv", "json", "python", "notebook", "weights", "archive" or "other".

A schema says what a violation means by annotations at any level, the nearest to the violation
counting: `x-code` (a finding code), `x-message`, `x-hint`, `x-path`. Each is a string, or an
object of schema keyword → string where the keywords of one level mean different things. What is
said below `properties/NAME` also counts for NAME missing (keyword "required").
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from grader.assignments.conformity import conforms
from grader.model import Finding, TreeFile
from grader.readers.csv_text import SAMPLE_BYTES, read_columns
from grader.readers.image_header import HEADER_BYTES, IMAGE_SUFFIXES, parse_image_header
from grader.readers.regular_file import RefusedFileError, read_regular_head

_KINDS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".json": "json",
    ".py": "python",
    ".ipynb": "notebook",
    **dict.fromkeys((".pth", ".pt", ".ckpt", ".safetensors", ".pkl", ".h5", ".onnx"), "weights"),
    **dict.fromkeys((".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".7z", ".rar"), "archive"),
}


def describe_tree(root: Path, files: Iterable[TreeFile], base: str = "") -> dict[str, Any]:
    """The document of `files` below `root`.

    `base`: a folder that is left out of the document's paths, `root` being that folder already.
    Images and tables are opened, never followed as links, and only their first bytes read.
    """
    described: dict[str, dict[str, Any]] = {}
    folders: dict[str, dict[str, int]] = {}
    for file in files:
        path = file.path[len(base) + 1 :] if base else file.path
        described[path] = _describe_file(root / path, path, file.size_bytes)
        for parent in list(PurePosixPath(path).parents)[:-1]:
            counts = folders.setdefault(parent.as_posix(), {"files": 0, "images": 0})
            counts["files"] += 1
            counts["images"] += described[path]["kind"] == "image"
    return {"files": described, "folders": folders}


def _describe_file(path: Path, name: str, size_bytes: int) -> dict[str, Any]:
    suffix = PurePosixPath(name).suffix.lower()
    kind = _KINDS.get(suffix, "other")
    described: dict[str, Any] = {"kind": kind, "suffix": suffix, "size_bytes": size_bytes}
    try:
        if suffix in IMAGE_SUFFIXES or kind == "other":
            header = parse_image_header(read_regular_head(path, HEADER_BYTES))
            if header is not None:
                described |= {
                    "kind": "image",
                    "format": header.format,
                    "width_px": header.width_px,
                    "height_px": header.height_px,
                    "channels": header.channels,
                    "bits": header.bits,
                }
        elif kind == "csv":
            columns = read_columns(read_regular_head(path, SAMPLE_BYTES))
            if columns is not None:
                described["columns"] = list(columns)
    except RefusedFileError as error:
        described["unreadable"] = str(error)
    return described


def violations(schema: Mapping[str, Any], document: Mapping[str, Any]) -> tuple[Finding, ...]:
    """What in `document` violates `schema`: one finding per rule, with its count and first places.

    Raises UsageError when the schema refers to something that it does not hold itself: nothing is
    ever fetched.
    """
    if conforms(schema, document):
        return ()
    # Only to explain a no: jsonschema takes longer to import than a whole check.
    from grader.assignments.explain_violations import explain_violations  # noqa: PLC0415

    return explain_violations(schema, document)
