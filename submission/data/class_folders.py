"""A folder of class folders, or a flat folder of images, as lists of paths."""

from __future__ import annotations

import re
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from errors import SubmissionError

IMAGE_SUFFIXES = frozenset(
    {
        *(".bmp", ".dib", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg"),
        *(".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"),
    }
)


@dataclass(frozen=True)
class LabelledFiles:
    """Image files of class folders. `targets[i]` indexes `class_names`, which are sorted."""

    paths: tuple[Path, ...]
    targets: tuple[int, ...]
    class_names: tuple[str, ...]


@dataclass(frozen=True)
class TestImage:
    """One image to predict. `name` is its path below the folder, `label` its class folder."""

    path: Path
    name: str
    label: str | None


def natural_key(name: str) -> tuple[tuple[tuple[int, int | str], ...], str]:
    """`2.jpg` before `10.jpg`; names that are equal but for zeros and case by their characters."""
    parts = tuple(
        (0, int(part)) if part.isdecimal() else (1, part.casefold())
        for part in re.split(r"(\d+)", name)
    )
    return parts, name


def _images_below(folder: Path, root: Path, passed_over: Counter[str]) -> list[Path]:
    """In natural order; by their suffixes, whatever the case; hidden files (macOS's `._1.jpg`) are
    no images. `passed_over` counts image files of other kinds by their suffixes."""
    found = []
    for path in folder.rglob("*"):
        suffix = path.suffix.lower()
        if not suffix or path.name.startswith(".") or not path.is_file():
            continue
        if suffix in IMAGE_SUFFIXES:
            found.append(path)
        elif Image.registered_extensions().get(suffix) in Image.OPEN:
            passed_over[suffix] += 1
    return sorted(found, key=lambda path: natural_key(path.relative_to(root).as_posix()))


def _warn_of(passed_over: Counter[str], root: Path) -> None:
    if passed_over:
        kinds = ", ".join(f"{count} {suffix}" for suffix, count in sorted(passed_over.items()))
        print(
            f"warning: {root}: image files of kinds that are not read are passed over ({kinds}); "
            "save them as PNG or JPEG",
            file=sys.stderr,
        )


def require_folder(root: Path, what: str) -> None:
    """Raise SubmissionError unless `root` is a folder that can be listed."""
    if not root.exists():
        raise SubmissionError(f"{root}: no such folder ({what})")
    if not root.is_dir():
        raise SubmissionError(f"{root}: is a file; expected a folder ({what})")
    try:
        next(root.iterdir(), None)
    except OSError as error:
        raise SubmissionError(f"{root}: cannot be listed ({error.strerror})") from error


def _class_directories(root: Path) -> list[Path]:
    return sorted(
        (entry for entry in root.iterdir() if entry.is_dir() and not entry.name.startswith(".")),
        key=lambda entry: entry.name,
    )


def list_class_folders(root: Path) -> LabelledFiles:
    """Every image below `root/<CLASS>/`; class index = rank of the folder's name.

    Raises SubmissionError when there are fewer than two classes or a class without images.
    """
    require_folder(root, "one folder of images for each class")
    directories = _class_directories(root)
    if len(directories) < 2:
        raise SubmissionError(
            f"{root}: {len(directories)} class folder(s) found; training needs at least two, each "
            "holding the images of one class"
        )
    paths: list[Path] = []
    targets: list[int] = []
    empty: list[str] = []
    passed_over: Counter[str] = Counter()
    for index, directory in enumerate(directories):
        files = _images_below(directory, root, passed_over)
        if not files:
            empty.append(directory.name)
        paths += files
        targets += [index] * len(files)
    _warn_of(passed_over, root)
    if empty:
        raise SubmissionError(
            f"{root}: no images in class folder(s) {', '.join(empty[:5])}"
            f"{' …' if len(empty) > 5 else ''}; add images or remove the folder"
        )
    return LabelledFiles(
        tuple(paths), tuple(targets), tuple(directory.name for directory in directories)
    )


def list_test_images(root: Path) -> tuple[TestImage, ...]:
    """Images of a flat folder, of class folders, or of both, in natural order.

    An image directly in `root` has no label; below a subfolder the subfolder's name is its label.
    Raises SubmissionError when there is no image at all.
    """
    require_folder(root, "the images to predict")
    passed_over: Counter[str] = Counter()
    found = _images_below(root, root, passed_over)
    _warn_of(passed_over, root)
    if not found:
        raise SubmissionError(
            f"{root}: holds no image ({', '.join(sorted(IMAGE_SUFFIXES))} are looked for)"
        )
    images = []
    for path in found:
        relative = path.relative_to(root)
        label = relative.parts[0] if len(relative.parts) > 1 else None
        images.append(TestImage(path, relative.as_posix(), label))
    return tuple(images)
