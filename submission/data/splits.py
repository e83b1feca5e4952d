"""Hold some training images back, the same share of every class; tell one split from another."""

from __future__ import annotations

import hashlib
import os
import random
from collections.abc import Iterable, Sequence
from pathlib import Path


def split_stratified(
    targets: Sequence[int], share: float, seed: int
) -> tuple[list[int], list[int]]:
    """Indices to train on and indices held out; depends on `targets`, `share` and `seed` alone.

    Of every class `round(share × count)` images are held out, at least one when `share` > 0 and
    the class has two or more, and never all of them.
    """
    members: dict[int, list[int]] = {}
    for index, target in enumerate(targets):
        members.setdefault(target, []).append(index)
    held_out: list[int] = []
    for target in sorted(members):
        indices = members[target]
        count = 0
        if share > 0 and len(indices) > 1:
            count = min(max(round(share * len(indices)), 1), len(indices) - 1)
        held_out += random.Random(f"{seed}/{target}").sample(indices, count)
    chosen = set(held_out)
    return [index for index in range(len(targets)) if index not in chosen], sorted(held_out)


def hash_split(*parts: tuple[Path, Iterable[tuple[Path, int]]]) -> str:
    """sha256 of the parts' files, each a path below the part's folder with its class index, in
    order. It is the same wherever the folders lie, and does not look into the images."""
    digest = hashlib.sha256()
    for folder, files in parts:
        digest.update(b"part\0")
        for path, target in files:
            digest.update(os.fsencode(path.relative_to(folder)) + b"\0%d\0" % target)
    return digest.hexdigest()
