"""Hashes of slices, winnowing's guarantee, base code."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.similarity_classes import obfuscate
from grader.similarity.source.fingerprint import (
    GRAM,
    WINDOW,
    K,
    fingerprint,
    tokens_of,
    winnowed,
)
from grader.similarity.source.slice_hashes import SliceHashes, text_hash
from tests.unit.similarity.source.students import base_of, changed, honest, tree

TOKENS = st.lists(st.integers(0, 3), min_size=0, max_size=60)


def _hashed(values: list[int]) -> np.typing.NDArray[np.uint64]:
    return np.array([text_hash(str(value)) for value in values], np.uint64)


@given(TOKENS, st.data())
def test_equal_slices_and_only_they_have_equal_hashes(
    values: list[int], data: st.DataObject
) -> None:
    hashes = SliceHashes(_hashed(values))
    ends = data.draw(st.lists(st.integers(0, len(values)), min_size=4, max_size=4))
    (a, b), (c, d) = sorted(ends[:2]), sorted(ends[2:])
    left, right = hashes(np.array([a, c]), np.array([b, d]))
    assert (left == right) == (values[a:b] == values[c:d])


@given(TOKENS, st.integers(1, 9))
def test_grams_are_the_hashes_of_their_slices(values: list[int], k: int) -> None:
    hashes = SliceHashes(_hashed(values))
    starts = np.arange(max(0, len(values) - k + 1))
    assert hashes.grams(k).tolist() == hashes(starts, starts + k).tolist()


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 50), max_size=60),
    st.lists(st.integers(0, 50), max_size=60),
    st.lists(st.integers(0, 50), min_size=K + WINDOW - 1, max_size=K + WINDOW + 20),
)
def test_every_common_stretch_of_the_guaranteed_length_is_found(
    before: list[int], other: list[int], shared: list[int]
) -> None:
    """Schleimer, Wilkerson & Aiken: at least one k-gram of a match of w + k − 1 is chosen twice."""

    def chosen(values: list[int]) -> set[int]:
        grams = SliceHashes(_hashed(values)).grams(K)
        return {int(grams[place]) for place in winnowed(grams)}

    assert chosen([*before, *shared]) & chosen([*shared, *other])


def test_base_code_leaves_nothing_of_itself() -> None:
    (files,) = honest(1).values()
    left = fingerprint(tree("a", files), base_of(files))
    assert len(left.hashes) == 0
    assert left.own_tokens == 0
    assert left.num_tokens > 0


def test_a_renamed_copy_of_the_base_code_is_base_code() -> None:
    (files,) = honest(1).values()
    left = fingerprint(tree("a", changed(files, obfuscate.renames)), base_of(files))
    assert len(left.hashes) <= 2
    assert left.own_tokens < 0.01 * left.num_tokens


def test_what_a_base_does_not_hold_stays() -> None:
    first, second = honest(2).values()
    alone = fingerprint(tree("a", first))
    beside = fingerprint(
        tree("a", {**first, **{f"given/{p}": t for p, t in second.items()}}), base_of(second)
    )
    own = set(alone.hashes[alone.kinds != GRAM].tolist())
    assert set(beside.hashes.tolist()) <= set(alone.hashes.tolist())
    assert len(set(beside.hashes[beside.kinds != GRAM].tolist())) > 0.5 * len(own)


def test_the_digest_is_that_of_the_program_not_of_names_or_comments() -> None:
    (files,) = honest(1).values()
    digest = fingerprint(tree("a", files)).digest
    assert fingerprint(tree("b", changed(files, obfuscate.comments))).digest == digest
    assert fingerprint(tree("c", {**files, "more.py": "x = 1 + len('y')\n"})).digest != digest


def test_units_are_functions_with_their_lines() -> None:
    text = "import os\n\n\ndef f(a):\n    b = a * 2\n    return b, b\n\n\nclass A:\n    def g(self):\n        return os.getcwd()\n"
    left = fingerprint(tree("a", {"m.py": text}))
    spans = {tuple(row) for row in left.unit_spans[:, 1:].tolist()}
    assert {(4, 6), (10, 11)} <= spans


BROKEN = "\n\ndef broken(:\n    x = (1,\n"


def test_a_file_with_a_syntax_error_keeps_nearly_all_its_features() -> None:
    (files,) = honest(1).values()
    whole = fingerprint(tree("a", files))
    torn = fingerprint(tree("b", {path: text + BROKEN for path, text in files.items()}))
    features = set(whole.hashes[whole.kinds != GRAM].tolist())
    assert len(features & set(torn.hashes.tolist())) > 0.9 * len(features)


def test_python_2_is_compared() -> None:
    text = "import numpy as np\n{print}\ndef f(a, b):\n    c = np.dot(a, b) / np.linalg.norm(a)\n    return np.abs(c) + 1\n"
    old = fingerprint(tree("a", {"m.py": text.format(print="print 'hello'")}))
    new = fingerprint(tree("b", {"m.py": text.format(print="print('hello')")}))
    assert set(new.hashes[new.kinds != GRAM].tolist()) <= set(old.hashes.tolist())


def test_deep_nesting_is_no_recursion_error() -> None:
    deep = "x = " + "(" * 150 + "1" + ")" * 150 + "\n"
    sums = "y = " + " + ".join(f"f({i})" for i in range(5000)) + "\n"
    lists = "z = " + "[" * 90 + "]" * 90 + "\n"
    attributes = "w = a" + ".b()" * 3000 + "\n"
    text = f"import numpy as np\n{deep}{sums}{lists}{attributes}v = np.linalg.norm(np.ones(3), 2)\n"
    kept = fingerprint(tree("a", {"m.py": text}))
    plain = fingerprint(
        tree("b", {"m.py": "import numpy as np\nv = np.linalg.norm(np.ones(3), 2)\n"})
    )
    assert set(plain.hashes[plain.kinds != GRAM].tolist()) <= set(kept.hashes.tolist())


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=200))
def test_any_text_is_compared(text: str) -> None:
    left = fingerprint(tree("a", {"m.py": text}))
    assert left.num_tokens == len(tokens_of(tree("a", {"m.py": text})).tokens)
    assert len(left.hashes) == len(left.units) == len(left.kinds) == len(left.sizes)
