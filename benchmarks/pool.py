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
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_AUTH_MODE", "token")  # read when Ray is imported; see `orchestrator.execution.session`

from orchestrator.execution.work import Limits, Work
from ray import tune

from orchestrator.execution.session import Share, session
from orchestrator.execution.tuner import train
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.planner import Step
from orchestrator.sweeps.policies import Halving
from search_spaces.runbook import EXPERIMENTS, Experiment
from trainable.base.config import Resources, TrainConfig


class Trivial(tune.Trainable):
    """One step that computes nothing."""

    def setup(self, config: dict[str, Any]) -> None:
        pass

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        return True

    def step(self) -> dict[str, Any]:
        return {"epoch": 1, "scores": [0.5], "stages": [1], "done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        pass  # a plain Tuner saves at the end, and throws the process away where that fails


def pooled(trials: int, folder: Path, slots: int) -> float:
    """Seconds of so many trials of one sweep."""
    probe = next(e for e in EXPERIMENTS if e.name == "probe_M1")
    config, policy, steps = TrainConfig("probe", 1, 7e-4), Halving(), []
    for number in range(trials):
        step = _step(probe, number, config)
        policy.add(step.name, config, kept=number == 0)
        steps.append(step)
    names = [step.name for step in steps]
    work = Work(
        steps, dict.fromkeys(names, Share(1, 0.0)), dict.fromkeys(names, Resources("cpu", 1)), {},
        {"probe_M1": policy}, Limits(slots),
    )  # fmt: skip
    began = time.perf_counter()
    train(work, ProjectPaths(folder, folder), report=lambda *event: None, stop=threading.Event(), trainable=Trivial)
    return time.perf_counter() - began


def _step(probe: Experiment, number: int, config: TrainConfig) -> Step:
    trial = replace(probe, name=f"probe_M1#{number}", trial=f"{number}", test=False)
    return Step(trial, (1, 1), 1.0, "new", "", config, {}, "probe_M1")


def plain(trials: int, folder: Path) -> float:
    """Seconds of so many trials in a plain Tuner that reuses its actors."""
    tuner = tune.Tuner(
        tune.with_resources(Trivial, {"cpu": 1}),
        param_space={"number": tune.grid_search(list(range(trials)))},
        tune_config=tune.TuneConfig(reuse_actors=True),
        run_config=tune.RunConfig(storage_path=str(folder), verbose=0),
    )
    # Ours wants one pending trial at a time; a plain Tuner reuses its actors only with several.
    ours = os.environ.pop("TUNE_MAX_PENDING_TRIALS_PG", None)
    began = time.perf_counter()
    results = tuner.fit()
    seconds = time.perf_counter() - began
    if ours is not None:
        os.environ["TUNE_MAX_PENDING_TRIALS_PG"] = ours
    if results.num_errors:
        raise RuntimeError(f"{results.num_errors} of {trials} plain trials failed")
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args()
    seconds: dict[str, list[float]] = {"pool": [], "plain": []}
    with tempfile.TemporaryDirectory() as name, session(Path(name)) as ray_session:
        ray_session.connect(None)
        pooled(4, Path(name), os.cpu_count() or 1)  # the first processes of a Ray take longest
        for _ in range(options.repeat):
            seconds["pool"].append(pooled(options.trials, Path(name), os.cpu_count() or 1) / options.trials)
            seconds["plain"].append(plain(options.trials, Path(name) / "plain") / options.trials)
    medians = {kind: statistics.median(values) for kind, values in seconds.items()}
    print(json.dumps({"seconds_per_trial": seconds, "median": medians, "over": medians["pool"] - medians["plain"]}))


if __name__ == "__main__":
    main()
