"""Small classes of generated students, as trees and as fingerprints."""

from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np

from benchmarks.similarity_classes.generate import submission
from benchmarks.similarity_classes.obfuscate import Files, Obfuscator
from grader.similarity.model import SourceText, SourceTree
from grader.similarity.source.fingerprint import NO_BASE, BaseCode, base_code, fingerprint
from grader.similarity.source.index import build_index
from grader.similarity.source.score_pairs import PairScores, score_pairs

LINES = 120


def tree(name: str, files: Mapping[str, str]) -> SourceTree:
    return SourceTree(name, tuple(SourceText(path, text) for path, text in sorted(files.items())))


def honest(count: int, seed: int = 0) -> dict[str, Files]:
    return {f"h{i:02}": submission(f"{seed}/{i}", LINES) for i in range(count)}


def changed(files: Files, how: Obfuscator, seed: int = 0) -> Files:
    return how(files, random.Random(seed))


def base_of(files: Files) -> BaseCode:
    return base_code([tree("starter", files)])


def scores(
    submissions: Mapping[str, Files], base: BaseCode = NO_BASE
) -> tuple[list[str], PairScores]:
    names = sorted(submissions)
    prints = [fingerprint(tree(name, submissions[name]), base) for name in names]
    return names, score_pairs(build_index(prints))


def score_of(
    submissions: Mapping[str, Files], left: str, right: str, base: BaseCode = NO_BASE
) -> float:
    """As it is shown to people: the root of the ranking score."""
    names, found = scores(submissions, base)
    return float(np.sqrt(found.score[names.index(left), names.index(right)]))
