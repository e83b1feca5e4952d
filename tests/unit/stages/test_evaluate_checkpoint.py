"""The independent evaluation against a loop that a student would write, and what it finds out."""

from __future__ import annotations

import hashlib
import io
import random
import tarfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision import transforms

from fixtures.checkpoints.students import Plan, Student, make_student, normalise_pixels
from grader.assignments.load import load_assignment
from grader.errors import InternalFault, TruthError
from grader.model import (
    CheckpointSpec,
    Finding,
    IndependentEvaluation,
    LoadedCheckpoint,
    Preprocessing,
    RunLimits,
    Truth,
    TruthItem,
)
from grader.networks.unpickle.loader_inside import WEIGHTS_NAME, read_checkpoint
from grader.networks.unpickle.write_safetensors import write_safetensors
from grader.stages.evaluate_checkpoint import evaluate_checkpoint

SIZE_PX = 24
COUNT = 96
CLASSES = tuple(f"SPECIES {letter}" for letter in "ABCDEF")
PLAN = Plan(n=1, widths=(8, 16), num_classes=len(CLASSES))
HALF, ZERO, ONE = (0.5, 0.5, 0.5), (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
WAYS = (
    Preprocessing("half", "half", "stretch", SIZE_PX, SIZE_PX, HALF, HALF),
    Preprocessing("raw", "raw", "stretch", SIZE_PX, SIZE_PX, ZERO, ONE),
    Preprocessing("crop", "crop", "shorter-side-crop", SIZE_PX, 30, HALF, HALF),
    Preprocessing("native", "native", "none", SIZE_PX, SIZE_PX, HALF, HALF),
    Preprocessing("cv2", "cv2", "stretch", SIZE_PX, SIZE_PX, HALF, HALF, "cv2-bilinear"),
)
PIPELINES: dict[str, list[Any]] = {
    "half": [transforms.Resize((SIZE_PX, SIZE_PX))],
    "raw": [transforms.Resize((SIZE_PX, SIZE_PX))],
    "crop": [transforms.Resize(30), transforms.CenterCrop(SIZE_PX)],
    "native": [],
    "half-at-36": [transforms.Resize((36, 36))],
    "raw-at-36": [transforms.Resize((36, 36))],
    "crop-at-36": [transforms.Resize(45), transforms.CenterCrop(36)],
}
# Sides that the ways of the definition do not have.
AT_OTHER_SIDES = ("half-at-36", "raw-at-36", "crop-at-36")
SIDES_PX = (12, 18, 30, 36, 48)
SPEC = CheckpointSpec(
    role="checkpoint",
    network="resnet_6n2",
    limits=RunLimits(60, 120, 3 << 30, 64, 1 << 28, 8 << 20, 16, 1 << 16),
    constraints={},
    preprocessing=WAYS,
)


@pytest.fixture(autouse=True, scope="module")
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass(frozen=True)
class Course:
    """Images with labels, and a network that tells them apart in its own way."""

    folder: Path
    truth: Truth

    def tensors(self, way: str) -> list[Tensor]:
        normalise = [] if way.startswith("raw") else [transforms.Normalize(HALF, HALF)]
        pipeline = transforms.Compose([*PIPELINES[way], transforms.ToTensor(), *normalise])
        return [pipeline(Image.open(item.image)) for item in self.truth.items]

    def outputs(self, network: nn.Module, way: str) -> list[int]:
        """The plain loop: float32, NCHW, one image after the other."""
        with torch.no_grad():
            return [int(network(x.unsqueeze(0)).argmax()) for x in self.tensors(way)]

    def labels(
        self, network: nn.Module, way: str = "half", names: Sequence[str] = tuple(sorted(CLASSES))
    ) -> dict[str, str]:
        outputs = self.outputs(network, way)
        pairs = zip(self.truth.items, outputs, strict=True)
        return {item.staged_name: names[output] for item, output in pairs}

    def checkpoint(self, network: nn.Module, **more: Any) -> LoadedCheckpoint:
        path = self.folder / f"{hashlib.sha256(str(more).encode()).hexdigest()}.safetensors"
        write_safetensors(path, {k: v.contiguous() for k, v in network.state_dict().items()})
        return LoadedCheckpoint("resnet_model.pth", "", "state_dict", path, None, (), **more)


def balanced(course: Course, plan: Plan = PLAN, way: str = "half") -> Student:
    """A network whose outputs all come up, and differ from one preprocessing to the next."""
    student = make_student(plan)
    with torch.no_grad():
        logits = torch.stack([student(x.unsqueeze(0))[0] for x in course.tensors(way)])
        scale = 1.0 / logits.std(dim=0)
        student.fc.weight.mul_(scale.unsqueeze(1))
        student.fc.bias.sub_(logits.mean(dim=0)).mul_(scale)
    return student


@pytest.fixture(scope="module")
def course(tmp_path_factory: pytest.TempPathFactory) -> Course:
    folder = tmp_path_factory.mktemp("course")
    rng = np.random.default_rng(3)
    items = []
    for index in range(COUNT):
        height, width = rng.integers(20, 40, 2)
        coarse = rng.integers(0, 256, (3, 3, 3), np.uint8)
        image = Image.fromarray(coarse).resize((int(width), int(height)), Image.Resampling.BICUBIC)
        staged = f"img_{hashlib.sha256(bytes([index])).hexdigest()[:8]}.png"
        image.save(folder / staged)
        label = CLASSES[index * 5 % len(CLASSES)]
        items.append(TruthItem(f"{label}/{index}.png", staged, folder / staged, label, None))
    return Course(folder, Truth(tuple(items), CLASSES, "folders", "", 0))


@pytest.fixture(scope="module")
def student(course: Course) -> Student:
    return balanced(course)


def evaluate(
    course: Course,
    network: nn.Module,
    labels: Mapping[str, str] | None,
    spec: CheckpointSpec = SPEC,
    declared: Sequence[str] | None = None,
    truth: Truth | None = None,
    **more: Any,
) -> tuple[IndependentEvaluation, list[Finding]]:
    evaluation, findings = evaluate_checkpoint(
        course.checkpoint(network, **more), spec, truth or course.truth, labels, declared
    )
    assert evaluation is not None
    return evaluation, list(findings)


def only(way: str) -> CheckpointSpec:
    return replace(SPEC, preprocessing=tuple(w for w in WAYS if w.id == way))


# --------------------------------------------------------------------------- predictions


@pytest.mark.parametrize("way", [way.id for way in WAYS if way.id in PIPELINES])
@pytest.mark.parametrize("norm", ["batch", "none", "batch-instance"])
def test_every_label_is_the_plain_loops(course: Course, way: str, norm: str) -> None:
    network = balanced(course, replace(PLAN, norm=norm))
    evaluation, findings = evaluate(course, network, None, only(way))
    assert evaluation.labels == course.labels(network, way)
    assert findings == []


def test_accuracy_and_agreement_are_counted(course: Course, student: Student) -> None:
    labels = course.labels(student)
    items = course.truth.items
    right = sum(labels[item.staged_name] == item.label for item in items)
    evaluation, findings = evaluate(course, student, labels)
    assert evaluation.accuracy == right / COUNT
    assert evaluation.agreement == 1.0
    assert evaluation.class_order == "the alphabet"
    assert evaluation.images_per_second > 0
    assert findings == []


@pytest.mark.parametrize("way", [way.id for way in WAYS if way.id in PIPELINES])
def test_the_preprocessing_that_the_student_used_is_found(
    course: Course, student: Student, way: str
) -> None:
    spec = replace(SPEC, other_sides_px=SIDES_PX)  # nothing is left for them to explain
    evaluation, findings = evaluate(course, student, course.labels(student, way), spec)
    assert evaluation.preprocessing.id == way
    assert evaluation.agreement == 1.0
    assert findings == []
    rows = {row["preprocessing"]: row for row in evaluation.candidates}
    assert list(rows) == [w.id for w in WAYS]
    # On these images OpenCV's resize makes too little difference to be told from PIL's.
    others = set(rows) - {way, "cv2"}
    assert all(rows[other]["agreement"] < 1.0 for other in others)
    assert rows[way]["images"] == COUNT
    assert rows[way]["agreement_low"] < rows[way]["agreement"] <= rows[way]["agreement_high"]


def test_a_candidate_without_a_chance_drops_out_early(course: Course, student: Student) -> None:
    evaluation, _ = evaluate(course, student, course.labels(student, "raw"))
    rows = {row["preprocessing"]: row for row in evaluation.candidates}
    assert rows["raw"]["finished"]
    assert not rows["native"]["finished"]
    assert rows["native"]["images"] < COUNT


def test_without_any_labels_the_definitions_first_way_is_taken(
    course: Course, student: Student
) -> None:
    unlabelled = replace(
        course.truth, items=tuple(replace(item, label=None) for item in course.truth.items)
    )
    evaluation, findings = evaluate(course, student, None, truth=unlabelled)
    assert evaluation.preprocessing.id == "half"
    assert evaluation.accuracy is None
    assert evaluation.agreement is None
    assert evaluation.labels == course.labels(student, "half")
    assert findings == []


def test_by_the_truth_another_way_has_to_be_surely_better(course: Course, student: Student) -> None:
    def truth_of(labels: Mapping[str, str]) -> Truth:
        items = (replace(item, label=labels[item.staged_name]) for item in course.truth.items)
        return replace(course.truth, items=tuple(items))

    raw = course.labels(student, "raw")
    evaluation, _ = evaluate(course, student, None, truth=truth_of(raw))
    assert evaluation.preprocessing.id == "raw"
    # Half of the images bear out one way, half of them another: no reason to prefer one.
    half = course.labels(student, "half")
    mixed = {name: (raw if int(name[4:12], 16) % 2 else half)[name] for name in raw}
    evaluation, _ = evaluate(course, student, None, truth=truth_of(mixed))
    assert evaluation.preprocessing.id == "half"


# --------------------------------------------------------------------------- other sides


@pytest.mark.parametrize("way", AT_OTHER_SIDES)
def test_a_side_that_the_definition_does_not_spell_out_is_found(course: Course, way: str) -> None:
    student = balanced(course, way=way)
    labels = course.labels(student, way)
    evaluation, _ = evaluate(course, student, labels)
    assert evaluation.agreement is not None
    assert evaluation.agreement < 0.95
    evaluation, findings = evaluate(course, student, labels, replace(SPEC, other_sides_px=SIDES_PX))
    assert evaluation.preprocessing.id == way
    assert evaluation.preprocessing.size_px == 36
    assert evaluation.agreement == 1.0
    assert evaluation.labels == labels
    assert findings == []
    rows = [row for row in evaluation.candidates if row["preprocessing"] == way]
    assert [(row["images"], row["agreement"]) for row in rows] == [(COUNT, 1.0)]
    assert rows[0]["title"] == f"{way.partition('-')[0]}; at 36 px"


def test_predictions_of_something_else_are_no_side(course: Course, student: Student) -> None:
    shuffled = list(course.labels(student, "half-at-36").values())
    random.Random(0).shuffle(shuffled)
    labels = dict(zip(course.labels(student), shuffled, strict=True))
    evaluation, findings = evaluate(course, student, labels, replace(SPEC, other_sides_px=SIDES_PX))
    assert [finding.code for finding in findings] == ["checkpoint.disagrees"]
    assert len(evaluation.labels) == COUNT
    tried = {row["preprocessing"].rpartition("-at-")[2] for row in evaluation.candidates}
    assert tried >= {"12", "30", "48"}


def test_by_the_truth_another_side_has_to_be_surely_better(
    course: Course, student: Student
) -> None:
    spec = replace(SPEC, other_sides_px=SIDES_PX)
    there, usual = course.labels(student, "half-at-36"), course.labels(student)

    def evaluate_by(labels: Mapping[str, str]) -> str:
        items = (replace(item, label=labels[item.staged_name]) for item in course.truth.items)
        truth = replace(course.truth, items=tuple(items))
        return evaluate(course, student, None, spec, truth=truth)[0].preprocessing.id

    assert evaluate_by(there) == "half-at-36"
    assert evaluate_by({k: (there if i % 2 else usual)[k] for i, k in enumerate(usual)}) == "half"


def test_a_network_that_is_tied_to_another_side_is_run_at_it(course: Course) -> None:
    network = make_student(replace(PLAN, norm="none"))
    normalise_pixels(network, 36)
    labels = course.labels(network, "half-at-36")
    checkpoint = course.checkpoint(network)
    evaluation, (finding,) = evaluate_checkpoint(checkpoint, SPEC, course.truth, labels)
    assert evaluation is None
    assert "images of another size" in finding.message
    evaluation, _ = evaluate(course, network, labels, replace(SPEC, other_sides_px=SIDES_PX))
    assert {row["preprocessing"] for row in evaluation.candidates} >= {"half-at-36", "raw-at-36"}
    assert evaluation.agreement == 1.0
    evaluation, _ = evaluate(course, network, None, replace(SPEC, other_sides_px=SIDES_PX))
    assert evaluation.preprocessing.size_px == 36


def test_labels_in_another_spelling_agree(course: Course, student: Student) -> None:
    labels = {k: v.lower().replace(" ", "_") for k, v in course.labels(student).items()}
    assert evaluate(course, student, labels)[0].agreement == 1.0


def test_missing_labels_are_left_out_of_the_agreement(course: Course, student: Student) -> None:
    labels = dict(list(course.labels(student).items())[::2])
    evaluation, _ = evaluate(course, student, labels | {"another.png": "SPECIES A"})
    assert evaluation.agreement == 1.0
    assert len(evaluation.labels) == COUNT
    assert evaluate(course, student, {"another.png": "SPECIES A"})[0].agreement is None


# --------------------------------------------------------------------------- class order

OTHER_ORDER = ("SPECIES D", "SPECIES A", "SPECIES F", "SPECIES C", "SPECIES B", "SPECIES E")


@pytest.mark.parametrize("source", ["declared", "metadata", "nobody"])
def test_another_order_of_classes_is_found(course: Course, student: Student, source: str) -> None:
    more: dict[str, Any] = {}
    if source == "declared":
        more["declared"] = OTHER_ORDER
    if source == "metadata":
        more["metadata"] = {"class_to_idx": {name: i for i, name in enumerate(OTHER_ORDER)}}
    labels = course.labels(student, "half", OTHER_ORDER)
    evaluation, findings = evaluate(course, student, labels, **more)
    assert [finding.code for finding in findings] in (
        ["checkpoint.class-order"],
        ["result.wrong-class-order"],
    )
    rows = {row["preprocessing"]: row for row in evaluation.candidates}
    assert rows["half"]["agreement"] == 1.0
    told_by = {
        "declared": "the submission's own list",
        "metadata": "class_to_idx in the checkpoint",
        "nobody": "the student's predictions",
    }[source]
    assert told_by in findings[0].message


@pytest.mark.parametrize("right", ["network", "submission"])
def test_the_truth_says_which_of_two_orders_is_wrong(
    course: Course, student: Student, right: str
) -> None:
    alphabet, other = course.labels(student), course.labels(student, "half", OTHER_ORDER)
    true = alphabet if right == "network" else other
    items = tuple(replace(item, label=true[item.staged_name]) for item in course.truth.items)
    truth = replace(course.truth, items=items)
    evaluation, (finding,) = evaluate(course, student, other, truth=truth)
    assert evaluation.accuracy == 1.0
    if right == "network":
        assert finding.code == "result.wrong-class-order"
        assert f"right on {COUNT} of {COUNT}" in finding.message
        assert evaluation.labels == alphabet
        assert evaluation.class_order == "the alphabet"
        assert evaluation.agreement is not None
        assert evaluation.agreement < 0.5
    else:
        assert finding.code == "checkpoint.class-order"
        assert evaluation.labels == other
        assert evaluation.agreement == 1.0


@pytest.mark.parametrize("count", [15, 60])
@pytest.mark.parametrize("handed_in", [True, False])
def test_outputs_in_the_order_of_the_courses_list_are_as_told(
    course: Course, student: Student, count: int, handed_in: bool
) -> None:
    items = course.truth.items[:count]
    labels = course.labels(student, "half", OTHER_ORDER)
    labels = {item.staged_name: labels[item.staged_name] for item in items}
    items = tuple(replace(item, label=labels[item.staged_name]) for item in items)
    truth = replace(course.truth, items=items, classes=OTHER_ORDER, classes_from="the definition")
    evaluation, findings = evaluate(course, student, labels if handed_in else None, truth=truth)
    assert (evaluation.accuracy, evaluation.labels) == (1.0, labels)
    assert evaluation.agreement == (1.0 if handed_in else None)
    assert evaluation.class_order == "the course's list"
    assert findings == []


def test_outputs_in_the_alphabets_order_are_noted_where_the_course_has_another(
    course: Course, student: Student
) -> None:
    truth = replace(course.truth, classes=OTHER_ORDER, classes_from="the definition")
    labels = course.labels(student)
    evaluation, (finding,) = evaluate(course, student, labels, truth=truth)
    assert finding.code in {"checkpoint.class-order", "result.wrong-class-order"}
    assert "the alphabet" in finding.message
    rows = {row["preprocessing"]: row for row in evaluation.candidates}
    assert rows["half"]["agreement"] == 1.0


def test_outputs_that_no_class_needs_come_after_the_courses_list(course: Course) -> None:
    network = balanced(course, replace(PLAN, num_classes=len(CLASSES) + 1))
    truth = replace(course.truth, classes=OTHER_ORDER, classes_from="the definition")
    evaluation, _ = evaluate(course, network, None, only("half"), truth=truth)
    names = (*OTHER_ORDER, f"output {len(CLASSES)}")
    assert evaluation.labels == course.labels(network, "half", names)


def test_too_few_images_a_class_tell_no_order() -> None:
    """With one image for each output, every permutation would fit."""
    from grader.networks.class_order import consistency

    assert consistency(range(6), OTHER_ORDER).count == 0


def test_another_number_of_outputs_has_no_names_but_agrees(course: Course) -> None:
    network = balanced(course, replace(PLAN, num_classes=5))
    names = [f"kind {index}" for index in range(5)]
    evaluation, findings = evaluate(course, network, course.labels(network, "half", names))
    assert evaluation.agreement == 1.0
    assert [finding.code for finding in findings] == ["checkpoint.class-order"]
    evaluation, findings = evaluate(course, network, None)
    assert set(evaluation.labels.values()) <= {f"output {index}" for index in range(5)}
    assert evaluation.accuracy == 0.0


# --------------------------------------------------------------------------- disagreement


def test_predictions_of_something_else_are_found(course: Course, student: Student) -> None:
    rng = random.Random(0)
    labels = {item.staged_name: rng.choice(CLASSES) for item in course.truth.items}
    evaluation, findings = evaluate(course, student, labels)
    assert [finding.code for finding in findings] == ["checkpoint.disagrees"]
    assert evaluation.agreement is not None
    assert evaluation.agreement < 0.5
    titles = [row["title"] for row in evaluation.candidates]
    assert sum("training mode" in title for title in titles) in {1, 2}


@pytest.mark.parametrize("batch", [1, 32])
def test_a_network_left_in_training_mode_is_found(course: Course, batch: int) -> None:
    # Images of one size, so that they make batches.
    network = balanced(course)
    network.dropout.p = 0.0
    in_order = sorted(course.truth.items, key=lambda item: item.staged_name)
    by_name = dict(zip(course.truth.items, course.tensors("half"), strict=True))
    tensors = torch.stack([by_name[item] for item in in_order])
    trained = make_student(PLAN, seed=0)
    trained.load_state_dict(network.state_dict())
    trained.dropout.p = 0.0
    trained.train()
    with torch.no_grad():
        outputs = torch.cat([trained(part).argmax(1) for part in tensors.split(batch)])
    names = sorted(CLASSES)
    labels = {
        item.staged_name: names[int(output)] for item, output in zip(in_order, outputs, strict=True)
    }
    _, findings = evaluate(course, network, labels, only("half"))
    assert [finding.code for finding in findings] == ["checkpoint.training-mode"]
    assert "model.eval()" in findings[0].hint


# --------------------------------------------------------------------------- normalisations


@pytest.mark.parametrize(("norm", "form"), [("group", "4 groups"), ("layer", "layer")])
def test_predictions_tell_normalisations_apart_that_look_alike(
    course: Course, norm: str, form: str
) -> None:
    network = balanced(course, replace(PLAN, norm=norm))
    evaluation, findings = evaluate(course, network, course.labels(network), only("half"))
    assert [finding.code for finding in findings] == ["checkpoint.norm-told-by-behaviour"]
    assert form in findings[0].message
    assert evaluation.shape.norm == norm
    assert evaluation.agreement == 1.0


def test_of_look_alikes_only_what_the_assignment_allows_is_tried(course: Course) -> None:
    network = balanced(course, replace(PLAN, norm="group"))
    spec = replace(only("half"), constraints={"norm": "group"})
    evaluation, _ = evaluate(course, network, course.labels(network), spec)
    assert all("groups" in row["form"] for row in evaluation.candidates)
    assert evaluation.agreement == 1.0


@pytest.mark.parametrize(
    ("norm", "form"),
    [
        ("bare-instance", "instance, without scale and shift"),
        ("bare-group", "4 groups, without scale and shift"),
        ("none", "none"),
    ],
)
def test_predictions_tell_layers_without_tensors_apart(
    course: Course, norm: str, form: str
) -> None:
    network = balanced(course, replace(PLAN, norm=norm))
    spec = replace(only("half"), constraints={"norm": ["none", "instance", "layer", "group"]})
    evaluation, _ = evaluate(course, network, course.labels(network), spec)
    assert evaluation.agreement == 1.0
    rows = {row["form"]: row for row in evaluation.candidates}
    assert rows[form]["agreement"] == 1.0
    assert evaluation.shape.norm == norm.removeprefix("bare-")
    # What is no question of the assignment's is not tried.
    evaluation, _ = evaluate(course, network, course.labels(network), only("half"))
    assert [row["form"] for row in evaluation.candidates] == ["none"]


@pytest.mark.parametrize("norm", ["batch", "tracking-instance"])
def test_running_variances_tell_batch_from_instance_normalisation(
    course: Course, norm: str
) -> None:
    network = balanced(course, replace(PLAN, norm=norm)).train()
    batch = torch.cat([F.interpolate(x[None], 24) for x in course.tensors("half")])
    with torch.no_grad():
        for _ in range(60):  # running statistics move by a tenth at a time
            network(batch)
    spec = replace(only("half"), constraints={"norm": ["instance"]})
    evaluation, (finding,) = evaluate(course, network.eval(), course.labels(network), spec)
    assert evaluation.agreement == 1.0
    if norm == "batch":
        assert finding.code == "checkpoint.wrong-norm"
        assert "running variances" in finding.message
        assert evaluation.shape.norm == "batch"
    else:
        assert finding.code == "checkpoint.norm-told-by-behaviour"
        assert evaluation.shape.norm == "instance"
    spec = replace(only("half"), constraints={"norm": ["batch"]})
    evaluation, findings = evaluate(course, network, course.labels(network), spec)
    assert evaluation.shape.norm == "batch"
    assert findings == []


def test_running_variances_of_other_images_tell_nothing(course: Course) -> None:
    network = balanced(course)  # random running statistics
    spec = replace(only("half"), constraints={"norm": ["instance"]})
    evaluation, (finding,) = evaluate(course, network, course.labels(network), spec)
    assert finding.code == "checkpoint.norm-told-by-behaviour"
    assert evaluation.shape.norm == "instance"


# --------------------------------------------------------------------------- what cannot be run


def _with_nan(student: Student) -> nn.Module:
    broken = make_student(PLAN)
    with torch.no_grad():
        broken.conv1.weight[0, 0, 0, 0] = float("nan")
    return broken


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda _: nn.Linear(3, 4), "not those of a network"),
        (lambda _: make_student(replace(PLAN, in_channels=1)), "1 channels"),
        (_with_nan, "not those of a trained network"),
        (lambda _: make_student(replace(PLAN, kernel=2)), "not those of a network"),
    ],
    ids=["another network", "grey", "nan", "even filters"],
)
def test_what_cannot_be_run_says_why(
    course: Course, student: Student, make: Callable[[Student], nn.Module], says: str
) -> None:
    checkpoint = course.checkpoint(make(student))
    evaluation, (finding,) = evaluate_checkpoint(checkpoint, SPEC, course.truth, None)
    assert evaluation is None
    assert finding.code == "checkpoint.not-evaluated"
    assert says in finding.message


def test_a_network_that_would_compute_for_days_is_not_run(course: Course, student: Student) -> None:
    huge = replace(WAYS[0], size_px=1 << 14)
    spec = replace(SPEC, preprocessing=(huge,))
    checkpoint = course.checkpoint(student)
    evaluation, (finding,) = evaluate_checkpoint(checkpoint, spec, course.truth, None)
    assert evaluation is None
    assert "multiplications, 1e+11 are made at most" in finding.message


def test_an_unreadable_image_is_the_courses_fault(course: Course, student: Student) -> None:
    items = list(course.truth.items)
    items[40] = replace(items[40], image=course.folder / "gone.png")
    with pytest.raises(TruthError, match=r"gone\.png"):
        evaluate(course, student, None, truth=replace(course.truth, items=tuple(items)))


def test_tensors_that_vanished_are_the_graders_fault(course: Course, student: Student) -> None:
    checkpoint = replace(course.checkpoint(student), tensors=course.folder / "gone.safetensors")
    with pytest.raises(InternalFault, match="gone"):
        evaluate_checkpoint(checkpoint, SPEC, course.truth, None)


# --------------------------------------------------------------------------- real data

SHARED = Path(__file__).parents[4] / "shared" / "data" / "butterflies"
REAL_COUNT = 40


class PlainBlock(nn.Module):
    """Written from the assignment's text, for this test alone."""

    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(before, after, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(after)
        self.conv2 = nn.Conv2d(after, after, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(after)
        self.shortcut = nn.Sequential()
        if before != after:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, after, 1, stride, bias=False), nn.BatchNorm2d(after)
            )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + self.shortcut(x))


class PlainResNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 32, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(32)
        self.layer1 = nn.Sequential(PlainBlock(32, 32, 1), PlainBlock(32, 32, 1))
        self.layer2 = nn.Sequential(PlainBlock(32, 64, 2), PlainBlock(64, 64, 1))
        self.layer3 = nn.Sequential(PlainBlock(64, 128, 2), PlainBlock(128, 128, 1))
        self.fc = nn.Linear(128, 100)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layer3(self.layer2(self.layer1(F.relu(self.bn1(self.conv1(x))))))
        return self.fc(F.adaptive_avg_pool2d(x, 1).flatten(1))


@pytest.mark.skipif(not SHARED.is_dir(), reason=f"the real images are not at {SHARED}")
def test_on_real_images_it_equals_a_plain_float32_loop(tmp_path: Path) -> None:
    items = []
    with tarfile.open(SHARED / "valid.tar") as archive:
        names = sorted(name for name in archive.getnames() if name.endswith(".jpg"))
        classes = tuple(sorted({name.split("/")[1] for name in names}))
        for index, name in enumerate(names[:: len(names) // REAL_COUNT][:REAL_COUNT]):
            member = archive.extractfile(name)
            assert member is not None
            data = member.read()
            staged = f"img_{hashlib.sha256(data).hexdigest()[:8]}.jpg"
            path = tmp_path / f"{index}.jpg"
            Image.open(io.BytesIO(data)).verify()
            path.write_bytes(data)
            items.append(TruthItem(name, staged, path, name.split("/")[1], None))
    spec = load_assignment("ail721-a2").checkpoint
    assert spec is not None
    spec = replace(spec, preprocessing=spec.preprocessing[:1], other_sides_px=())
    read_checkpoint(SHARED / "resnet14_state_dict.pth", tmp_path, 1 << 28)
    loaded = LoadedCheckpoint("x.pth", "", "state_dict", tmp_path / WEIGHTS_NAME, None, ())
    truth = Truth(tuple(items), classes, "folders", "", 0)
    evaluation, findings = evaluate_checkpoint(loaded, spec, truth, None)
    assert evaluation is not None
    assert findings == ()

    plain = PlainResNet().eval()
    state = torch.load(SHARED / "resnet14_state_dict.pth", weights_only=True)
    plain.load_state_dict(state)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    expected = {}
    with torch.no_grad():
        for item in items:
            pixels = np.asarray(Image.open(item.image).convert("RGB"))
            assert pixels.shape == (224, 224, 3)
            x = (torch.from_numpy(pixels.copy()).float() / 255.0 - mean) / std
            expected[item.staged_name] = classes[int(plain(x.permute(2, 0, 1)[None]).argmax())]
    assert evaluation.labels == expected
    right = sum(expected[item.staged_name] == item.label for item in items)
    assert evaluation.accuracy == right / REAL_COUNT
    assert 0.6 < evaluation.accuracy < 0.9


def test_the_order_of_a_file_by_the_package_is_read_too(course: Course, student: Student) -> None:
    """The package sorts names, which a network with meaningful names survives."""
    path = course.folder / "sorted.safetensors"
    save_file(dict(student.state_dict()), path)
    loaded = replace(course.checkpoint(student), tensors=path)
    evaluation, _ = evaluate_checkpoint(loaded, only("half"), course.truth, None)
    assert evaluation is not None
    assert evaluation.labels == course.labels(student)
