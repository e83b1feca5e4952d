"""Classify images fast, with the very predictions of the plain float32 network.

Normalisation is folded into the convolutions, tensors are channels last, and each image is a batch
of its own on one core: its activations stay in that core's cache, and as many images as there are
cores are under way. Where the processor multiplies bfloat16 in hardware, that is used. Folding and
rounding move the logits a little; an image whose two best logits lie closer together than they
can have moved is classified again by the plain network.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor

from grader.networks.resnet_6n2 import ResNet6n2, fold_batch_norm

# How far logits may move: this often the largest deviation that the first images showed …
_SAFETY = 3.0
# … and at least this share of the largest logit. Two orders of float32 convolution sums differ by
# about 1e-6 of it.
_FLOOR = 1e-4
# Images that both networks classify, before the fast one is trusted.
_CALIBRATION_IMAGES = 8
_MAX_WORKERS = 32

Item = TypeVar("Item")
Result = TypeVar("Result")


def multiplies_bfloat16() -> bool:
    """Whether this processor has instructions for bfloat16, without which it is slower."""
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))


@dataclass(frozen=True, slots=True)
class Classified:
    """`index`: the largest logit; `rechecked`: the plain network had to decide."""

    index: int
    rechecked: bool


class Classifier:
    """A network as `ResNet6n2` computes it, only faster. Safe to use from several threads."""

    def __init__(self, network: ResNet6n2, *, bfloat16: bool | None = None) -> None:
        self._plain = network
        self._dtype = torch.float32
        if multiplies_bfloat16() if bfloat16 is None else bfloat16:
            self._dtype = torch.bfloat16
        self._fast = fold_batch_norm(network).to(self._dtype)
        self._deviation = 0.0
        self._calibrated = 0

    def __call__(self, image: Tensor) -> Classified:
        """image: (1, 3, H, W) float32, normalised."""
        with torch.inference_mode():
            logits = self._fast(image.to(self._dtype, memory_format=torch.channels_last))[0].float()
            best = torch.topk(logits, min(2, logits.numel()))
            if self._calibrated >= _CALIBRATION_IMAGES and self._is_sure(logits, best.values):
                return Classified(int(best.indices[0]), rechecked=False)
            plain = self._plain(image.contiguous())[0]
            # Both are only ever raised; a lost update costs one more image with both networks.
            self._deviation = max(self._deviation, float((logits - plain).abs().max()))
            self._calibrated += 1
            return Classified(int(plain.argmax()), rechecked=True)

    def _is_sure(self, logits: Tensor, best: Tensor) -> bool:
        moved = max(_SAFETY * self._deviation, _FLOOR * float(logits.abs().max()))
        # NaN compares false, so that the plain network decides what becomes of it.
        return best.numel() == 1 or float(best[0] - best[1]) > 2.0 * moved


# --------------------------------------------------------------------------- many images


def available_cores() -> int:
    """Processor cores that this process may use."""
    return min(len(os.sched_getaffinity(0)), _MAX_WORKERS)


@contextmanager
def one_thread_each(workers: int) -> Iterator[ThreadPoolExecutor]:
    """A pool whose threads each compute on one core; torch's own setting is put back after it."""
    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(workers, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            yield pool
    finally:
        torch.set_num_threads(before)


def map_images(
    work: Callable[[Item], Result], items: Sequence[Item], pool: ThreadPoolExecutor, workers: int
) -> Iterator[Result]:
    """`work` on every item, in order, with at most a few items under way.

    An exception of `work` is raised here, after what is under way has ended.
    """
    todo = iter(items)
    under_way = [pool.submit(work, item) for item in islice(todo, 2 * workers)]
    while under_way:
        yield under_way.pop(0).result()
        under_way += [pool.submit(work, item) for item in islice(todo, 1)]
