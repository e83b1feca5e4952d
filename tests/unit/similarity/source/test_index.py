"""The inverted index against the obvious comparison of every unit with every other."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.similarity.source import index as module
from grader.similarity.source.fingerprint import Fingerprint
from grader.similarity.source.index import build_index, find_places

UNITS = st.lists(st.lists(st.integers(0, 12), max_size=6), min_size=1, max_size=4)


def _print(name: str, units: list[list[int]]) -> Fingerprint:
    features = [(value, unit) for unit, values in enumerate(units) for value in values]
    count = len(features)
    return Fingerprint(
        name=name,
        hashes=np.array([value for value, _ in features], np.uint64),
        kinds=np.zeros(count, np.uint8),
        units=np.array([unit for _, unit in features], np.int32),
        sizes=np.ones(count, np.uint16),
        unit_spans=np.ones((len(units), 3), np.int32),
        texts=(("m.py", 0),),
        num_tokens=count,
        own_tokens=count,
        num_lines=1,
        digest=0,
    )


@settings(max_examples=80, deadline=None)
@given(st.lists(UNITS, min_size=1, max_size=5))
def test_places_are_those_of_the_obvious_comparison(class_: list[list[list[int]]]) -> None:
    index = build_index([_print(str(i), units) for i, units in enumerate(class_)])
    places = find_places(index, np.ones((1, len(index.units))))
    units = [(owner, set(values)) for owner, units in enumerate(class_) for values in units]
    expected = {
        (i, j): len(units[i][1] & units[j][1])
        for j in range(len(units))
        for i in range(j)
        if units[i][0] != units[j][0] and units[i][1] & units[j][1]
    }
    found = dict(
        zip(
            zip(places.left.tolist(), places.right.tolist(), strict=True),
            places.shared[0].tolist(),
            strict=True,
        )
    )
    assert found == pytest.approx(expected)
    assert places.whole[0].tolist() == [len(values) for _, values in units]


def test_spread_counts_submissions_and_not_functions() -> None:
    index = build_index([_print("a", [[5], [5], [6]]), _print("b", [[5]]), _print("c", [[7]])])
    assert dict(zip([5, 6, 7], index.spread.tolist(), strict=True)) == {5: 2, 6: 1, 7: 1}


def test_what_is_left_out_for_cost_is_left_out_of_the_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A copy stays a whole copy when the budget does not reach for the common feature."""
    class_ = [_print(str(i), [[1], [1], [1, 100 + i]]) for i in range(6)]
    class_ += [_print("a", [[1, 7, 8, 9]]), _print("b", [[1, 7, 8, 9]])]
    monkeypatch.setattr(module, "_PLACES_A_SUBMISSION", 1)
    index = build_index(class_)
    places = find_places(index, np.ones((1, len(index.units))))
    assert places.shared[0].tolist() == [3.0]
    assert places.whole[0][places.left[0]] == places.whole[0][places.right[0]] == 3.0
