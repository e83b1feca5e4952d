"""What flows between the stages: frozen dataclasses and enums, standard library only.

A submission is a new, narrower type after each door, so that no stage can be skipped:
`Path → InspectedZip → UnpackedTree → CheckedLayout → CaseRun/LoadedCheckpoint → Collected
→ Measurement → Award → Report`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from grader.frozen import frozen

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Json = None | bool | int | float | str | list[Any] | dict[str, Any]


# --------------------------------------------------------------------------- findings


class Severity(StrEnum):
    """What a finding does to the grade."""

    ERROR = "error"  # something cannot be graded, or the submission is rejected
    WARNING = "warning"  # graded, but a person should know; may cost what the definition says
    NOTE = "note"  # forgiven or merely observed


class Fault(StrEnum):
    """Whose fault it is. The three are never mixed."""

    STUDENT = "student"
    LIMIT = "limit"
    GRADER = "grader"


@frozen
class Place:
    """Where a finding was made: a path inside the submission, and where it applies a line."""

    path: str
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        parts = [self.path]
        if self.line is not None:
            parts.append(str(self.line))
            if self.column is not None:
                parts.append(str(self.column))
        return ":".join(parts)


@frozen
class Finding:
    """One observation with a stable code. Made by `grader.findings.found`, never by hand."""

    code: str
    severity: Severity
    fault: Fault
    message: str
    hint: str = ""
    place: Place | None = None
    evidence: Mapping[str, Any] = field(default_factory=dict)


# --------------------------------------------------------------------------- definition


@frozen
class ZipLimits:
    """What an archive may cost, checked on the directory first and on real bytes again."""

    zip_bytes: int
    unpacked_bytes: int
    member_bytes: int
    members: int
    depth: int
    ratio: float


@frozen
class RunLimits:
    """What one sandboxed command may cost."""

    wall_seconds: float
    cpu_seconds: float
    memory_bytes: int
    processes: int
    disk_bytes: int
    file_bytes: int
    files: int
    output_bytes: int  # of stdout, and as much again of stderr


@frozen
class Role:
    """A file that the assignment gives a job, e.g. `evaluate` → `evaluate.py`.

    `accept` are glob patterns relative to the submission's top, best first; a match of any but
    the first is forgiven and named.
    """

    id: str
    accept: tuple[str, ...]
    required: bool
    title: str


@frozen
class OutputSpec:
    """One thing that a case writes: `path` relative to its working directory."""

    id: str
    path: str
    reader: str
    options: Mapping[str, Any]


@frozen
class CaseSpec:
    """One sandboxed command. `argv` and its accepted `variants` are templates over roles and
    the staged names `{images}`, `{train}`, `{checkpoint_dir}`."""

    id: str
    title: str
    argv: tuple[str, ...]
    variants: tuple[tuple[str, ...], ...]
    limits: RunLimits
    outputs: tuple[OutputSpec, ...]
    outputs_schema: Mapping[str, Any] | None
    on_request: bool = False  # runs only when the command line asks for it


@frozen
class MeasurementSpec:
    """One number to measure: a registered metric over a case's output, or over a probe.

    `of_experiment`: the experiment (`CheckpointSpec.id`) whose faults make the number void;
    `of_best`: `output` is taken of the best experiment's case, and `case` is empty.
    """

    id: str
    title: str
    metric: str
    case: str
    output: str
    options: Mapping[str, Any]
    probe: str = ""
    of_experiment: str = ""
    of_best: bool = False


@frozen
class CurvePoint:
    """A corner of a marks curve; `at` is a value of the measurement, or the name of a baseline
    group whose best value is put in at run time."""

    at: float | str
    marks: Decimal


@frozen
class Criterion:
    """Marks for one measurement by a piecewise-linear curve; or, where `look_at` says what a
    person has to look at, marks that only a person can give (no measurement, no curve)."""

    id: str
    title: str
    measurement: str
    max_marks: Decimal
    curve: tuple[CurvePoint, ...]
    look_at: tuple[str, ...] = ()

    @property
    def is_manual(self) -> bool:
        return bool(self.look_at)


@frozen
class Preprocessing:
    """One declared way to turn an image into the network's input.

    `resize`: "stretch" (to size × size), "shorter-side-crop" (shorter side to `resize_px`, centre
    crop to `size_px`) or "none". `mean`/`std` are per channel on [0, 1] RGB. `interpolation`:
    "pil-bilinear" (antialiased, as torchvision's Resize on an image) or "cv2-bilinear".
    """

    id: str
    title: str
    resize: str
    size_px: int
    resize_px: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    interpolation: str = "pil-bilinear"


@frozen
class CheckpointSpec:
    """How a checkpoint is evaluated without the student's code.

    `other_sides_px`: sides of the network's input that are tried where `preprocessing` does not
    explain the student's labels.
    With several of them each is an experiment: `case` names the command that runs it, `history` the
    role of its training log, `builtin_allowed` says whether ready-made normalisation layers are,
    and `voided_by` are the finding codes that make its measurements void.
    """

    role: str
    network: str
    limits: RunLimits
    constraints: Mapping[str, Any]
    preprocessing: tuple[Preprocessing, ...]
    other_sides_px: tuple[int, ...] = ()
    id: str = "checkpoint"
    title: str = ""
    case: str = ""
    history: str = ""
    builtin_allowed: bool = True
    voided_by: tuple[str, ...] = ()


@frozen
class ProbeSpec:
    """A class of the student's that is run on given arrays.

    `subject` is a registered one (`grader.probes.SUBJECTS`); `class_names` are patterns over the
    names of classes in the file that plays `role`, best first.
    """

    id: str
    title: str
    subject: str
    role: str
    class_names: tuple[str, ...]
    limits: RunLimits


@frozen
class LatePolicy:
    """What lateness costs. `of` is "maximum" or "given": what `per_day_percent` is a share of.

    `cut_off_seconds` is None where nothing comes too late; `deadline` has a time zone, and is None
    where only the platform knows how late a submission is.
    """

    deadline: datetime | None
    grace_seconds: float
    per_day_percent: Decimal
    of: str
    cut_off_seconds: float | None


@frozen
class Assignment:
    """A validated definition: everything names everything by registered names."""

    id: str
    title: str
    course: str
    directory: Path
    sha256: str  # of what marks rest on: the definition without [late], and the files beside it
    entry_number: str  # regular expression, full match
    entry_example: str  # an entry number as a person would read it
    zip_names: tuple[str, ...]  # templates over {entry}
    zip_limits: ZipLimits
    submission_schema: Mapping[str, Any]
    roles: tuple[Role, ...]
    classes: tuple[str, ...]
    cases: tuple[CaseSpec, ...]
    measurements: tuple[MeasurementSpec, ...]
    criteria: tuple[Criterion, ...]
    checkpoint: CheckpointSpec | None
    marks_step: Decimal
    source: Mapping[str, Any] = field(default_factory=dict)  # the TOML as read, for later rooms
    late: LatePolicy | None = None
    experiments: tuple[CheckpointSpec, ...] = ()  # where there are several checkpoints
    probes: tuple[ProbeSpec, ...] = ()

    @property
    def max_marks(self) -> Decimal:
        return sum((criterion.max_marks for criterion in self.criteria), Decimal(0))


# --------------------------------------------------------------------------- the submission


@frozen
class ZipMember:
    """One entry of a vetted central directory; `path` is normalised, relative, POSIX."""

    path: str
    is_dir: bool
    size_bytes: int
    compressed_bytes: int
    crc32: int
    method: int
    header_offset: int


@frozen
class InspectedZip:
    """A zip whose directory was vetted. `accepted` is False when a finding forbids unpacking.

    `sha256` is "" when the file was not read in full (no regular file, unreadable, too large).
    `members` leaves out what operating systems and Python leave behind (zip.junk). `identity`
    is that of the file that was read: see `grader.readers.steady_file`.
    """

    path: Path
    sha256: str
    size_bytes: int
    entry_number: str | None
    members: tuple[ZipMember, ...]
    findings: tuple[Finding, ...]
    identity: tuple[int, ...] = ()

    @property
    def accepted(self) -> bool:
        return not any(finding.severity is Severity.ERROR for finding in self.findings)


@frozen
class TreeFile:
    path: str
    size_bytes: int
    sha256: str


@frozen
class UnpackedTree:
    """The submission's files below `root`, read-only regular files with fresh modes."""

    inspected: InspectedZip
    root: Path
    files: tuple[TreeFile, ...]
    findings: tuple[Finding, ...]


@frozen
class CheckedLayout:
    """Which file plays which role. `base` is the wrapping folder ("" when there is none);
    role paths are relative to `base`."""

    unpacked: UnpackedTree
    base: str
    roles: Mapping[str, str]
    findings: tuple[Finding, ...]

    @property
    def top(self) -> Path:
        """The folder that plays the submission's top level."""
        return self.unpacked.root / self.base if self.base else self.unpacked.root


# --------------------------------------------------------------------------- the truth


@frozen
class TruthItem:
    """One hidden image. `staged_name` is what the student's code sees; `name` is the course's."""

    name: str
    staged_name: str
    image: Path
    label: str | None
    mask: Path | None

    @property
    def stem(self) -> str:
        return self.staged_name.rsplit(".", 1)[0]


CLASSES_THAT_OCCUR = "the truth's labels, sorted"


@frozen
class Truth:
    """Hidden images with their labels and masks; never mounted where student code runs."""

    items: tuple[TruthItem, ...]
    classes: tuple[str, ...]
    classes_from: str
    sha256: str
    staging_seed: int

    @property
    def num_classes(self) -> int | None:
        """How many classes the assignment has; None where only those are known that occur."""
        occur = self.classes_from.startswith(CLASSES_THAT_OCCUR)
        return None if occur else len(self.classes)


# --------------------------------------------------------------------------- runs


class CaseStatus(StrEnum):
    """How a sandboxed command ended; the program's end is told apart from the sandbox's."""

    FINISHED = "finished"  # exit code 0
    FAILED = "failed"  # another exit code
    KILLED = "killed"  # a signal that was not the sandbox's doing
    WALL_TIME = "wall-time"
    CPU_TIME = "cpu-time"
    MEMORY = "memory"
    PROCESSES = "processes"
    DISK = "disk"
    OUTPUT = "output"

    @property
    def is_limit(self) -> bool:
        return self not in (CaseStatus.FINISHED, CaseStatus.FAILED, CaseStatus.KILLED)


@frozen
class CaseRun:
    """One command in the sandbox: what it did, what it cost and what it left in `outputs`.

    `outputs` holds copies of regular files only, paths as in the working directory.
    """

    case: str
    argv: tuple[str, ...]
    variant: int
    status: CaseStatus
    exit_code: int | None
    signal: int | None
    limit: str  # in words, empty when none was met
    wall_seconds: float
    cpu_seconds: float
    peak_memory_bytes: int
    stdout: str
    stderr: str
    stdout_truncated: bool
    stderr_truncated: bool
    outputs: Path
    backend: str


@frozen
class ResNetShape:
    """A 6n+2 residual network as read from tensor shapes alone.

    `widths`: filters per stage; `shortcut`: "projection", "zero-padding" or "unknown";
    `norm`: "batch", "instance", "batch-instance", "layer", "group" or "none"; "unknown" where only
    a scale and a shift are stored, as instance, layer and group normalisation all do. It is what
    the tensors look like, and in an evaluation what explained the labels.
    """

    n: int
    num_classes: int
    widths: tuple[int, ...]
    kernel_px: int
    in_channels: int
    shortcut: str
    norm: str
    layers: int
    parameters: int


@frozen
class LoadedCheckpoint:
    """A checkpoint that was unpickled in the sandbox and handed back as safetensors.

    `module_classes`: module path → class name, known for whole pickled modules only; `metadata`:
    small plain values that were saved beside the weights. Both are the student's words.
    """

    path: str
    sha256: str
    wrapper: str  # "state_dict", "model_state_dict", … as found
    tensors: Path  # safetensors file, outside the sandbox
    shape: ResNetShape | None
    findings: tuple[Finding, ...]
    module_classes: Mapping[str, str] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)
    norms: tuple[str, ...] = ()  # every kind of normalisation that the tensors may be


# --------------------------------------------------------------------------- results


@frozen
class ReadMask:
    """A decoded mask: `(H, W)` bool in the size of the true mask, True = foreground.

    `rule` says how it was understood, `quirks` are the finding codes of what was forgiven;
    `width_px` and `height_px` are the file's own size.
    """

    mask: npt.NDArray[np.bool_]
    rule: str
    width_px: int
    height_px: int
    quirks: tuple[str, ...] = ()


@frozen
class ReadHeatmap:
    """A decoded heatmap: `heat` (S, S) float64 in [0, 1] in the asked-for size (nearest
    neighbour); `width_px` and `height_px` are the file's own size."""

    heat: npt.NDArray[np.float64]
    width_px: int
    height_px: int
    in_colour: bool = False


@frozen
class Collected:
    """What the student's program left, read and validated.

    `labels`: staged name → label, the class that it names wherever that could be told; `masks`:
    staged stem → mask. `case` is the case that wrote them and `outputs` every output by its id,
    as its reader returned it.
    """

    labels: Mapping[str, str] | None
    masks: Mapping[str, ReadMask] | None
    findings: tuple[Finding, ...]
    case: str = ""
    outputs: Mapping[str, Any] = field(default_factory=dict)


@frozen
class Interval:
    low: float
    high: float
    level: float
    method: str


VOID_BECAUSE = "void_because"
"""The key in a measurement's details that lists the finding codes because of which it earns
nothing."""


@frozen
class Measurement:
    """One number with its evidence. `value` is None when it could not be measured."""

    id: str
    title: str
    value: float | None
    count: int
    interval: Interval | None = None
    baselines: Mapping[str, float] = field(default_factory=dict)
    per_item: Mapping[str, float] = field(default_factory=dict)
    details: Mapping[str, Any] = field(default_factory=dict)
    convention: str = ""
    counted: str = "image"  # what `count` counts


@frozen
class IndependentEvaluation:
    """The checkpoint evaluated by the grader's own network on the same images."""

    shape: ResNetShape
    preprocessing: Preprocessing
    accuracy: float | None
    agreement: float | None  # with the student's labels, in [0, 1]
    labels: Mapping[str, str]  # staged name → label
    candidates: tuple[Mapping[str, Any], ...]  # every preprocessing tried, with its numbers
    class_order: str
    images_per_second: float


@frozen
class Experiment:
    """One of several checkpoints: whose it is, and what became of it.

    `norm`: the normalisation that its weights hold, None where it was not read; `built_in` and
    `layers`: how many of its normalisation layers are ready-made ones, None where nobody could
    see; `logged`: what the student's log says of the epoch that was kept; `void`: finding codes
    that make its measurements void.
    """

    id: str
    title: str
    path: str | None
    norm: str | None
    evaluation: IndependentEvaluation | None
    built_in: int | None = None
    layers: int | None = None
    logged: Mapping[str, float] = field(default_factory=dict)
    void: tuple[str, ...] = ()


@frozen
class Award:
    """Marks for one criterion, with everything that led to them. A person gives them where
    `look_at` says what to look at."""

    criterion: str
    title: str
    measurement: str
    value: float | None
    marks: Decimal
    max_marks: Decimal
    exact_marks: Decimal  # before rounding down to `marks_step`
    curve: tuple[tuple[float, Decimal], ...]
    rounding: str
    reason: str
    look_at: tuple[str, ...] = ()

    @property
    def is_manual(self) -> bool:
        return bool(self.look_at)


@frozen
class CheckResult:
    """What `grader check` found in one zip, without truth and without marks.

    `passed` is False when a finding would cost the submission its grading.
    """

    zip_name: str
    zip_sha256: str | None
    entry_number: str | None
    assignment_id: str
    findings: tuple[Finding, ...]
    passed: bool


@frozen
class PackedFile:
    """One file of a packed zip, or one that was left out of it, and why."""

    path: str
    size_bytes: int
    why: str


@frozen
class PackedZip:
    """What `grader pack` made. `written` is False when the zip at `path` was kept because the
    new one fails worse; `reason` says so. `check` is what the course will say of the new one."""

    path: Path
    entry_number: str
    sha256: str
    size_bytes: int
    files: tuple[PackedFile, ...]
    left_out: tuple[PackedFile, ...]
    check: CheckResult
    written: bool
    reason: str = ""


class Verdict(StrEnum):
    GRADED = "graded"  # every criterion was measured
    PARTLY_GRADED = "partly-graded"  # something could not be measured
    REJECTED = "rejected"  # nothing was run


@frozen
class Gallery:
    """What one image of the report shows; PNG or JPEG bytes, small."""

    name: str
    staged_name: str
    label: str | None
    predicted: str | None
    iou: float | None
    image: bytes
    truth: bytes | None
    predicted_mask: bytes | None
    overlap: bytes | None


@frozen
class ProbeChange:
    """One measurement in another pass of the student's program, image by image against the first.

    `better` and `worse` count the images whose value changed by more than noise would change it;
    `chance` is the one-sided probability of so many losses if changes went either way (sign test).
    """

    id: str
    title: str
    first: float
    value: float
    better: int
    worse: int
    chance: float
    is_suspicious: bool


@frozen
class ProbePass:
    """One further pass: what was done to the images, and what that changed."""

    variation: str
    title: str
    statuses: tuple[str, ...]  # of its runs
    relabelled: int | None  # images with another label than in the first pass
    count: int
    changes: tuple[ProbeChange, ...]


@frozen
class Probe:
    """Passes of the student's program on varied images: evidence for a person, never a mark."""

    passes: tuple[ProbePass, ...]
    conclusion: str


@frozen
class EarlierMatch:
    """A submission of an earlier year and how similar its source is, from 0 to 1. `flagged`: a
    person should look. `honest`: how many others reach as much; `places`: what stands where."""

    name: str
    score: float
    flagged: bool
    message: str
    honest: str
    places: tuple[str, ...]


@frozen
class EarlierComparison:
    """A submission against earlier years' fingerprints: evidence for a person, never a mark.

    `compared`: how many they are; `threshold`: from which score on one is flagged, and `reason` why
    there; `matches`: the most similar first; `findings`: what the zip says by itself.
    """

    compared: int
    threshold: float
    reason: str
    meaning: str
    matches: tuple[EarlierMatch, ...]
    findings: tuple[Finding, ...]


@frozen
class Report:
    """All of it. Renderers are pure functions of this."""

    assignment: Assignment
    zip_name: str
    zip_sha256: str | None
    entry_number: str | None
    verdict: Verdict
    findings: tuple[Finding, ...]
    runs: tuple[CaseRun, ...]
    measurements: tuple[Measurement, ...]
    awards: tuple[Award, ...]
    independent: IndependentEvaluation | None
    gallery: tuple[Gallery, ...]
    provenance: Mapping[str, Any]  # the same on every machine of the same versions
    volatile: Mapping[str, Any]  # times, host, durations: differ from run to run
    experiments: tuple[Experiment, ...] = ()
    probe: Probe | None = None
    earlier: EarlierComparison | None = None

    @property
    def marks(self) -> Decimal:
        return sum((award.marks for award in self.awards), Decimal(0))

    @property
    def max_marks(self) -> Decimal:
        return sum((award.max_marks for award in self.awards), Decimal(0))

    @property
    def manual_marks(self) -> Decimal:
        """Marks that a person has yet to give or not; part of `max_marks`."""
        return sum((award.max_marks for award in self.awards if award.is_manual), Decimal(0))
