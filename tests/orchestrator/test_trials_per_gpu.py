"""`--trials-per-gpu auto` asks a process on a GPU of the cluster, through a real Ray.

Ray counts the GPUs that it is told of, so this one has one; what the process would do there is replaced, since a GPU is
not to be had everywhere (`benchmarks/gpu_check.sh` and `tests/trainable/test_train_speed.py` have the rest).
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest
import ray

from orchestrator.training import measure_trials_per_gpu
from trainable.errors import ConfigError


@pytest.fixture(scope="module")
def gpu() -> Iterator[None]:
    ray.init(address="local", num_cpus=1, num_gpus=1, include_dashboard=False, object_store_memory=100 * 2**20)
    yield
    ray.shutdown()


@pytest.fixture
def answer(gpu: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[int, int], int]], None]:
    return lambda function: monkeypatch.setattr("trainable.speed.trials_per_gpu", function)


def test_it_runs_on_the_gpu_beside_whatever_has_the_cpus(answer: Callable[..., None]) -> None:
    def visible(batch: int, most: int) -> int:
        return batch + most if os.environ["CUDA_VISIBLE_DEVICES"] == "0" else -1

    answer(visible)
    assert measure_trials_per_gpu(100, 5, threading.Event()) == 105


def test_an_interrupt_does_not_wait_for_it(answer: Callable[..., None]) -> None:
    def forever(batch: int, most: int) -> int:
        while True:
            time.sleep(1)

    answer(forever)
    stop = threading.Event()
    threading.Timer(2.0, stop.set).start()
    assert measure_trials_per_gpu(128, 5, stop) == 1

    def free(batch: int, most: int) -> int:
        return 2

    answer(free)
    assert measure_trials_per_gpu(128, 5, threading.Event()) == 2, "the GPU is free again"


def test_a_process_that_dies_is_told_in_a_line(answer: Callable[..., None]) -> None:
    def die(batch: int, most: int) -> int:
        os._exit(1)

    answer(die)
    with pytest.raises(ConfigError, match=r"--trials-per-gpu auto: .*\(give a number instead\)") as raised:
        measure_trials_per_gpu(128, 5, threading.Event())
    assert "\n" not in str(raised.value)
