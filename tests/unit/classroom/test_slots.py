"""How many submissions a worker takes, and how many threads a program may use."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from grader.classroom import dask_engine


def _facts(nthreads: int, status: str = "running", **resources: float) -> dict[str, object]:
    return {"nthreads": nthreads, "status": status, "resources": resources}


def test_a_slot_is_a_thread_and_where_there_are_gpus_a_gpu() -> None:
    plain = {"tcp://a:1": _facts(1), "tcp://b:1": _facts(4), "tcp://c:1": _facts(1, "closing")}
    assert dask_engine._slots_of(plain) == {"tcp://a:1": 1, "tcp://b:1": 4}
    mixed = {**plain, "tcp://d:1": _facts(8, GPU=2), "tcp://e:1": _facts(1, GPU=1)}
    assert dask_engine._slots_of(mixed) == {"tcp://d:1": 2, "tcp://e:1": 1}


@pytest.mark.parametrize(
    ("cores", "of_machine", "slots_on_host", "threads"),
    [
        (16, 16, 4, 4),  # four workers share the machine
        (4, 16, 4, 4),  # a worker that is bound to four cores has them for itself
        (2, 2, 8, 1),  # never none
    ],
)
def test_programs_do_not_fight_over_cores(
    monkeypatch: pytest.MonkeyPatch, cores: int, of_machine: int, slots_on_host: int, threads: int
) -> None:
    monkeypatch.setattr(dask_engine, "CPU_COUNT", cores)
    monkeypatch.setattr(dask_engine.os, "cpu_count", lambda: of_machine)
    worker = SimpleNamespace(state=SimpleNamespace(nthreads=1), address="tcp://10.0.0.1:4711")
    assert dask_engine._fair_threads(worker, {"10.0.0.1": slots_on_host}) == threads


def test_own_workers_declare_the_gpus_that_this_process_may_use(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,5")
    specification = dask_engine._workers(3, "/nowhere")
    declared = [part["options"]["resources"] for part in specification.values()]
    shown = [part["options"]["env"]["CUDA_VISIBLE_DEVICES"] for part in specification.values()]
    assert declared == [{"GPU": 1}] * 3
    assert shown == ["2", "5", "2"]
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert "resources" not in dask_engine._workers(1, "/nowhere")[0]["options"]
