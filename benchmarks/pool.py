"""What the pool costs: seconds a trial of trivial length, in our pool and in a plain Tuner, in one Ray, alternately.

    python -m benchmarks.pool [--trials 200] [--repeat 3]

Prints JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_AUTH_MODE", "token")  # read when Ray is imported; see `orchestrator.execution.session`

from ray import tune

from orchestrator.execution.cluster import Cluster, Request, Share
from orchestrator.execution.entries import Entry, Limits
from orchestrator.execution.events import NoEvents
from orchestrator.execution.executor import Training
from orchestrator.execution.hardware import Hardware
from orchestrator.execution.queue import TrainingQueue
from orchestrator.execution.session import ray_executor
from orchestrator.execution.tuner import train
from orchestrator.sweeps.halving import Halving
from trainable.base.config import TrainConfig


class Trivial(tune.Trainable):
    """One step that computes nothing."""

    def setup(self, config: dict[str, Any], tables: object = None) -> None:
        pass

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        return True

    def step(self) -> dict[str, Any]:
        return {"epoch": 1, "scores": [0.5], "stages": [1], "done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        pass  # a plain Tuner saves at the end, and throws the process away where that fails


def pooled(trials: int, folder: Path, slots: int) -> float:
    """Seconds of so many trials of one sweep."""
    config, policy, request = TrainConfig("probe", 1, 7e-4), Halving(), Request(Share(1, 0.0))
    names = [f"probe_M1#{number}" for number in range(trials)]
    for name in names:
        policy.add(name, config, exempt=name == names[0])
    entries = [Entry(name, 1.0, request, "probe_M1", fixed=False) for name in names]
    queue = TrainingQueue(entries, {"probe_M1": policy}, Limits(Cluster(((slots, 0.0),))))

    def training(name: str) -> Training:
        return Training({"experiment": name}, "M1", request)

    began = time.perf_counter()
    train(queue, training, {}, folder / "tune", events=NoEvents(), stop=lambda: False, trainable=Trivial)
    return time.perf_counter() - began


def plain(trials: int, folder: Path) -> float:
    """Seconds of so many trials in a plain Tuner that reuses its actors."""
    tuner = tune.Tuner(
        tune.with_resources(Trivial, {"cpu": 1}),
        param_space={"number": tune.grid_search(list(range(trials)))},
        tune_config=tune.TuneConfig(reuse_actors=True),
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
    )
    began = time.perf_counter()
    results = tuner.fit()
    seconds = time.perf_counter() - began
    if results.num_errors:
        raise RuntimeError(f"{results.num_errors} of {trials} plain trials failed")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {"pool": [], "plain": []}
    with tempfile.TemporaryDirectory() as name, ray_executor(Path(name)) as executor:
        executor.connect(Hardware(), print)
        pooled(4, Path(name), os.cpu_count() or 1)  # the first processes of a Ray take longest
        for _ in range(options.repeat):
            seconds["pool"].append(pooled(options.trials, Path(name), os.cpu_count() or 1) / options.trials)
            seconds["plain"].append(plain(options.trials, Path(name) / "plain") / options.trials)
    medians = {kind: statistics.median(values) for kind, values in seconds.items()}
    print(json.dumps({"seconds_per_trial": seconds, "median": medians, "over": medians["pool"] - medians["plain"]}))


if __name__ == "__main__":
    main()
