"""A bounded number of pairs is shown in full, and nobody flagged is lost among them."""

from __future__ import annotations

from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.similarity import choose_pairs as module
from grader.similarity.choose_pairs import choose_pairs, divide_pairs, most_shown
from grader.similarity.model import Channel, Evidence, Pair, Region, Span, Strength

_NAMES = [f"s{n:02}" for n in range(20)]
_CLIQUE = [(left, right, True) for left, right in combinations(_NAMES, 2)]


def test_few_pairs_are_all_shown() -> None:
    assert choose_pairs(_CLIQUE[:7], 7) == list(range(7))


def test_of_a_clique_everybody_has_his_best_pair_and_the_rest_are_the_first_ones() -> None:
    chosen = choose_pairs(_CLIQUE, 25)
    assert len(chosen) == 25
    assert {name for i in chosen for name in _CLIQUE[i][:2]} == set(_NAMES)
    assert chosen[:19] == list(range(19)), "the first one's pairs are the best of everybody"


def test_an_unflagged_pair_takes_no_place_of_a_flagged_one() -> None:
    ranked = [*_CLIQUE[:3], ("a", "b", False), ("s18", "s19", True)]
    assert [ranked[i] for i in choose_pairs(ranked, 4)] == [*_CLIQUE[:3], ("s18", "s19", True)]


@given(
    st.lists(st.tuples(st.sampled_from(_NAMES), st.sampled_from(_NAMES), st.booleans())),
    st.integers(0, 30),
)
def test_never_more_than_the_bound_in_order_and_without_repetition(
    ranked: list[tuple[str, str, bool]], most: int
) -> None:
    chosen = choose_pairs(ranked, most)
    assert len(chosen) == min(most, len(ranked))
    assert chosen == sorted(set(chosen))


@pytest.mark.parametrize(("submissions", "shown"), [(2, 200), (300, 300), (5000, 500)])
def test_the_bound_grows_with_the_class_within_limits(submissions: int, shown: int) -> None:
    assert most_shown(submissions) == shown


def test_of_equal_pairs_those_with_regions_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LEAST_SHOWN", 4)
    region = Region(Span("a.py", 1, 2), Span("b.py", 3, 4), 1.0)
    aligned = Evidence(
        Channel.SOURCE, "code.similar", Strength.STRONG, "m", "w", "h", 1.0, regions=(region,)
    )
    pairs = [
        Pair(left, right, 1.0, True, (aligned,) if right == "s03" else ())
        for left, right, _ in _CLIQUE
        if right <= "s03"
    ]
    shown, others = divide_pairs(pairs, 4)
    assert {pair.key for pair in shown} >= {("s00", "s03"), ("s01", "s03"), ("s02", "s03")}
    assert (len(shown), len(others)) == (4, 2)
    assert {pair.key for pair in (*shown, *others)} == {pair.key for pair in pairs}
