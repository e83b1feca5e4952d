"""Small networks trained in a moment, and everything that somebody could do to a copy of one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from grader.similarity.checkpoints.describe import CheckpointTrace, describe_checkpoint

Weights = dict[str, npt.NDArray[np.generic]]
CLASSES, SIDE_PX = 8, 12


class Network(nn.Module):
    """Four convolutions with batch normalisation, one of them around a shortcut: 26,000 numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.bn1 = nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16)
        self.wide, self.bn2 = nn.Conv2d(16, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32)
        self.same, self.bn3 = nn.Conv2d(32, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32)
        self.deep, self.bn4 = nn.Conv2d(32, 32, 3, 2, 1, bias=False), nn.BatchNorm2d(32)
        self.fc = nn.Linear(32, CLASSES)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.stem(x)))
        x = F.relu(self.bn2(self.wide(x)))
        x = F.relu(x + self.bn3(self.same(x)))
        x = F.relu(self.bn4(self.deep(x)))
        return self.fc(x.mean((2, 3)))


@contextmanager
def one_thread() -> Iterator[None]:
    """Small tensors are faster without company."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def images(seed: int, count: int) -> tuple[Tensor, Tensor]:
    """Noisy pictures of CLASSES patterns: (count, 3, SIDE_PX, SIDE_PX) float32, (count,) int64."""
    patterns = torch.randn(CLASSES, 3, SIDE_PX, SIDE_PX, generator=torch.Generator().manual_seed(7))
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(CLASSES, (count,), generator=generator)
    noise = torch.randn(count, 3, SIDE_PX, SIDE_PX, generator=generator)
    return patterns[labels] + 3.0 * noise, labels


def train(
    *,
    initial_seed: int,
    order_seed: int,
    steps: int = 120,
    start: Weights | None = None,
    learning_rate: float = 0.05,
) -> Weights:
    """Train a network; `start` continues from somebody's weights."""
    with one_thread():
        torch.manual_seed(initial_seed)
        network = Network()
        if start is not None:
            network.load_state_dict({name: torch.tensor(value) for name, value in start.items()})
        optimizer = torch.optim.SGD(
            network.parameters(), lr=learning_rate, momentum=0.9, weight_decay=5e-4
        )
        pictures, labels = images(order_seed, 32 * steps)
        for step in range(steps):
            batch = slice(32 * step, 32 * step + 32)
            loss = F.cross_entropy(network(pictures[batch]), labels[batch])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return {name: value.numpy().copy() for name, value in network.state_dict().items()}


def predict(weights: Weights, pictures: Tensor) -> npt.NDArray[np.int64]:
    """(N,) the class of each picture."""
    with one_thread(), torch.no_grad():
        network = Network().eval()
        network.load_state_dict({name: torch.tensor(value) for name, value in weights.items()})
        return network(pictures).argmax(1).numpy()


def trace(key: str, weights: Weights) -> CheckpointTrace:
    return describe_checkpoint(key, f"{hash(key)}", weights)


# --------------------------------------------------------------------------- done to copies


def with_noise(weights: Weights, share: float, seed: int = 0) -> Weights:
    """Normal noise of `share` of each weight's spread."""
    rng = np.random.default_rng(seed)
    return {
        name: (value + share * value.std() * rng.standard_normal(value.shape)).astype(np.float32)
        if value.ndim >= 2
        else value
        for name, value in weights.items()
    }


def with_permuted_channels(weights: Weights, seed: int = 0, *, rescaled: bool = False) -> Weights:
    """The same function with the channels of every layer in another order; `rescaled` multiplies
    each filter by a number that the normalisation behind it takes back out."""
    rng = np.random.default_rng(seed)
    stem, body, deep = (rng.permutation(size) for size in (16, 32, 32))
    put = {
        "stem": (stem, None),
        "wide": (body, stem),
        "same": (body, body),
        "deep": (deep, body),
        "fc": (None, deep),
    }
    norms = {"bn1": stem, "bn2": body, "bn3": body, "bn4": deep}
    result: Weights = {}
    for name, value in weights.items():
        module, _, leaf = name.partition(".")
        changed = value
        if module in norms and value.ndim:
            changed = value[norms[module]]
        elif module in put and leaf == "weight":
            rows, columns = put[module]
            changed = changed if rows is None else changed[rows]
            changed = changed if columns is None else changed[:, columns]
        result[name] = np.ascontiguousarray(changed)
    if rescaled:
        for conv, norm in (("stem", "bn1"), ("wide", "bn2"), ("same", "bn3"), ("deep", "bn4")):
            scale = rng.uniform(0.3, 3.0, len(result[f"{conv}.weight"])).astype(np.float32)
            result[f"{conv}.weight"] = result[f"{conv}.weight"] * scale[:, None, None, None]
            result[f"{norm}.running_mean"] = result[f"{norm}.running_mean"] * scale
            result[f"{norm}.running_var"] = result[f"{norm}.running_var"] * scale**2
    return result


def as_half(weights: Weights) -> Weights:
    return {
        name: value.astype(np.float16) if value.dtype == np.float32 else value
        for name, value in weights.items()
    }


def renamed_and_shuffled(weights: Weights, seed: int = 0) -> Weights:
    """Other names, other order."""
    names = list(weights)
    np.random.default_rng(seed).shuffle(names)
    return {
        f"net.{number}.{name.split('.')[-1]}": weights[name] for number, name in enumerate(names)
    }


def pruned(weights: Weights, share: float) -> Weights:
    return {
        name: np.where(np.abs(value) < np.quantile(np.abs(value), share), 0, value).astype(
            value.dtype
        )
        if value.ndim >= 2
        else value
        for name, value in weights.items()
    }
