"""Read what a case left: every output by its registered reader, the whole against its schema.

The files are a stranger's. Readers open regular files only, within limits, and leave the decoding
of images to a process that is limited in memory and time and holds nothing of the truth.
"""

from __future__ import annotations

from typing import Any

from grader.assignments.validate_tree import describe_tree, violations
from grader.model import (
    Assignment,
    CaseRun,
    CaseSpec,
    CaseStatus,
    Collected,
    Finding,
    Severity,
    TreeFile,
    Truth,
)
from grader.readers.load import load_reader
from grader.readers.mask_image import DECODER
from grader.readers.reading import Expected, Launch, regular_files
from grader.sandbox.helper import answer_of, get_ready
from grader.stages.load_truth import truth_masks

# The readers whose values have a place of their own in Collected.
_LABELS, _MASKS = "labels_csv", "mask_images"


def get_ready_to_collect() -> None:
    """Start what will decode images, so that it stands ready when there are some."""
    get_ready(DECODER)


def collect(
    case_run: CaseRun,
    case: CaseSpec,
    truth: Truth,
    assignment: Assignment,
    launch: Launch = answer_of,
) -> Collected:
    """Read the outputs of `case_run`; what is missing or odd is a finding, never an exception.

    `launch` starts the decoder's process. Of the truth, readers learn the staged names, the sizes
    of the masks and the classes, no label and no mask. Raises UsageError for a reader that is not
    registered.
    """
    del assignment  # the case says all that is needed; kept so that all stages are called alike
    expected = Expected(
        names=tuple(sorted(item.staged_name for item in truth.items)),
        sizes_px={
            stem: (mask.shape[1], mask.shape[0])
            for stem, mask in sorted(truth_masks(truth).items())
        },
        classes=truth.classes,
        launch=launch,
    )
    findings: list[Finding] = []
    outputs: dict[str, Any] = {}
    by_reader: dict[str, Any] = {}
    for output in case.outputs:
        reading = load_reader(output.reader)(case_run.outputs, output, expected)
        outputs[output.id] = reading.value
        by_reader.setdefault(output.reader, reading.value)
        findings += reading.findings
    files = [
        TreeFile(path, (case_run.outputs / path).lstat().st_size, sha256="")
        for path in regular_files(case_run.outputs)
    ]
    if not files and case_run.status is not CaseStatus.FINISHED:
        findings = []  # a program that was stopped before it wrote anything: the run says why
    elif case.outputs_schema is not None:
        told = {finding.code for finding in findings}  # readers know more of the same fault
        refused = {
            finding.place.path
            for finding in findings
            if finding.place is not None and finding.severity is Severity.ERROR
        }
        findings += [
            finding
            for finding in violations(case.outputs_schema, describe_tree(case_run.outputs, files))
            if finding.code not in told
            and (finding.place is None or finding.place.path not in refused)
        ]
    return Collected(
        labels=by_reader.get(_LABELS),
        masks=by_reader.get(_MASKS),
        findings=tuple(findings),
        case=case.id,
        outputs=outputs,
    )
