"""Let only dense CPU tensors of known types through, each within the bytes that it claims."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from .restricted_pickle import RefusedTensor, TensorRecord, UnreadableError, materialise

DTYPES: dict[torch.dtype, str] = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.int64: "I64",
    torch.int32: "I32",
    torch.int16: "I16",
    torch.int8: "I8",
    torch.uint8: "U8",
    torch.bool: "BOOL",
}
_MAX_TENSORS = 20_000
_MAX_RANK = 8


class RefusedTensorError(Exception):
    """A tensor is of a kind that is not read; the message names the kind."""


class TooLargeError(Exception):
    """The weights together take more than the limit."""


def dense_tensors(
    tensors: Mapping[str, Any], max_bytes: int
) -> tuple[dict[str, torch.Tensor], dict[str, str]]:
    """The tensors that may leave, contiguous and each with its own memory, and why others may not.

    Tensors that share storage (tied weights, views) are accepted and written out one by one; all
    together take at most `max_bytes`. Raises TooLargeError.
    """
    if len(tensors) > _MAX_TENSORS:
        raise TooLargeError(f"it has {len(tensors)} tensors, {_MAX_TENSORS} are read at most")
    dense: dict[str, torch.Tensor] = {}
    refused: dict[str, str] = {}
    total = 0
    for name, value in tensors.items():
        try:
            tensor = _checked(value)
            total += tensor.numel() * tensor.element_size()
            if total > max_bytes:
                raise TooLargeError(f"its tensors take more than {max_bytes} bytes together")
            dense[name] = tensor.detach().contiguous()
        except (RefusedTensorError, UnreadableError) as error:
            refused[name] = str(error)
    return dense, refused


def _checked(value: Any) -> torch.Tensor:
    if isinstance(value, RefusedTensor):
        raise RefusedTensorError(f"it is a {value.kind} tensor")
    tensor = materialise(value) if isinstance(value, TensorRecord) else value
    if type(tensor) not in {torch.Tensor, torch.nn.Parameter}:
        raise RefusedTensorError(f"it is a {type(tensor).__name__}")
    if tensor.is_meta:
        raise RefusedTensorError("it is a meta tensor: it has a shape but no numbers")
    if tensor.is_quantized:
        raise RefusedTensorError("it is a quantised tensor")
    if tensor.layout is not torch.strided or tensor.is_nested:
        raise RefusedTensorError(f"it is not dense ({tensor.layout})")
    if tensor.device.type != "cpu":
        raise RefusedTensorError(f"it lies on {tensor.device}")
    if tensor.dtype not in DTYPES:
        raise RefusedTensorError(f"its numbers are {tensor.dtype}")
    if tensor.dim() > _MAX_RANK:
        raise RefusedTensorError(f"it has {tensor.dim()} dimensions")
    claimed = tensor.numel() * tensor.element_size()
    held = tensor.untyped_storage().nbytes()
    if claimed > held:
        raise RefusedTensorError(
            f"it claims {tensor.numel()} elements ({claimed} bytes), its storage has {held} bytes"
        )
    return tensor.resolve_conj().resolve_neg()
