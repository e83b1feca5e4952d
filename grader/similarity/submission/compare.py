"""A class beyond its source: weights, answers, masks, files and names, added to what is known."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath

from grader.errors import InternalFault, SandboxError
from grader.findings import CATALOGUE
from grader.model import Assignment, CheckpointSpec, Finding, Severity
from grader.readers.reading import Launch
from grader.sandbox import Backend
from grader.sandbox.helper import answer_of
from grader.similarity.checkpoints.describe import CheckpointTrace
from grader.similarity.checkpoints.public import Published
from grader.similarity.checkpoints.related import Fetch, relate_checkpoints
from grader.similarity.choose_pairs import divide_pairs, note_of_further
from grader.similarity.masks import relate_masks, same_scores
from grader.similarity.model import ClassSimilarity, Evidence, Pair, Strength
from grader.similarity.predictions import relate_predictions
from grader.similarity.source.clusters import find_clusters
from grader.similarity.source.read_sources import FoundSubmission
from grader.similarity.submission.between import most_holders, relate_files, relate_names
from grader.similarity.submission.class_results import ClassResults
from grader.similarity.submission.names import Mention, mentions, without_common
from grader.similarity.submission.open_weights import (
    OpenedSubmission,
    OpenedWeights,
    between_submissions,
    submission_of,
)
from grader.similarity.submission.read_masks import Bitmap, read_masks
from grader.similarity.submission.read_material import Material, read_material
from grader.similarity.submission.relate_zip_masks import relate_zip_masks
from grader.similarity.submission.signs import (
    foreign_names,
    late_times,
    older_checkpoint,
    unknown_names,
    unreproduced_log,
)
from grader.source.rules import parse_source_rules

PairKey = tuple[str, str]
Progress = Callable[[str], None]

_FEW = 4  # submissions; what so many show is still looked at one by one
_MASKS_READER = "mask_images"
_COUNTED = 0.9  # what strong evidence counts for that is counted, and not measured from 0 to 1


@dataclass
class _Beyond:
    """What has been found so far."""

    evidence: dict[PairKey, list[Evidence]] = field(default_factory=lambda: defaultdict(list))
    findings: dict[str, list[Finding]] = field(default_factory=lambda: defaultdict(list))
    notes: list[str] = field(default_factory=list)

    def add(self, related: Mapping[PairKey, Sequence[Evidence]]) -> None:
        for (left, right), found in related.items():
            self.evidence[left, right] += found


@dataclass
class _DrawnMasks:
    """The masks that lie in the zips; several threads may read at the same time."""

    folders: frozenset[str]
    given_out: frozenset[str]
    launch: Launch
    masks: dict[str, dict[str, Bitmap]] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)

    def read(self, material: Material) -> None:
        if self.missing or not self.folders:
            return
        try:
            found = read_masks(material, self.folders, self.given_out, self.launch)
        except (SandboxError, InternalFault) as error:
            self.missing.append(error.message)
        else:
            if found:
                self.masks[material.name] = found


def compare_beyond_source(
    result: ClassSimilarity,
    submissions: Sequence[FoundSubmission],
    assignment: Assignment,
    backend: Callable[[], Backend],
    scratch: Path,
    *,
    base: Sequence[FoundSubmission] = (),
    results: ClassResults | None = None,
    published: Published | None = None,
    emails: Mapping[str, frozenset[str]] | None = None,
    launch: Launch = answer_of,
    progress: Progress = lambda stage: None,  # noqa: ARG005 - silent unless somebody watches
) -> ClassSimilarity:
    """`result` with the evidence of weights, answers, masks, files and names.

    `backend` is called when the first checkpoint has to be opened; where it raises SandboxError, a
    note says that weights were not compared. `scratch`: an empty folder for weights, about the size
    of all checkpoints; the caller removes it. `results`: see `read_class_results`. `emails`:
    submission → its own addresses, where they are known. `launch` starts the confined decoder of
    pictures. Raises UsageError as `inspect_zip` does.
    """
    beyond = _Beyond()
    weights = OpenedWeights(scratch, _max_bytes(assignment))
    spec = checkpoint_spec(assignment)
    if spec is None:
        beyond.notes.append("the definition names no checkpoint: weights were not compared")
    given_out = [read_material(found, assignment, scratch / "base") for found in base]
    hashes = frozenset(file.sha256 for material in given_out for file in material.files)
    folders = _mask_folders(assignment) if len(submissions) > 1 else frozenset()
    drawn = _DrawnMasks(folders, hashes, launch)
    opened = _open_all(submissions, assignment, weights, backend, drawn, progress, beyond)
    materials = [material for material, _ in opened]
    traces = [trace for _, one in opened for trace in one.traces]
    progress("comparing files and names")
    named = _names(materials, given_out, assignment)
    outputs = frozenset(output.path for case in assignment.cases for output in case.outputs)
    beyond.add(relate_files(materials, hashes, outputs))
    numbers = {m.name: m.entry_number for m in materials if m.entry_number is not None}
    beyond.add(relate_names(named, numbers, emails))
    progress("comparing weights")
    rules = parse_source_rules(assignment.source.get("source_rules", {}))
    _add_weights(
        beyond, traces, weights.fetch, published, from_scratch=not rules.pretrained_weights
    )
    progress("comparing masks")
    signed = frozenset() if results is None else frozenset(results.masks)
    for pair, found in relate_zip_masks(drawn.masks).items():
        if not signed.issuperset(pair):  # what the programs drew as they were graded says more
            beyond.add({pair: (found,)})
    if results is not None:
        progress("comparing answers and masks")
        answers = relate_predictions(results.answers, results.truth)
        beyond.add({pair: (found,) for pair, found in answers.items()})
        masks = relate_masks(results.masks)
        for (left, right), found in same_scores(results.scores).items():
            if left not in results.masks or right not in results.masks:
                masks[left, right] = found
        beyond.add({pair: (found,) for pair, found in masks.items()})
    deadline = None if assignment.late is None else assignment.late.deadline
    for material in materials:
        measured = None if results is None else results.accuracies.get(material.name)
        beyond.findings[material.name] += [
            *foreign_names(material, named[material.name], (emails or {}).get(material.name)),
            *late_times(material, deadline),
            *older_checkpoint(material),
            *unknown_names(material),
            *unreproduced_log(material, measured),
        ]
    _leave_out_common(beyond, len(materials))
    return add_evidence(result, beyond.evidence, beyond.findings, beyond.notes)


def _open_all(
    submissions: Sequence[FoundSubmission],
    assignment: Assignment,
    weights: OpenedWeights,
    backend: Callable[[], Backend],
    drawn: _DrawnMasks,
    progress: Progress,
    beyond: _Beyond,
) -> list[tuple[Material, OpenedSubmission]]:
    """Every submission with its weights, in order. What was unpacked is removed again at once."""
    spec = checkpoint_spec(assignment)
    missing: list[str] = []

    def open_one(found: FoundSubmission) -> tuple[Material, OpenedSubmission]:
        tree = Path(tempfile.mkdtemp(prefix="tree-", dir=weights.folder))
        opened = OpenedSubmission((), {})
        try:
            material = read_material(found, assignment, tree / "unpacked")
            drawn.read(material)
            if spec is not None and not missing:
                opened = weights.open(material, spec, backend)
        except SandboxError as error:
            missing.append(error.message)
        finally:
            shutil.rmtree(tree, ignore_errors=True)
        return replace(material, layers=opened.layers), opened

    done = []
    with ThreadPoolExecutor(os.cpu_count() or 1) as threads:
        for number, one in enumerate(threads.map(open_one, submissions), 1):
            progress(f"opened {number} of {len(submissions)}")
            done.append(one)
    if missing:
        beyond.notes.append(f"weights were not compared: {missing[0]}")
    if drawn.missing:
        beyond.notes.append(f"masks in zips were compared as files alone: {drawn.missing[0]}")
    return done


def _leave_out_common(beyond: _Beyond, submissions: int) -> None:
    """A weak sign that half of the class shows says something of the course, and of nobody."""
    counts = Counter(
        code for found in beyond.findings.values() for code in {one.code for one in found}
    )
    for code, count in sorted(counts.items()):
        if CATALOGUE[code].severity is Severity.NOTE and count > max(_FEW, submissions / 2):
            title = CATALOGUE[code].title
            beyond.notes.append(f"{count} of {submissions} submissions: {title} ({code})")
            for name, found in beyond.findings.items():
                beyond.findings[name] = [one for one in found if one.code != code]


def checkpoint_spec(assignment: Assignment) -> CheckpointSpec | None:
    """With whose limits checkpoints are opened; None where the assignment has none."""
    if assignment.checkpoint is not None:
        return assignment.checkpoint
    return assignment.experiments[0] if assignment.experiments else None


def _mask_folders(assignment: Assignment) -> frozenset[str]:
    """The names of the folders that the assignment's programs write masks into."""
    return frozenset(
        PurePosixPath(output.path).name
        for case in assignment.cases
        for output in case.outputs
        if output.reader == _MASKS_READER
    )


def _max_bytes(assignment: Assignment) -> int:
    spec = checkpoint_spec(assignment)
    # The header of the format comes on top of what the checkpoint may take.
    return (spec.limits.file_bytes if spec is not None else 0) + (8 << 20)


def _names(
    materials: Sequence[Material], given_out: Sequence[Material], assignment: Assignment
) -> dict[str, tuple[Mention, ...]]:
    pattern = assignment.entry_number
    base = [mention for material in given_out for mention in mentions(material, pattern)]
    listed = [(material.name, mentions(material, pattern)) for material in materials]
    return without_common(listed, base, most_holders(len(materials)))


def _add_weights(
    beyond: _Beyond,
    traces: Sequence[CheckpointTrace],
    fetch: Fetch,
    published: Published | None,
    *,
    from_scratch: bool,
) -> None:
    related = relate_checkpoints(traces, fetch, from_scratch=from_scratch, published=published)
    for left, right in between_submissions(related.pairs):
        pair = submission_of(left), submission_of(right)
        beyond.evidence[pair] += related.pairs[left, right]
    if related.left_out:
        beyond.notes.append(
            f"{related.left_out} pairs of checkpoints agree beyond those that were opened: there "
            "are more than can be, so each was measured beside its nearest ones"
        )
    for key, findings in related.findings.items():
        beyond.findings[submission_of(key)] += findings
    files = {trace.key: trace.sha256 for trace in traces}
    for group in related.groups:
        names = sorted({submission_of(key) for key in group})
        if len(names) > 1 and len({files[key] for key in group}) > 1:
            beyond.notes.append(
                f"{len(names)} submissions started training from the same weights, as with a "
                "seed in the starter code; that alone raises nobody's score"
            )


def add_evidence(
    result: ClassSimilarity,
    evidence: Mapping[PairKey, Sequence[Evidence]],
    findings: Mapping[str, Sequence[Finding]],
    notes: Sequence[str] = (),
) -> ClassSimilarity:
    """`result` with more evidence. A pair with strong evidence is flagged and scores at least as
    much as that evidence says; context alone makes no pair. Clusters are found again, and the pairs
    that are shown are chosen again."""
    every = (*result.pairs, *result.further)
    known = {pair.key: pair for pair in every if not pair.archived}
    scores = dict(result.scores)
    for key, found in evidence.items():
        pair = known.get(key)
        if pair is None:
            if all(one.strength is Strength.CONTEXT for one in found):
                continue
            pair = Pair(*key, score=scores.get(key, 0.0), flagged=False)
        strong = [_weight(one) for one in found if one.strength is Strength.STRONG]
        score = round(max([pair.score, *strong]), 4)
        known[key] = replace(
            pair,
            score=score,
            flagged=pair.flagged or bool(strong),
            evidence=(*pair.evidence, *found),
        )
        scores[key] = max(scores.get(key, 0.0), score)
    archived = [pair for pair in every if pair.archived]
    pairs, further = divide_pairs([*known.values(), *archived], len(result.submissions))
    return replace(
        result,
        submissions=tuple(
            replace(one, findings=(*one.findings, *findings.get(one.name, ())))
            for one in result.submissions
        ),
        pairs=pairs,
        clusters=find_clusters((*pairs, *further)),
        scores=scores,
        notes=(
            *(note for note in result.notes if note not in note_of_further(result.further)),
            *notes,
            *note_of_further(further),
        ),
        further=further,
    )


def _weight(found: Evidence) -> float:
    """From 0 to 1: the evidence's own number where it is one; equal weights are 1."""
    if found.unit in {"files", "times"}:
        return _COUNTED
    return 1.0 if found.value is None else min(max(found.value, 0.0), 1.0)
