"""A frozen class is what `@dataclass(frozen=True, slots=True)` makes of it."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, asdict, dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.frozen import frozen


@frozen
class Ours:
    """A value."""

    a: int
    b: str = "b"
    c: tuple[int, ...] = field(default_factory=tuple)


@dataclass(frozen=True, slots=True)
class Theirs:
    """The same by the standard library."""

    a: int
    b: str = "b"
    c: tuple[int, ...] = field(default_factory=tuple)


VALUES = st.tuples(st.integers(), st.text(), st.lists(st.integers()).map(tuple))


@given(VALUES, VALUES)
def test_equality_hash_repr_and_dict_are_those_of_the_standard_library(
    first: tuple[int, str, tuple[int, ...]], second: tuple[int, str, tuple[int, ...]]
) -> None:
    ours, theirs = Ours(*first), Theirs(*first)
    assert (ours == Ours(*second)) == (theirs == Theirs(*second))
    assert ours == Ours(*first)
    assert hash(ours) == hash(Ours(*first))
    assert repr(ours) == repr(theirs).replace("Theirs", "Ours")
    assert asdict(ours) == asdict(theirs)
    assert copy.deepcopy(ours) == ours == pickle.loads(pickle.dumps(ours))
    assert replace(ours, a=first[0] + 1).a == first[0] + 1


def test_a_value_stays_as_it_is() -> None:
    value = Ours(1)
    with pytest.raises(FrozenInstanceError):
        value.a = 2  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        del value.a
    with pytest.raises(FrozenInstanceError):
        value.d = 2  # type: ignore[attr-defined]
    assert value == Ours(1, "b", ())
    assert value != Theirs(1)
