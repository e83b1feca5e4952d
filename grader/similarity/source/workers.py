"""What is done submission by submission and pair by pair, over all cores."""

from __future__ import annotations

import gc
import hashlib
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from grader.errors import UsageError
from grader.model import Assignment, Finding
from grader.similarity.model import Region, SourceTree, Span
from grader.similarity.source.align import Side, align, base_spans
from grader.similarity.source.fingerprint import (
    VERSION,
    BaseCode,
    Fingerprint,
    base_tokens,
    fingerprint,
    tokens_of,
)
from grader.similarity.source.read_sources import FoundSubmission, read_tree
from grader.similarity.source.stored import read_fingerprints, write_fingerprints

_FEW = 6  # submissions that one process reads as fast as several can be started
_SIDES_KEPT = 24  # parsed submissions that a worker remembers while it aligns pairs


@dataclass(frozen=True, slots=True)
class Work:
    """What every worker knows."""

    assignment: Assignment
    base: BaseCode
    cache: Path | None


@dataclass(frozen=True, slots=True)
class Printed:
    """A submission as a worker hands it back."""

    fingerprint: Fingerprint
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Aligned:
    """The regions of a pair, and what is base code on both sides."""

    regions: tuple[Region, ...]
    left_base: tuple[Span, ...]
    right_base: tuple[Span, ...]


_work: Work | None = None


def _begin(work: Work) -> None:
    global _work  # noqa: PLW0603 - the one place of a worker process to keep what it knows
    _work = work
    _side.cache_clear()


def _begin_process(work: Work) -> None:
    """In a process of its own: a syntax tree has no cycles, and looking for some in every new tree
    takes a fifth of the time."""
    gc.disable()
    _begin(work)


def _known() -> Work:
    if _work is None:
        raise RuntimeError("a worker was used before it began")
    return _work


@contextmanager
def all_cores(work: Work, tasks: int) -> Iterator[Callable[..., Iterable[Any]]]:
    """A `map` over worker processes; in this process where there is little to do."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    workers = min(cores or 1, tasks)
    if workers < 2 or tasks < _FEW:
        _begin(work)
        yield lambda function, items, chunksize: map(function, items)  # noqa: ARG005
        return
    # Forking shares what is imported; with other threads about, it may inherit their locks.
    alone = threading.active_count() == 1 and "fork" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("fork" if alone else "spawn")
    with ProcessPoolExecutor(workers, context, _begin_process, (work,)) as pool:
        yield lambda function, items, chunksize: pool.map(function, items, chunksize=chunksize)


def print_one(submission: FoundSubmission) -> Printed:
    """Read a submission and fingerprint it, or take the fingerprint from the cache."""
    work = _known()
    tree = read_tree(submission, work.assignment)
    if work.cache is None:
        return Printed(fingerprint(tree, work.base), tree.findings)
    path = work.cache / f"{_key(tree, work.base)}.npz"
    if path.exists():
        try:
            (kept,) = read_fingerprints(path)
        except (UsageError, ValueError):
            path.unlink(missing_ok=True)  # half a file, or another version's: made again below
        else:
            return Printed(kept, tree.findings)
    fresh = fingerprint(tree, work.base)
    write_fingerprints(path, [fresh])
    return Printed(fresh, tree.findings)


def align_two(pair: tuple[FoundSubmission, FoundSubmission]) -> Aligned:
    """Read two submissions again and find the lines that say the same."""
    left, right = _side(pair[0]), _side(pair[1])
    return Aligned(align(left, right), base_spans(left), base_spans(right))


@lru_cache(maxsize=_SIDES_KEPT)
def _side(submission: FoundSubmission) -> Side:
    work = _known()
    tree = read_tree(submission, work.assignment)
    tokens = tokens_of(tree, work.base)
    return Side(tree, tokens, base_tokens(tokens, work.base), work.base)


def _key(tree: SourceTree, base: BaseCode) -> str:
    """Names a fingerprint by all that it is made of."""
    digest = hashlib.sha256(f"{VERSION}\0{base.digest}\0{tree.name}".encode())
    for text in tree.texts:
        for part in (text.path, str(text.cell), text.text):
            data = part.encode("utf-8", "surrogatepass")
            digest.update(len(data).to_bytes(8, "little"))
            digest.update(data)
    return digest.hexdigest()
