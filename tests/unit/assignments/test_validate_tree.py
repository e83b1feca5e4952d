"""Trees as documents, and violations of schemas as findings."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from PIL import Image

from grader.assignments.load import builtin_ids, load_assignment
from grader.assignments.validate_tree import describe_tree, violations
from grader.errors import UsageError
from grader.findings import CATALOGUE
from grader.model import Severity, TreeFile


def picture(format_name: str, size: tuple[int, int] = (7, 5)) -> bytes:
    written = io.BytesIO()
    Image.new("L", size).save(written, format_name)
    return written.getvalue()


def lay(root: Path, files: dict[str, bytes]) -> list[TreeFile]:
    listed = []
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
        listed.append(TreeFile(path, len(data), ""))
    return listed


def document(**files: dict[str, Any]) -> dict[str, Any]:
    return {"files": files, "folders": {}}


# --------------------------------------------------------------------------- the document


def test_a_tree_is_described(tmp_path: Path) -> None:
    files = lay(
        tmp_path,
        {
            "evaluate.py": b"print()\n",
            "submission.csv": b"image_name,label\na.jpg,X\n",
            "seg_maps/a.jpg": picture("JPEG"),
            "seg_maps/b.dat": picture("PNG", (3, 2)),
            "notes/plan.ipynb": b"{}",
            "model.pth": b"PK\x03\x04",
        },
    )
    assert describe_tree(tmp_path, files) == {
        "files": {
            "evaluate.py": {"kind": "python", "suffix": ".py", "size_bytes": 8},
            "submission.csv": {
                "kind": "csv",
                "suffix": ".csv",
                "size_bytes": 25,
                "columns": ["image_name", "label"],
            },
            "seg_maps/a.jpg": {
                "kind": "image",
                "suffix": ".jpg",
                "size_bytes": len(picture("JPEG")),
                "format": "JPEG",
                "width_px": 7,
                "height_px": 5,
                "channels": 1,
                "bits": 8,
            },
            "seg_maps/b.dat": {
                "kind": "image",
                "suffix": ".dat",
                "size_bytes": len(picture("PNG", (3, 2))),
                "format": "PNG",
                "width_px": 3,
                "height_px": 2,
                "channels": 1,
                "bits": 8,
            },
            "notes/plan.ipynb": {"kind": "notebook", "suffix": ".ipynb", "size_bytes": 2},
            "model.pth": {"kind": "weights", "suffix": ".pth", "size_bytes": 4},
        },
        "folders": {
            "seg_maps": {"files": 2, "images": 2},
            "notes": {"files": 1, "images": 0},
        },
    }


def test_a_wrapping_folder_is_left_out_of_paths(tmp_path: Path) -> None:
    files = lay(tmp_path, {"home/me/evaluate.py": b"", "home/me/a/b/c.txt": b""})
    described = describe_tree(tmp_path / "home/me", files, base="home/me")
    assert list(described["files"]) == ["evaluate.py", "a/b/c.txt"]
    assert described["folders"] == {
        "a/b": {"files": 1, "images": 0},
        "a": {"files": 1, "images": 0},
    }


def test_what_cannot_be_opened_is_described_as_such(tmp_path: Path) -> None:
    (tmp_path / "real.png").write_bytes(picture("PNG"))
    (tmp_path / "link.png").symlink_to(tmp_path / "real.png")
    (tmp_path / "text.png").write_bytes(b"no image")
    (tmp_path / "binary.csv").write_bytes(b"PK\x03\x04")
    described = describe_tree(
        tmp_path, [TreeFile(name, 4, "") for name in ("link.png", "text.png", "binary.csv")]
    )["files"]
    assert "cannot be read" in described["link.png"]["unreadable"]
    assert described["link.png"]["kind"] == "other"
    assert described["text.png"]["kind"] == "other"
    assert "columns" not in described["binary.csv"]


# --------------------------------------------------------------------------- violations


def test_a_document_as_wanted_gives_no_finding() -> None:
    schema = {"properties": {"files": {"required": ["a.csv"]}}}
    assert violations(schema, document(**{"a.csv": {"kind": "csv"}})) == ()


def test_a_missing_file_is_named_with_its_own_annotations() -> None:
    schema = {
        "properties": {
            "files": {
                "required": ["submission.csv", "notes.txt"],
                "x-code": "layout.violates-schema",
                "x-hint": "the general hint",
                "properties": {
                    "submission.csv": {
                        "x-code": {"required": "labels.missing-file", "minLength": "zip.never"},
                        "x-hint": "write it",
                    }
                },
            }
        }
    }
    first, second = violations(schema, document())
    assert (first.code, first.hint) == ("labels.missing-file", "write it")
    assert first.message == "submission.csv is missing"
    assert str(first.place) == "submission.csv"
    assert first.severity is Severity.ERROR
    assert (second.code, second.hint) == ("layout.violates-schema", "the general hint")
    assert second.message == "notes.txt is missing"


def test_the_nearest_annotation_counts() -> None:
    schema = {
        "x-code": "layout.violates-schema",
        "x-hint": "outer hint",
        "properties": {
            "files": {
                "additionalProperties": {
                    "x-code": "mask.not-an-image",
                    "properties": {"width_px": {"const": 224, "x-code": "mask.size-mismatch"}},
                    "required": ["kind"],
                }
            }
        },
    }
    found = violations(schema, document(**{"a.png": {"width_px": 7, "kind": "image"}, "b.png": {}}))
    assert [(finding.code, finding.hint, str(finding.place)) for finding in found] == [
        ("mask.size-mismatch", "outer hint", "a.png"),
        ("mask.not-an-image", "outer hint", "b.png"),
    ]
    assert found[0].message == "a.png: 224 was expected"
    assert found[1].message == "kind is missing in b.png"


def test_many_violations_of_one_rule_are_one_finding() -> None:
    schema = {
        "properties": {
            "files": {
                "patternProperties": {
                    "^seg_maps/": {
                        "properties": {"width_px": {"const": 224}},
                        "x-code": "mask.size-mismatch",
                        "x-message": "a mask is not 224 pixels wide",
                        "x-path": "seg_maps",
                    }
                }
            }
        }
    }
    files = {f"seg_maps/{number}.png": {"width_px": number} for number in range(300)}
    (finding,) = violations(schema, document(**files))
    assert finding.message == (
        "a mask is not 224 pixels wide "
        "(299 times: seg_maps/0.png, seg_maps/1.png, seg_maps/2.png and 296 more)"
    )
    assert finding.evidence["count"] == 299
    assert str(finding.place) == "seg_maps"


def test_annotations_are_found_behind_references() -> None:
    schema = {
        "$defs": {"mask": {"$ref": "#/$defs/a~1b"}, "a/b": {
            "properties": {"bits": {"maximum": 8}}, "x-code": "mask.sixteen-bit"}},
        "properties": {"files": {"additionalProperties": {"$ref": "#/$defs/mask"}}},
    }  # fmt: skip
    (finding,) = violations(schema, document(a={"bits": 16}))
    assert finding.code == "mask.sixteen-bit"


def test_names_at_fault_are_named() -> None:
    schema = {
        "properties": {
            "files": {
                "propertyNames": {
                    "allOf": [{"not": {"pattern": "^\\.git/"}, "x-code": "layout.violates-schema"}]
                }
            }
        }
    }
    (finding,) = violations(schema, document(**{".git/config": {}, "ok": {}}))
    assert str(finding.place) == ".git/config"


def test_alternatives_are_one_finding_about_the_best_of_them() -> None:
    schema = {
        "properties": {
            "files": {
                "anyOf": [{"required": ["evaluate.py"]}, {"required": ["eval.py"]}],
                "x-message": "there is neither evaluate.py nor eval.py",
            }
        }
    }
    (finding,) = violations(schema, document())
    assert finding.message == "there is neither evaluate.py nor eval.py"


def test_a_message_never_repeats_the_whole_tree() -> None:
    many = {f"file_{number}.txt": {} for number in range(500)}
    for keyword in ({"maxProperties": 3}, {"additionalProperties": False}, {"not": {}}, False):
        (finding,) = violations({"properties": {"files": keyword}}, document(**many))
        assert len(finding.message) < 400
        assert finding.code == "layout.violates-schema"


def test_names_are_made_harmless() -> None:
    schema = {"properties": {"files": {"additionalProperties": {"required": ["x"]}}}}
    (finding,) = violations(schema, document(**{"\x1b[31m\u202e.py": {}}))
    assert finding.message.isprintable()
    assert str(finding.place).isprintable()


def test_so_many_different_violations_are_told_and_no_more() -> None:
    schema = {"properties": {"files": {"required": [f"file_{n}" for n in range(500)]}}}
    assert len(violations(schema, document())) == 100


@pytest.mark.parametrize("reference", ["https://example.org/schema.json", "#/$defs/missing"])
def test_nothing_is_fetched(reference: str) -> None:
    with pytest.raises(UsageError, match="which it does not hold"):
        violations({"$ref": reference}, document())


@pytest.mark.parametrize("assignment", builtin_ids())
def test_the_schemas_that_come_with_the_grader_use_known_codes(assignment: str) -> None:
    definition = load_assignment(assignment)
    schemas = [definition.submission_schema]
    schemas += [case.outputs_schema for case in definition.cases if case.outputs_schema]
    for schema in schemas:
        Draft202012Validator.check_schema(schema)
        assert _codes(schema) <= set(CATALOGUE)


def _codes(schema: Any) -> set[str]:
    codes: set[str] = set()
    if isinstance(schema, dict):
        said = schema.get("x-code")
        if said is not None:
            codes |= {said} if isinstance(said, str) else set(said.values())
        for part in schema.values():
            codes |= _codes(part)
    elif isinstance(schema, list):
        for part in schema:
            codes |= _codes(part)
    return codes
