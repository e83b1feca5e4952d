"""Find out which of several ways to run a network explains known labels best, without running all.

Every candidate classifies some images; those that can no longer be the best drop out, and the
others go on with twice as many, until the best has seen every image.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from grader.metrics.wilson import wilson_interval
from grader.model import Preprocessing
from grader.networks.classify import Classifier, available_cores, map_images, one_thread_each
from grader.networks.prepare_image import Pixels, decode_image, normalise_pixels, resize_image
from grader.networks.resnet_6n2 import Form

# Images in the first round, of every candidate; each further round has as many as were seen.
_FIRST_ROUND = 32
# A candidate drops out when its best case at this level lies below another's worst case.
_SURE = 0.999


@dataclass(slots=True)
class Candidate:
    """One way to run the network. `outputs`: the best output for each image seen so far."""

    way: Preprocessing
    form: Form
    outputs: list[int] = field(default_factory=list)


Score = Callable[[Sequence[int]], tuple[int, int]]
"""Outputs for the first images → (hits, images compared)."""


@dataclass(frozen=True, slots=True)
class Tried:
    """`candidates`: all of them; `finished`: those that saw every image, best first; `classified`:
    images run through a network, over all candidates; `rechecked`: those that the plain network
    decided."""

    candidates: tuple[Candidate, ...]
    finished: tuple[Candidate, ...]
    classified: int
    rechecked: int


def try_candidates(
    candidates: Sequence[Candidate],
    classifiers: dict[Form, Classifier],
    images: Sequence[Path],
    score: Score,
) -> Tried:
    """Let `candidates` classify `images` in their order, filling in `outputs`.

    The images have to be in random order, so that the first ones are a fair sample. Where `score`
    compares nothing, only the first candidate goes on. Raises TruthError for an image that cannot
    be read.
    """
    active = list(candidates)
    seen = classified = rechecked = 0
    workers = available_cores()
    with one_thread_each(workers) as pool:
        while seen < len(images):
            stop = min(len(images), max(_FIRST_ROUND, 2 * seen))
            if len(active) == 1:
                stop = len(images)

            def classify(path: Path) -> _Round:
                return _classify(decode_image(path), active, classifiers)  # noqa: B023

            for done in map_images(classify, images[seen:stop], pool, workers):
                for candidate, output in zip(active, done.outputs, strict=True):
                    candidate.outputs.append(output)
                classified += done.classified
                rechecked += done.rechecked
            seen = stop
            active = _still_possible(active, score)
    # A stable sort: of equals the definition's first one is the best.
    active.sort(key=lambda candidate: -score(candidate.outputs)[0])
    return Tried(tuple(candidates), tuple(active), classified, rechecked)


@dataclass(frozen=True, slots=True)
class _Round:
    outputs: tuple[int, ...]
    classified: int
    rechecked: int


def _classify(
    pixels: Pixels, candidates: Sequence[Candidate], classifiers: dict[Form, Classifier]
) -> _Round:
    """One image by every candidate; candidates whose input is the same share the result."""
    known: dict[tuple[object, ...], int] = {}
    outputs: list[int] = []
    rechecked = 0
    for candidate in candidates:
        way = candidate.way
        resized = resize_image(pixels, way)
        key = (candidate.form, way.mean, way.std, resized.shape, resized.tobytes())
        if key not in known:
            classified = classifiers[candidate.form](normalise_pixels(resized, way))
            known[key] = classified.index
            rechecked += classified.rechecked
        outputs.append(known[key])
    return _Round(tuple(outputs), len(known), rechecked)


def _still_possible(candidates: Sequence[Candidate], score: Score) -> list[Candidate]:
    scores = [score(candidate.outputs) for candidate in candidates]
    if not any(count for _, count in scores):
        return list(candidates[:1])
    intervals = [wilson_interval(hits, count, _SURE) for hits, count in scores]
    worst_case_of_best = max(low for low, _ in intervals)
    return [
        candidate
        for candidate, (_, high) in zip(candidates, intervals, strict=True)
        if high >= worst_case_of_best
    ]
