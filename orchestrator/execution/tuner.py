"""The trainings of a command as one Tuner: in the queue's order, retried, each failure its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune import CheckpointConfig, FailureConfig, RunConfig
from ray.tune.execution.placement_groups import PlacementGroupFactory
from ray.tune.experiment import Trial

from orchestrator.execution.cluster import Cluster
from orchestrator.execution.dispatch import Dispatcher, EventCallback, PausingScheduler, QueueSearcher, trial_name
from orchestrator.execution.events import RunEvents
from orchestrator.execution.executor import Tables, Training
from orchestrator.execution.loggers import loggers
from orchestrator.execution.nodes import Nodes, bundle_of
from orchestrator.execution.queue import TrainingQueue
from trainable.ray_disk import RayDisk
from trainable.ray_trainable import StagedTrainable


def train(
    queue: TrainingQueue,
    jobs: Callable[[str], Training],
    tables: Tables,
    folder: Path,
    *,
    events: RunEvents,
    stop: Callable[[], bool],
    changed: Callable[[Cluster], None] = lambda cluster: None,
    nodes: Nodes | None = None,
    disk: RayDisk | None = None,
    trainable: type[tune.Trainable] = StagedTrainable,
) -> None:
    """Run all trainings of the queue.

    Returns when each training has finished or failed or, after `stop` says so, has ended its epoch in hand. A trial
    goes on from its own folder, so every call is a new Tuner with a new name. `Tuner.restore` would repeat epochs, and
    ignore trainings and resources that are new.

    Args:
        jobs: a training by its name.
        tables: the tables that trainings read.
        folder: where Tune keeps its records.
        changed: hears of nodes that come and go.
        nodes: the nodes of a cluster that others have started.
        disk: the driver's, for nodes of a cluster that do not see it.
    """

    dispatcher = Dispatcher(queue, lambda name: _config(jobs(name), disk), events, stop, nodes, changed)
    tuner = tune.Tuner(
        _runnable(trainable, tables, disk),
        tune_config=_tune_config(dispatcher),
        run_config=_run_config(dispatcher, folder),
    )
    results = tuner.fit()
    # Tune's checkpoints moved paused trials; a trial goes on from its own folder.
    for checkpoint in Path(results.experiment_path).glob("*/checkpoint_*"):
        shutil.rmtree(checkpoint, ignore_errors=True)


def _config(training: Training, disk: RayDisk | None) -> dict[str, Any]:
    """What Tune hands to the process of a training."""
    if disk is not None:
        disk.expect(training.job)
    values = {"job": training.job, "split": training.split, "by_node": training.by_node}
    return {**values, "resources": bundle_of(training.request)}


def _runnable(trainable: type[tune.Trainable], tables: Tables, disk: RayDisk | None) -> Any:
    """The trainable with what every trial gets. That travels once to a node; it is no part of a trial's configuration,
    so that Tune's records can be read without a Ray."""
    shipped = {"tables": tables, **({"disk": disk} if disk is not None else {})}
    return tune.with_resources(tune.with_parameters(trainable, **shipped), _placement)


def _tune_config(dispatcher: Dispatcher) -> tune.TuneConfig:
    return tune.TuneConfig(
        num_samples=-1,
        reuse_actors=True,
        # The queue says how many run at once. Tune lets as many processes start side by side as this number says.
        max_concurrent_trials=max(1, dispatcher.queue.size),
        search_alg=QueueSearcher(dispatcher),
        scheduler=PausingScheduler(dispatcher),
        trial_name_creator=_folder_name,
        trial_dirname_creator=_folder_name,
    )


def _run_config(dispatcher: Dispatcher, folder: Path) -> RunConfig:
    return RunConfig(
        name=f"{datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}",
        storage_path=str(folder.resolve()),
        callbacks=[EventCallback(dispatcher), *loggers()],
        failure_config=FailureConfig(max_failures=0),  # the queue says what is tried again,
        checkpoint_config=CheckpointConfig(checkpoint_frequency=0, checkpoint_at_end=False),
        verbose=0,
    )


def _placement(config: dict[str, Any]) -> PlacementGroupFactory:
    """One bundle: a trial lies on one node."""
    return PlacementGroupFactory([config["resources"]])


def _folder_name(trial: Trial) -> str:
    """Tune's folder for a trial: finetune_M1, finetune_M1-3 for trial 3 of its sweep, finetune_M1-3-seed1338, and
    finetune_M1-try2 where finetune_M1 has failed once."""
    name, attempt = trial_name(trial).replace("#", "-").replace("/", "-seed"), trial.config["attempt"]
    return name if attempt == 1 else f"{name}-try{attempt}"
