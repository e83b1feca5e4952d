"""How image size and learning rate go over a run, as functions of how much of it is done.

A run is measured in *epoch share*: 0 at its start, 1 at its end. Where a number of epochs is
asked for, that is epochs done over epochs. Where minutes are asked for, the share of time gone is
turned into it by what an epoch of each stage costs, so that the schedule reaches its end exactly
when the time does, however fast the machine is (Li, Yumer & Ramanan, "Budgeted Training", ICLR
2020).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from errors import SubmissionError


@dataclass(frozen=True)
class Stage:
    """A part of the run at one image size (progressive resizing: Howard, DAWNBench 2018).

    `size_px` is the side at which whole images are shown when the network is measured and used,
    `crop_px` that of the crops it trains on. A random crop shows things larger than they are in
    the whole image, so that crops that are smaller by as much train for the same apparent size,
    and cost less (Touvron et al., "Fixing the train-test resolution discrepancy", NeurIPS 2019).
    `store_px` is the side at which images are kept; crops of them fill `crop_px` about sharply.
    `share` is this stage's part of all epochs.
    """

    size_px: int
    store_px: int
    share: float
    batch_size: int
    crop_px: int = 0  # 0: as `size_px`

    def __post_init__(self) -> None:
        if not self.crop_px:
            object.__setattr__(self, "crop_px", self.size_px)


@dataclass(frozen=True)
class Plan:
    """Stages in order, and one cycle of the learning rate over all of them."""

    stages: tuple[Stage, ...]
    peak_learning_rate: float  # for a batch of `reference_batch`; scaled linearly with the batch
    reference_batch: int = 64
    warmup_share: float = 0.15

    def __post_init__(self) -> None:
        total = sum(stage.share for stage in self.stages)
        if not self.stages or total <= 0:
            raise SubmissionError("a plan needs at least one stage with a positive share")
        object.__setattr__(
            self,
            "stages",
            tuple(replace(stage, share=stage.share / total) for stage in self.stages),
        )

    def ending_at(self, size_px: int) -> Plan:
        """The same plan for a final side of `size_px`: larger stages become one of that size."""
        if size_px == self.stages[-1].size_px:
            return self
        smaller = tuple(stage for stage in self.stages if stage.size_px < size_px)
        kept = min(len(smaller), len(self.stages) - 1)  # a larger side than all replaces the last
        smaller, rest = smaller[:kept], self.stages[kept:]
        share = sum(stage.share for stage in rest)
        if rest[0].size_px == size_px:
            last = replace(rest[0], share=share)
        else:
            last = Stage(size_px, size_px, share, rest[-1].batch_size)
        return replace(self, stages=(*smaller, last))

    def starting_at(self, size_px: int) -> Plan:
        """The same plan without its stages of smaller images; the last one always stays."""
        larger = tuple(stage for stage in self.stages if stage.size_px >= size_px)
        if larger == self.stages:
            return self
        return replace(self, stages=larger or self.stages[-1:])

    def with_batch_size(self, batch_size: int) -> Plan:
        """The same plan with batches of `batch_size` at every stage."""
        return replace(
            self, stages=tuple(replace(stage, batch_size=batch_size) for stage in self.stages)
        )

    def stage_index(self, epoch_share: float) -> int:
        """Which stage the run is in; the last one at 1 and beyond."""
        bound = 0.0
        for index, stage in enumerate(self.stages[:-1]):
            bound += stage.share
            if epoch_share < bound - 1e-9:
                return index
        return len(self.stages) - 1

    def epoch_share(self, work_share: float) -> float:
        """Share of the work (image area times images) or time done → share of the epochs done."""
        if work_share >= 1:
            return 1.0
        costs = [stage.share * stage.crop_px**2 for stage in self.stages]
        left = max(work_share, 0.0) * sum(costs)
        done = 0.0
        for stage, cost in zip(self.stages, costs, strict=True):
            if left <= cost:
                return done + stage.share * left / cost
            left -= cost
            done += stage.share
        return 1.0

    def work_share(self, epoch_share: float) -> float:
        """The inverse of `epoch_share`."""
        costs = [stage.share * stage.crop_px**2 for stage in self.stages]
        left, work = min(max(epoch_share, 0.0), 1.0), 0.0
        for stage, cost in zip(self.stages, costs, strict=True):
            part = min(left, stage.share)
            work += cost * part / stage.share
            left -= part
        return work / sum(costs)

    def learning_rate(self, epoch_share: float, batch_size: int) -> float:
        """A linear rise over `warmup_share`, then half a cosine down to zero."""
        peak = self.peak_learning_rate * batch_size / self.reference_batch
        if epoch_share < self.warmup_share:
            return peak * max(epoch_share / self.warmup_share, 0.01)
        falling = (min(epoch_share, 1.0) - self.warmup_share) / (1 - self.warmup_share)
        return peak * 0.5 * (1 + math.cos(math.pi * falling))


@dataclass(frozen=True)
class Budget:
    """When the run ends: after so many epochs, so many minutes, or whichever comes first."""

    epochs: int | None
    seconds: float | None

    def __post_init__(self) -> None:
        if self.epochs is None and self.seconds is None:
            raise SubmissionError("a run needs --epochs or --minutes")
        if self.epochs is not None and self.epochs < 1:
            raise SubmissionError(f"--epochs {self.epochs}: at least 1 is needed")
        if self.seconds is not None and not 0 < self.seconds < math.inf:
            raise SubmissionError(f"--minutes {self.seconds / 60:g}: more than 0 is needed")

    def epoch_share(self, plan: Plan, epochs_done: float, elapsed_seconds: float) -> float:
        """How much of the run is over, in [0, 1]: the nearer of the two ends counts."""
        by_epochs = epochs_done / self.epochs if self.epochs is not None else 0.0
        by_time = (
            plan.epoch_share(elapsed_seconds / self.seconds) if self.seconds is not None else 0.0
        )
        return min(max(by_epochs, by_time), 1.0)


def usable_seconds(minutes: float) -> float:
    """The part of `minutes` to train in: a twentieth, but at most one minute, is kept back for the
    last evaluation and the last files."""
    return minutes * 60 - min(0.05 * minutes * 60, 60.0)
