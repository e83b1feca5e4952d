"""Compare the source of a class: fingerprints → scores → flagged pairs with their evidence."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from grader.errors import UsageError
from grader.findings import listed
from grader.model import Assignment
from grader.similarity.choose_pairs import choose_pairs, most_shown, note_of_further
from grader.similarity.model import (
    Channel,
    ClassSimilarity,
    Evidence,
    Pair,
    Region,
    Span,
    Strength,
    SubmissionSummary,
    Threshold,
)
from grader.similarity.source.align_units import align_units
from grader.similarity.source.clusters import find_clusters
from grader.similarity.source.fingerprint import NO_BASE, BaseCode, Fingerprint, base_code
from grader.similarity.source.index import build_index
from grader.similarity.source.read_sources import FoundSubmission, read_tree
from grader.similarity.source.score_pairs import PairScores, score_pairs
from grader.similarity.source.threshold import find_threshold
from grader.similarity.source.workers import Aligned, Printed, Work, align_two, all_cores, print_one

Floats = npt.NDArray[np.float64]
Marks = npt.NDArray[np.bool_]

_CHUNK = 2  # submissions or pairs that a worker takes at a time: the last ones end nearly together
_MIN_LISTED = 10  # pairs that are kept, flagged or not: what lies just below the threshold
_MOSTLY = 0.6  # of one's own code, whoever else has it too
_NEARLY_ALL = 0.85  # of the pairs: what they share was given out, or everybody copied it
_RANKS = (
    "ranks pairs from 0 to 1: how much of the smaller one's own code stands in the other, rare "
    "code counting most and code in the same function more than scattered code; 1 means all of it"
)
_MIN_CLASS = 8  # submissions, from which on "nearly all" means something


@dataclass(frozen=True, slots=True)
class SourceComparison:
    """What was found, and the fingerprints for an archive."""

    result: ClassSimilarity
    fingerprints: tuple[Fingerprint, ...]


def read_base(paths: Sequence[FoundSubmission], assignment: Assignment) -> BaseCode:
    """The code that was given out. Raises UsageError when no Python text is in it."""
    if not paths:
        return NO_BASE
    trees = [read_tree(path, assignment) for path in paths]
    if not any(tree.texts for tree in trees):
        raise UsageError(
            f"{listed(str(found.path) for found in paths)}: no Python text in the base code",
            hint="name the folder, zip or file that the students were given",
        )
    return base_code(trees)


def compare_sources(
    submissions: Sequence[FoundSubmission],
    assignment: Assignment,
    *,
    base: Sequence[FoundSubmission] = (),
    archive: Sequence[Fingerprint] = (),
    cache: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> SourceComparison:
    """Compare all submissions with each other and with an archive of earlier ones.

    Nothing is run and nothing leaves the machine. Raises UsageError when there is no text in the
    base code.
    """
    tell = progress or (lambda stage: None)  # noqa: ARG005
    work = Work(assignment, read_base(base, assignment), cache)
    with all_cores(work, len(submissions)) as run:
        tell("reading")
        printed: list[Printed] = list(run(print_one, submissions, _CHUNK))
        prints = [one.fingerprint for one in printed]
        tell("comparing")
        everybody = [*prints, *_distinct(archive, {f.name for f in prints})]
        scores = score_pairs(build_index(everybody))
        table = _Table(everybody, len(prints), scores)
        pairs, further = table.pairs()
        tell("aligning")
        found = {found.name: found for found in submissions}
        wanted = [pair for pair in pairs if not pair.archived and pair.flagged]
        wanted.sort(key=lambda pair: pair.key)  # neighbours share a submission
        aligned: list[Aligned] = list(
            run(align_two, [(found[pair.left], found[pair.right]) for pair in wanted], _CHUNK)
        )
    regions = {pair.key: one.regions for pair, one in zip(wanted, aligned, strict=True)}
    by_name = {print_.name: print_ for print_ in everybody}
    for pair in [pair for pair in pairs if pair.archived and pair.flagged]:
        regions[pair.key] = align_units(by_name[pair.left], by_name[pair.right])
    spans: dict[str, tuple[Span, ...]] = {}
    for pair, one in zip(wanted, aligned, strict=True):
        spans |= {pair.left: one.left_base, pair.right: one.right_base}
    pairs = [_with_regions(pair, regions) for pair in pairs]
    result = ClassSimilarity(
        submissions=tuple(_summary(one, spans) for one in printed),
        pairs=tuple(pairs),
        clusters=find_clusters([*pairs, *further]),
        threshold=table.threshold,
        scores=table.scores(),
        notes=(*table.notes(has_base=bool(base)), *note_of_further(further)),
        further=tuple(further),
    )
    return SourceComparison(result, tuple(prints))


def _distinct(archive: Sequence[Fingerprint], taken: set[str]) -> Iterable[Fingerprint]:
    """Archived submissions under names that nobody of the class has."""
    taken = set(taken)
    for old in archive:
        name, again = f"{old.name} (archive)", 1
        while name in taken:
            again += 1
            name = f"{old.name} (archive {again})"
        taken.add(name)
        yield replace(old, name=name)


def _summary(one: Printed, spans: Mapping[str, tuple[Span, ...]]) -> SubmissionSummary:
    print_ = one.fingerprint
    return SubmissionSummary(
        name=print_.name,
        files=len({path for path, _ in print_.texts}),
        lines=print_.num_lines,
        own_share=print_.own_tokens / print_.num_tokens if print_.num_tokens else 0.0,
        base_spans=spans.get(print_.name, ()),
        findings=one.findings,
    )


def _with_regions(pair: Pair, regions: Mapping[tuple[str, str], tuple[Region, ...]]) -> Pair:
    if pair.key not in regions or not pair.evidence:
        return pair
    first, *others = pair.evidence
    return replace(pair, evidence=(replace(first, regions=regions[pair.key]), *others))


class _Table:
    """The scores of all pairs of the class, and of the class with the archive."""

    def __init__(self, everybody: Sequence[Fingerprint], in_class: int, found: PairScores) -> None:
        self.everybody = everybody
        self.found = found
        count = len(everybody)
        rows, columns = np.triu_indices(count, 1)
        compared = rows < in_class  # two archived ones were compared in their own year
        self.rows, self.columns = rows[compared], columns[compared]
        self.archived = self.columns >= in_class
        # A root, so that a third of a program reads as about a half and not as a tenth; it keeps
        # the order.
        self.score: Floats = np.sqrt(found.score)[self.rows, self.columns]
        digests = np.array([f.digest if f.num_tokens else -i for i, f in enumerate(everybody)])
        self.same: Marks = (digests[self.rows] == digests[self.columns]) & (
            np.array([f.num_tokens > 0 for f in everybody])[self.rows]
        )
        self.score[self.same] = 1.0
        own = np.array([len(f.hashes) > 0 for f in everybody])
        self.only_base: Marks = self.same & ~own[self.rows]
        self.unweighted: Floats = found.unweighted[self.rows, self.columns]
        mostly = self.unweighted >= _MOSTLY
        self.everywhere = bool(count >= _MIN_CLASS and len(mostly) and mostly.mean() > _NEARLY_ALL)
        if not self.everywhere:
            self.score[mostly] = np.maximum(self.score, self.unweighted)[mostly]
        self.threshold: Threshold = find_threshold(self.score)
        self.flagged: Marks = (self.score >= self.threshold.score) & ~self.only_base
        self._sorted: dict[str, Floats] = {
            "score": np.sort(self.score),
            "contained": np.sort(found.contained[self.rows, self.columns]),
            "unweighted": np.sort(self.unweighted),
        }

    def pairs(self) -> tuple[list[Pair], list[Pair]]:
        """Flagged pairs and those just below, the highest score first: those that are shown, and
        flagged ones beyond them with their scores alone."""
        names = [f.name for f in self.everybody]
        order = {name: place for place, name in enumerate(sorted(names))}
        places = np.array([order[name] for name in names])
        ranked = np.lexsort((places[self.columns], places[self.rows], -self.score))
        ranked = ranked[self.score[ranked] > 0]
        flagged = ranked[self.flagged[ranked]]
        below = ranked[~self.flagged[ranked]]
        keys = [(names[self.rows[i]], names[self.columns[i]], True) for i in flagged]
        chosen = flagged[choose_pairs(keys, most_shown(len(names)))]
        kept = max(_MIN_LISTED - len(flagged), _MIN_LISTED // 2)
        shown = np.isin(ranked, np.concatenate([chosen, below[:kept]]))
        further = ~shown & self.flagged[ranked]
        return (
            [self._pair(i, names, self._evidence(i)) for i in ranked[shown].tolist()],
            [self._pair(i, names, (self._score_alone(i),)) for i in ranked[further].tolist()],
        )

    def _pair(self, i: int, names: list[str], evidence: tuple[Evidence, ...]) -> Pair:
        left, right = names[self.rows[i]], names[self.columns[i]]
        archived = bool(self.archived[i])
        if not archived and right < left:
            left, right = right, left
        return Pair(
            left=left,
            right=right,
            score=round(float(self.score[i]), 4),
            flagged=bool(self.flagged[i]),
            evidence=evidence,
            archived=archived,
        )

    def _evidence(self, i: int) -> tuple[Evidence, ...]:
        row, column = self.rows[i], self.columns[i]
        contained = float(self.found.contained[row, column])
        bits = float(self.found.bits[row, column])
        if self.only_base[i]:
            message = "the same source, and all of it is base code"
        elif self.same[i]:
            message = "the same source but for names, comments and layout"
        else:
            message = (
                f"similar source in the same places: {contained:.0%} of the smaller one's own code "
                "is in the other"
            )
        strength = Strength.STRONG if self.flagged[i] else Strength.WEAK
        if self.only_base[i]:
            strength = Strength.CONTEXT
        total = len(self.score)
        reached = _reaching(self._sorted["score"], self.score[i])
        expected = self.threshold.expected_honest
        similar = Evidence(
            channel=Channel.SOURCE,
            code="code.similar",
            strength=strength,
            message=message,
            meaning=_RANKS,
            honest=(
                f"{reached} of the {total} pairs compared reach as much; by the scores of this "
                f"class, chance alone brings about {expected:g} of them to "
                f"{self.threshold.score:.2f}"
                if np.isfinite(expected)
                else f"{reached} of the {total} pairs compared reach as much; too few for more"
            ),
            value=round(float(self.score[i]), 4),
            unit="score",
            details={"bits_in_the_same_places": round(bits, 1)},
        )
        return (
            similar,
            self._share(
                "code.contained",
                "own code of the smaller one that the other holds too",
                "share of the smaller one's own code (rare code counts most) that is in the other, "
                "wherever it stands; base code is not counted",
                contained,
                self._sorted["contained"],
            ),
            self._share(
                "code.unweighted",
                "the same without regard to who else has it",
                "share of the smaller one's own code that stands in the same functions of the "
                "other, common code counting as much as rare code",
                float(self.unweighted[i]),
                self._sorted["unweighted"],
            ),
        )

    def _share(
        self, code: str, message: str, meaning: str, value: float, every: Floats
    ) -> Evidence:
        return Evidence(
            channel=Channel.SOURCE,
            code=code,
            strength=Strength.CONTEXT,
            message=message,
            meaning=meaning,
            honest=f"{_reaching(every, value)} of the {len(every)} pairs compared reach as much",
            value=round(value, 4),
            unit="share",
        )

    def _score_alone(self, i: int) -> Evidence:
        """What is said of a flagged pair beyond those that are shown in full."""
        return Evidence(
            channel=Channel.SOURCE,
            code="code.similar",
            strength=Strength.STRONG,
            message="similar source; of this pair only the score was kept",
            meaning=_RANKS,
            honest="many pairs of this class reach as much: see those that are shown in full",
            value=round(float(self.score[i]), 4),
            unit="score",
        )

    def scores(self) -> dict[tuple[str, str], float]:
        names = [f.name for f in self.everybody]
        scores = {}
        for i in np.flatnonzero(self.score > 0).tolist():
            left, right = names[self.rows[i]], names[self.columns[i]]
            if not self.archived[i] and right < left:
                left, right = right, left
            scores[left, right] = round(float(self.score[i]), 4)
        return scores

    def notes(self, *, has_base: bool) -> Iterable[str]:
        if len(self.score) == 0:
            yield "one submission and no archive: there is nothing to compare it with"
        if self.everywhere:
            yield (
                "nearly all pairs share most of their code: it was given out, or everybody has it "
                "from one place; only what goes beyond is scored"
                + ("" if has_base else " (--base names what was given out)")
            )
        elif not has_base and len(self.score):
            yield "no base code was named: what everybody shares weighs little, but is not left out"
        if self.only_base.any():
            count = int(self.only_base.sum())
            yield f"{count} pairs hold the same base code and nothing else; they are not flagged"


def _reaching(ordered: Floats, value: float) -> int:
    """How many of the sorted numbers are at least `value`."""
    return len(ordered) - int(np.searchsorted(ordered, value, "left"))
