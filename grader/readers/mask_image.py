"""A folder of masks as students write it: files → staged stem → boolean mask.

Files are paired with images by their names, decoded in a limited process of their own
(`grader.readers.decode_masks`) and brought to the size of the true mask. What had to be forgiven
is one finding per kind, with a count and the first names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from grader.findings import found, listed, quoted
from grader.model import Finding, OutputSpec, ReadMask
from grader.readers.decode_masks import (
    Frame,
    MaskFile,
    read_frames,
    request,
)
from grader.readers.image_header import IMAGE_SUFFIXES, SUFFIXES
from grader.readers.mask_pixels import RefusedMaskError, decode_mask
from grader.readers.reading import Expected, Launch, Reading, counted, find_folder, regular_files

# The decoder's own needs, and a decoded RGBA image of the largest size with its copies.
DECODER = "grader.readers.decode_masks"
_DECODER_BYTES = 256 << 20
_BYTES_PER_PIXEL = 16
_DECODER_CPU_SECONDS = 30
# A decoder that dies is started again. Only of a file that it met with all of its time did it die:
# the others had used it up before. So many such files, and nobody starts it any more.
_MAX_DEATHS = 4
# What all files may take beyond that: five times what the slowest kind, arrays of floats, needs.
_SECONDS_PER_FILE = 0.25
_SECONDS_PER_MEGAPIXEL = 0.5
_JUNK = frozenset({"thumbs.db", "desktop.ini"})
_MAX_LOOSE_NAMES = 2000
# The course's own masks may be large photographs; a damaged header is still no reason to swap.
_COURSE_MAX_PIXELS = 1 << 27

_SAID: Mapping[str, str] = {
    "mask.empty-file": "files without a byte",
    "mask.not-an-image": "files of no image format that is read",
    "mask.damaged": "files that are cut short or damaged",
    "mask.too-large": "files too large to be decoded",
    "mask.unsupported": "files in a form that is not read",
    "mask.decoder-stopped": "files that the decoder did not get through",
    "mask.size-mismatch": "masks of another size than their images, resized (nearest neighbour)",
    "mask.renamed-format": "files whose content is not what their suffix says",
    "mask.no-end-marker": "files without their end, but with all their pixels",
    "mask.zero-one": "masks with 1 as their highest value, taken as foreground",
    "mask.low-contrast": "masks without any value above the threshold, so without foreground",
    "mask.not-binary": "masks with many grey levels",
    "mask.wrap-around": "masks with the levels 0, 254 and 255",
    "mask.sixteen-bit": "masks of more than 8 bits",
    "mask.palette": "masks with a palette, read as colours",
    "mask.colours": "masks in colours, of which the luminance was taken",
    "mask.alpha": "masks with varying transparency",
    "mask.array": "NumPy arrays instead of images",
    "mask.animated": "files of several frames, of which the first was taken",
    "mask.other-suffix": "masks with another suffix than their images",
    "mask.other-name": "masks with names that only contain their image's",
    "mask.duplicate": "files left aside, because their image has another mask",
    "mask.extra": "files that belong to no image",
}


def read_mask_images(outputs: Path, output: OutputSpec, expected: Expected) -> Reading:
    """Read the folder of masks `output.path` below `outputs`; the value is stem → ReadMask."""
    names = _MaskNames(expected)
    folder = find_folder(outputs, output.path, lambda name: names.resolve(name)[0] is not None)
    if folder is None:
        message = f"{output.path}/ was not written: no image has a mask"
        return Reading(None, (found("mask.missing-folder", message, path=output.path),))
    findings: list[Finding] = []
    if folder != output.path:
        shown = quoted(folder, 200) or "the working directory"
        message = f"the masks were taken from {shown} instead of {output.path}"
        findings.append(found("mask.other-place", message, path=shown))
    chosen, noted = _choose(outputs / folder, names, output.path, folder != "")
    findings += noted
    masks, noted = _decode(outputs / folder, chosen, expected, output.path)
    missing = [stem for stem in expected.sizes_px if stem not in chosen]
    if missing:
        message = (
            f"images without a mask: {len(missing)} of {len(expected.sizes_px)} ({listed(missing)})"
        )
        findings.append(counted("mask.missing", message, output.path, missing))
    return Reading(masks, (*findings, *noted))


def read_mask_file(data: bytes, name: str) -> ReadMask:
    """A mask of the course's own, decoded in this process by the same rules, in its own size.

    Raises ValueError that says why it is no mask.
    """
    try:
        pixels = decode_mask(data, name, _COURSE_MAX_PIXELS)
    except RefusedMaskError as error:
        raise ValueError(error.message) from error
    levels = np.frombuffer(pixels.levels, dtype=np.uint8)
    return ReadMask(
        mask=levels.reshape(pixels.height_px, pixels.width_px) > pixels.threshold,
        rule=pixels.rule,
        width_px=pixels.width_px,
        height_px=pixels.height_px,
        quirks=pixels.quirks,
    )


# --------------------------------------------------------------------------- names


class _MaskNames:
    """Which image a mask's file name means: the stem, and the code of what was forgiven."""

    def __init__(self, expected: Expected) -> None:
        self.by_name = {
            name: stem
            for name in expected.names
            if (stem := PurePosixPath(name).stem) in expected.sizes_px
        }
        self.by_fold = {stem.casefold(): stem for stem in expected.sizes_px}
        # images of which the course has no mask: theirs are not measured, and not extra either
        self.unmeasured = {PurePosixPath(name).stem.casefold() for name in expected.names}
        self.unmeasured -= set(self.by_fold)
        self.loose = 0

    def resolve(self, name: str) -> tuple[str | None, str]:
        if name in self.by_name:
            return self.by_name[name], ""
        folded = name.casefold()
        stem, _, suffix = folded.rpartition(".")
        if f".{suffix}" in IMAGE_SUFFIXES or f".{suffix}" in SUFFIXES["NPY"]:
            if stem in self.by_fold:
                return self.by_fold[stem], "mask.other-suffix"
            folded = stem
        if folded in self.by_fold:
            return self.by_fold[folded], "mask.other-suffix"
        self.loose += 1
        if self.loose > _MAX_LOOSE_NAMES:
            return None, ""
        inside = [whole for key, whole in self.by_fold.items() if key in folded]
        return (inside[0], "mask.other-name") if len(inside) == 1 else (None, "")


def _choose(
    folder: Path, names: _MaskNames, shown: str, in_a_folder_of_masks: bool
) -> tuple[dict[str, str], Iterator[Finding]]:
    """staged stem → path of its mask below `folder`, the best-named one where there are several."""
    candidates: dict[str, list[tuple[int, str, str]]] = {}
    extra: list[str] = []
    for path in regular_files(folder):
        name = PurePosixPath(path).name
        if name.startswith(".") or name.casefold() in _JUNK:
            continue
        stem, forgiven = names.resolve(name)
        if stem is None:
            if PurePosixPath(name).stem.casefold() in names.unmeasured:
                continue
            # The working directory holds other things as well.
            if in_a_folder_of_masks or PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES:
                extra.append(path)
        else:
            rank = ("", "mask.other-suffix", "mask.other-name").index(forgiven)
            candidates.setdefault(stem, []).append((rank, path, forgiven))
    kinds: dict[str, list[str]] = {"mask.extra": extra}
    chosen = {}
    for stem, several in candidates.items():
        several.sort()
        _, chosen[stem], forgiven = several[0]
        if forgiven:
            kinds.setdefault(forgiven, []).append(chosen[stem])
        kinds.setdefault("mask.duplicate", []).extend(path for _, path, _ in several[1:])
    return chosen, _kinds_to_findings(kinds, shown)


# --------------------------------------------------------------------------- pixels


def _decode(
    folder: Path, chosen: Mapping[str, str], expected: Expected, shown: str
) -> tuple[dict[str, ReadMask], Iterator[Finding]]:
    stems = [stem for stem in expected.sizes_px if stem in chosen]
    files = [MaskFile(chosen[stem], *expected.sizes_px[stem]) for stem in stems]
    masks: dict[str, ReadMask] = {}
    kinds: dict[str, list[str]] = {}
    for stem, file, frame in zip(
        stems, files, decode_frames(folder, files, expected.launch), strict=True
    ):
        if frame.code:
            kinds.setdefault(frame.code, []).append(f"{file.path}: {frame.refusal}")
            continue
        masks[stem] = mask = _read_mask(frame, file)
        for code in mask.quirks:
            example = file.path
            if code == "mask.size-mismatch":
                example += f" is {mask.width_px} × {mask.height_px} instead of "
                example += f"{file.width_px} × {file.height_px}"
            kinds.setdefault(code, []).append(example)
    return masks, _kinds_to_findings(kinds, shown, of=len(files))


def decode_frames(folder: Path, files: Sequence[MaskFile], launch: Launch) -> Iterator[Frame]:
    """A frame for every file, in order."""
    largest = max((file.max_pixels for file in files), default=0)
    memory_bytes = _DECODER_BYTES + _BYTES_PER_PIXEL * largest
    done = deaths = launches = 0
    # A file that kills costs two launches: one that it ends, and one that it meets first.
    most = 2 * _MAX_DEATHS + int(_allowed_seconds(files) / _DECODER_CPU_SECONDS)
    while done < len(files) and deaths < _MAX_DEATHS and launches < most:
        launches += 1
        start, rest = done, files[done:]
        asked = request(folder, rest, memory_bytes=memory_bytes, cpu_seconds=_DECODER_CPU_SECONDS)
        for frame in read_frames(launch(DECODER, asked, folder), rest):
            done += 1
            yield frame
        if done == start:
            deaths += 1
            done += 1
            yield _stopped("the decoder died of it or took too long")
    for _ in files[done:]:
        yield _stopped(f"the decoder was stopped {launches} times before this file")


def _allowed_seconds(files: Sequence[MaskFile]) -> float:
    """What files of the size that they should have may take on a slow machine."""
    megapixels = sum(file.width_px * file.height_px for file in files) / 1e6
    return _SECONDS_PER_FILE * len(files) + _SECONDS_PER_MEGAPIXEL * megapixels


def _stopped(reason: str) -> Frame:
    return Frame(b"", 0, "", 0, 0, (), "mask.decoder-stopped", reason)


def _read_mask(frame: Frame, file: MaskFile) -> ReadMask:
    levels = np.frombuffer(frame.levels, dtype=np.uint8).reshape(file.height_px, file.width_px)
    quirks = tuple(code for code in frame.quirks if code in _SAID)
    if (frame.width_px, frame.height_px) != (file.width_px, file.height_px):
        quirks = (*quirks, "mask.size-mismatch")
    return ReadMask(
        mask=levels > frame.threshold,
        rule=quoted(frame.rule, 120),
        width_px=frame.width_px,
        height_px=frame.height_px,
        quirks=quirks,
    )


def _kinds_to_findings(
    kinds: Mapping[str, Sequence[str]], shown: str, of: int | None = None
) -> Iterator[Finding]:
    for code, examples in kinds.items():
        if examples:
            total = "" if of is None else f" of {of}"
            first = listed(examples) if len(examples) != of else listed(examples[:1])
            message = f"{_SAID[code]}: {len(examples)}{total} ({first})"
            yield counted(code, message, shown, examples)
