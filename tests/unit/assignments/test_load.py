"""A wrong definition is refused with file and line."""

from __future__ import annotations

import json
import shutil
from decimal import Decimal
from pathlib import Path

import pytest

from grader.assignments import load
from grader.assignments.load import builtin_ids, load_assignment
from grader.assignments.toml_lines import line_of
from grader.errors import DefinitionError, UsageError
from grader.metrics import METRICS
from grader.metrics.counts import LabelMetric, MaskMetric
from grader.metrics.evidence import HeatmapMetric, LayerMetric
from grader.metrics.load import load_metric
from grader.networks.check_architecture import _CHECKS


@pytest.fixture
def definition(tmp_path: Path) -> Path:
    source = Path(load.__file__).parent / "ail721-a2"
    shutil.copytree(source, tmp_path / "a2")
    return tmp_path / "a2" / "assignment.toml"


def _refused(definition: Path, old: str, new: str) -> DefinitionError:
    """What is said of the definition with `new` in place of `old`."""
    text = definition.read_text("utf-8")
    assert old in text
    definition.write_text(text.replace(old, new, 1), "utf-8")
    with pytest.raises(DefinitionError) as caught:
        load_assignment(str(definition))
    return caught.value


@pytest.mark.parametrize("assignment", builtin_ids())
def test_every_definition_that_comes_with_the_grader_is_valid(assignment: str) -> None:
    loaded = load_assignment(assignment)
    assert loaded.id == assignment
    assert loaded.max_marks > 0


def test_ail721_a2_is_worth_two_and_a_half_twice() -> None:
    loaded = load_assignment("ail721-a2")
    assert [criterion.max_marks for criterion in loaded.criteria] == [Decimal("2.5")] * 2
    assert len(loaded.classes) == 100
    assert list(loaded.classes) == sorted(loaded.classes)


@pytest.mark.parametrize(
    ("old", "new", "line_holds", "says"),
    [
        ('id = "ail721-a2"', 'id = "ail721-a2', 'id = "ail721-a2', "not TOML"),
        ('metric = "classification.accuracy"', 'metric = "accuracy"', 'metric = "accuracy"',
         "there is no metric 'accuracy'"),
        ('reader = "labels_csv"', 'reader = "csv"', 'reader = "csv"', "there is no reader 'csv'"),
        ('network = "resnet_6n2"', 'network = "vgg"', 'network = "vgg"', "there is no network"),
        ('role = "checkpoint"', 'role = "weights"', 'role = "weights"', "there is no role"),
        ('measurement = "iou"', 'measurement = "jaccard"', 'measurement = "jaccard"',
         "there is no measurement 'jaccard'"),
        ('argv = ["python", "{evaluate}", "{checkpoint}", "{images}"]',
         'argv = ["python", "{evaluate}", "{truth}"]', "{truth}", "'truth'"),
        ('marks_step = "0.01"', 'marks_step = "0"', "marks_step", "above zero"),
        ("required = true", "required = true\ncolour = 3", "colour = 3", "colour"),
        ("[0.70, \"1.25\"], [0.78", "[0.78, \"1.25\"], [0.70", "curve =", "rise"),
        ('[0.82, "2.5"]', '[0.82, "2.4"]', "curve =", "max_marks is 2.5"),
        ('[0.78, "2.25"], [0.82', '[0.78, "0.5"], [0.82', "curve =", "must not fall"),
        ('schema = "submission.schema.json"', 'schema = "../x.json"', "schema =", "not a file"),
        ("entry_number = '20[0-9]{2}", "entry_number = '(20[0-9]{2}", "entry_number", "regular"),
        ('id = "macro_f1"', 'id = "accuracy"', None, "stands twice"),
        ('path = "submission.csv"', 'path = "/etc/passwd"', "path =", "leaves the working"),
        ('python = "3.11"', 'python = "3"', "python =", 'like "3.11"'),
        ('{ module = "timm"', '{ modul = "timm"', "forbidden_imports =", "has to be a string or a table"),
        ('kind = "subprocess", why', 'kind = "shell", why', "forbidden_calls =", "'shell' is not one of"),
        ('[0.82, "2.5"]', '[inf, "2.5"]', "curve =", "inf is no number to count with"),
        ('["baseline", "0"], [0.50', '["baseline", "0"], [nan, "0"], [0.50', "curve =", "nan is no number"),
        ("std = [0.229", "std = [inf", "std = [inf", "inf is no number"),
        ("kernel_px = 3", "kernal_px = 3", "kernal_px = 3", "'kernal_px' was unexpected"),
        ("kernel_px = 3", 'kernel_px = "3"', "kernel_px =", "'3' is not of type 'integer'"),
        ('norm = ["batch"]', 'norm = "bach"', "norm =", "'bach' is not"),
    ],
)  # fmt: skip
def test_a_wrong_definition_names_file_and_line(
    definition: Path, old: str, new: str, line_holds: str | None, says: str
) -> None:
    refused = _refused(definition, old, new)
    assert says in refused.message
    assert str(definition) in refused.message
    if line_holds is not None:
        assert refused.line is not None
        line = definition.read_text("utf-8").splitlines()[refused.line - 1]
        assert line_holds in line


@pytest.mark.parametrize(
    ("metric", "output", "reader"),
    [
        ("classification.macro_f1", "masks", "labels_csv"),
        ("segmentation.dice", "labels", "mask_images"),
        ("heatmaps.sensitivity", "masks", "heatmap_images"),
    ],
)
def test_a_metric_over_what_it_cannot_measure_is_refused(
    definition: Path, metric: str, output: str, reader: str
) -> None:
    old = 'metric = "classification.macro_f1"\ncase = "evaluate"\noutput = "labels"'
    new = f'metric = "{metric}"\ncase = "evaluate"\noutput = "{output}"'
    refused = _refused(definition, old, new)
    assert f"the metric {metric} measures what {reader} reads" in refused.message
    assert refused.line is not None
    assert definition.read_text("utf-8").splitlines()[refused.line - 1] == f'output = "{output}"'


def test_layers_are_measured_by_probes_and_nothing_else_is(definition: Path) -> None:
    refused = _refused(definition, 'metric = "segmentation.dice"', 'metric = "layers.share_passed"')
    assert "measures a probe, not an output" in refused.message
    source = Path(load.__file__).parent / "col775-a1"
    shutil.copytree(source, definition.parent, dirs_exist_ok=True)
    old, new = 'metric = "layers.share_passed"', 'metric = "classification.accuracy"'
    refused = _refused(definition, old, new)
    assert "measures an output, not a probe" in refused.message


@pytest.mark.parametrize("name", sorted(METRICS))
def test_what_each_metric_reads_is_known(name: str) -> None:
    kinds = {"labels_csv": LabelMetric, "mask_images": MaskMetric, "heatmap_images": HeatmapMetric}
    reader = load._READERS_OF_METRICS.get(name.partition(".")[0])
    assert isinstance(load_metric(name), LayerMetric if reader is None else kinds[reader])


def test_the_constraints_of_a_definition_are_those_that_are_checked() -> None:
    schema = json.loads(Path(load.__file__).with_name("definition.schema.json").read_text("utf-8"))
    assert set(schema["$defs"]["constraints"]["properties"]) == set(_CHECKS)


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("submission.schema.json", b"{", "not JSON"),
        ("submission.schema.json", b'{"type": 3}', "not a JSON Schema"),
        ("submission.schema.json", b"[" * 100_000, "not JSON"),
        ("assignment.toml", b"\xff\xfe", "not UTF-8"),
        ("assignment.toml", b"", "schema_version"),
        ("classes.txt", b"A\nB\nA\n", "stands twice"),
    ],
)
def test_wild_files_beside_a_definition(
    definition: Path, name: str, content: bytes, says: str
) -> None:
    (definition.parent / name).write_bytes(content)
    with pytest.raises(DefinitionError) as caught:
        load_assignment(str(definition.parent))
    assert says in caught.value.message
    assert name in caught.value.message


def test_an_unknown_assignment_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        load_assignment("ail721-a3")
    assert "ail721-a2" in caught.value.hint
    with pytest.raises(UsageError):
        load_assignment(str(tmp_path))


def test_the_hash_changes_with_any_file_of_the_definition(definition: Path) -> None:
    before = load_assignment(str(definition)).sha256
    classes = definition.with_name("classes.txt")
    classes.write_text(classes.read_text("utf-8") + "ZZZ\n", "utf-8")
    assert load_assignment(str(definition)).sha256 != before


def test_the_hash_changes_with_what_marks_rest_on_and_not_with_lateness(definition: Path) -> None:
    text = definition.read_text("utf-8")

    def hash_of(changed: str) -> str:
        definition.write_text(changed, "utf-8")
        return load_assignment(str(definition)).sha256

    before = hash_of(text)
    late = '\n[late]\ndeadline = "2025-03-0{}T23:59:00+05:30"\nper_day_percent = "10"\n'
    assert hash_of(text + late.format(1)) == before
    assert hash_of(text + late.format(5)) == before
    assert hash_of(text.replace('[0.78, "2.25"]', '[0.78, "2.2"]')) != before
    assert hash_of(text.replace("resize_px = 256", "resize_px = 250")) != before


def test_lines_are_found_through_tables_and_arrays_of_tables() -> None:
    text = "a = 1\n[b]\nc = 2\n[[d]]\ne = 3\n[[d]]\ne = 4\n[[d.f]]\ng = 5\n"
    assert line_of(text, ("a",)) == 1
    assert line_of(text, ("b", "c")) == 3
    assert line_of(text, ("d", 0, "e")) == 5
    assert line_of(text, ("d", 1, "e")) == 7
    assert line_of(text, ("d", 1, "f", 0, "g")) == 9
    assert line_of(text, ("d", 1, "nothing")) == 6
    assert line_of(text, ("z",)) is None


@pytest.mark.parametrize(
    ("old", "new", "hint"),
    [
        ("marks_step =", "mark_step =", "it knows: marks_step"),
        ('max_marks = "2.5"', "max_marks = 2.5", '"2.5"'),
    ],
)
def test_a_slip_in_a_definition_is_told_how_to_mend(
    definition: Path, old: str, new: str, hint: str
) -> None:
    refused = _refused(definition, old, new)
    assert hint in refused.hint
