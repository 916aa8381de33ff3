"""A real Ray on which processes take long to start and trials are often paused: none starts in vain."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray import cloudpickle, tune

from orchestrator.execution.cluster import Cluster, Request, Share
from orchestrator.execution.entries import Entry, Limits
from orchestrator.execution.events import NoEvents
from orchestrator.execution.executor import Training
from orchestrator.execution.queue import TrainingQueue
from orchestrator.execution.tuner import train
from orchestrator.sweeps.halving import Halving
from trainable.base.config import TrainConfig

pytestmark = pytest.mark.ray
CONFIG = TrainConfig("finetune", 8, 5e-4, 1e-4)
SLOTS, TRIALS = 4, 48
START_SECONDS, EPOCH_SECONDS = 4.0, 0.1


class SlowStart(tune.Trainable):
    """The first two processes start at once, and trials come and go in them long before the others are up."""

    def setup(self, config: dict[str, Any], tables: object = None) -> None:
        folder = Path(config["job"]["folder"])
        number = 0
        while True:
            try:
                (folder / f"process{number}").touch(exist_ok=False)
                break
            except FileExistsError:
                number += 1
        if number >= SLOTS // 2:
            time.sleep(START_SECONDS)
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.job = new_config["job"]
        return True

    def step(self) -> dict[str, Any]:
        file = Path(self.job["file"])
        lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
        file.write_text("\n".join([*lines, str(os.getpid())]), encoding="utf-8")
        time.sleep(EPOCH_SECONDS)
        epoch = len(lines) + 1
        stages = [CONFIG.stage_at(number) for number in range(epoch)]
        return {"epoch": epoch, "scores": [self.job["score"]] * epoch, "stages": stages, "done": epoch == CONFIG.epochs}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """What a pause waits for."""
        time.sleep(EPOCH_SECONDS)

    def load_checkpoint(self, checkpoint: str) -> None:
        """The file says how far the trial is."""


@pytest.fixture
def joined(ray_token: None) -> Iterator[None]:
    import ray

    ray.init("local", num_cpus=SLOTS, include_dashboard=False, log_to_driver=False)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # no worker could import it
    try:
        yield
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
        ray.shutdown()


def test_a_process_that_is_starting_is_waited_for(joined: None, tmp_path: Path) -> None:
    one_cpu, policy = Request(Share(1, 0.0)), Halving()
    names = [f"m#{number}" for number in range(TRIALS)]
    for name in names:
        policy.add(name, CONFIG, exempt=name == "m#0")
    entries = [Entry(name, 1.0, one_cpu, "m", fixed=False) for name in names]
    queue = TrainingQueue(entries, {"m": policy}, Limits(Cluster(((SLOTS, 0.0),))))

    def training(name: str) -> Training:
        number = int(name.partition("#")[2])
        job: Any = {"experiment": name, "folder": str(tmp_path), "file": str(tmp_path / name), "score": number / TRIALS}
        return Training(job, "M1", one_cpu)

    train(queue, training, {}, tmp_path / "tune", events=NoEvents(), stop=lambda: False, trainable=SlowStart)
    assert len(list(tmp_path.glob("process*"))) == SLOTS
