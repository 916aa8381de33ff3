"""What is on disk of a sweep's trials: how far each came, what it showed, and why it stopped."""

from __future__ import annotations

import csv
import shutil
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.planner import Planner, Step
from orchestrator.sweeps.policies import TIME_BUDGET, Policy, make_policy
from orchestrator.sweeps.sweep import Sweep
from trainable.base.files import read_json, write_json


@dataclass(frozen=True)
class Record:
    """A trial as it is on disk: validation macro-F1, stage and seconds, an item an epoch; `why` it has no more."""

    scores: tuple[float, ...] = ()
    stages: tuple[int, ...] = ()
    seconds: float | None = None
    why: str = "not started"
    finished: bool = False

    @property
    def best(self) -> float | None:
        return max(self.scores, default=None)


def record(step: Step, planner: Planner) -> Record:
    """What is on disk of a step, where it is of the step's identity."""
    run = planner.paths.run(step.experiment)
    step = planner.identify(step)
    manifest, stopped, note = (_of(step, path) for path in (run.manifest, run.stopped, run.checkpoint_note))
    if manifest and run.history.is_file():
        with run.history.open(encoding="utf-8", newline="") as stream:
            rows = list(csv.DictReader(stream))
        scores, stages = tuple(float(row["val_macro_f1"]) for row in rows), tuple(int(row["stage"]) for row in rows)
        return Record(scores, stages, manifest.get("seconds"), "finished", True)
    found = stopped or note
    if found:
        scores, stages = tuple(found.get("scores", ())), tuple(found.get("stages", ()))
        return Record(scores, stages, found.get("total_seconds"), found.get("why", "interrupted"))
    return Record()


def policy_of(sweep: Sweep, planner: Planner) -> Policy:
    """The policy of a sweep, told of what its trials have shown so far."""
    policy = make_policy(sweep.options.scheduler)
    for number, step in enumerate(sweep.steps):
        assert step.config is not None
        policy.add(step.name, step.config, kept=number == 0)
    for step in sweep.steps:
        past = record(step, planner)
        if past.scores:
            policy.report(step.name, past.scores, past.stages)
        if not step.to_do:
            policy.leave(step.name)
    return policy


def note_stopped(step: Step, paths: ProjectPaths, why: str, past: Mapping[str, Any]) -> None:
    """Remember why a trial was stopped. One that had no more time keeps its checkpoint and may go on some day.

    Args:
        past: the trial's last result from Tune; without one, what is on disk of the trial stays.
    """
    run = paths.run(step.experiment)
    if "scores" not in past:
        past = _of(step, run.stopped) or _of(step, run.checkpoint_note)
    final = why != TIME_BUDGET
    kept = {name: past.get(name) or [] for name in ("scores", "stages")}
    values = {"identity": step.identity, "why": why, "final": final, **kept, "total_seconds": past.get("total_seconds")}
    run.out.mkdir(parents=True, exist_ok=True)
    write_json(run.stopped, {**values, "finished": datetime.now(UTC).isoformat(timespec="seconds")})
    if final:
        shutil.rmtree(run.checkpoints, ignore_errors=True)


def forget_stopped(step: Step, paths: ProjectPaths) -> None:
    """The trial goes on: from now on its checkpoint says how far it came."""
    with suppress(OSError):  # what is wrong with the folder is the trial's to tell
        paths.run(step.experiment).stopped.unlink(missing_ok=True)


def _of(step: Step, path: Path) -> dict[str, Any]:
    """What a file says, where it is of the step's identity."""
    found = read_json(path)
    return found if isinstance(found, dict) and found.get("identity") == step.identity else {}
