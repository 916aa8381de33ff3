"""What a run notes and deletes on disk besides results: why trials were stopped, and what `--fresh` forgets."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

from orchestrator.execution.earlier_evaluations import forget_evaluation
from orchestrator.execution.events import NoEvents
from orchestrator.planning.steps import Step, TrainingStep, Trial, evaluations, trainings
from orchestrator.sweeps.records import TIME_BUDGET, forget_stopped, note_stopped
from orchestrator.sweeps.sweep import Sweep
from trainable.base.files import read_json
from trainable.run.history import TrialHistory
from trainable.run.kept_aside import mark_as_own


class StopNotes(NoEvents):
    """Notes why a trial was stopped, and deletes the note when the trial goes on."""

    def __init__(self) -> None:
        self.steps: dict[str, TrainingStep] = {}
        """The trainings under way, by name. A trial that a search chooses is added when it is chosen."""
        self.out_of_time: set[str] = set()

    def started(self, name: str) -> None:
        if name in self.steps:
            forget_stopped(self.steps[name])

    def stopped(self, name: str, why: str, history: TrialHistory | None) -> None:
        trial = self.steps[name]
        assert isinstance(trial, Trial)
        note_stopped(trial, why, history)
        if why == TIME_BUDGET:
            self.out_of_time.add(name)


def forget(todo: Sequence[Step], sweeps: Sequence[Sweep]) -> None:
    """`--fresh`: neither done nor interrupted, so that a fresh run that is interrupted in its turn can go on."""
    for sweep in sweeps:
        if sweep.log is not None:
            sweep.log.forget()
    for step in evaluations(todo):
        forget_evaluation(step)
    for training in trainings(todo):
        record = read_json(training.run.manifest)
        replaced = isinstance(record, dict) and record.get("identity") == training.identity
        training.run.manifest.unlink(missing_ok=True)
        forget_stopped(training)
        for folder in (training.run.checkpoints, *_confirmations(training)):
            shutil.rmtree(folder, ignore_errors=True)
        if replaced and training.identity is not None:  # the new results take the place of these
            mark_as_own(training.run.out, training.identity)


def _confirmations(step: TrainingStep) -> list[Path]:
    """The folders of a trial on all seeds."""
    if not isinstance(step, Trial):
        return []
    folder = step.run.out
    return list(folder.parent.glob(f"{folder.name.partition('-')[0]}-s*"))
