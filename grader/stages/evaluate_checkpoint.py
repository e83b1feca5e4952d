"""Evaluate a checkpoint by the grader's own network on the images that the student's code saw.

What the weights alone cannot tell — preprocessing, the names of the outputs, sometimes the kind of
normalisation — is looked for among short lists, by what explains the student's predictions.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from grader.errors import InternalFault
from grader.findings import found
from grader.metrics.wilson import wilson_interval
from grader.model import (
    CheckpointSpec,
    Finding,
    IndependentEvaluation,
    LoadedCheckpoint,
    Preprocessing,
    Truth,
    TruthItem,
)
from grader.networks.check_weights import check_weights
from grader.networks.class_order import (
    ClassOrder,
    consistency,
    course_order,
    known_orders,
    label_key,
)
from grader.networks.classify import Classifier
from grader.networks.prepare_image import at_side, decode_image, normalise_pixels, resize_image
from grader.networks.read_shape import ReadNetwork, read_shape
from grader.networks.resnet_6n2 import (
    Form,
    build_resnet,
    fits_images,
    multiplications,
    possible_forms,
    takes_any_size,
)
from grader.networks.running_statistics import tracked_whole_batches
from grader.readers.regular_file import RefusedFileError
from grader.readers.safetensors_file import SafetensorsFile, read_safetensors
from grader.stages.try_candidates import Candidate, Tried, try_candidates

# Below this share of equal labels, other explanations are looked for …
_AGREES = 0.95
# … and one is believed when it holds for at least this share of at least so many images.
_EXPLAINS = 0.8
_ENOUGH_IMAGES = 20
# Predictions that agree less often than this with every candidate come from something else.
_DISAGREES = 0.9
# Images that a network sees at every second of the other sides.
_SIDE_IMAGES = 16
# Batches that evaluate.py files go through; in training mode the batch changes the result.
_BATCH_SIZES = (1, 32)
_TRAINING_MODE_IMAGES = 64
# Images whose statistics are held against the running ones of the first convolution.
_STATISTICS_IMAGES = 128
_MAX_TENSOR_BYTES = 4 << 30
# The assignment's network takes 5·10⁹ for one image; a student's may not keep the grader for days.
_MAX_MULTIPLICATIONS = 10**11
_UNUSABLE = frozenset({"checkpoint.not-finite", "checkpoint.integer-weights"})


@dataclass(frozen=True, slots=True)
class _Labels:
    """What outputs are compared with, one entry per image in the order of the staged names."""

    labels: tuple[str | None, ...]

    def hits(self, outputs: Sequence[int], order: ClassOrder) -> tuple[int, int]:
        """(equal labels, images compared); `outputs` may cover the first images only."""
        equal = [
            label_key(order.names[output]) == label_key(label)
            for output, label in zip(outputs, self.labels, strict=False)
            if label is not None
        ]
        return sum(equal), len(equal)


@dataclass(frozen=True, slots=True)
class _Explanation:
    """A candidate and an order of its outputs, and how many of the known labels they give."""

    candidate: Candidate
    order: ClassOrder
    hits: int
    count: int

    @property
    def share(self) -> float:
        return self.hits / self.count if self.count else 0.0

    @property
    def interval(self) -> tuple[float, float]:
        return wilson_interval(self.hits, self.count)

    @property
    def percent(self) -> str:
        return f"{self.share:.1%} of {self.count} images"


def evaluate_checkpoint(
    loaded: LoadedCheckpoint,
    spec: CheckpointSpec,
    truth: Truth,
    student_labels: Mapping[str, str] | None,
    declared_classes: Sequence[str] | None = None,
) -> tuple[IndependentEvaluation | None, tuple[Finding, ...]]:
    """Classify every image of `truth` with the weights alone, and compare.

    `student_labels`: staged name → label as the student's program wrote it; without them the
    truth's labels choose among the candidates, and without those the definition's first one is
    taken. `declared_classes`: the names of the network's outputs, where the submission tells them.
    Returns None with the reason when the weights cannot be run. Raises TruthError for an image
    that cannot be read.
    """
    weights = _weights(loaded)
    shapes = {name: array.shape for name, array in weights.tensors.items()}
    reading = read_shape(shapes, loaded.module_classes)
    network, reason = reading.network, ""
    candidates: list[Candidate] = []
    if network is None:
        reason = "the tensors are not those of a network that the grader has"
    elif network.shape.in_channels != 3:
        reason = f"the network takes {network.shape.in_channels} channels, the images have 3"
    elif _UNUSABLE & {f.code for f in check_weights(weights.tensors, reading.layers)}:
        reason = "the numbers are not those of a trained network"
    else:
        candidates, reason = _candidates(network, spec)
    if network is None or reason:
        return None, (found("checkpoint.not-evaluated", reason, path=loaded.path),)
    # The staged names are random, so that the first images in their order are a fair sample.
    items = tuple(sorted(truth.items, key=lambda item: item.staged_name))
    evaluation = _Evaluation(
        network=network,
        weights=weights,
        spec=spec,
        items=items,
        orders=_orders(truth, declared_classes, loaded, network.shape.num_classes),
        student=None if student_labels is None else _student_labels(items, student_labels),
        truth=_Labels(tuple(item.label for item in items)),
    )
    return evaluation.run(candidates, loaded.path)


def _candidates(network: ReadNetwork, spec: CheckpointSpec) -> tuple[list[Candidate], str]:
    """Every way to run the network that its tensors leave open, or why there is none."""
    forms = possible_forms(network)
    # Of what looks alike only what the assignment allows, where it allows any of it; else what it
    # looks like at first sight.
    allowed = spec.constraints.get("norm", ())
    allowed = {allowed} if isinstance(allowed, str) else set(allowed)
    plain = tuple(form for form in forms if form.kind == network.shape.norm)
    forms = tuple(form for form in forms if form.kind in allowed) or plain or forms
    other_sides = [at_side(way, side) for way in spec.preprocessing for side in spec.other_sides_px]
    fitting: list[Candidate] = []
    for ways in (spec.preprocessing, other_sides):
        fitting = fitting or [
            Candidate(way, form)
            for form in forms
            for way in ways
            if fits_images(network, form, way.size_px)
            and (way.resize != "none" or takes_any_size(network))
        ]
    if not fitting:
        return [], "the normalisation has a scale for each pixel of images of another size"
    costs = [multiplications(network, c.form, c.way.size_px) for c in fitting]
    if max(costs) > _MAX_MULTIPLICATIONS:
        return [], (
            f"one image would take {max(costs):.1e} multiplications, "
            f"{_MAX_MULTIPLICATIONS:.0e} are made at most"
        )
    return fitting, ""


def _weights(loaded: LoadedCheckpoint) -> SafetensorsFile:
    try:
        return read_safetensors(loaded.tensors, _MAX_TENSOR_BYTES)
    except RefusedFileError as error:
        # `load_checkpoint` has read this very file.
        raise InternalFault(f"{loaded.tensors}: the tensors changed: {error}") from error


def _student_labels(items: Sequence[TruthItem], labels: Mapping[str, str]) -> _Labels | None:
    known = _Labels(tuple(labels.get(item.staged_name) for item in items))
    return known if any(label is not None for label in known.labels) else None


def _orders(
    truth: Truth, declared: Sequence[str] | None, loaded: LoadedCheckpoint, num_classes: int
) -> tuple[ClassOrder, ...]:
    orders = known_orders(truth.classes, declared, loaded.metadata, num_classes)
    if orders:
        return orders
    numbers = tuple(f"output {index}" for index in range(num_classes))
    if num_classes < len(truth.classes):
        return (ClassOrder("numbers", numbers),)
    # Outputs that no class needs, as of r + 1: they come last, or the labels tell otherwise.
    order = course_order(truth.classes)
    return (replace(order, names=(*order.names, *numbers[len(order.names) :])),)


@dataclass(frozen=True, slots=True)
class _Evaluation:
    """One network on the images of one truth; `orders` has the course's own first."""

    network: ReadNetwork
    weights: SafetensorsFile
    spec: CheckpointSpec
    items: tuple[TruthItem, ...]
    orders: tuple[ClassOrder, ...]
    student: _Labels | None
    truth: _Labels

    @property
    def known(self) -> _Labels:
        """What chooses among the candidates."""
        return self.truth if self.student is None else self.student

    def run(
        self, candidates: Sequence[Candidate], path: str
    ) -> tuple[IndependentEvaluation, tuple[Finding, ...]]:
        classifiers = {
            form: Classifier(build_resnet(self.network, self.weights.tensors, form))
            for form in dict.fromkeys(candidate.form for candidate in candidates)
        }
        start = time.perf_counter()
        tried = [self._try(candidates, classifiers, self.items)]
        best = self._best(tried[0].finished)
        explained = best if best.share >= _AGREES else self._by_consistency(tried[0].finished, best)
        if explained.count and explained.share < _AGREES:
            tried += self._at_other_sides(explained, classifiers)
            every = [candidate for one in tried for candidate in one.candidates]
            # What ran in several races counts as it did in the one that showed it most images.
            every.sort(key=lambda c: len(c.outputs))
            candidates = list({(c.way.id, c.form): c for c in every}.values())
            explained = self._better(explained, [c for one in tried for c in one.finished])
        seconds = time.perf_counter() - start
        findings = self._order_findings(explained, path)
        order = self._right_order(explained)
        rows = [self._row(candidate, explained.order, order) for candidate in candidates]
        if self.student is not None and explained.share < _AGREES:
            more_rows, noted = self._disagreement(explained, path)
            rows += more_rows
            findings += noted
        norm, noted = self._told_norm(explained, path)
        findings += noted
        outputs = explained.candidate.outputs
        right, labelled = self.truth.hits(outputs, order)
        equal, compared = (0, 0) if self.student is None else self.student.hits(outputs, order)
        names = (order.names[output] for output in outputs)
        evaluation = IndependentEvaluation(
            shape=replace(self.network.shape, norm=norm),
            preprocessing=explained.candidate.way,
            accuracy=right / labelled if labelled else None,
            agreement=equal / compared if compared else None,
            labels=dict(zip((item.staged_name for item in self.items), names, strict=True)),
            candidates=tuple(rows),
            class_order=order.told_by,
            images_per_second=sum(one.classified for one in tried) / seconds,
        )
        return evaluation, tuple(findings)

    # ------------------------------------------------------------------ candidates

    def _best(self, finished: Sequence[Candidate]) -> _Explanation:
        """The candidate that explains the known labels best.

        Among the student's labels the best one simply is: its code preprocessed in one way. Chosen
        by the truth, the maximum would flatter the network, so that there the definition's first
        candidate stays unless another one is surely better.
        """
        best, *others = (self._explain(candidate) for candidate in finished)
        if self.student is None:
            first = min((best, *others), key=lambda e: self._place(e.candidate))
            return first if best.interval[0] <= first.interval[1] else best
        return best

    def _better(self, explained: _Explanation, others: Sequence[Candidate]) -> _Explanation:
        """One of `others`, of which there are many, where it agrees or is surely better."""
        complete = (c for c in others if len(c.outputs) == len(self.items))
        best = max(map(self._explain, complete), key=lambda e: e.share, default=explained)
        agrees = self.student is not None and best.share >= _AGREES
        return best if agrees or best.interval[0] > explained.interval[1] else explained

    def _at_other_sides(
        self, explained: _Explanation, classifiers: dict[Form, Classifier]
    ) -> list[Tried]:
        """Races among the sides of the network's input that the definition does not spell out.

        First every second side on a few images, in the way that explained most so far; then the
        best of them and its neighbours on all images; then every way at the best side.
        """
        form, usual = explained.candidate.form, explained.candidate.way
        sides_px = [
            side
            for side in sorted(self.spec.other_sides_px)
            if fits_images(self.network, form, side)
            and multiplications(self.network, form, side) <= _MAX_MULTIPLICATIONS
        ]
        if usual.resize == "none" or not sides_px:
            return []

        def race(indices: Iterable[int], items: Sequence[TruthItem]) -> Tried:
            ways = [at_side(usual, sides_px[index]) for index in indices]
            return self._try([Candidate(way, form) for way in ways], classifiers, items)

        every_second = range(0, len(sides_px), 2)
        coarse = race(every_second, self.items[:_SIDE_IMAGES])
        most = self._score(coarse.finished[0].outputs)
        near = {
            index + step
            for index, candidate in zip(every_second, coarse.candidates, strict=True)
            for step in (-1, 0, 1)
            if self._score(candidate.outputs) == most and 0 <= index + step < len(sides_px)
        }
        fine = race(sorted(near), self.items)
        best_px = fine.finished[0].way.size_px
        ways = self._distinct(at_side(way, best_px) for way in self.spec.preprocessing)
        candidates = [Candidate(way, f) for f in classifiers for way in ways]
        return [self._try(candidates, classifiers, self.items), fine, coarse]

    @staticmethod
    def _distinct(ways: Iterable[Preprocessing]) -> list[Preprocessing]:
        """Each that resizes, once: ways that differ in nothing but their side have become one."""
        known: dict[Preprocessing, Preprocessing] = {}
        for way in ways:
            if way.resize != "none":
                known.setdefault(replace(way, id="", title=""), way)
        return list(known.values())

    def _try(
        self,
        candidates: Sequence[Candidate],
        classifiers: dict[Form, Classifier],
        items: Sequence[TruthItem],
    ) -> Tried:
        images = [item.image for item in items]
        return try_candidates(candidates, classifiers, images, self._score)

    def _score(self, outputs: Sequence[int]) -> tuple[int, int]:
        return max(self.known.hits(outputs, order) for order in self.orders)

    def _place(self, candidate: Candidate) -> int:
        """Where the definition names its preprocessing; after all others where it does not."""
        ways = self.spec.preprocessing
        return ways.index(candidate.way) if candidate.way in ways else len(ways)

    def _row(
        self, candidate: Candidate, explaining: ClassOrder, right: ClassOrder
    ) -> dict[str, Any]:
        """What the report shows of a candidate; numbers are of the images that it saw.

        `explaining`: the order of the outputs that explains the student's labels; `right`: the one
        that the truth bears out. They differ only where the submission names outputs wrongly.
        """
        row: dict[str, Any] = {
            "preprocessing": candidate.way.id,
            "title": candidate.way.title,
            "form": str(candidate.form),
            "images": len(candidate.outputs),
            "finished": len(candidate.outputs) == len(self.items),
        }
        compared = (("agreement", self.student, explaining), ("accuracy", self.truth, right))
        for name, labels, order in compared:
            hits, count = (0, 0) if labels is None else labels.hits(candidate.outputs, order)
            if count:
                low, high = wilson_interval(hits, count)
                row |= {name: hits / count, f"{name}_low": low, f"{name}_high": high}
        return row

    # ------------------------------------------------------------------ normalisation

    def _told_norm(self, explained: _Explanation, path: str) -> tuple[str, list[Finding]]:
        """The kind of normalisation, and what tells it where the tensors' shapes do not."""
        form = explained.candidate.form
        if form.kind == self.network.shape.norm:
            return form.kind, []
        if form.norm == "instance-running":
            images = (item.image for item in self.items[:_STATISTICS_IMAGES])
            way = explained.candidate.way
            inputs = (normalise_pixels(resize_image(decode_image(i), way), way) for i in images)
            network = build_resnet(self.network, self.weights.tensors, form)
            if tracked_whole_batches(network, inputs):
                message = (
                    "the running variances after the first convolution are those over all images "
                    "together, as batch normalisation tracks them; expected those within each "
                    "image, as instance normalisation does"
                )
                return "batch", [found("checkpoint.wrong-norm", message, path=path)]
        message = f"of those that the tensors allow, {form} explains the labels best"
        return form.kind, [found("checkpoint.norm-told-by-behaviour", message, path=path)]

    # ------------------------------------------------------------------ class order

    def _explain(self, candidate: Candidate) -> _Explanation:
        """`candidate` under the order that fits best, another than the first only if it is sure."""
        usual, *others = (
            _Explanation(candidate, order, *self.known.hits(candidate.outputs, order))
            for order in self.orders
        )
        better = [other for other in others if other.interval[0] > usual.interval[1]]
        return max(better, key=lambda other: other.hits, default=usual)

    def _by_consistency(self, finished: Sequence[Candidate], best: _Explanation) -> _Explanation:
        """An order that nobody wrote down, where the labels bear one out; else `best`."""
        for candidate in finished:
            pairs = [
                (output, label)
                for output, label in zip(candidate.outputs, self.known.labels, strict=True)
                if label is not None
            ]
            told = consistency([output for output, _ in pairs], [label for _, label in pairs])
            if told.count < _ENOUGH_IMAGES or told.hits < _EXPLAINS * told.count:
                continue
            if wilson_interval(told.hits, told.count)[0] <= best.interval[1]:
                continue
            if len(set(told.names.values())) < len(told.names):
                continue  # one label for several outputs: labels that hardly vary fit anything
            source = "the truth" if self.student is None else "the student's predictions"
            names = tuple(
                told.names.get(index, f"output {index}")
                for index in range(self.network.shape.num_classes)
            )
            order = ClassOrder(source, names)
            best = _Explanation(candidate, order, *self.known.hits(candidate.outputs, order))
        return best

    def _right_order(self, explained: _Explanation) -> ClassOrder:
        """The order that the outputs are named by: of two, the one that the truth bears out."""
        outputs = explained.candidate.outputs
        usual = self.orders[0]
        if self.truth.hits(outputs, usual)[0] > self.truth.hits(outputs, explained.order)[0]:
            return usual
        return explained.order

    def _order_findings(self, explained: _Explanation, path: str) -> list[Finding]:
        usual = self.orders[0]
        if explained.order is usual:
            return []
        outputs = explained.candidate.outputs
        before = _Explanation(explained.candidate, usual, *self.known.hits(outputs, usual))
        seen = (
            f"in the order of {usual.told_by} they give the known label on {before.percent}, in "
            f"that of {explained.order.told_by} on {explained.percent}"
        )
        if self._right_order(explained) is not usual:
            return [found("checkpoint.class-order", f"the outputs: {seen}", path=path)]
        right, count = self.truth.hits(outputs, usual)
        return [
            found(
                "result.wrong-class-order",
                f"the checkpoint is right on {right} of {count} images when its outputs are named "
                f"in the order of {usual.told_by}, but the submission names them otherwise: {seen}",
                path=path,
            )
        ]

    # ------------------------------------------------------------------ disagreement

    def _disagreement(
        self, explained: _Explanation, path: str
    ) -> tuple[list[dict[str, Any]], list[Finding]]:
        """Rows of further candidates, and why the submission's labels are not the checkpoint's."""
        rows, findings = self._in_training_mode(explained, path)
        if not findings and explained.interval[1] < _DISAGREES:
            message = (
                f"of all ways to run the checkpoint, the best one ({explained.candidate.way.title})"
                f" gives the label of the submission on {explained.percent}"
            )
            findings = [found("checkpoint.disagrees", message, path=path)]
        return rows, findings

    def _in_training_mode(
        self, explained: _Explanation, path: str
    ) -> tuple[list[dict[str, Any]], list[Finding]]:
        """Whether statistics of the batch, as `model.train()` leaves them on, explain more."""
        form = explained.candidate.form
        if form.norm != "batch" or self.student is None:
            return [], []
        form = replace(form, norm="batch-statistics")
        network = build_resnet(self.network, self.weights.tensors, form)
        images = self.items[:_TRAINING_MODE_IMAGES]
        way = explained.candidate.way
        inputs = [normalise_pixels(resize_image(decode_image(i.image), way), way) for i in images]
        rows: list[dict[str, Any]] = []
        tried: list[_Explanation] = []
        for size in _BATCH_SIZES:
            candidate = Candidate(way, form)
            if len({tuple(tensor.shape) for tensor in inputs}) > 1 and size > 1:
                continue  # images of several sizes make no batch
            for start in range(0, len(inputs), size):
                with torch.inference_mode():
                    batch = torch.cat(inputs[start : start + size])
                    candidate.outputs += network(batch).argmax(dim=1).tolist()
            order = explained.order
            hits, count = self.student.hits(candidate.outputs, order)
            tried.append(_Explanation(candidate, order, hits, count))
            title = f"{way.title}; training mode, batches of {size}"
            rows.append(
                self._row(candidate, order, self._right_order(explained)) | {"title": title}
            )
        first = explained.candidate.outputs[: len(images)]
        before = wilson_interval(*self.student.hits(first, explained.order))
        better = [other for other in tried if other.interval[0] > before[1]]
        if not better:
            return rows, []
        best = max(better, key=lambda other: other.hits)
        message = (
            f"with statistics of the batch the checkpoint gives the label of the submission on "
            f"{best.percent}, with its own running statistics on {explained.percent}"
        )
        return rows, [found("checkpoint.training-mode", message, path=path)]
