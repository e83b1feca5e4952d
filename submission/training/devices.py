"""Where a run computes, in which precision, and how repeatably."""

from __future__ import annotations

import contextlib
import os
import random
from dataclasses import dataclass

import torch
from torch import nn

from errors import SubmissionError


@dataclass(frozen=True)
class Compute:
    """A device and the precision of its convolutions."""

    device: torch.device
    autocast: torch.dtype | None  # None: float32 throughout
    scales_gradients: bool  # float16 underflows without it

    def precision(self) -> contextlib.AbstractContextManager[None]:
        """The context for a forward pass."""
        if self.autocast is None:
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, self.autocast)

    def describe(self) -> str:
        name = (
            torch.cuda.get_device_name(self.device)
            if self.device.type == "cuda"
            else f"CPU, {torch.get_num_threads()} threads"
        )
        precision = str(self.autocast or torch.float32).removeprefix("torch.")
        return f"{name}, {precision}"


def cpu_has_bfloat16() -> bool:
    """Whether bfloat16 products are instructions here; emulated they are slower than float32."""
    # torch before 2.10 cannot be asked, and then float32 is the safe answer
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))


def choose_compute(device_name: str | None, local_rank: int) -> Compute:
    """The named device, or a GPU where there is one; the fastest precision that is safe there.

    Raises SubmissionError for a device that this machine lacks.
    """
    name = device_name or ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise SubmissionError(f'--device "{name}": expected "cpu" or "cuda"') from error
    if device.type == "cpu":
        return Compute(device, torch.bfloat16 if cpu_has_bfloat16() else None, False)
    if device.type != "cuda" or not torch.cuda.is_available():
        raise SubmissionError(f'--device "{name}": this machine has no such device')
    device = torch.device("cuda", device.index if device.index is not None else local_rank)
    torch.cuda.set_device(device)
    if torch.cuda.is_bf16_supported(including_emulation=False):
        return Compute(device, torch.bfloat16, False)
    return Compute(device, torch.float16, True)


def is_out_of_memory(error: Exception) -> bool:
    """Whether a GPU's memory or this machine's did not suffice."""
    return isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)) or (
        "DefaultCPUAllocator" in str(error)  # torch has no exception of its own for it
    )


def memory_format(network: nn.Module) -> torch.memory_format:
    """Channels-last where it is sound: it is the faster layout on CPUs and GPUs alike.

    On CPUs oneDNN (seen with torch 2.12 on AVX2) writes past its buffers in the weight gradient of
    channels-last convolutions with fewer than eight channels.
    """
    narrow = any(
        isinstance(module, nn.Conv2d) and module.out_channels < 8 for module in network.modules()
    )
    return torch.contiguous_format if narrow else torch.channels_last


def make_deterministic(seed: int) -> None:
    """The same seed, device and number of threads give the same weights, bit for bit."""
    random.seed(seed)
    torch.manual_seed(seed)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.benchmark = False
