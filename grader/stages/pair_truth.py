"""Pair the course's masks with its images: by relative path without suffix.

Images are looked for where the masks' folder says; junk of file managers is passed over, links are
followed once, and what is missing or doubled is an error that names it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from grader.errors import TruthError
from grader.findings import listed
from grader.readers.image_header import IMAGE_SUFFIXES
from grader.readers.image_names import unique

_MASK_FOLDERS = frozenset(
    {"mask", "masks", "gt", "gtmasks", "groundtruth", "segmaps", "segmentations", "annotations"}
)
_IMAGE_FOLDERS = ("images", "imgs", "test", "test_images")
_JUNK = frozenset({"thumbs.db", "desktop.ini", "__macosx"})


@dataclass(frozen=True, slots=True)
class PairedImage:
    """`name`: the image's path relative to its root, POSIX; `folders`: those above it or its mask,
    outermost first."""

    name: str
    image: Path
    mask: Path | None
    folders: tuple[str, ...]


def pair_truth(masks_dir: Path | None, images_dir: Path | None) -> list[PairedImage]:
    """The images of the truth, sorted by name: those with a mask in `masks_dir`, or, without it,
    all below `images_dir`.

    Raises TruthError when images or masks are missing, unreadable or doubled.
    """
    if masks_dir is None:
        if images_dir is None:
            raise TruthError(
                "there is neither a folder of masks nor one of images",
                hint="give --gt MASKS or --images DIR",
            )
        images = _images_below(images_dir, "images")
        _refuse_twins(images, images_dir)
        return [
            PairedImage(path, images_dir / path, None, PurePosixPath(path).parts[:-1])
            for path in sorted(images)
        ]
    masks = _images_below(masks_dir, "masks")
    _refuse_twins(masks, masks_dir)
    roots = [images_dir] if images_dir is not None else list(sibling_image_dirs(masks_dir))
    for root in roots:
        pairs = _pair_below(masks, masks_dir, root)
        if pairs is not None:
            return pairs
    if images_dir is None:
        tried = ", ".join(str(root) for root in roots) or "nowhere: no folder is called MASKS"
        raise TruthError(
            f"{masks_dir}: the images of these masks were not found (looked in: {tried})",
            hint="give their folder by --images",
        )
    raise TruthError(
        f"{images_dir}: no image here has the name of a mask in {masks_dir}",
        hint=f"a mask such as {sorted(masks)[0]} wants an image of the same relative name, "
        "whatever its suffix",
    )


def read_truth_file(path: Path) -> bytes:
    """The content of an image or mask of the truth. Raises TruthError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise TruthError(
            f"{path}: this file cannot be read: {error.strerror}",
            hint="put it back, or give yourself the right to read it, and run the command again",
        ) from error


def sibling_image_dirs(masks_dir: Path) -> Iterator[Path]:
    """Where the images of a folder of masks may lie, best first, existing folders only.

    `X/MASKS/test` → `X/test`; `X/MASKS` → `X/images`, `X/test`, …, `X`.
    """
    resolved = Path(os.path.abspath(masks_dir))  # noqa: PTH100 - resolve() would follow links away
    for folder in (resolved, *resolved.parents):
        if "".join(filter(str.isalnum, folder.name.casefold())) not in _MASK_FOLDERS:
            continue
        below = resolved.relative_to(folder)
        if below.parts:
            candidates = [folder.parent / below, folder.parent / "images" / below]
        else:
            candidates = [*(folder.parent / name for name in _IMAGE_FOLDERS), folder.parent]
        yield from (path for path in candidates if path.is_dir() and path != resolved)


def _pair_below(masks: Sequence[str], masks_dir: Path, root: Path) -> list[PairedImage] | None:
    """Pairs of all masks with images below `root`; None when not a single mask has one."""
    if not root.is_dir():
        raise TruthError(f"{root}: this is not a folder", hint="give the folder of the images")
    folders = sorted({PurePosixPath(path).parent.as_posix() for path in masks})
    images: dict[str, list[str]] = {}
    for folder in folders:
        for path in _images_in(root, folder):
            images.setdefault(_stem(path), []).append(path)
    if not any(_stem(path) in images for path in masks):
        return _pair_across(masks, masks_dir, root)
    lonely = [path for path in masks if _stem(path) not in images]
    if lonely:
        raise TruthError(
            f"{masks_dir}: {len(lonely)} of {len(masks)} masks have no image in {root}: "
            f"{listed(lonely)}",
            hint="add the images, or take the masks away",
        )
    _refuse_twins([path for twins in images.values() for path in twins], root)
    stems = {_stem(path) for path in masks}
    bare = sorted(twins[0] for stem, twins in images.items() if stem not in stems)
    if bare:
        raise TruthError(
            f"{root}: {len(bare)} of {len(images)} images have no mask in {masks_dir}: "
            f"{listed(bare)}",
            hint="add their masks, or keep images without a mask in another folder",
        )
    return [
        PairedImage(
            name=images[_stem(path)][0],
            image=root / images[_stem(path)][0],
            mask=masks_dir / path,
            folders=PurePosixPath(path).parts[:-1],
        )
        for path in sorted(masks)
    ]


def _pair_across(masks: Sequence[str], masks_dir: Path, root: Path) -> list[PairedImage] | None:
    """Pairs of flat masks with images in class folders, or the other way round, by names that
    occur once; None when that is not how the two trees differ."""
    images, _ = _walk(root)
    if not (_is_flat(masks) or _is_flat(images)):
        return None
    by_name = unique((PurePosixPath(path).stem, path) for path in images)
    names = unique((PurePosixPath(path).stem, path) for path in masks)
    if len(names) < len(masks) or not names.keys() <= by_name.keys():
        return None
    return [
        PairedImage(
            name=by_name[name],
            image=root / by_name[name],
            mask=masks_dir / path,
            folders=max(PurePosixPath(path).parts[:-1], PurePosixPath(by_name[name]).parts[:-1]),
        )
        for name, path in sorted(names.items(), key=lambda pair: by_name[pair[0]])
    ]


def _is_flat(paths: Iterable[str]) -> bool:
    return not any("/" in path for path in paths)


def _stem(path: str) -> str:
    return PurePosixPath(path).with_suffix("").as_posix()


def _refuse_twins(paths: Iterable[str], root: Path) -> None:
    seen: dict[str, str] = {}
    for path in paths:
        other = seen.setdefault(_stem(path), path)
        if other != path:
            raise TruthError(
                f"{root}: {other} and {path} differ only in their suffix, so nobody can say which "
                "one is meant",
                hint="keep one of them",
            )


# --------------------------------------------------------------------------- folders


def _images_below(root: Path, what: str) -> list[str]:
    """Relative paths of the images below `root`. Raises TruthError when there are none."""
    if not root.exists():
        raise TruthError(f"{root}: there is no such folder", hint=f"give the folder of the {what}")
    if not root.is_dir():
        raise TruthError(f"{root}: this is not a folder", hint=f"give the folder of the {what}")
    paths, others = _walk(root)
    if not paths:
        beside = f"it holds {others} other files" if others else "it is empty"
        raise TruthError(
            f"{root}: there are no {what} in this folder; {beside}",
            hint=f"files with these suffixes count: {', '.join(sorted(IMAGE_SUFFIXES))}",
        )
    return paths


def _walk(root: Path) -> tuple[list[str], int]:
    """Relative paths of the images below `root`, sorted, and the number of other files."""
    paths: list[str] = []
    others = 0
    waiting, entered = [""], {os.path.realpath(root)}
    while waiting:
        folder = waiting.pop()
        for entry in _entries(root, folder):
            path = f"{folder}/{entry.name}" if folder else entry.name
            if entry.is_dir():
                real = os.path.realpath(entry.path)
                if real not in entered:  # a link back to a folder above would never end
                    entered.add(real)
                    waiting.append(path)
            elif Path(entry.name).suffix.lower() in IMAGE_SUFFIXES:
                paths.append(path)
            else:
                others += 1
    return sorted(paths), others


def _images_in(root: Path, folder: str) -> list[str]:
    """Relative paths of the images that lie in one folder below `root`, which may be missing."""
    inside = "" if folder == "." else folder
    if not (root / inside).is_dir():
        return []
    return sorted(
        f"{inside}/{entry.name}" if inside else entry.name
        for entry in _entries(root, inside)
        if not entry.is_dir() and Path(entry.name).suffix.lower() in IMAGE_SUFFIXES
    )


def _entries(root: Path, folder: str) -> list[os.DirEntry[str]]:
    """The entries of a folder without what file managers leave behind."""
    try:
        with os.scandir(root / folder) as entries:
            kept = [
                entry
                for entry in entries
                if not entry.name.startswith(".") and entry.name.casefold() not in _JUNK
            ]
    except OSError as error:
        raise TruthError(
            f"{root / folder}: this folder cannot be read: {error.strerror}",
            hint="give yourself the right to read it",
        ) from error
    for entry in kept:
        try:
            entry.name.encode("utf-8")
        except UnicodeEncodeError as error:
            raise TruthError(
                f"{root / folder}: the name {entry.name!a} is not UTF-8",
                hint="rename it; reports and label files could not name it",
            ) from error
    return sorted(kept, key=lambda entry: entry.name)
