"""Decode a stranger's masks in a process of its own, with limits that it sets on itself first.

`grader.sandbox.helper.answer_of` starts it, confined by the kernel. It reads a request, one
JSON document::

    {"memory_bytes": …, "cpu_seconds": …, "folder": "/…/seg_maps",
     "files": [{"path": "a.png", "width_px": 224, "height_px": 224, "keep_levels": false}, …]}

and answers with READY before it opens anything, then each file in order by a frame: a line of JSON
and `levels_bytes` bytes, one grey level per pixel of the wanted size (nearest neighbour). A process
that dies leaves the frames before the file that killed it. `read_frames` turns the answer back into
values and trusts none of it.
"""

from __future__ import annotations

import io
import json
import resource
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import BinaryIO

from PIL import Image

from grader.errors import InternalFault
from grader.readers.mask_pixels import (
    MAX_FILE_BYTES,
    MAX_PIXELS,
    MaskPixels,
    RefusedMaskError,
    decode_mask,
)
from grader.readers.regular_file import RefusedFileError, read_regular_file

# Without it the process never started: the grader's fault, and no file's.
READY = b"ready\n"

_MAX_TEXT_CHARS = 300
_REHEARSALS = 3
_LITTLE_PX = (8, 8)
# Of the formats that are read; MPO is what some JPEGs turn out to be.
_PLUGINS = ("Bmp", "Gif", "Jpeg", "Mpo", "Png", "Tiff", "WebP")


@dataclass(frozen=True, slots=True)
class MaskFile:
    """A file to decode, relative to the folder of masks, and the size that its image has.

    `keep_levels`: every level counts, as in a heatmap; see `decode_mask`.
    """

    path: str
    width_px: int
    height_px: int
    keep_levels: bool = False

    @property
    def max_pixels(self) -> int:
        """What may be decoded for it: much more than it should hold, much less than a bomb."""
        return max(MAX_PIXELS, 2 * self.width_px * self.height_px)


@dataclass(frozen=True, slots=True)
class Frame:
    """One answer: either `levels` (H × W bytes in the wanted size) or a `refusal` in words.

    `code` is the refusal's finding; `width_px` and `height_px` are the file's own size.
    """

    levels: bytes
    threshold: int
    rule: str
    width_px: int
    height_px: int
    quirks: tuple[str, ...]
    code: str = ""
    refusal: str = ""


def decode_file(folder: Path, file: MaskFile) -> Frame:
    """Read, decode and resize one file; a refusal is a Frame too, nothing is raised."""
    try:
        data = read_regular_file(folder / file.path, MAX_FILE_BYTES)
        pixels = decode_mask(data, file.path, file.max_pixels, keep_levels=file.keep_levels)
    except RefusedFileError as error:
        return Frame(b"", 0, "", 0, 0, (), "mask.damaged", str(error))
    except RefusedMaskError as error:
        return Frame(b"", 0, "", 0, 0, (), error.code, error.message)
    return Frame(
        levels=_fit(pixels, file),
        threshold=pixels.threshold,
        rule=pixels.rule,
        width_px=pixels.width_px,
        height_px=pixels.height_px,
        quirks=pixels.quirks,
    )


def _fit(pixels: MaskPixels, file: MaskFile) -> bytes:
    if (pixels.width_px, pixels.height_px) == (file.width_px, file.height_px):
        return pixels.levels
    image = Image.frombytes("L", (pixels.width_px, pixels.height_px), pixels.levels)
    wanted = (file.width_px, file.height_px)
    return image.resize(wanted, Image.Resampling.NEAREST).tobytes()


# --------------------------------------------------------------------------- the process


def request(
    folder: Path, files: Sequence[MaskFile], *, memory_bytes: int, cpu_seconds: int
) -> bytes:
    """What the process is asked."""
    wanted = [asdict(file) for file in files]
    document = {
        "memory_bytes": memory_bytes,
        "cpu_seconds": cpu_seconds,
        "folder": str(folder),
        "files": wanted,
    }
    return json.dumps(document).encode()


def read_frames(answer: bytes, files: Sequence[MaskFile]) -> Iterator[Frame]:
    """The frames of an answer, as many as are whole; it ends at the first that is not as asked.

    Raises InternalFault when the process did not even start.
    """
    if not answer.startswith(READY):
        raise InternalFault(
            "the process that decodes masks did not start",
            hint="`python -I -m grader.sandbox.inside.confined` has to run in this environment: "
            "the grader has to be installed in it",
        )
    position = len(READY)
    for file in files:
        end = answer.find(b"\n", position)
        if end < 0:
            return
        try:
            head = json.loads(answer[position:end])
            frame = Frame(
                levels=answer[end + 1 : end + 1 + int(head["levels_bytes"])],
                threshold=int(head["threshold"]),
                rule=str(head["rule"])[:_MAX_TEXT_CHARS],
                width_px=int(head["width_px"]),
                height_px=int(head["height_px"]),
                quirks=tuple(str(code) for code in head["quirks"]),
                code=str(head["code"]),
                refusal=str(head["refusal"])[:_MAX_TEXT_CHARS],
            )
        except (ValueError, TypeError, KeyError):
            return
        wanted_bytes = 0 if frame.code else file.width_px * file.height_px
        if len(frame.levels) != wanted_bytes:
            return
        position = end + 1 + wanted_bytes
        yield frame


def prepare() -> None:
    """Import what decoding would import on the way, when the process can no longer load code."""
    for name in _PLUGINS:
        import_module(f"PIL.{name}ImagePlugin")
    _little_images()


def rehearse() -> None:
    """Decode little images of the formats that masks have: a process that has just been copied
    does everything slowly for the first time, and this one does so before anybody waits for it."""
    for name, data in _little_images():
        for _ in range(_REHEARSALS):
            decode_mask(data, name)


@cache
def _little_images() -> tuple[tuple[str, bytes], ...]:
    images = []
    for name, kind in (("little.png", "PNG"), ("little.jpg", "JPEG")):
        written = io.BytesIO()
        Image.new("L", _LITTLE_PX, 255).save(written, kind)
        images.append((name, written.getvalue()))
    return tuple(images)


def serve(requested: BinaryIO, answered: BinaryIO) -> None:
    """Answer one request. The limits are in force before the first file is opened."""
    document = json.load(requested)
    _limit(int(document["memory_bytes"]), int(document["cpu_seconds"]))
    answered.write(READY)
    answered.flush()
    folder = Path(document["folder"])
    for wanted in document["files"]:
        frame = decode_file(folder, MaskFile(**wanted))
        head = {
            "levels_bytes": len(frame.levels),
            "threshold": frame.threshold,
            "rule": frame.rule,
            "width_px": frame.width_px,
            "height_px": frame.height_px,
            "quirks": frame.quirks,
            "code": frame.code,
            "refusal": frame.refusal[:_MAX_TEXT_CHARS],
        }
        answered.write(json.dumps(head).encode() + b"\n" + frame.levels)
        answered.flush()


def _limit(memory_bytes: int, cpu_seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (memory_bytes, memory_bytes))
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_seconds, cpu_seconds))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NPROC, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
