"""The five layers against PyTorch's, value by value and gradient by gradient."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from models import normalization
from models.normalization import (
    BatchInstanceNorm,
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
)
from torch import Tensor, nn

CHANNELS, SIDE_PX = 8, 6
Make = Callable[[], nn.Module]
PAIRS: dict[str, tuple[Make, Make]] = {
    "batch": (lambda: BatchNorm(CHANNELS), lambda: nn.BatchNorm2d(CHANNELS)),
    "batch, cumulative": (
        lambda: BatchNorm(CHANNELS, momentum=None),
        lambda: nn.BatchNorm2d(CHANNELS, momentum=None),
    ),
    "batch, no affine": (
        lambda: BatchNorm(CHANNELS, affine=False, eps=1e-3),
        lambda: nn.BatchNorm2d(CHANNELS, affine=False, eps=1e-3),
    ),
    "batch, untracked": (
        lambda: BatchNorm(CHANNELS, track_running_stats=False),
        lambda: nn.BatchNorm2d(CHANNELS, track_running_stats=False),
    ),
    "instance": (
        lambda: InstanceNorm(CHANNELS),
        lambda: nn.InstanceNorm2d(CHANNELS, affine=True),
    ),
    "instance, tracked": (
        lambda: InstanceNorm(CHANNELS, track_running_stats=True),
        lambda: nn.InstanceNorm2d(CHANNELS, affine=True, track_running_stats=True),
    ),
    "layer per channel": (lambda: LayerNorm(CHANNELS), lambda: nn.GroupNorm(1, CHANNELS)),
    "layer per element": (
        lambda: LayerNorm((CHANNELS, SIDE_PX, SIDE_PX)),
        lambda: nn.LayerNorm((CHANNELS, SIDE_PX, SIDE_PX)),
    ),
    "group": (lambda: GroupNorm(4, CHANNELS), lambda: nn.GroupNorm(4, CHANNELS)),
    "group, no affine": (
        lambda: GroupNorm(2, CHANNELS, affine=False),
        lambda: nn.GroupNorm(2, CHANNELS, affine=False),
    ),
}
KINDS = {torch.float32: 1e-5, torch.float64: 1e-10}


def maps_of(batch: int, kind: torch.dtype, layout: torch.memory_format) -> Tensor:
    """Planes of different means and deviations."""
    generator = torch.Generator().manual_seed(batch)
    maps = torch.randn(batch, CHANNELS, SIDE_PX, SIDE_PX, generator=generator, dtype=kind)
    spread = torch.rand(batch, CHANNELS, 1, 1, generator=generator, dtype=kind) + 0.5
    offset = torch.randn(batch, CHANNELS, 1, 1, generator=generator, dtype=kind)
    return (maps * spread + offset).contiguous(memory_format=layout)


def pair(name: str, kind: torch.dtype) -> tuple[nn.Module, nn.Module]:
    """Ours with the built-in's state, parameters drawn at random."""
    ours, theirs = (make().to(kind) for make in PAIRS[name])
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.copy_(torch.rand_like(parameter) + 0.5)
    assert list(ours.state_dict()) == list(theirs.state_dict())
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def step(layer: nn.Module, maps: Tensor) -> dict[str, Tensor]:
    """What a forward and a backward pass give."""
    maps = maps.detach().clone().requires_grad_()
    y = layer(maps)
    # of a size that keeps sums over the maps, the weights' gradients, near 1
    pull = torch.linspace(-1, 1, y.numel(), dtype=y.dtype).view(y.shape).sin() / y[:, 0].numel()
    y.backward(pull)
    gradients = {f"d {name}": p.grad for name, p in layer.named_parameters()}
    return {"y": y.detach(), "d maps": maps.grad, **gradients, **dict(layer.named_buffers())}


def require_equal(ours: dict[str, Tensor], theirs: dict[str, Tensor], tolerance: float) -> None:
    assert ours.keys() == theirs.keys()
    for name, value in ours.items():
        torch.testing.assert_close(
            value, theirs[name], rtol=tolerance, atol=tolerance, msg=lambda m, n=name: f"{n}: {m}"
        )


@pytest.mark.parametrize("kind", KINDS, ids=str)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last], ids=str)
@pytest.mark.parametrize("batch", [1, 5])
@pytest.mark.parametrize("name", PAIRS)
def test_layers_equal_the_built_in_ones_in_training_and_evaluation(
    name: str, batch: int, layout: torch.memory_format, kind: torch.dtype
) -> None:
    ours, theirs = pair(name, kind)
    for seed in range(3):  # running statistics of several batches
        maps = maps_of(batch, kind, layout) + seed
        given = step(ours, maps)
        require_equal(given, step(theirs, maps), KINDS[kind])
        assert given["y"].is_contiguous(memory_format=layout)
    ours.zero_grad(), theirs.zero_grad()
    ours.eval(), theirs.eval()
    maps = maps_of(batch + 1, kind, layout)
    require_equal(step(ours, maps), step(theirs, maps), KINDS[kind])


@pytest.mark.parametrize("name", ["batch", "instance", "layer per channel", "group"])
def test_blocks_give_what_a_whole_gives(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = pair(name, torch.float64)
    for layout in (torch.contiguous_format, torch.channels_last):
        maps = maps_of(7, torch.float64, layout)
        monkeypatch.setattr(normalization, "BLOCK_BYTES", maps[0].nbytes + 1)
        require_equal(step(ours, maps), step(theirs, maps), 1e-10)
        ours.zero_grad(), theirs.zero_grad()


@pytest.mark.parametrize("name", ["batch", "instance", "layer per channel", "group"])
def test_a_large_mean_costs_no_digits(name: str) -> None:
    """E[x²] − E[x]² would lose everything here."""
    ours, _ = pair(name, torch.float32)
    maps = maps_of(4, torch.float64, torch.contiguous_format) + 3000
    _, exact = pair(name, torch.float64)
    exact.load_state_dict({k: v.double() for k, v in ours.state_dict().items()})
    torch.testing.assert_close(ours(maps.float()).double(), exact(maps), rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("kind", [torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", ["batch", "instance", "layer per channel", "group"])
def test_half_precision_is_normalised_in_float32(name: str, kind: torch.dtype) -> None:
    ours, _ = pair(name, torch.float32)
    maps = maps_of(4, torch.float32, torch.contiguous_format).to(kind)
    expected = ours(maps.float())
    assert ours(maps).dtype == kind
    torch.testing.assert_close(ours(maps), expected.to(kind), rtol=0, atol=0)
    half = step(ours.train(), maps)
    assert half["d maps"].dtype == kind
    assert half["d weight"].dtype == torch.float32


@pytest.mark.parametrize(
    "name", ["batch", "instance", "layer per channel", "group", "batch-instance"]
)
@pytest.mark.parametrize("training", [True, False])
def test_gradients_are_those_of_finite_differences(name: str, training: bool) -> None:
    layer = BatchInstanceNorm(CHANNELS) if name == "batch-instance" else PAIRS[name][0]()
    layer = layer.double().train(training)
    maps = maps_of(2, torch.float64, torch.contiguous_format)[..., :2, :3].contiguous()
    maps.requires_grad_()
    parameters = dict(layer.named_parameters())
    for parameter in parameters.values():
        parameter.data.mul_(torch.linspace(0.6, 0.9, parameter.numel()).view(parameter.shape))

    def run(given: Tensor, *values: Tensor) -> Tensor:
        named = dict(zip(parameters, values, strict=True))
        return torch.func.functional_call(layer, named, (given,))

    assert torch.autograd.gradcheck(run, (maps, *parameters.values()), eps=1e-6, atol=1e-6)


def test_batch_instance_lies_between_its_two_parts() -> None:
    """Nam & Kim 2018, equation 3, written with the built-in layers."""
    maps = maps_of(5, torch.float64, torch.contiguous_format)
    ours = BatchInstanceNorm(CHANNELS).double()
    batch = nn.BatchNorm2d(CHANNELS, affine=False).double()
    instance = nn.InstanceNorm2d(CHANNELS).double()
    with torch.no_grad():
        for parameter in ours.parameters():
            parameter.uniform_(0.1, 0.9)

    def expected(given: Tensor) -> Tensor:
        gate, weight, bias = (p.view(1, -1, 1, 1) for p in (ours.gate, ours.weight, ours.bias))
        return weight * (gate * batch(given) + (1 - gate) * instance(given)) + bias

    for training in (True, False):
        ours.train(training), batch.train(training)
        given, same = maps.clone().requires_grad_(), maps.clone().requires_grad_()
        y, reference = ours(given), expected(same)
        torch.testing.assert_close(y, reference, rtol=1e-10, atol=1e-10)
        pull = y.detach().sin()
        found = torch.autograd.grad(y, [given, *ours.parameters()], pull)
        wanted = torch.autograd.grad(reference, [same, *ours.parameters()], pull)
        for one, other in zip(found, wanted, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-10)
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        torch.testing.assert_close(getattr(ours, name), getattr(batch, name))


def test_the_gate_is_kept_between_nothing_and_all() -> None:
    layer = BatchInstanceNorm(CHANNELS)
    assert torch.equal(layer.gate.data, torch.ones(CHANNELS))
    layer.gate.data.copy_(torch.linspace(-1, 2, CHANNELS))
    saved = layer.state_dict()["gate"]
    assert saved.min() == 0
    assert saved.max() == 1
    layer.gate.data.add_(5)
    layer.eval()(torch.randn(2, CHANNELS, 4, 4))
    assert layer.gate.max() == 1


def test_a_frozen_batch_of_maps_costs_no_gradient() -> None:
    layer = GroupNorm(2, CHANNELS)
    layer(maps_of(2, torch.float32, torch.contiguous_format)).sum().backward()
    assert layer.bias.grad is not None


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (BatchNorm(CHANNELS), (1, CHANNELS, 1, 1)),
        (InstanceNorm(CHANNELS), (4, CHANNELS, 1, 1)),
        (BatchInstanceNorm(CHANNELS), (4, CHANNELS, 1, 1)),
        (BatchNorm(CHANNELS), (4, CHANNELS)),
        (GroupNorm(2, CHANNELS), (4, CHANNELS + 1, 2, 2)),
        (LayerNorm((CHANNELS, 4, 4)), (4, CHANNELS, 5, 5)),
    ],
)
def test_maps_that_do_not_fit_are_named(layer: nn.Module, shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="got"):
        layer(torch.zeros(shape))


def test_channels_divide_into_groups() -> None:
    with pytest.raises(ValueError, match="8 channels do not divide into 3 groups"):
        GroupNorm(3, 8)
    with pytest.raises(ValueError, match="expected C or"):
        LayerNorm((8, 4))
