"""Networks trained for the purpose: who is related to whom, and who only looks like it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from grader.errors import UsageError
from grader.similarity.checkpoints import candidates as candidates_module
from grader.similarity.checkpoints import public
from grader.similarity.checkpoints.align import aligned_cosine, best_assignment
from grader.similarity.checkpoints.candidates import (
    find_candidates,
    most_alike,
    sketches_by_shape,
)
from grader.similarity.checkpoints.compare import CheckpointComparison, compare_checkpoints
from grader.similarity.checkpoints.describe import describe_checkpoint, is_weight
from grader.similarity.checkpoints.match_weights import estimated_cosine, match_by_direction
from grader.similarity.checkpoints.related import RelatedCheckpoints, relate_checkpoints
from grader.similarity.model import Strength
from tests.unit.similarity.trained_networks import (
    Weights,
    as_half,
    images,
    predict,
    pruned,
    renamed_and_shuffled,
    trace,
    train,
    with_noise,
    with_permuted_channels,
)

NOBODY = public.Published({}, ())


@pytest.fixture(scope="module")
def source() -> Weights:
    return train(initial_seed=1, order_seed=101, steps=60)


@pytest.fixture(scope="module")
def strangers() -> list[Weights]:
    return [train(initial_seed=2 + i, order_seed=102 + i, steps=60) for i in range(4)]


@pytest.fixture(scope="module")
def same_start() -> list[Weights]:
    return [train(initial_seed=42, order_seed=202 + i, steps=60) for i in range(5)]


def _compare(left: Weights, right: Weights) -> CheckpointComparison:
    return compare_checkpoints(trace("a", left), left, trace("b", right), right)


def _relate(weights: dict[str, Weights]) -> RelatedCheckpoints:
    traces = [trace(key, value) for key, value in weights.items()]
    return relate_checkpoints(traces, weights.__getitem__, published=NOBODY)


# --------------------------------------------------------------------------- two checkpoints


def test_strangers_are_strangers(source: Weights, strangers: list[Weights]) -> None:
    for other in strangers:
        compared = _compare(source, other)
        assert abs(compared.cosine) < 0.05
        assert compared.aligned is not None
        assert compared.aligned < 0.6
        assert compared.same == compared.rounded == 0
        assert compared.directions == ()


def test_the_same_start_lies_between(same_start: list[Weights]) -> None:
    compared = _compare(same_start[0], same_start[1])
    assert 0.5 < compared.cosine < 0.9


COPIES: dict[str, tuple[Callable[[Weights], Weights], str | None]] = {
    "verbatim": (dict, None),
    "half": (as_half, "left"),
    "a hundredth of noise": (lambda w: with_noise(w, 0.01), None),
    "a tenth of noise": (lambda w: with_noise(w, 0.1), "left"),
    "renamed": (renamed_and_shuffled, None),
    "renamed with noise": (lambda w: with_noise(renamed_and_shuffled(w), 0.1), "left"),
    "pruned": (lambda w: pruned(w, 0.2), "left"),
    "fine-tuned": (
        lambda w: train(initial_seed=9, order_seed=5, steps=15, start=w, learning_rate=0.005),
        "left",
    ),
}


@pytest.mark.parametrize("name", COPIES)
def test_a_copy_points_where_its_source_points(source: Weights, name: str) -> None:
    change, first = COPIES[name]
    copy = change(source)
    compared = _compare(source, copy)
    assert compared.cosine > 0.98
    assert {direction.first for direction in compared.directions} == ({first} if first else set())
    turned = _compare(copy, source)
    other = {"left": "right", None: None}[first]
    assert {direction.first for direction in turned.directions} == ({other} if other else set())
    assert turned.cosine == pytest.approx(compared.cosine, abs=1e-6)


@pytest.mark.parametrize("rescaled", [False, True])
@pytest.mark.parametrize("noise", [0.0, 0.1])
def test_channels_in_another_order_are_put_back(
    source: Weights, strangers: list[Weights], rescaled: bool, noise: float
) -> None:
    for seed, original in enumerate((source, *strangers)):
        copy = with_noise(with_permuted_channels(original, seed, rescaled=rescaled), noise)
        compared = _compare(original, copy)
        assert compared.cosine < 0.2
        assert compared.aligned is not None
        assert compared.aligned > 0.98


def test_weights_in_another_order_and_channels_too(source: Weights) -> None:
    copy = renamed_and_shuffled(with_permuted_channels(source, rescaled=True))
    compared = _compare(source, copy)
    assert compared.aligned is not None
    assert compared.aligned > 0.98


def test_reordering_and_rescaling_changed_no_answer(source: Weights) -> None:
    pictures, _ = images(999, 100)
    copy = with_permuted_channels(source, rescaled=True)
    assert (predict(source, pictures) == predict(copy, pictures)).all()


def test_frozen_layers_are_told_apart_from_the_rest(
    source: Weights, strangers: list[Weights]
) -> None:
    taken = dict(strangers[0])
    taken["same.weight"] = source["same.weight"]
    related = _relate({"a": source, "b": taken})
    (evidence,) = related.pairs["a", "b"]
    assert evidence.code == "checkpoint.same-layers"
    assert evidence.value == pytest.approx(32 * 32 * 9 / 23_728, abs=1e-3)


def test_another_head_is_no_obstacle(source: Weights) -> None:
    other = train(initial_seed=9, order_seed=5, steps=10, start=source, learning_rate=0.005)
    other["fc.weight"] = np.random.default_rng(0).normal(size=(50, 32)).astype(np.float32)
    (evidence,) = _relate({"a": source, "b": other}).pairs["a", "b"]
    assert evidence.code == "checkpoint.nearly-equal"


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 3), st.integers(0, 3), st.floats(0, 1))
def test_no_other_architecture_with_much_in_common_is_passed_over(
    seed: int, more: int, fewer: int, mixture: float
) -> None:
    """What is looked at first bounds what the best match gives, in whatever order weights come."""
    rng = np.random.default_rng(seed)
    base = [rng.normal(size=(4, 9)).astype(np.float32) for _ in range(5)]
    copied = [mixture * w + (1 - mixture) * rng.normal(size=w.shape) for w in base[fewer:]]
    added = [rng.normal(size=(4, 9)) for _ in range(more)] + [rng.normal(size=(7, 4))]
    order = rng.permutation(len(copied) + len(added))
    other = [(copied + added)[i].astype(np.float32) for i in order]
    one, two = (
        describe_checkpoint(key, key, {f"w{n}": w for n, w in enumerate(weights)})
        for key, weights in (("a", base), ("b", other))
    )
    matches = match_by_direction(one.weights, two.weights)
    estimate = estimated_cosine(one.weights, two.weights, matches)
    for left, right in ((one, two), (two, one)):
        assert most_alike(left, sketches_by_shape([right]))[0] >= estimate - 1e-5


def test_weights_that_are_not_finite_or_empty_do_no_harm(source: Weights) -> None:
    floats = {name: value for name, value in source.items() if value.dtype == np.float32}
    broken = {name: np.full_like(value, np.nan) for name, value in floats.items()}
    huge = {name: (value * 1e30).astype(np.float64) * 1e30 for name, value in source.items()}
    empty: Weights = {"x": np.zeros((0, 3), np.float32), "y": np.ones((3, 3), np.float32)}
    related = _relate({"a": source, "b": broken, "c": huge, "d": empty, "e": {}})
    assert related.pairs == {}


def test_what_starts_alike_in_every_network_is_no_weight() -> None:
    rng = np.random.default_rng(0)
    assert is_weight(rng.normal(size=(4, 3, 3, 3)).astype(np.float32))
    assert not is_weight(np.ones((16, 8, 8), np.float32) + 0.1 * rng.normal(size=(16, 8, 8)))
    assert not is_weight(rng.normal(size=(1, 16, 1, 1)))
    assert not is_weight(np.arange(6).reshape(2, 3))


# --------------------------------------------------------------------------- a class


def test_a_class_with_a_starter_seed_accuses_nobody(
    strangers: list[Weights], same_start: list[Weights]
) -> None:
    weights = {f"own{i}": value for i, value in enumerate(strangers)}
    weights |= {f"start{i}": value for i, value in enumerate(same_start)}
    related = _relate(weights)
    assert related.groups == (tuple(f"start{i}" for i in range(5)),)
    assert {e.strength for found in related.pairs.values() for e in found} == {Strength.CONTEXT}
    assert all(left[:5] == right[:5] == "start" for left, right in related.pairs)


def test_a_copy_among_those_who_share_a_seed_is_found(same_start: list[Weights]) -> None:
    weights = {f"start{i}": value for i, value in enumerate(same_start)}
    weights["late"] = train(
        initial_seed=9, order_seed=77, steps=15, start=same_start[2], learning_rate=0.005
    )
    related = _relate(weights)
    strong = {
        pair: e for pair, found in related.pairs.items() for e in found if e.strength != "context"
    }
    assert set(strong) == {("late", "start2")}
    assert strong["late", "start2"].direction == "right"


def test_very_short_training_from_one_seed_is_no_copy() -> None:
    """Cosines above 0.99, and still everybody's own work."""
    weights = {
        f"s{i}": train(initial_seed=43, order_seed=400 + i, steps=12, learning_rate=0.01)
        for i in range(5)
    }
    related = _relate(weights)
    values = [e.value or 0 for found in related.pairs.values() for e in found]
    assert max(values) > 0.99
    assert {e.strength for found in related.pairs.values() for e in found} == {Strength.CONTEXT}


def test_every_copy_of_a_class_is_found_and_nobody_else(strangers: list[Weights]) -> None:
    weights = {f"own{i}": value for i, value in enumerate(strangers)}
    weights["x0"] = with_permuted_channels(strangers[0], rescaled=True)
    weights["x1"] = with_noise(with_permuted_channels(strangers[1]), 0.05)
    weights["x2"] = as_half(strangers[2])
    weights["x3"] = with_noise(renamed_and_shuffled(strangers[3]), 0.02)
    related = _relate(weights)
    assert set(related.pairs) == {(f"own{i}", f"x{i}") for i in range(4)}
    codes = [related.pairs[f"own{i}", f"x{i}"][0].code.split(".")[1] for i in range(4)]
    assert codes == ["reordered", "reordered", "same-weights", "nearly-equal"]
    assert {e.strength for found in related.pairs.values() for e in found} == {Strength.STRONG}


def test_the_same_file_needs_not_be_opened(source: Weights) -> None:
    one, other = trace("a", source), replace(trace("a", source), key="b")
    related = relate_checkpoints(
        [one, other], {"a": source, "b": source}.__getitem__, published=NOBODY
    )
    assert related.pairs["a", "b"][0].code == "checkpoint.same-file"


def test_weights_are_opened_for_candidates_only(strangers: list[Weights]) -> None:
    """What is opened grows with the class and not with its square."""
    rng = np.random.default_rng(0)
    weights = {
        f"n{i:03}": {
            "a.weight": (rng.normal(size=(16, 8, 3, 3)) * rng.uniform(0.5, 2)).astype(np.float32),
            "b.weight": rng.standard_t(rng.uniform(2, 30), size=(24, 16, 3, 3)).astype(np.float32),
        }
        for i in range(60)
    }
    candidates = find_candidates([trace(key, value) for key, value in weights.items()])
    assert len(candidates.class_cosines) == 60 * 59 // 2
    assert len(candidates.to_open) <= 4 * 60


def test_a_large_group_of_equals_is_joined_to_its_first() -> None:
    weights: Weights = {
        "a.weight": np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    }
    traces = [describe_checkpoint(f"k{i:03}", "f" * 64, weights) for i in range(200)]
    by_hash = {pair for pair in find_candidates(traces).to_open if pair[0] == "k000"}
    assert by_hash >= {("k000", f"k{i:03}") for i in range(1, 200)}


def test_of_many_copies_each_is_measured_beside_its_nearest_ones_only(
    source: Weights, monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = {f"k{i:02}": with_noise(source, 1e-4, seed=i) for i in range(24)}
    every = _relate(weights)
    assert (len(every.pairs), every.left_out) == (24 * 23 // 2, 0)
    monkeypatch.setattr(candidates_module, "_MOST_OPENED", 20)
    monkeypatch.setattr(candidates_module, "_LARGE_GROUP", 10)
    few = _relate(weights)
    assert len(few.pairs) <= 24 * 8
    assert len(few.pairs) + few.left_out == len(every.pairs)
    assert {name for pair in few.pairs for name in pair} == set(weights)
    assert {("k00", f"k{i:02}") for i in range(1, 24)} <= set(few.pairs)
    for pair, evidence in few.pairs.items():
        assert evidence == every.pairs[pair]


def test_one_file_in_everybodys_hands_is_never_opened(source: Weights) -> None:
    shared = [replace(trace("x", source), key=f"k{i:03}") for i in range(70)]
    related = relate_checkpoints(shared, dict[str, Weights]().__getitem__, published=NOBODY)
    assert len(related.pairs) == 70 * 69 // 2
    assert {found.code for (found,) in related.pairs.values()} == {"checkpoint.same-file"}


# --------------------------------------------------------------------------- building blocks


@given(st.integers(1, 9), st.integers(0, 10_000), st.booleans())
def test_the_assignment_is_the_best_one(size: int, seed: int, ties: bool) -> None:
    linear_sum_assignment = pytest.importorskip("scipy.optimize").linear_sum_assignment
    rng = np.random.default_rng(seed)
    profit = (
        rng.integers(0, 3, (size, size)).astype(float) if ties else rng.normal(size=(size,) * 2)
    )
    chosen = best_assignment(profit)
    assert sorted(chosen) == list(range(size))
    rows, columns = linear_sum_assignment(-profit)
    assert profit[range(size), chosen].sum() == pytest.approx(profit[rows, columns].sum())


@given(st.integers(0, 10_000), st.sampled_from([(5, 3, 3, 3), (8, 8, 3, 3), (10, 6), (7, 4, 1, 1)]))
def test_any_reordering_and_rescaling_is_undone(seed: int, shape: tuple[int, ...]) -> None:
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=shape).astype(np.float32)
    scale = rng.uniform(0.1, 10, (shape[0],) + (1,) * (len(shape) - 1)).astype(np.float32)
    other = weight[rng.permutation(shape[0])][:, rng.permutation(shape[1])] * scale
    assert aligned_cosine(weight, other) == pytest.approx(1, abs=1e-4)


def test_nothing_is_aligned_with_nothing() -> None:
    assert aligned_cosine(np.zeros((3, 3), np.float32), np.ones((3, 3), np.float32)) == 0


@given(st.integers(0, 1000), st.floats(-1, 1))
def test_sketches_estimate_cosines(seed: int, wanted: float) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=(2, 40, 20, 3, 3)).astype(np.float32)
    mixed = {f"{i}": wanted * a + np.sqrt(1 - wanted**2) * b for i in range(1)}
    left, right = trace("a", {"0": a}), trace("b", mixed)
    matches = match_by_direction(left.weights, right.weights)
    assert estimated_cosine(left.weights, right.weights, matches) == pytest.approx(wanted, abs=0.6)


# --------------------------------------------------------------------------- public weights


@pytest.fixture
def published(tmp_path: Path, source: Weights) -> public.Published:
    text = json.dumps(public.fingerprint("a public network", trace("public", source)))
    assert len(text) < 4_000
    (tmp_path / "a.weights.json").write_text(text)
    files = {"schema_version": 1, "files": {"abcdef12": "a public file"}}
    (tmp_path / "b.files.json").write_text(json.dumps(files))
    return public.read_published((tmp_path,))


@pytest.mark.parametrize("name", [name for name in COPIES if name != "pruned"])
def test_what_derives_from_public_weights_is_recognised(
    source: Weights, published: public.Published, name: str
) -> None:
    match = public.find_public(trace("x", COPIES[name][0](source)), published)
    assert match is not None
    assert match.name == "a public network"
    assert match.cosine > 0.9


def test_what_does_not_is_not(
    strangers: list[Weights], same_start: list[Weights], published: public.Published
) -> None:
    for other in (*strangers, *same_start):
        assert public.find_public(trace("x", other), published) is None


def test_a_published_file_is_known_by_its_hash(
    strangers: list[Weights], published: public.Published
) -> None:
    downloaded = describe_checkpoint("x", "abcdef12" + "0" * 56, strangers[0])
    match = public.find_public(downloaded, published)
    assert match is not None
    assert match.same_file


def test_two_that_derive_from_public_weights_do_not_derive_from_each_other(
    source: Weights, published: public.Published
) -> None:
    weights = {
        key: train(initial_seed=9, order_seed=seed, steps=10, start=source, learning_rate=0.005)
        for key, seed in (("a", 11), ("b", 12))
    }
    traces = [trace(key, value) for key, value in weights.items()]
    related = relate_checkpoints(traces, weights.__getitem__, published=published)
    assert {e.strength for found in related.pairs.values() for e in found} == {Strength.CONTEXT}
    assert {f.code for found in related.findings.values() for f in found} == {
        "checkpoint.public-weights"
    }
    allowed = relate_checkpoints(
        traces, weights.__getitem__, published=published, from_scratch=False
    )
    assert allowed.findings == {}


@pytest.mark.parametrize(
    "text",
    [
        "{",
        "{}",
        '{"schema_version": 9, "weights": []}',
        '{"schema_version": 1, "name": "x", "sha256": "", "weights": [{"sketch": "AAAA"}]}',
    ],
)
def test_a_damaged_fingerprint_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "bad.weights.json").write_text(text)
    with pytest.raises(UsageError, match=r"bad\.weights\.json"):
        public.read_published((tmp_path,))


def test_the_published_files_are_those_of_torchvision() -> None:
    models = pytest.importorskip("torchvision.models")
    urls = {
        weights.url for name in models.list_models() for weights in models.get_model_weights(name)
    }
    digits = {url.rsplit("-", 1)[-1].removesuffix(".pth") for url in urls if "-" in url}
    assert set(public.shipped().files) <= digits
    assert len(public.shipped().files) > 100
