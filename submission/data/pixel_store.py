"""Every training image decoded once, at one size, as bytes in memory (or on the GPU)."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from data.decoding import UnreadableImage, read_rgb
from errors import SubmissionError


class NothingReadable(SubmissionError):
    """None of the images that were to be decoded could be."""


@dataclass(frozen=True)
class PixelStore:
    """`pixels`: (N, S, S, 3) uint8 RGB; `targets`: (N,) int64 on the same device.

    Pixels lie channels-last, so that a batch becomes a channels-last NCHW tensor without a copy.
    """

    pixels: Tensor
    targets: Tensor

    @property
    def size_px(self) -> int:
        return self.pixels.shape[1]

    def __len__(self) -> int:
        return self.pixels.shape[0]

    def batch(self, indices: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """indices: (B,) int64 → images (B, 3, S, S) uint8 channels-last and targets (B,)."""
        indices = indices.to(self.pixels.device)
        images = self.pixels[indices].permute(0, 3, 1, 2)
        targets = self.targets[indices]
        return images.to(device, non_blocking=True), targets.to(device, non_blocking=True)


def decode_into_store(
    paths: Sequence[Path],
    targets: Sequence[int],
    size_px: int,
    *,
    workers: int,
    device: torch.device,
) -> PixelStore:
    """Decode all `paths` with `workers` threads; Pillow releases the interpreter meanwhile.

    An unreadable image is named on stderr and left out. The store lies on `device` when that is
    a GPU with room for it, else in main memory. Raises NothingReadable.
    """
    pixels = np.empty((len(paths), size_px, size_px, 3), np.uint8)

    def decode(index: int) -> str | None:
        try:
            pixels[index] = read_rgb(paths[index], size_px)
        except UnreadableImage as error:
            return str(error)
        return None

    with ThreadPoolExecutor(max(workers, 1)) as pool:
        reasons = list(pool.map(decode, range(len(paths)), chunksize=1))
    kept = [index for index, reason in enumerate(reasons) if reason is None]
    for path, reason in zip(paths, reasons, strict=True):
        if reason is not None:
            print(f"warning: {path}: left out, unreadable: {reason}", file=sys.stderr)
    if not kept:
        raise NothingReadable(
            f"none of the {len(paths)} images could be read, e.g. {paths[0]}: {reasons[0]}"
        )
    if len(kept) < len(paths):
        pixels = pixels[kept]
    store_device = device if fits_on(device, pixels.nbytes) else torch.device("cpu")
    return PixelStore(
        torch.from_numpy(pixels).to(store_device),
        torch.tensor([targets[index] for index in kept], device=store_device),
    )


def fits_on(device: torch.device, size_bytes: int) -> bool:
    """Whether a GPU has room for the images and twice as much again for the training."""
    if device.type != "cuda":
        return False
    free_bytes, _ = torch.cuda.mem_get_info(device)
    return free_bytes > 3 * size_bytes
