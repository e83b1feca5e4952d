"""Written names → true names, strictest reading first."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from grader.readers.image_names import ImageNames

FLAT = ImageNames(["img_1.jpg", "img_2.png", "IMG_3.JPG", "(4).png", "caf\u00e9.png"])
NESTED = ImageNames(["ADONIS/2.jpg", "MONARCH/2.jpg", "MONARCH/7.jpg"])


@pytest.mark.parametrize(
    ("written", "name", "code"),
    [
        ("img_1.jpg", "img_1.jpg", ""),
        (" 'img_1.jpg'\n", "img_1.jpg", "labels.name-spelling"),
        ("IMG_1.JPG", "img_1.jpg", "labels.name-spelling"),
        (unicodedata.normalize("NFD", "café.png"), "café.png", "labels.name-spelling"),
        ("/test/img_1.jpg", "img_1.jpg", "labels.paths"),
        ("..\\..\\img_1.jpg", "img_1.jpg", "labels.paths"),
        ("img_1", "img_1.jpg", "labels.other-suffix"),
        ("img_1.png", "img_1.jpg", "labels.other-suffix"),
        ("test/img_2.jpg", "img_2.png", "labels.other-suffix"),
        ("img_3", "IMG_3.JPG", "labels.other-suffix"),
        ("('img_1.jpg',)", "img_1.jpg", "labels.name-spelling"),
        ("['img_1.jpg']", "img_1.jpg", "labels.name-spelling"),
        ('[("/test/img_1.jpg",)]', "img_1.jpg", "labels.other-suffix"),
        ("(4)", "(4).png", "labels.other-suffix"),
        ("[(4)]", None, ""),
        ("('img_9.jpg', 'img_1.jpg')", None, ""),
        ("img_9.jpg", None, ""),
        ("", None, ""),
        ("/", None, ""),
    ],
)
def test_flat_names(written: str, name: str | None, code: str) -> None:
    assert FLAT.resolve(written) == (name, code)


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("ADONIS/2.jpg", "ADONIS/2.jpg"),
        ("data/test/MONARCH/2.jpg", "MONARCH/2.jpg"),
        ("7.jpg", "MONARCH/7.jpg"),
        ("2.jpg", None),  # which of the two?
        ("CLEOPATRA/2.jpg", None),
    ],
)
def test_names_with_folders(written: str, name: str | None) -> None:
    assert NESTED.resolve(written)[0] == name


def test_a_looser_reading_that_means_two_images_means_none() -> None:
    names = ImageNames(["a.jpg", "a.png", "B.jpg", "b.jpg"])
    assert names.resolve("a.jpg") == ("a.jpg", "")
    assert names.resolve("a") == (None, "")
    assert names.resolve("b.JPG") == (None, "")


@given(st.lists(st.text(min_size=1), unique=True, min_size=1), st.text())
def test_any_text_resolves_to_a_name_or_to_none(names: list[str], written: str) -> None:
    images = ImageNames(names)
    assert all(images.resolve(name) == (name, "") for name in names)
    name, code = images.resolve(written)
    assert name is None or name in names
    assert (code == "") == (name is None or name == written)
