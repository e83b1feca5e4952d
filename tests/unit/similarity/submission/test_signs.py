"""What a zip says by itself and what two have in common: signs, and innocent reasons for them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from grader.assignments.load import load_assignment
from grader.model import Assignment, Finding
from grader.similarity.model import Evidence, Strength
from grader.similarity.source.read_sources import FoundSubmission
from grader.similarity.submission.between import relate_files, relate_names
from grader.similarity.submission.names import mentions, without_common
from grader.similarity.submission.read_material import Material, read_material
from grader.similarity.submission.signs import (
    foreign_names,
    late_times,
    older_checkpoint,
    unknown_names,
    unreproduced_log,
)
from tests.unit.similarity.submission.zips import Entry, write_zip

OWN, OTHER = "2023AIB2080", "2023AIB2114"


@pytest.fixture(scope="module")
def assignment() -> Assignment:
    return load_assignment("ail721-a2")


def _open(tmp_path: Path, assignment: Assignment, entries: dict[str, Entry]) -> Material:
    return read_material(write_zip(tmp_path, OWN, entries), assignment, tmp_path / "tree")


def _names(material: Material, assignment: Assignment) -> list[Finding]:
    return list(foreign_names(material, mentions(material, assignment.entry_number)))


# --------------------------------------------------------------------------- names


@pytest.mark.parametrize(
    ("path", "content", "line"),
    [
        ("train.py", f"import x\n# by {OTHER}\n", 2),
        ("train.py", f'"""Of {OTHER.lower()}."""\n', 1),
        ("notes.md", f"see /home/{OTHER}/code\n", 1),
        (f"{OTHER}/train.py", "x = 1\n", None),
        ("plot.png", b"\x89PNG\r\n\x1a\n\0\0tEXtAuthor\0" + OTHER.encode() + b"\0\1\2", None),
        (
            "a.ipynb",
            json.dumps(
                {"cells": [{"cell_type": "markdown", "source": ["hello\n", f"I am {OTHER}"]}]}
            ),
            None,
        ),
        (
            "a.ipynb",
            json.dumps({"metadata": {"authors": [{"name": OTHER}]}, "cells": []}),
            None,
        ),
    ],
    ids=["comment", "docstring", "text", "path", "picture", "cell", "notebook's metadata"],
)
def test_another_entry_number_is_found_with_its_place(
    tmp_path: Path, assignment: Assignment, path: str, content: str | bytes, line: int | None
) -> None:
    (finding,) = _names(_open(tmp_path, assignment, {path: content}), assignment)
    assert finding.code == "zip.other-entry-number"
    assert finding.place is not None
    assert (finding.place.path, finding.place.line) == (path, line)
    assert OTHER in finding.message


@pytest.mark.parametrize("text", [OWN, f"x{OTHER}", f"{OTHER}7", "2023AIB21145", "2023-AIB-2114"])
def test_its_own_number_and_what_is_none_are_not(
    tmp_path: Path, assignment: Assignment, text: str
) -> None:
    assert _names(_open(tmp_path, assignment, {"a.py": f"# {text}\n"}), assignment) == []


def test_addresses_count_where_the_own_one_is_known(tmp_path: Path, assignment: Assignment) -> None:
    text = "# me@iitd.ac.in, friend@iitd.ac.in, git@github.com, you@example.com\n"
    material = _open(tmp_path, assignment, {"a.py": text})
    found = mentions(material, assignment.entry_number)
    assert {mention.text for mention in found} == {"me@iitd.ac.in", "friend@iitd.ac.in"}
    assert list(foreign_names(material, found)) == []
    (finding,) = foreign_names(material, found, frozenset({"me@iitd.ac.in"}))
    assert "friend@iitd.ac.in" in finding.message


def test_what_many_name_and_what_was_given_out_is_common(
    tmp_path: Path, assignment: Assignment
) -> None:
    starter = write_zip(tmp_path, "starter", {"a.py": "# teacher@iitd.ac.in\n"})
    given_out = mentions(
        read_material(starter, assignment, tmp_path / "s"), assignment.entry_number
    )
    everybody = []
    for number in range(6):
        text = "# teacher@iitd.ac.in author@lib.org\n" + ("# lab@x.org\n" if number < 2 else "")
        found = write_zip(tmp_path, f"s{number}", {"a.py": text, "b.py": "p='/home/lab7/x'\n"})
        material = read_material(found, assignment, tmp_path / f"t{number}")
        everybody.append((material.name, mentions(material, assignment.entry_number)))
    left = without_common(everybody, given_out, 3)
    assert {mention.text for found in left.values() for mention in found} == {"lab@x.org"}
    related = relate_names(left, {})
    assert set(related) == {("s0", "s1")}
    assert related["s0", "s1"][0].strength is Strength.WEAK


def test_a_pair_one_of_which_names_the_other(tmp_path: Path, assignment: Assignment) -> None:
    material = _open(tmp_path, assignment, {"a.py": f"# from {OTHER}\n"})
    found = {OWN: mentions(material, assignment.entry_number), OTHER: ()}
    ((pair, (evidence,)),) = relate_names(found, {OWN: OWN, OTHER: OTHER}).items()
    assert pair == (OWN, OTHER)
    assert evidence.code == "zip.names-the-other"
    assert "a.py:1" in evidence.message


def test_an_address_names_the_other_where_it_is_known_whose_it_is(
    tmp_path: Path, assignment: Assignment
) -> None:
    material = _open(tmp_path, assignment, {"a.py": "# me@x.org asked friend@x.org\n"})
    found = {OWN: mentions(material, assignment.entry_number), OTHER: ()}
    known = {OWN: frozenset({"me@x.org"}), OTHER: frozenset({"Friend@X.org"})}
    ((pair, (evidence,)),) = relate_names(found, {}, known).items()
    assert pair == (OWN, OTHER)
    assert evidence.code == "zip.names-the-other"
    assert "e-mail" in evidence.message


# --------------------------------------------------------------------------- times


def test_a_time_is_late_only_where_it_is_everywhere(tmp_path: Path, assignment: Assignment) -> None:
    deadline = datetime(2026, 5, 10, 23, 59, tzinfo=UTC)
    entries: dict[str, Entry] = {
        "zone.py": ("a", (2026, 5, 11, 13, 0, 0)),  # before the deadline, east of Greenwich
        "late.py": ("b", (2026, 5, 12, 1, 0, 0)),
        "none.py": ("c", (1980, 1, 1, 0, 0, 0)),
    }
    material = _open(tmp_path, assignment, entries)
    (finding,) = late_times(material, deadline)
    assert "1 of 3 files" in finding.message
    assert "late.py" in finding.message
    assert list(late_times(material, None)) == []


def test_a_checkpoint_older_than_all_code(tmp_path: Path, assignment: Assignment) -> None:
    code: dict[str, Entry] = {
        "train.py": ("a", (2026, 5, 3, 9, 0, 0)),
        "evaluate.py": ("b", (2026, 5, 4, 9, 0, 0)),
    }
    old: dict[str, Entry] = {"resnet_model.pth": (b"x" * 99, (2026, 5, 1, 9, 0, 0))}
    (finding,) = older_checkpoint(_open(tmp_path, assignment, code | old))
    assert "48 hours" in finding.message or "2 days" in finding.message
    for harmless in (
        {"resnet_model.pth": (b"x" * 99, (2026, 5, 3, 12, 0, 0))},
        {"resnet_model.pth": (b"x" * 99, (2026, 5, 3, 8, 30, 0))},
    ):
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        folder.mkdir()
        assert list(older_checkpoint(_open(folder, assignment, code | harmless))) == []


def test_archives_with_one_time_for_all_say_nothing(tmp_path: Path, assignment: Assignment) -> None:
    day = (2026, 5, 3, 9, 0, 0)
    entries: dict[str, Entry] = {name: (name, day) for name in ("a.py", "b.py", "c.py")}
    entries["resnet_model.pth"] = (b"x" * 99, (2026, 5, 1, 9, 0, 0))
    assert list(older_checkpoint(_open(tmp_path, assignment, entries))) == []


# --------------------------------------------------------------------------- layers and logs

_NETWORK = """
class Net(nn.Module):
    def __init__(self):
        self.stem = nn.Conv2d(3, 16, 3)
        for i in range(3):
            setattr(self, f"layer{i}", nn.Conv2d(16, 16, 3))
        self.body = nn.ModuleDict({"left": a, "right": b})
"""


@pytest.mark.parametrize(
    ("names", "unknown"),
    [
        (("stem.weight", "layer0.weight", "layer2.0.weight", "body.left.weight"), False),
        (("module.stem.weight", "body.right.running_mean"), False),
        (("0.weight", "1.0.bias"), False),
        (("encoder.conv_in.weight", "encoder.mid.weight", "stem.weight"), True),
        (("stem.weight", "head.weight"), False),  # one of two: a rest of an experiment
    ],
)
def test_layers_that_no_code_names(
    tmp_path: Path, assignment: Assignment, names: tuple[str, ...], unknown: bool
) -> None:
    from dataclasses import replace

    material = _open(tmp_path, assignment, {"model.py": _NETWORK, "resnet_model.pth": b"x" * 99})
    material = replace(material, layers={"resnet_model.pth": names})
    assert [finding.code for finding in unknown_names(material)] == (
        ["checkpoint.unknown-names"] if unknown else []
    )


def test_ready_made_networks_and_zips_without_code_are_left_alone(
    tmp_path: Path, assignment: Assignment
) -> None:
    from dataclasses import replace

    for number, text in enumerate(("from torchvision import models\nmodels.resnet18()\n", "")):
        folder = tmp_path / str(number)
        folder.mkdir()
        material = _open(folder, assignment, {"model.py": text, "x.pth": b"x" * 99})
        material = replace(material, layers={"x.pth": ("a.weight", "b.weight", "c.weight")})
        assert list(unknown_names(material)) == []


@pytest.mark.parametrize(
    ("line", "measured", "said"),
    [
        ("epoch 40 val accuracy: 96.2%", 0.31, True),
        ("Test Accuracy = 0.962", 0.31, True),
        ("Test Accuracy = 0.962", 0.90, False),
        ("train accuracy: 99.9%", 0.31, False),
        ("accuracy matters", 0.31, False),
        ("val accuracy: 96.2%", None, False),
    ],
)
def test_a_log_that_claims_more(
    tmp_path: Path, assignment: Assignment, line: str, measured: float | None, said: bool
) -> None:
    material = _open(tmp_path, assignment, {"run.log": f"start\n{line}\n"})
    found = list(unreproduced_log(material, measured))
    assert [finding.code for finding in found] == (["result.unreproduced-log"] if said else [])
    if said:
        assert found[0].place is not None
        assert found[0].place.line == 2


# --------------------------------------------------------------------------- files


def _relate(
    tmp_path: Path, assignment: Assignment, zips: dict[str, dict[str, Entry]]
) -> dict[tuple[str, str], tuple[Evidence, ...]]:
    materials = [
        read_material(write_zip(tmp_path, name, entries, day), assignment, tmp_path / f"t-{name}")
        for day, (name, entries) in enumerate(zips.items(), 1)
    ]
    return relate_files(materials, frozenset(), frozenset({"seg_maps"}))


def test_equal_files_count_by_who_could_have_made_them(
    tmp_path: Path, assignment: Assignment
) -> None:
    log, picture = "epoch 1 loss 2.31\n" * 100, b"\x89PNG" + b"p" * 2000
    related = _relate(
        tmp_path,
        assignment,
        {
            "a": {"run.log": log, "cat.png": picture},
            "b": {"logs/out.log": log},
            "c": {"cat.png": picture},
            "d": {"x.py": "x = 1\n" * 50},
        },
    )
    strengths = {pair: [one.strength for one in found] for pair, found in related.items()}
    assert strengths == {("a", "b"): [Strength.STRONG], ("a", "c"): [Strength.WEAK]}
    (evidence,) = related["a", "b"]
    assert evidence.details["files"] == [
        {"left": "run.log", "right": "logs/out.log", "what": "equal bytes"}
    ]


def test_equal_masks_in_two_zips_were_written_by_one_program(
    tmp_path: Path, assignment: Assignment
) -> None:
    masks = {f"seg_maps/{n}.png": b"\x89PNG" + bytes([n]) * 200 for n in range(6)}
    few = dict(list(masks.items())[:3])
    related = _relate(
        tmp_path, assignment, {"a": masks, "b": {"x.py": "x = 1\n", **masks}, "c": few}
    )
    strengths = {pair: [one.strength for one in found] for pair, found in related.items()}
    assert strengths[("a", "b")] == [Strength.STRONG]
    assert strengths[("a", "c")] == [Strength.WEAK]


def test_what_many_have_and_what_is_tiny_joins_nobody(
    tmp_path: Path, assignment: Assignment
) -> None:
    common = {"data.csv": "image,label\n" * 300, "__init__.py": ""}
    zips: dict[str, dict[str, Entry]] = {f"s{n}": dict(common) for n in range(5)}
    assert _relate(tmp_path, assignment, zips) == {}


def test_shared_times_of_change(tmp_path: Path, assignment: Assignment) -> None:
    times = [(2026, 4, 2 + n, 7, 11 * n, 20) for n in range(4)]
    zips: dict[str, dict[str, Entry]] = {
        name: {f"{n}.py": (f"{name}{n}" * 40, time) for n, time in enumerate(times)}
        for name in ("a", "b")
    }
    zips["c"] = {"0.py": ("c" * 99, times[0]), "1.py": ("d" * 99, times[1])}
    related = _relate(tmp_path, assignment, zips)
    assert {pair: [one.code for one in found] for pair, found in related.items()} == {
        ("a", "b"): ["zip.same-times"]
    }
    assert related["a", "b"][0].strength is Strength.WEAK


# --------------------------------------------------------------------------- odd zips


@pytest.mark.parametrize("content", [b"", b"PK\x05\x06" + b"\0" * 18, b"no zip"])
def test_what_is_no_zip_is_empty(tmp_path: Path, assignment: Assignment, content: bytes) -> None:
    path = tmp_path / f"{OWN}.zip"
    path.write_bytes(content)
    material = read_material(FoundSubmission(OWN, path), assignment, tmp_path / "tree")
    assert (material.files, material.texts, material.readable) == ((), (), False)
    assert material.entry_number == OWN


def test_folders_and_single_files_are_read_too(tmp_path: Path, assignment: Assignment) -> None:
    folder = tmp_path / "someone"
    (folder / "code").mkdir(parents=True)
    (folder / "code" / "a.py").write_text(f"# {OTHER}\n")
    (folder / "link.py").symlink_to("/etc/passwd")
    material = read_material(FoundSubmission("someone", folder), assignment, tmp_path / "x")
    assert [file.path for file in material.files] == ["code/a.py"]
    one = FoundSubmission("a", folder / "code" / "a.py")
    assert len(read_material(one, assignment, tmp_path / "y").texts) == 1


def test_large_and_broken_texts_are_bounded(tmp_path: Path, assignment: Assignment) -> None:
    entries: dict[str, Entry] = {
        "huge.txt": "\n".join(f"{n * n * n} 2023AIB2080" for n in range(100_000)),
        "broken.ipynb": "{" * 100_000,
        "binary.txt": b"\0\1\2" * 100,
    }
    material = _open(tmp_path, assignment, entries)
    assert sum(len(line) for text in material.texts for line in text.lines) < 1 << 20
    assert len(material.files) == 3
