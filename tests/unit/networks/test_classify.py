"""The fast way gives the plain network's predictions, and says when it was not sure."""

from __future__ import annotations

import threading

import pytest
import torch

from fixtures.checkpoints.students import Plan, arrays_of, as_saved, make_student, shapes_of
from grader.networks.classify import (
    Classifier,
    available_cores,
    map_images,
    one_thread_each,
)
from grader.networks.read_shape import read_shape
from grader.networks.resnet_6n2 import Form, ResNet6n2, build_resnet

COUNT = 40


@pytest.fixture(scope="module")
def images() -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    sizes = [(1, 3, 20 + index % 3, 20) for index in range(COUNT)]
    return [torch.randn(size, generator=generator) for size in sizes]


def network(close: float | None = None) -> ResNet6n2:
    """A network; with `close`, all of its outputs are that near to each other."""
    state = as_saved(make_student(Plan(norm="batch")))
    if close is not None:
        state["fc.weight"] = state["fc.weight"] * close
        state["fc.bias"] = state["fc.bias"] * close + 1.0
    read = read_shape(shapes_of(state)).network
    assert read is not None
    return build_resnet(read, arrays_of(state), Form("batch"))


def plain(net: ResNet6n2, images: list[torch.Tensor]) -> list[int]:
    with torch.no_grad():
        return [int(net(image).argmax()) for image in images]


@pytest.mark.parametrize("bfloat16", [False, True])
def test_predictions_are_those_of_the_plain_network(
    images: list[torch.Tensor], bfloat16: bool
) -> None:
    net = network()
    classifier = Classifier(net, bfloat16=bfloat16)
    results = [classifier(image) for image in images]
    assert [result.index for result in results] == plain(net, images)
    assert any(not result.rechecked for result in results)


def test_images_that_cannot_be_told_apart_are_decided_by_the_plain_network(
    images: list[torch.Tensor],
) -> None:
    net = network(close=1e-6)
    results = [Classifier(net)(image) for image in images]
    assert all(result.rechecked for result in results)
    assert [result.index for result in results] == plain(net, images)


def test_a_network_of_one_output_is_classified() -> None:
    state = as_saved(make_student(Plan(num_classes=1)))
    read = read_shape(shapes_of(state)).network
    assert read is not None
    classifier = Classifier(build_resnet(read, arrays_of(state), Form("batch")))
    assert {classifier(torch.randn(1, 3, 16, 16)).index for _ in range(12)} == {0}


def test_threads_give_the_same_in_the_same_order(images: list[torch.Tensor]) -> None:
    net = network()
    before = torch.get_num_threads()
    with one_thread_each(3) as pool:
        results = list(map_images(Classifier(net), images, pool, 3))
    assert [result.index for result in results] == plain(net, images)
    assert torch.get_num_threads() == before


def test_each_thread_computes_alone() -> None:
    torch.set_num_threads(2)
    with one_thread_each(2) as pool:
        assert set(map_images(lambda _: torch.get_num_threads(), range(8), pool, 2)) == {1}
    assert torch.get_num_threads() == 2
    torch.set_num_threads(1)


def test_an_error_comes_out_and_stops_the_rest() -> None:
    done: list[int] = []
    lock = threading.Lock()

    def work(item: int) -> int:
        if item == 3:
            raise ValueError("item 3")
        with lock:
            done.append(item)
        return item

    with pytest.raises(ValueError, match="item 3"), one_thread_each(2) as pool:
        list(map_images(work, range(1000), pool, 2))
    assert len(done) < 20


def test_there_is_a_core() -> None:
    assert available_cores() >= 1
