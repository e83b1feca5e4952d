"""A folder of heatmaps as students write it: files → staged stem → grey levels.

Files are decoded by the process that decodes masks (`grader.readers.decode_masks`), under the same
limits; here every grey level counts, and floating point is spread over all of them.
"""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import numpy as np

from grader.findings import found, listed
from grader.model import OutputSpec, ReadHeatmap
from grader.readers.decode_masks import MaskFile
from grader.readers.image_header import IMAGE_SUFFIXES
from grader.readers.mask_image import decode_frames
from grader.readers.reading import Expected, Reading, find_folder, regular_files

DEFAULT_SIDE_PX = 64
_COLOURS = frozenset({"mask.colours", "mask.palette"})


def read_heatmap_images(outputs: Path, output: OutputSpec, expected: Expected) -> Reading:
    """Read the folder of heatmaps `output.path`; the value is stem → ReadHeatmap.

    `output.options["side_px"]`: the size that the assignment asks for. None where there is no map.
    """
    side_px = int(output.options.get("side_px", DEFAULT_SIDE_PX))
    stems = {PurePosixPath(name).stem for name in expected.names}
    folder = find_folder(outputs, output.path, lambda name: PurePosixPath(name).stem in stems)
    chosen: dict[str, str] = {}
    for path in () if folder is None else regular_files(outputs / folder):
        stem, suffix = PurePosixPath(path).stem, PurePosixPath(path).suffix.lower()
        if stem in stems and (suffix in IMAGE_SUFFIXES or suffix == ".npy"):
            chosen.setdefault(stem, path)
    if folder is None or not chosen:
        message = f"{output.path}/ was not written: no image has a heatmap"
        return Reading(None, (found("result.heatmaps-malformed", message, path=output.path),))
    files = [MaskFile(path, side_px, side_px, keep_levels=True) for path in chosen.values()]
    heatmaps: dict[str, ReadHeatmap] = {}
    refused: list[str] = []
    frames = decode_frames(outputs / folder, files, expected.launch)
    for stem, file, frame in zip(chosen, files, frames, strict=True):
        if frame.code:
            refused.append(f"{file.path}: {frame.refusal}")
            continue
        levels = np.frombuffer(frame.levels, dtype=np.uint8).reshape(side_px, side_px)
        heatmaps[stem] = ReadHeatmap(
            heat=levels.astype(np.float64) / 255.0,
            width_px=frame.width_px,
            height_px=frame.height_px,
            in_colour=bool(_COLOURS & set(frame.quirks)),
        )
    findings = []
    missing = sorted(stems - set(heatmaps))
    if missing:
        message = f"images without a readable heatmap: {len(missing)} of {len(stems)}"
        message += f" ({listed(refused or missing)})"
        findings.append(found("result.heatmaps-malformed", message, path=output.path))
    return Reading(heatmaps, tuple(findings))
