"""Load what the course knows: hidden images with their masks and labels.

Nothing here is a stranger's, but it is checked all the same, and before anything runs: a wrong
truth would grade a whole class wrongly.
"""

from __future__ import annotations

import hashlib
import io
import random
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageChops, ImageOps

from grader.errors import TruthError, UsageError
from grader.findings import listed
from grader.metrics.counts import MaskMetric
from grader.metrics.load import load_metric
from grader.model import CLASSES_THAT_OCCUR, Assignment, Finding, Severity, Truth, TruthItem
from grader.readers.labels_csv import label_key, parse_labels
from grader.readers.mask_image import read_mask_file
from grader.stages.check_true_levels import find_other_level
from grader.stages.pair_truth import PairedImage, pair_truth, read_truth_file
from grader.stages.strip_metadata import strip_metadata

# Folders that part a data set and never name a class.
_SPLITS = frozenset({"test", "tests", "val", "valid", "validation", "train", "eval", "images"})
_NAME_ALPHABET = string.ascii_lowercase + string.digits
# What leaves a course's own label file in doubt; anything else in it is merely a matter of form.
_DOUBTS = frozenset(
    {
        "labels.contradicting-rows",
        "labels.empty-labels",
        "labels.malformed-quotes",
        "labels.missing-rows",
        "labels.nul-bytes",
        "labels.short-rows",
        "labels.swapped-columns",
    }
)

# What is forgiven in a student's mask would cost the whole class marks in the course's own.
_NO_TRUTH = {
    "mask.not-binary": "is a picture with many grey levels, and no mask",
    "mask.low-contrast": "is not black, and yet nothing in it is foreground",
}


def load_truth(
    masks_dir: Path | None,
    images_dir: Path | None,
    labels_csv: Path | None,
    classes: Sequence[str] | None,
    assignment: Assignment,
) -> Truth:
    """Pair images with masks and labels, and give each image the name that students will see.

    `masks_dir`: one mask per image, under the image's relative name with any suffix; None for a
    truth of labels only. `images_dir`: by default the sibling tree of `masks_dir`
    (`X/MASKS/test` → `X/test`). `labels_csv`: by default the folder that holds an image names its
    class. `classes`: the class names in their order; by default the definition's, when they cover
    the labels, else the sorted labels.

    Raises TruthError that names what is missing, unreadable or contradictory, and what to do.
    """
    pairs = pair_truth(masks_dir, images_dir)
    named = _folder_labels(pairs) if labels_csv is None else _read_labels(labels_csv, pairs)
    order, classes_from, labels = _order_classes(named, classes, assignment)
    images = {pair.name: _inspect_image(pair.image) for pair in pairs}
    digest = _digest(pairs, images, labels, order)
    items = [
        TruthItem(
            name=pair.name,
            staged_name=images[pair.name].suffix,
            image=pair.image,
            label=labels.get(pair.name),
            mask=pair.mask,
        )
        for pair in pairs
    ]
    seed = int(digest[:16], 16)
    truth = Truth(
        items=with_staged_names(items, seed),
        classes=order,
        classes_from=classes_from,
        sha256=digest,
        staging_seed=seed,
    )
    _check_sizes(truth, images)
    return truth


def require_truth(masks_dir: Path | None, images_dir: Path | None, assignment: Assignment) -> None:
    """Raise UsageError when what `assignment` measures needs a folder that is not given."""
    wants_masks = any(
        isinstance(load_metric(spec.metric), MaskMetric) for spec in assignment.measurements
    )
    if masks_dir is None and wants_masks:
        raise UsageError(
            f"{assignment.id} measures masks, and the course's own are not given",
            hint="give --gt MASKS/, e.g. --gt MASKS/test",
        )
    if masks_dir is None and images_dir is None:
        raise UsageError(
            f"{assignment.id} needs the hidden images",
            hint="give --images DIR, a folder of class folders (or --labels CSV beside it)",
        )


# --------------------------------------------------------------------------- labels


def _folder_labels(pairs: Sequence[PairedImage]) -> dict[str, str]:
    """Labels from class folders; empty when the images lie flat or in folders of a split."""
    named = {pair.name: pair.folders[-1] for pair in pairs if pair.folders}
    if {label.casefold() for label in named.values()} <= _SPLITS:
        return {}
    flat = [pair.name for pair in pairs if pair.name not in named]
    if flat:
        raise TruthError(
            f"{len(flat)} of {len(pairs)} images lie in no class folder: {listed(flat)}",
            hint="put every image into the folder of its class, or give --labels",
        )
    return named


def _read_labels(path: Path, pairs: Sequence[PairedImage]) -> dict[str, str]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TruthError(
            f"{path}: the labels cannot be read: {error.strerror}",
            hint="give a CSV file with the columns image_name and label",
        ) from error
    labels, findings = parse_labels(data, [pair.name for pair in pairs], None, path=str(path))
    for finding in findings:
        if _leaves_doubt(finding):
            line = finding.place.line if finding.place is not None else None
            raise TruthError(
                f"{path}: {finding.message}" + (f" (line {line})" if line is not None else ""),
                hint="the file needs the columns image_name and label, and one row per image: its "
                "name (with its folders where a name occurs twice) and its label",
            )
    return labels or {}


def _leaves_doubt(finding: Finding) -> bool:
    if finding.code == "labels.extra-columns":
        # Of several columns only one that is called so is surely the labels: no class is known yet.
        return label_key(finding.evidence["label_column"]) != "label"
    return finding.severity is Severity.ERROR or finding.code in _DOUBTS


def _order_classes(
    labels: Mapping[str, str], explicit: Sequence[str] | None, assignment: Assignment
) -> tuple[tuple[str, ...], str, dict[str, str]]:
    """The classes, where they come from, and the labels in the classes' spelling."""
    present = sorted(set(labels.values()))
    wanted = assignment.classes if explicit is None else explicit
    respelled, unknown = _respell(present, wanted)
    if explicit is not None and unknown:
        raise TruthError(
            f"labels of the truth that are none of the {len(explicit)} given classes: "
            f"{listed(unknown)}",
            hint="add them to the classes, or correct the labels",
        )
    if wanted and not unknown:
        source = "the definition" if explicit is None else "the command line"
        return tuple(wanted), source, {name: respelled[label] for name, label in labels.items()}
    source = CLASSES_THAT_OCCUR
    if wanted:
        source += f" (the definition's list lacks {listed(unknown)})"
    return tuple(present), source, dict(labels)


def _respell(labels: Sequence[str], classes: Sequence[str]) -> tuple[dict[str, str], list[str]]:
    """label → class, by the exact name or by what two spellings share; and the rest."""
    by_spelling = {label_key(name): name for name in classes} | {name: name for name in classes}
    respelled = {
        label: by_spelling[spelling]
        for label in labels
        for spelling in (label_key(label), label)
        if spelling in by_spelling
    }
    return respelled, [label for label in labels if label not in respelled]


# --------------------------------------------------------------------------- images


@dataclass(frozen=True, slots=True)
class _Image:
    """`suffix`, width and height of the copy that students see; `sha256` of the original."""

    sha256: bytes
    suffix: str
    width_px: int
    height_px: int


def _inspect_image(path: Path) -> _Image:
    """Decode the image once, and make sure that its copy without metadata has the same pixels."""
    data = read_truth_file(path)
    try:
        stripped = strip_metadata(data)
        with (
            Image.open(io.BytesIO(data)) as original,
            Image.open(io.BytesIO(stripped.data)) as copy,
        ):
            upright = ImageOps.exif_transpose(original)
            is_same = upright.size == copy.size and _look_alike(upright, copy)
            width_px, height_px = copy.size
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise TruthError(
            f"{path}: this image cannot be read: {error}", hint="replace it by a whole image file"
        ) from error
    if not is_same:
        raise TruthError(
            f"{path}: this image changes when its metadata are taken away",
            hint="save it as PNG, without profiles and animation",
        )
    suffix = path.suffix if stripped.suffix is None else stripped.suffix
    return _Image(hashlib.sha256(data).digest(), suffix, width_px, height_px)


def _look_alike(one: Image.Image, other: Image.Image) -> bool:
    if one.mode != other.mode:
        one, other = one.convert("RGB"), other.convert("RGB")
    if one.mode.startswith(("I", "F")):
        return one.tobytes() == other.tobytes()
    return ImageChops.difference(one, other).getbbox(alpha_only=False) is None


def _check_sizes(truth: Truth, images: Mapping[str, _Image]) -> None:
    masks = truth_masks(truth)
    for item in truth.items:
        if item.mask is None:
            continue
        height_px, width_px = masks[item.stem].shape
        image = images[item.name]
        if (width_px, height_px) != (image.width_px, image.height_px):
            raise TruthError(
                f"{item.mask}: this mask is {width_px} × {height_px} pixels, but its image "
                f"{item.image} is {image.width_px} × {image.height_px}",
                hint="give each mask the size of its image, upright where EXIF turns the image",
            )


@lru_cache(maxsize=2)
def truth_masks(truth: Truth) -> Mapping[str, npt.NDArray[np.bool_]]:
    """staged stem → (H, W) bool, read-only, for the items with a mask; decoded once per truth.

    The rule is the one for students' masks (`grader.readers.mask_pixels`): above 127 of 8-bit
    luminance. Raises TruthError for a mask that cannot be read, is none or has more than two
    levels, and where all of them are empty.
    """
    masks = {}
    for item in truth.items:
        if item.mask is None:
            continue
        try:
            data = read_truth_file(item.mask)
            read = read_mask_file(data, item.mask.name)
        except ValueError as error:
            raise TruthError(
                f"{item.mask}: this mask cannot be read: {error}",
                hint="write it as PNG or JPEG again",
            ) from error
        for quirk, said in _NO_TRUTH.items():
            if quirk in read.quirks:
                raise TruthError(
                    f"{item.mask}: {said} (the rule is {read.rule})",
                    hint="give masks that are white on black; a folder of images is no truth",
                )
        other = find_other_level(data, read)
        if other:
            raise TruthError(
                f"{item.mask}: has more than two levels: {other}",
                hint="a label map does not say which labels count: write masks that are 255 where "
                "they do and 0 elsewhere",
            )
        mask = read.mask
        mask.setflags(write=False)
        masks[item.stem] = mask
    if masks and not any(mask.any() for mask in masks.values()):
        raise TruthError(
            f"none of the {len(masks)} true masks has any foreground",
            hint="give masks that are white where the object is: where all are empty, an empty "
            "answer would be right everywhere",
        )
    return masks


# --------------------------------------------------------------------------- digest and names


def _digest(
    pairs: Sequence[PairedImage],
    images: Mapping[str, _Image],
    labels: Mapping[str, str],
    classes: Sequence[str],
) -> str:
    """sha256 over names, contents, labels and classes, whatever folder they lie in."""
    digest = hashlib.sha256()
    for pair in sorted(pairs, key=lambda pair: pair.name):
        mask = b"" if pair.mask is None else hashlib.sha256(read_truth_file(pair.mask)).digest()
        label = labels.get(pair.name, "")
        for part in (pair.name.encode(), label.encode(), images[pair.name].sha256, mask):
            digest.update(len(part).to_bytes(8, "big") + part)
    for name in classes:
        digest.update(name.encode() + b"\n")
    return digest.hexdigest()


def with_staged_names(items: Sequence[TruthItem], seed: int) -> tuple[TruthItem, ...]:
    """The items, in their order, under neutral names such as `img_003_zq9a8994.jpg`.

    Neither number nor letters follow from an image's name, place, label or content: both are drawn
    from `seed`. The suffix is the one that `staged_name` has.
    """
    generator = random.Random(seed)
    order = list(range(len(items)))
    generator.shuffle(order)
    digits = max(3, len(str(len(items) - 1)))
    stems = {
        index: f"img_{place:0{digits}d}_{''.join(generator.choices(_NAME_ALPHABET, k=8))}"
        for place, index in enumerate(order)
    }
    return tuple(
        replace(item, staged_name=stems[index] + _suffix(item.staged_name))
        for index, item in enumerate(items)
    )


def _suffix(staged_name: str) -> str:
    return staged_name if staged_name.startswith(".") else PurePosixPath(staged_name).suffix
