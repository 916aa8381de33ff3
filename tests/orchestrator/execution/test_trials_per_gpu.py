"""`--trials-per-gpu auto` asks a process on a GPU of the cluster, through a real Ray.

Ray counts the GPUs that it is told of, so this one has one; what the process would do there is replaced, since a GPU is
not to be had everywhere (`benchmarks/gpu_check.sh` and `tests/trainable/test_sharing.py` have the rest).
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import ray
import torch

from orchestrator.execution.jobs import job_of
from orchestrator.execution.session import RayExecutor
from orchestrator.planning.inputs import check_inputs
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.planner import Planner
from orchestrator.planning.selection import select
from orchestrator.planning.settings import Recipe, Settings
from trainable.base.config import Job, Resources
from trainable.base.errors import ConfigError

pytestmark = pytest.mark.ray


@pytest.fixture(scope="module")
def executor(ray_token: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RayExecutor]:
    """On a Ray that has a GPU, as far as Ray knows."""
    ray.init(address="local", num_cpus=1, num_gpus=1, include_dashboard=False, object_store_memory=100 * 2**20)
    yield RayExecutor(sys.stdout, tmp_path_factory.mktemp("logs") / "ray.log", address=None)
    ray.shutdown()


def test_it_runs_on_the_gpu_beside_whatever_has_the_cpus(executor: RayExecutor) -> None:
    def visible(trial: Job, most: int) -> int:
        return trial["number"] + most if os.environ["CUDA_VISIBLE_DEVICES"] == "0" else -1

    assert executor.trials_per_gpu({"number": 100}, 5, lambda: False, visible) == 105


def test_an_interrupt_does_not_wait_for_it(executor: RayExecutor) -> None:
    def forever(trial: Job, most: int) -> int:
        while True:
            time.sleep(1)

    stop = threading.Event()
    threading.Timer(2.0, stop.set).start()
    assert executor.trials_per_gpu({}, 5, stop.is_set, forever) == 1

    def free(trial: Job, most: int) -> int:
        return 2

    assert executor.trials_per_gpu({}, 5, lambda: False, free) == 2, "the GPU is free again"


def test_a_process_that_dies_is_told_in_a_line(executor: RayExecutor) -> None:
    def die(trial: Job, most: int) -> int:
        os._exit(1)

    with pytest.raises(ConfigError, match=r"--trials-per-gpu auto: .*\(give a number instead\)") as raised:
        executor.trials_per_gpu({}, 5, lambda: False, die)
    assert "\n" not in str(raised.value)


def test_a_planned_step_is_rehearsed_where_the_gpu_is(
    executor: RayExecutor, shared_project: Path, tmp_path: Path
) -> None:
    """On the CPU; that nothing of the step's own is touched."""
    settings = Settings(recipe=Recipe.model_validate({"weights": "none", "batch": 8, "epochs": 3}))
    paths = ProjectPaths(shared_project, tmp_path)
    experiments = select(["finetune_M1"])
    planner = Planner(check_inputs(experiments, settings, paths), settings, paths)
    step = planner.identify(planner.run(experiments[0]))

    def alone(trial: Job, most: int) -> int:
        from trainable.probes.trials_per_gpu import TrialProcesses

        with TrialProcesses(trial, ahead=1, seconds=0.1) as processes:
            return 7 if processes.measure(1)[0] > 0 else -1

    trial = job_of(step, paths, Resources("cpu"))
    assert executor.trials_per_gpu(trial, 4, lambda: False, alone) == 7
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(torch.cuda.is_available(), reason="here it would measure")
def test_what_is_measured_by_itself_is_one_without_cuda(executor: RayExecutor) -> None:
    """Through Ray as in a run: the process imports what it needs."""
    assert executor.trials_per_gpu({}, 4, lambda: False) == 1
