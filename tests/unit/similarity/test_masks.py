"""Masks: near the truth everybody's are alike; what tells is where they are wrong."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.extra.numpy import arrays

from grader.model import Gallery
from grader.render.gallery import mask_png
from grader.similarity.masks import (
    OVERLAP,
    Mask,
    MaskSignature,
    compare_signatures,
    read_signatures,
    relate_masks,
    same_scores,
    sign_mask,
    signatures_json,
)
from grader.similarity.model import MASKS_FILE, Evidence, Strength
from grader.similarity.sign_gallery import sign_gallery

IMAGES, SIDE_PX = 12, 48
Masks = dict[str, Mask]


def _blob(rng: np.random.Generator, centre: tuple[float, float], size: float) -> Mask:
    """A bumpy ellipse."""
    y, x = np.mgrid[:SIDE_PX, :SIDE_PX] / SIDE_PX
    angle = np.arctan2(y - centre[0], x - centre[1])
    bumps = sum(rng.normal(0, 0.05) * np.cos(k * angle + rng.uniform(0, 6)) for k in range(2, 7))
    return np.hypot((y - centre[0]) / 0.8, x - centre[1]) < size * (1 + bumps)


@pytest.fixture(scope="module")
def course() -> tuple[Masks, dict[str, Masks]]:
    """A truth, and 12 students whose masks lie 0.8 to 0.95 of it, each wrong in their own way and
    all of them a little too large."""
    rng = np.random.default_rng(5)
    centres = [(rng.uniform(0.4, 0.6), rng.uniform(0.4, 0.6)) for _ in range(IMAGES)]
    truth = {f"i{n}": _blob(rng, centre, 0.3) for n, centre in enumerate(centres)}
    students = {
        f"s{k:02}": {
            f"i{n}": _blob(rng, centre, 0.3 + rng.uniform(0.0, 0.05))
            for n, centre in enumerate(centres)
        }
        for k in range(12)
    }
    return truth, students


def _signed(students: dict[str, Masks], truth: Masks) -> dict[str, dict[str, MaskSignature]]:
    return {
        key: {item: sign_mask(mask, truth[item]) for item, mask in masks.items()}
        for key, masks in students.items()
    }


def _relate(students: dict[str, Masks], truth: Masks) -> dict[tuple[str, str], Evidence]:
    return relate_masks(_signed(students, truth))


def _with_flips(masks: Masks, share: float) -> Masks:
    rng = np.random.default_rng(0)
    return {item: mask ^ (rng.random(mask.shape) < share) for item, mask in masks.items()}


def _pixel_by_pixel(left: Masks, right: Masks, truth: Masks) -> tuple[float, float]:
    """Agreement and overlap of the errors, as anybody would count them."""
    both = sum(int(((left[i] != truth[i]) & (right[i] != truth[i])).sum()) for i in truth)
    either = sum(int(((left[i] != truth[i]) | (right[i] != truth[i])).sum()) for i in truth)
    return float(np.mean([(left[i] == right[i]).mean() for i in truth])), both / either


def test_an_honest_class_is_not_remarkable(course: tuple[Masks, dict[str, Masks]]) -> None:
    truth, students = course
    assert _relate(students, truth) == {}


def test_signatures_tell_what_the_pixels_tell(course: tuple[Masks, dict[str, Masks]]) -> None:
    """Samples of 16 places of 12 images: the standard error of an overlap is below 0.04."""
    truth, students = course
    signed = _signed(students, truth)
    for left, right in combinations(sorted(students)[:8], 2):
        measured = compare_signatures(signed[left], signed[right])
        agreement, overlap = _pixel_by_pixel(students[left], students[right], truth)
        assert measured.overlap == pytest.approx(overlap, abs=0.15)
        assert measured.agreement == pytest.approx(agreement, abs=0.02)
    one = compare_signatures(signed["s00"], signed["s00"])
    assert (one.identical, one.agreement, one.overlap) == (IMAGES, 1.0, 1.0)


@settings(max_examples=60, deadline=None)
@given(arrays(np.bool_, (3, 5)), arrays(np.bool_, (3, 5)), arrays(np.bool_, (3, 5)))
def test_of_few_errors_signatures_tell_all(left: Mask, right: Mask, true: Mask) -> None:
    measured = compare_signatures({"i": sign_mask(left, true)}, {"i": sign_mask(right, true)})
    ours, theirs = left != true, right != true
    assert measured.agreement == pytest.approx((left == right).mean())
    if (ours | theirs).any():
        assert measured.overlap == pytest.approx((ours & theirs).sum() / (ours | theirs).sum())


def test_equal_masks_are_found(course: tuple[Masks, dict[str, Masks]]) -> None:
    truth, students = course
    related = _relate(students | {"copy": dict(students["s03"])}, truth)
    assert {pair: e.code for pair, e in related.items()} == {("copy", "s03"): "masks.identical"}
    assert related["copy", "s03"].strength is Strength.STRONG


def test_nearly_equal_masks_are_found(course: tuple[Masks, dict[str, Masks]]) -> None:
    truth, students = course
    copy = _with_flips(students["s03"], 0.002)
    related = _relate(students | {"copy": copy}, truth)
    assert {pair: e.code for pair, e in related.items()} == {("copy", "s03"): "masks.shared-errors"}
    evidence = related["copy", "s03"]
    assert evidence.strength is Strength.STRONG
    _, overlap = _pixel_by_pixel(copy, students["s03"], truth)
    assert evidence.value == pytest.approx(overlap, abs=0.05)
    assert evidence.details["nearest"] == IMAGES


def test_mistakes_that_the_whole_class_makes_join_nobody(
    course: tuple[Masks, dict[str, Masks]],
) -> None:
    """A truth drawn too small: everybody is wrong along the same edge."""
    truth, _ = course
    rng = np.random.default_rng(2)
    wide = {
        item: cv2.dilate(mask.astype(np.uint8), np.ones((9, 9))) > 0 for item, mask in truth.items()
    }
    class_ = {f"s{k:02}": _with_flips_of(wide, rng) for k in range(12)}
    signed = _signed(class_, truth)
    measured = compare_signatures(signed["s00"], signed["s01"])
    assert measured.overlap > OVERLAP
    assert relate_masks(signed) == {}


def _with_flips_of(masks: Masks, rng: np.random.Generator) -> Masks:
    return {item: mask ^ (rng.random(mask.shape) < 0.002) for item, mask in masks.items()}


def test_a_mask_that_everybody_has_joins_nobody(course: tuple[Masks, dict[str, Masks]]) -> None:
    """The centred ellipse that the starter code writes, and blank masks."""
    truth, students = course
    rng = np.random.default_rng(1)
    ellipse = {item: _blob(rng, (0.5, 0.5), 0.35) for item in truth}
    same = {f"e{k}": dict(ellipse) for k in range(8)}
    related = _relate(students | same, truth)
    assert all("identical" not in e.code for e in related.values())
    blank = {item: np.zeros_like(mask) for item, mask in truth.items()}
    assert not any(one.digest for one in _signed({"x": blank}, truth)["x"].values())


def test_masks_of_another_size_or_item_are_left_out(
    course: tuple[Masks, dict[str, Masks]],
) -> None:
    truth, students = course
    signed = _signed(students, truth)
    odd = signed["s00"] | {
        "i0": sign_mask(np.ones((3, 5), bool), np.zeros((3, 5), bool)),
        "unknown": sign_mask(np.ones((4, 4), bool), np.zeros((4, 4), bool)),
    }
    assert compare_signatures(odd, signed["s01"]).images == IMAGES - 1
    assert relate_masks({"a": {}, "b": {}}) == {}
    assert relate_masks({"a": odd, "b": {"other": odd["i1"]}}) == {}
    with pytest.raises(ValueError, match="beside a truth"):
        sign_mask(np.ones((3, 5), bool), np.ones((5, 3), bool))


def test_signatures_are_read_again(course: tuple[Masks, dict[str, Masks]], tmp_path: Path) -> None:
    truth, students = course
    signed = _signed(students, truth)["s00"]
    path = tmp_path / MASKS_FILE
    path.write_text(signatures_json(signed))
    read = read_signatures(path)
    assert signatures_json(read) == signatures_json(signed)
    assert compare_signatures(read, signed).identical == IMAGES


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"format": 2, "images": {}}',
        '{"format": 1, "images": []}',
        '{"format": 1, "images": {"a": ["", 4, 2, "00000001"]}}',
        '{"format": 1, "images": {"a": ["", 4, 5, "0000000100000002"]}}',
        '{"format": 1, "images": {"a": ["", 4, true, "00000001"]}}',
        '{"format": 1, "images": {"a": ["", 4, 1, "0000000g"]}}',
        '{"format": 1, "images": {"a": ["", 4]}}',
    ],
)
def test_damaged_signatures_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / MASKS_FILE
    path.write_text(text)
    with pytest.raises(ValueError, match=r"signatures|mask|Expecting value|hexadecimal"):
        read_signatures(path)


def test_a_gallery_has_the_signatures_of_its_masks(
    course: tuple[Masks, dict[str, Masks]],
) -> None:
    truth, students = course
    gallery = [
        Gallery(item, f"{item}.jpg", None, None, None, b"", mask_png(true), mask_png(mask), None)
        for (item, true), mask in zip(truth.items(), students["s00"].values(), strict=True)
    ]
    gallery.append(Gallery("bare", "bare.jpg", None, None, None, b"", None, None, None))
    signed = sign_gallery(gallery)
    assert signatures_json(signed) == signatures_json(_signed(students, truth)["s00"])


def test_equal_scores_stand_for_equal_masks() -> None:
    rng = np.random.default_rng(0)
    scores = {f"s{k}": {f"i{n}": float(rng.random()) for n in range(20)} for k in range(10)}
    for values in scores.values():
        values["i0"], values["i1"], values["i2"], values["i3"] = 0.0, 1.0, 0.0, 0.25
    assert same_scores(scores) == {}
    scores["copy"] = dict(scores["s4"])
    assert set(same_scores(scores)) == {("copy", "s4")}
    scores["half"] = {k: v if k > "i14" else 0.1 for k, v in scores["s5"].items()}
    assert ("half", "s5") in same_scores(scores)
