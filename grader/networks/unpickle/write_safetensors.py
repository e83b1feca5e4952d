"""Write tensors in the safetensors format, in the order in which they are given.

The format: 8 bytes little-endian length, that many bytes of JSON, then the tensors' bytes without
gaps (github.com/huggingface/safetensors, README, "Format"). The package's own writer sorts names,
and the order of a state_dict is what tells one 3×3 convolution from the next.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from pathlib import Path

import torch

from .dense_tensors import DTYPES


def write_safetensors(path: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Write contiguous CPU `tensors` of the types in `DTYPES` to `path`."""
    header: dict[str, dict[str, object]] = {}
    offset = 0
    for name, tensor in tensors.items():
        end = offset + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": DTYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [offset, end],
        }
        offset = end
    text = json.dumps(header, ensure_ascii=True, separators=(",", ":")).encode("ascii")
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for tensor in tensors.values():
            if tensor.numel():
                # NumPy has no bfloat16: the bytes are taken as they are.
                file.write(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
