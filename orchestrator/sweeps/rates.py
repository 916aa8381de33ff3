"""How fast work goes here: from the manifests of finished runs, else from the measured speed. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from orchestrator.history.place import Record, finished, read_record
from orchestrator.planning.costs import FORWARD, stage_costs
from orchestrator.planning.paths import ProjectPaths
from orchestrator.sweeps.speed import Speed
from search_spaces.runbook import EXPERIMENTS, Experiment
from trainable.base.config import PARTS, TrainConfig
from trainable.base.errors import ConfigError

TEST, FACEAPI = "test", "faceapi"
"""Kinds of work besides the stages "1", "2" and "3". Work is counted in training steps of one image (see
`orchestrator.planning.costs`), FaceAPI's in rows."""


@dataclass(frozen=True)
class Rate:
    """Seconds for a work of 1, and the run or measurement that says so."""

    seconds: float
    source: str


@dataclass(frozen=True)
class FinishedRun:
    """What a finished run shows of the speed.

    Args:
        way: the device, processor and path (`--plain` or not), between which speeds do not compare.
        seconds: for a work of 1, by kind.
    """

    experiment: str
    finished: str
    way: tuple[str, ...]
    seconds: Mapping[str, float]

    @property
    def device(self) -> str:
        return self.way[0]


@dataclass(frozen=True)
class Rates:
    """How fast work goes.

    Args:
        device: the name of what trains; "" where nobody knows.
        runs: finished runs that count, the newest first.
        speed: what was measured; it counts where no run says anything.
    """

    device: str
    runs: Sequence[FinishedRun] = ()
    speed: Speed | None = None

    def of(self, experiment: str, kind: str) -> Rate | None:
        """How fast an experiment's work goes: as in its own last run, else as in the newest of the others, else as
        measured; None where nobody knows."""
        for run in sorted(self.runs, key=lambda run: run.experiment != experiment):
            if kind in run.seconds:
                return Rate(run.seconds[kind], f"{run.experiment}'s run of {run.finished[:10]}")
        if self.speed is None or kind == FACEAPI:
            return None
        return Rate(1 / self.speed.images_per_second, "this machine's measured speed")


def known_rates(paths: ProjectPaths, speed: Speed | None, device: str = "auto") -> Rates:
    """What is known of the speed in an output root. The newest training says which device counts.

    Args:
        device: as in `--device`.
    """
    found = [_finished_run(experiment, read_record(paths.manifest(experiment))) for experiment in EXPERIMENTS]
    runs = sorted((run for run in found if run is not None), key=lambda run: run.finished, reverse=True)
    trained = [run for run in runs if run.way and (device == "auto" or (run.device == "cpu") == (device == "cpu"))]
    chosen = [run for run in runs if not run.way or (trained and run.way == trained[0].way)]
    return Rates(trained[0].device if trained else speed.device if speed else "", chosen, speed)


def _finished_run(experiment: Experiment, record: Record) -> FinishedRun | None:
    """None for a record that does not say how long its run took, such as one that was edited."""
    with suppress(KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError, ConfigError):
        rows = [record["rows"][part] for part in PARTS] if experiment.trains else [record["rows"]["test"]]
        seconds = _training_seconds(record, rows) if experiment.trains else {FACEAPI: record["seconds"] / rows[0]}
        way = (record["device"], str(record["processor"]["model"]), str(record["path"])) if experiment.trains else ()
        if all(0 <= rate < math.inf for rate in seconds.values()):
            return FinishedRun(experiment.name, finished(record), way, seconds)
    return None


def _training_seconds(record: Record, rows: Sequence[int]) -> dict[str, float]:
    """Seconds for a work of 1, by kind."""
    seconds = {str(stage): float(spent) for stage, spent in record["seconds_per_stage"].items()}
    test = float(record["seconds"]) - sum(seconds.values())
    costs = stage_costs(TrainConfig(**record["config"]), rows) | {TEST: FORWARD * rows[2]}
    return {kind: spent / costs[kind] for kind, spent in (seconds | {TEST: test}).items()}
