"""Orders of classes: those that somebody wrote down, and the one that predictions bear out."""

from __future__ import annotations

import random

import pytest

from grader.networks.class_order import consistency, known_orders, label_key

CLASSES = ("ATLAS MOTH", "Iphiclus sister", "MONARCH", "zebra")


def told(**more: object) -> dict[str, tuple[str, ...]]:
    arguments = {"classes": CLASSES, "declared": None, "metadata": {}, "num_classes": 4} | more
    return {order.told_by: order.names for order in known_orders(**arguments)}  # type: ignore[arg-type]


def test_the_courses_order_comes_first_and_the_alphabet_second() -> None:
    listed = CLASSES[::-1]
    orders = known_orders(listed, CLASSES[1:] + CLASSES[:1], {}, 4)
    assert [(order.told_by, order.names) for order in orders[:3]] == [
        ("the course's list", listed),
        ("the alphabet", tuple(sorted(CLASSES))),
        ("the submission's own list", CLASSES[1:] + CLASSES[:1]),
    ]


def test_a_sorted_list_is_the_alphabet() -> None:
    orders = known_orders(sorted(CLASSES), CLASSES[::-1], {}, 4)
    assert [order.told_by for order in orders[:2]] == ["the alphabet", "the submission's own list"]


def test_the_alphabet_with_and_without_case_are_told_apart() -> None:
    orders = told(classes=("b", "C", "a"), num_classes=3)
    assert orders["the alphabet"] == ("C", "a", "b")
    assert orders["the alphabet without case"] == ("a", "b", "C")


def test_an_order_of_another_length_is_left_out() -> None:
    assert told(num_classes=5) == {}
    assert "the submission's own list" not in told(declared=CLASSES[:3])


def test_numbers_that_were_sorted_as_text() -> None:
    classes = tuple(f"c{number:02}" for number in range(12))
    names = told(classes=classes, num_classes=12)["numbers sorted as text"]
    assert names[:4] == ("c00", "c01", "c10", "c11")
    assert sorted(names) == list(classes)


@pytest.mark.parametrize(
    "saved",
    [
        list(CLASSES[::-1]),
        {name: index for index, name in enumerate(CLASSES[::-1])},
        {str(index): name for index, name in enumerate(CLASSES[::-1])},
        {name: str(index) for index, name in enumerate(CLASSES[::-1])},
    ],
    ids=["list", "name to number", "number to name", "text to text"],
)
def test_names_that_were_saved_with_the_weights(saved: object) -> None:
    if isinstance(saved, dict) and "zebra" in saved and saved["zebra"] == "0":
        # Text to text does not say which side is the number.
        assert "names in the checkpoint" not in told(metadata={"names": saved})
    else:
        assert told(metadata={"names": saved})["names in the checkpoint"] == CLASSES[::-1]


@pytest.mark.parametrize(
    "saved",
    [[], {}, [1, 2, 3, 4], {"a": 1, "b": 5}, {"a": 0, "b": 0}, 7, "abcd", {"a": 1.5}, None,
     {"1": "a", "x": "b"}, [["a"]], {"a": True, "b": False, "c": 2, "d": 3}],
)  # fmt: skip
def test_other_metadata_is_no_order(saved: object) -> None:
    assert not [name for name in told(metadata={"names": saved}) if "checkpoint" in name]


def test_spellings_of_one_class_are_equal() -> None:
    assert label_key(" Atlas_moth ") == label_key("ATLAS  MOTH")
    assert label_key("atlas") != label_key("moth")


def test_a_permutation_is_borne_out_and_noise_is_not() -> None:
    rng = random.Random(0)
    outputs = [rng.randrange(20) for _ in range(300)]
    names = [f"class {index * 7 % 20}" for index in range(20)]
    permuted = consistency(outputs, [names[output] for output in outputs])
    assert permuted.hits == permuted.count == 300
    assert all(permuted.names[index] == names[index] for index in range(20))
    noise = consistency(outputs, [rng.choice(names) for _ in outputs])
    assert noise.hits < 0.3 * noise.count


def test_one_image_a_class_bears_nothing_out() -> None:
    # Any labels at all fit some permutation then.
    told_by_one = consistency(list(range(50)), [f"class {index}" for index in range(50)])
    assert told_by_one.count == 0


def test_an_image_does_not_vote_for_itself() -> None:
    pair = consistency([3, 3], ["a", "b"])
    assert (pair.hits, pair.count) == (0, 2)
