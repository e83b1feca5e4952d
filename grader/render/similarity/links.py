"""Where the pages of a comparison lie, relative to its folder."""

from __future__ import annotations

import hashlib
import re

from grader.similarity.model import Pair

CLASS_PAGE = "index.html"
PAIR_FOLDER = "pairs"
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_CHARS = 40


def pair_path(pair: Pair) -> str:
    """`pairs/A--B-0123abcd.html`: readable, and another one for every pair whatever the names."""
    digest = hashlib.sha256(f"{pair.left}\0{pair.right}\0{pair.archived}".encode()).hexdigest()[:8]
    return f"{PAIR_FOLDER}/{_slug(pair.left)}--{_slug(pair.right)}-{digest}.html"


def _slug(name: str) -> str:
    return _UNSAFE.sub("-", name).strip("-.")[:_NAME_CHARS] or "x"
