"""Which class does each output of a network stand for?

The course's order is that of its list of classes; mostly it is the alphabet's, as of sorted folder
names. A network that was trained with its classes in another order is right under that order only;
where nobody wrote it down, the student's own predictions tell it, if there are enough images of
each class to check the guess.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ClassOrder:
    """`names[i]` is the class of output i. `told_by`: where the order comes from."""

    told_by: str
    names: tuple[str, ...]


def label_key(label: str) -> str:
    """What two spellings of one class have in common: letters without case, single spaces."""
    return " ".join(label.replace("_", " ").split()).casefold()


def course_order(classes: Sequence[str]) -> ClassOrder:
    """The order in which the course lists its classes."""
    is_sorted = list(classes) == sorted(classes)
    return ClassOrder("the alphabet" if is_sorted else "the course's list", tuple(classes))


def known_orders(
    classes: Sequence[str],
    declared: Sequence[str] | None,
    metadata: Mapping[str, Any],
    num_classes: int,
) -> tuple[ClassOrder, ...]:
    """Orders that somebody wrote down, each of exactly `num_classes` names; the course's first.

    `classes`: in the course's order; `declared`: as the submission declares them; `metadata`: as
    saved beside the weights, where a list of names or a mapping between names and numbers is looked
    for.
    """
    orders = [course_order(classes), ClassOrder("the alphabet", tuple(sorted(classes)))]
    if declared is not None:
        orders.append(ClassOrder("the submission's own list", tuple(declared)))
    orders += [
        ClassOrder(f"{key} in the checkpoint", names)
        for key, value in metadata.items()
        if (names := _names_in(value)) is not None
    ]
    orders.append(ClassOrder("the alphabet without case", tuple(sorted(classes, key=label_key))))
    # Class numbers that were sorted as text: 0, 1, 10, 11, …, 2, 20.
    as_text = sorted(range(len(classes)), key=str)
    listed = sorted(classes)
    orders.append(ClassOrder("numbers sorted as text", tuple(listed[i] for i in as_text)))
    kept: dict[tuple[str, ...], ClassOrder] = {}
    for order in orders:
        if len(order.names) == num_classes:
            kept.setdefault(order.names, order)
    return tuple(kept.values())


def _names_in(value: Any) -> tuple[str, ...] | None:
    """Class names in the order of their numbers, out of what students save."""
    if isinstance(value, list):
        return tuple(value) if value and all(isinstance(name, str) for name in value) else None
    if not isinstance(value, dict) or not value:
        return None
    pairs = [
        (name, number) if isinstance(number, int) else (number, name)
        for name, number in value.items()
    ]
    numbered: dict[int, str] = {}
    for name, number in pairs:
        text = str(number)
        if not isinstance(name, str) or not text.isdecimal() or len(text) > 6:
            return None
        numbered[int(text)] = name
    if sorted(numbered) != list(range(len(pairs))):
        return None
    return tuple(numbered[number] for number in range(len(pairs)))


@dataclass(frozen=True, slots=True)
class Consistency:
    """How well outputs tell labels when each image is judged by the others of its output.

    `hits` of `count` images: only those whose output was given to another image as well.
    """

    hits: int
    count: int
    names: Mapping[int, str]


def consistency(outputs: Sequence[int], labels: Sequence[str]) -> Consistency:
    """Whether equal outputs come with equal labels, image by image, itself left out.

    A guessed order can always be made to fit; a guess that is checked against images that it was
    not made from cannot. Both sequences: one entry per image.
    """
    by_output: defaultdict[int, list[str]] = defaultdict(list)
    for output, label in zip(outputs, labels, strict=True):
        by_output[output].append(label)
    hits = count = 0
    for group in by_output.values():
        counts = Counter(group)
        for label in group if len(group) > 1 else ():
            others = counts.copy()
            others[label] -= 1
            hits += others.most_common(1)[0][0] == label
            count += 1
    names = {output: Counter(group).most_common(1)[0][0] for output, group in by_output.items()}
    return Consistency(hits, count, names)
