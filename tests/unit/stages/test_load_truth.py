"""The course's own images, masks and labels: what fits together, and what is refused by name."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from grader.errors import TruthError
from grader.model import Truth
from grader.stages.load_truth import load_truth, truth_masks, with_staged_names

REAL = Path(__file__).parents[4] / "shared/data/butterflies"
Course = Any  # the fixture's class lives in conftest.py


def load(course: Course, **changes: Any) -> Truth:
    arguments = {
        "masks_dir": course.masks,
        "images_dir": None,
        "labels_csv": None,
        "classes": None,
        "assignment": course.assignment,
    }
    return load_truth(**(arguments | changes))


# --------------------------------------------------------------------------- what fits


def test_images_masks_and_labels_are_paired(full_course: Course) -> None:
    truth = load(full_course)
    assert [item.name for item in truth.items][:2] == ["ADONIS/1.jpg", "ADONIS/2.jpg"]
    assert [item.label for item in truth.items] == [item.name.split("/")[0] for item in truth.items]
    assert all(item.image.is_file() and item.mask.is_file() for item in truth.items if item.mask)
    assert (truth.classes, truth.classes_from) == (
        ("ADONIS", "BLUE MORPHO", "MONARCH"),
        "the definition",
    )
    assert len(truth.items) == 9


def test_masks_are_decoded_once_and_cannot_be_changed(full_course: Course) -> None:
    truth = load(full_course)
    masks = truth_masks(truth)
    assert truth_masks(truth) is masks
    assert set(masks) == {item.stem for item in truth.items}
    mask = next(iter(masks.values()))
    with pytest.raises(ValueError, match="read-only"):
        mask[0, 0] = True


def test_staged_names_say_nothing(full_course: Course) -> None:
    truth = load(full_course)
    names = [item.staged_name for item in truth.items]
    assert all(re.fullmatch(r"img_\d{3}_[a-z0-9]{8}\.jpg", name) for name in names)
    assert len(set(names)) == 9
    assert sorted(int(name[4:7]) for name in names) == list(range(9))
    assert names != sorted(names)  # their numbers do not follow the classes
    assert names == [item.staged_name for item in load(full_course).items]  # but are reproducible


def test_another_seed_gives_other_names_and_keeps_suffixes(full_course: Course) -> None:
    items = load(full_course).items
    others = with_staged_names(items, 1)
    assert not {item.staged_name for item in items} & {item.staged_name for item in others}
    assert [item.name for item in items] == [item.name for item in others]
    assert all(item.staged_name.endswith(".jpg") for item in others)


def test_the_digest_is_of_contents_and_labels_not_of_places(
    full_course: Course, tmp_path: Path
) -> None:
    before = load(full_course)
    moved = tmp_path / "elsewhere"
    shutil.copytree(full_course.root, moved)
    same = load(full_course, masks_dir=moved / "MASKS" / "test")
    assert same.sha256 == before.sha256
    assert same.staging_seed == before.staging_seed
    explicit = load(full_course, classes=("MONARCH", "BLUE MORPHO", "ADONIS"))
    assert explicit.sha256 != before.sha256
    full_course.add("ADONIS/1", seed=1)
    assert load(full_course).sha256 != before.sha256


@pytest.mark.parametrize("masks", ["MASKS", "Masks", "gt_masks", "segmaps"])
def test_the_sibling_tree_is_found_by_the_masks_folder(full_course: Course, masks: str) -> None:
    (full_course.root / "MASKS").rename(full_course.root / masks)
    whole = load(full_course, masks_dir=full_course.root / masks)
    assert [item.name for item in whole.items][:1] == ["test/ADONIS/1.jpg"]
    assert whole.items[0].label == "ADONIS"
    split = load(full_course, masks_dir=full_course.root / masks / "test")
    assert [item.name for item in split.items][:1] == ["ADONIS/1.jpg"]


def test_an_explicit_folder_of_images(full_course: Course, tmp_path: Path) -> None:
    shutil.move(full_course.images, tmp_path / "pictures")
    truth = load(full_course, images_dir=tmp_path / "pictures")
    assert len(truth.items) == 9
    with pytest.raises(TruthError, match=r"were not found \(looked in:") as caught:
        load(full_course)
    assert "--images" in caught.value.hint


def test_flat_masks_with_images_in_class_folders(course: Course) -> None:
    for number, name in enumerate(["ADONIS", "MONARCH", "MONARCH"]):
        course.add(f"{name}/photo_{number}")
    for path in list(course.masks.glob("*/*.png")):
        path.rename(course.masks / path.name)
    truth = load(course)
    assert [(item.name, item.label) for item in truth.items] == [
        ("ADONIS/photo_0.jpg", "ADONIS"),
        ("MONARCH/photo_1.jpg", "MONARCH"),
        ("MONARCH/photo_2.jpg", "MONARCH"),
    ]


def test_a_flat_truth_has_no_labels_or_those_of_a_csv(course: Course, tmp_path: Path) -> None:
    for name in ("one", "two"):
        course.add(name)
    bare = load(course)
    assert [item.label for item in bare.items] == [None, None]
    assert bare.classes == course.assignment.classes
    table = tmp_path / "labels.csv"
    table.write_text("image_name,label\none.jpg,monarch\ntwo.jpg,ADONIS\n")
    assert [item.label for item in load(course, labels_csv=table).items] == ["MONARCH", "ADONIS"]


def test_a_csv_wins_over_folders_and_may_name_folders(full_course: Course, tmp_path: Path) -> None:
    table = tmp_path / "labels.csv"
    rows = [f"{item.name},MONARCH" for item in load(full_course).items]
    table.write_text("\n".join(["image_name,label", *rows]))
    labelled = load(full_course, labels_csv=table)
    assert {item.label for item in labelled.items} == {"MONARCH"}


def test_labels_only(full_course: Course) -> None:
    truth = load(full_course, masks_dir=None, images_dir=full_course.images)
    assert [item.mask for item in truth.items] == [None] * 9
    assert truth.items[0].label == "ADONIS"
    assert truth_masks(truth) == {}


def test_classes_fall_back_to_the_truths_own(course: Course) -> None:
    for name in ("ZEBRA", "ADONIS"):
        course.add(f"{name}/1")
    truth = load(course)
    assert truth.classes == ("ADONIS", "ZEBRA")
    assert truth.classes_from == "the truth's labels, sorted (the definition's list lacks ZEBRA)"


def test_labels_take_the_spelling_of_the_classes(course: Course) -> None:
    course.add("blue_morpho/1")
    assert load(course).items[0].label == "BLUE MORPHO"
    given = load(course, classes=("Blue Morpho", "Monarch"))
    assert (given.items[0].label, given.classes_from) == ("Blue Morpho", "the command line")


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [("I;16", ".png"), ("P", ".gif"), ("P", ".png"), ("1", ".bmp"), ("LA", ".png")],
)
def test_images_of_every_kind_of_pixel(course: Course, mode: str, suffix: str) -> None:
    course.add("ADONIS/1")
    path = course.images / "ADONIS" / "1.jpg"
    grey = Image.open(path).convert("L")
    if mode == "I;16":
        image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
    else:
        image = grey.convert(mode)
    image.save(path.with_suffix(suffix))
    path.unlink()
    assert load(course).items[0].staged_name.endswith(".png")


def test_names_in_any_script_junk_and_links(course: Course) -> None:
    course.add("ADONIS/бабочка 蝶 🦋")
    course.add("ADONIS/x")
    target = course.root / "real.jpg"
    (course.images / "ADONIS" / "x.jpg").rename(target)
    (course.images / "ADONIS" / "x.jpg").symlink_to(target)
    for folder in (course.images, course.masks):
        (folder / "ADONIS" / ".DS_Store").write_bytes(b"x")
        (folder / "Thumbs.db").write_bytes(b"x")
        (folder / "ADONIS" / "._x.png").write_bytes(b"x")
        (folder / "__MACOSX").mkdir()
        (folder / "__MACOSX" / "y.png").write_bytes(b"x")
        (folder / "README.txt").write_text("about")
    (course.masks / "loop").symlink_to(course.masks)
    assert [item.name for item in load(course).items] == [
        "ADONIS/x.jpg",
        "ADONIS/бабочка 蝶 🦋.jpg",
    ]


# --------------------------------------------------------------------------- what is refused


def refused(course: Course, *parts: str, **changes: Any) -> None:
    with pytest.raises(TruthError) as caught:
        load(course, **changes)
    for part in parts:
        assert part in caught.value.message, caught.value.message
    assert caught.value.hint


def test_a_mask_without_its_image(full_course: Course) -> None:
    (full_course.images / "MONARCH" / "2.jpg").unlink()
    refused(full_course, "1 of 9 masks have no image", "MONARCH/2.png")


def test_an_image_without_its_mask(full_course: Course) -> None:
    (full_course.masks / "MONARCH" / "2.png").unlink()
    refused(full_course, "1 of 9 images have no mask", "MONARCH/2.jpg")


def test_two_images_or_masks_of_one_name(full_course: Course) -> None:
    shutil.copy(full_course.masks / "ADONIS/1.png", full_course.masks / "ADONIS/1.jpg")
    refused(full_course, "ADONIS/1.jpg and ADONIS/1.png differ only in their suffix")
    (full_course.masks / "ADONIS/1.jpg").unlink()
    shutil.copy(full_course.images / "ADONIS/1.jpg", full_course.images / "ADONIS/1.jpeg")
    refused(full_course, "differ only in their suffix", str(full_course.images))


def test_a_mask_of_another_size(full_course: Course) -> None:
    Image.new("L", (50, 30)).save(full_course.masks / "ADONIS/1.png")
    refused(full_course, "ADONIS/1.png: this mask is 50 × 30", "is 40 × 30")


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n", None])
def test_damaged_masks_and_images(full_course: Course, content: bytes | None) -> None:
    mask, image = full_course.masks / "ADONIS/1.png", full_course.images / "ADONIS/1.jpg"
    whole = image.read_bytes()
    image.write_bytes(whole[: len(whole) // 2] if content is None else content)
    refused(full_course, "ADONIS/1.jpg: this image cannot be read")
    image.write_bytes(whole)
    whole = mask.read_bytes()
    mask.write_bytes(whole[: len(whole) // 2] if content is None else content)
    refused(full_course, "ADONIS/1.png: this mask cannot be read")


@pytest.mark.parametrize(
    ("levels", "says"),
    [
        (256, "many grey levels"),
        (101, "nothing in it is foreground (the rule is grey level > 127)"),
    ],
)
def test_a_picture_among_the_masks_is_refused(full_course: Course, levels: int, says: str) -> None:
    mask = full_course.masks / "ADONIS/1.png"
    shape = np.array(Image.open(mask)).shape
    picture = np.arange(shape[0] * shape[1]).reshape(shape) % levels
    Image.fromarray(picture.astype(np.uint8)).save(mask)
    refused(full_course, "ADONIS/1.png", says)


@pytest.mark.parametrize(
    ("suffix", "low", "high", "dtype", "says"),
    [
        (".png", 0, 26001, "u2", "nothing in it is foreground (the rule is 16-bit value > 32767)"),
        (".tif", 0, 100, "i4", "nothing in it is foreground (the rule is value > 127"),
        (".tif", 0, 0.4, "f4", "nothing in it is foreground (the rule is value > 0.5"),
        (".png", 60, 180, "u1", "has more than two levels: the level 60 beside the level 0"),
    ],
)
def test_a_label_map_is_no_truth(
    full_course: Course, suffix: str, low: float, high: float, dtype: str, says: str
) -> None:
    mask = full_course.masks / "ADONIS/1.png"
    levels = np.zeros(np.array(Image.open(mask)).shape, dtype)
    levels[5:15, 5:15], levels[15:25, 15:25] = low, high
    mask.unlink()
    Image.fromarray(levels).save(mask.with_suffix(suffix))
    refused(full_course, f"ADONIS/1{suffix}", says)


def test_masks_that_are_all_empty_are_no_truth(full_course: Course) -> None:
    for mask in sorted(full_course.masks.glob("*/*.png"))[:-1]:
        Image.new("L", Image.open(mask).size).save(mask)
    assert len(load(full_course).items) == 9
    for mask in full_course.masks.glob("*/*.png"):
        Image.new("L", Image.open(mask).size).save(mask)
    refused(full_course, "none of the 9 true masks has any foreground")


def test_a_link_to_nowhere(full_course: Course) -> None:
    (full_course.images / "ADONIS/1.jpg").unlink()
    (full_course.images / "ADONIS/1.jpg").symlink_to("/nowhere")
    refused(full_course, "ADONIS/1.jpg: this file cannot be read: No such file")


def test_folders_that_are_none(full_course: Course, tmp_path: Path) -> None:
    refused(full_course, "there is no such folder", masks_dir=tmp_path / "nothing")
    file = tmp_path / "file"
    file.write_bytes(b"x")
    refused(full_course, "this is not a folder", masks_dir=file)
    refused(full_course, "this is not a folder", images_dir=file)
    empty = tmp_path / "empty"
    empty.mkdir()
    refused(full_course, "there are no masks in this folder; it is empty", masks_dir=empty)
    (empty / "notes.txt").write_text("x")
    refused(full_course, "it holds 1 other files", masks_dir=empty)
    refused(full_course, "no image here has the name of a mask", images_dir=empty)
    refused(full_course, "neither a folder of masks nor one of images", masks_dir=None)


def test_a_folder_that_may_not_be_read(
    full_course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.scandir

    def scandir(path: str | Path) -> Any:
        if str(path).endswith("MASKS/test/MONARCH"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    refused(full_course, "MONARCH: this folder cannot be read: Permission denied")


def test_a_name_that_is_not_utf8(full_course: Course) -> None:
    folder = full_course.masks / "ADONIS"
    (folder / "1.png").rename(folder / os.fsdecode(b"\xff.png"))
    refused(full_course, "is not UTF-8")


def test_images_beside_their_class_folders(full_course: Course) -> None:
    full_course.add("lonely")
    refused(full_course, "1 of 10 images lie in no class folder", "lonely.jpg")


@pytest.mark.parametrize(
    ("rows", "part"),
    [
        (["one.jpg,ADONIS"], "images without a row: 1 of 2 (two.jpg)"),
        (["one.jpg,ADONIS", "two.jpg,"], "rows without a label: 1 (two.jpg)"),
        (["one.jpg,ADONIS", "two.jpg,ADONIS", "one.jpg,MONARCH"], "contradict an earlier row"),
        (["one.jpg", "two.jpg,ADONIS"], "too few columns"),
    ],
)
def test_doubtful_label_files(
    course: Course, tmp_path: Path, rows: Sequence[str], part: str
) -> None:
    for name in ("one", "two"):
        course.add(name)
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(["image_name,label", *rows]))
    refused(course, str(table), part, labels_csv=table)


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("image_name,class_id,label", "{name},{number},{label}"),
        ("image_name,x,y,label", "{name},3,7,{label}"),
        ("class,Label,image", "{number},{label},{name}"),
        ("filename,label,split", "{name},{label},test"),
    ],
)
def test_the_column_that_is_called_label_holds_the_labels(
    course: Course, tmp_path: Path, header: str, row: str
) -> None:
    named = {"one.jpg": "ADONIS", "two.jpg": "MONARCH"}
    for name in named:
        course.add(name.removesuffix(".jpg"))
    table = tmp_path / "labels.csv"
    rows = [
        row.format(name=name, label=label, number=number)
        for number, (name, label) in enumerate(named.items())
    ]
    table.write_text("\n".join([header, *rows]))
    assert {item.name: item.label for item in load(course, labels_csv=table).items} == named


@pytest.mark.parametrize(
    "rows",
    [
        ["image_name,class_id,class_name", "one.jpg,0,ADONIS", "two.jpg,1,MONARCH"],
        ["image_name,x,y,species", "one.jpg,3,7,ADONIS", "two.jpg,3,8,MONARCH"],
        ["one.jpg,0,ADONIS", "two.jpg,1,MONARCH"],
    ],
)
def test_one_of_several_columns_is_not_taken_for_the_labels(
    course: Course, tmp_path: Path, rows: Sequence[str]
) -> None:
    for name in ("one", "two"):
        course.add(name)
    table = tmp_path / "labels.csv"
    table.write_text("\n".join(rows))
    refused(course, f"{len(rows[0].split(','))} columns; columns 1 and", labels_csv=table)


def test_label_files_that_are_none(course: Course, tmp_path: Path) -> None:
    course.add("one")
    refused(course, "the labels cannot be read", labels_csv=tmp_path / "nothing.csv")
    workbook = tmp_path / "labels.xlsx"
    workbook.write_bytes(b"PK\x03\x04")
    refused(course, "it is a zip archive", labels_csv=workbook)


def test_labels_outside_the_given_classes(full_course: Course) -> None:
    refused(
        full_course,
        "none of the 1 given classes: BLUE MORPHO, MONARCH",
        classes=("ADONIS",),
    )


def test_an_image_that_would_change_without_its_metadata(
    full_course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    from grader.stages import load_truth as module
    from grader.stages.strip_metadata import StrippedImage

    other = (full_course.images / "ADONIS/2.jpg").read_bytes()
    monkeypatch.setattr(module, "strip_metadata", lambda _: StrippedImage(other, None))
    refused(full_course, "this image changes when its metadata are taken away")


# --------------------------------------------------------------------------- the real ones


@pytest.mark.skipif(not REAL.is_dir(), reason="the course's data (shared/data) are not here")
def test_the_courses_own_release(three_classes: Any) -> None:
    from grader.assignments.load import load_assignment

    assignment = load_assignment("ail721-a2")
    truth = load_truth(REAL / "MASKS" / "test", None, None, None, assignment)
    assert len(truth.items) == 50
    assert (len(truth.classes), truth.classes_from) == (100, "the definition")
    for item in truth.items:
        reference = np.asarray(Image.open(item.mask).convert("L")) > 127  # type: ignore[arg-type]
        assert (truth_masks(truth)[item.stem] == reference).all()
