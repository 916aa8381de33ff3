"""What is on disk of a sweep's trials: how far each came, what it showed, and why it ended."""

from __future__ import annotations

import csv
import io
import shutil
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from orchestrator.planning.planner import Planner
from orchestrator.planning.steps import TrainingStep, Trial
from orchestrator.sweeps.policy import MakePolicy, Policy
from orchestrator.sweeps.result_files import read_csv_text
from orchestrator.sweeps.sweep import Sweep
from trainable.base.errors import ExperimentError
from trainable.base.files import read_json, write_json
from trainable.run.history import TrialHistory
from trainable.run.resumption import find_checkpoint

BUDGET_SPENT = "budget spent"
"""Why a trial was stopped that a later command may continue."""


@dataclass(frozen=True)
class TrialRecord:
    """A trial as it is on disk: its epochs, and why there are no more of them."""

    history: TrialHistory = field(default_factory=TrialHistory)
    seconds: float | None = None
    why: str = "not started"
    finished: bool = False


def trial_record(step: TrainingStep, planner: Planner) -> TrialRecord:
    """The record of a training, from the files that have the training's identity."""
    step = planner.identify(step)
    manifest, stopped = _of(step, step.run.manifest), _of(step, step.run.stopped)
    if manifest and step.run.history.is_file():
        try:
            history = _history(step.run.history)
        except ExperimentError as error:  # the trial has no rank; the others are not concerned
            return TrialRecord(why=f"not readable: {error}")
        return TrialRecord(history, manifest.get("seconds"), "finished", finished=True)
    found = stopped or find_checkpoint(step.run.checkpoints, step.identity).note
    if found:
        return TrialRecord(
            TrialHistory.from_json(found), found.get("total_seconds"), str(found.get("why", "interrupted"))
        )
    return TrialRecord()


def _history(file: Path) -> TrialHistory:
    """Raises ExperimentError where the file is not as the trial left it."""
    rows = csv.DictReader(io.StringIO(read_csv_text(file), newline=""))
    try:
        return TrialHistory.of_rows(rows)
    except (KeyError, TypeError, ValueError, csv.Error) as error:
        raise ExperimentError(f"{file}: not a history of epochs ({type(error).__name__}: {error})") from error


def policy_of(sweep: Sweep, planner: Planner, make_policy: MakePolicy) -> Policy:
    """The policy of a sweep, which knows what the trials have shown in earlier commands."""
    policy = make_policy(sweep.options.scheduler)
    for number, member in enumerate(sweep.members):
        policy.add(member.name, member.config, exempt=number == 0)
    for name in sweep.unchosen_names():
        assert sweep.template is not None
        policy.add(name, sweep.template.config)
    for member in sweep.members:
        history = trial_record(member, planner).history
        if history.scores:
            policy.report(member.name, history)
        if not member.to_do:
            policy.leave(member.name)
    return policy


def note_stopped(trial: Trial, why: str, history: TrialHistory | None) -> None:
    """Remember why a trial was stopped. One that ran out of budget keeps its checkpoint, to be continued later.

    Args:
        history: the trial's epochs; None where the trial was not started in this command, whose record then stays.
    """
    run = trial.run
    if history is None:
        known = _of(trial, run.stopped) or find_checkpoint(run.checkpoints, trial.identity).note
        values = {**TrialHistory.from_json(known).to_json(), "total_seconds": known.get("total_seconds")}
    else:
        values = history.to_json()
    final = why != BUDGET_SPENT
    run.out.mkdir(parents=True, exist_ok=True)
    finished = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(run.stopped, {"identity": trial.identity, "why": why, "final": final, **values, "finished": finished})
    if final:
        shutil.rmtree(run.checkpoints, ignore_errors=True)


def forget_stopped(step: TrainingStep) -> None:
    """Delete the note of an earlier stop: the trial goes on, and its checkpoint says how far it came."""
    with suppress(OSError):  # what is wrong with the folder is the trial's to tell
        step.run.stopped.unlink(missing_ok=True)


def _of(step: TrainingStep, path: Path) -> dict[str, Any]:
    """What a file says, where it has the training's identity; {} otherwise."""
    found = read_json(path)
    return found if isinstance(found, dict) and found.get("identity") == step.identity else {}
