"""Several processes, one per GPU, as `torchrun` starts them; one process without it."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import nn


@dataclass(frozen=True)
class Group:
    """This process among its peers. Rank 0 alone writes and prints."""

    rank: int = 0
    local_rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        return self.rank == 0

    def agree(self, value: float) -> float:
        """Rank 0's `value` on every rank, so that all take the same decision."""
        if self.size == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64)
        dist.broadcast(shared, src=0, group=_control_group())
        return float(shared.item())

    def any(self, flag: bool) -> bool:
        """Whether any rank says so."""
        if self.size == 1:
            return flag
        shared = torch.tensor([int(flag)])
        dist.all_reduce(shared, dist.ReduceOp.MAX, group=_control_group())
        return bool(shared.item())

    def wrap(self, network: nn.Module, device: torch.device) -> nn.Module:
        """`network` with its gradients averaged over the ranks."""
        if self.size == 1:
            return network
        return nn.parallel.DistributedDataParallel(
            network, device_ids=[device] if device.type == "cuda" else None
        )


_control: dist.ProcessGroup | None = None


def _control_group() -> dist.ProcessGroup:
    # Decisions travel over the CPU: a collective on the GPU would wait for its queue.
    global _control  # noqa: PLW0603 - a process has one
    if _control is None:
        _control = dist.new_group(backend="gloo")
    return _control


def join_group(device_name: str | None) -> Group:
    """Read what `torchrun` put into the environment and meet the other ranks, which compute on
    the named device, or on GPUs where there are some."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        return Group()
    rank, local_rank = int(os.environ["RANK"]), int(os.environ["LOCAL_RANK"])
    on_gpus = torch.cuda.is_available() and not (device_name or "cuda").startswith("cpu")
    if on_gpus:
        torch.cuda.set_device(local_rank)
    dist.init_process_group("nccl" if on_gpus else "gloo")
    return Group(rank, local_rank, size)


def leave_group(group: Group) -> None:
    if group.size > 1:
        dist.destroy_process_group()
