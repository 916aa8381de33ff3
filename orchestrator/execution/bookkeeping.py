"""What a run notes and deletes on disk besides results: why trials were stopped, and what `--fresh` forgets."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from orchestrator.execution.earlier_evaluations import forget_evaluation, keep_earlier
from orchestrator.execution.events import NoEvents
from orchestrator.history.place import Place
from orchestrator.history.store import bring_back, forget_unfinished, make_way
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.steps import FaceApiEvaluation, Run, Step, TrainingStep, Trial, evaluations, trainings
from orchestrator.sweeps.records import BUDGET_SPENT, forget_stopped, note_stopped
from orchestrator.sweeps.sweep import Sweep
from trainable.base.errors import ExperimentError
from trainable.run.history import TrialHistory
from trainable.run.identity import Identity
from trainable.run.kept_aside import mark_as_own


class StopNotes(NoEvents):
    """Notes why a trial was stopped, and deletes the note when the trial goes on."""

    def __init__(self) -> None:
        self.steps: dict[str, TrainingStep] = {}
        """The trainings under way, by name. A trial that a search chooses is added when it is chosen."""
        self.out_of_budget: set[str] = set()

    def started(self, name: str) -> None:
        if name in self.steps:
            forget_stopped(self.steps[name])

    def stopped(self, name: str, why: str, history: TrialHistory | None) -> None:
        trial = self.steps[name]
        assert isinstance(trial, Trial)
        note_stopped(trial, why, history)
        if why == BUDGET_SPENT:
            self.out_of_budget.add(name)


def clear_place(step: Step, paths: ProjectPaths) -> list[str]:
    """Move what a step would replace to the history; one of a sweep replaces nothing that is kept.

    Returns:
        A clause for each result or checkpoint that was moved.

    Raises:
        ExperimentError: something cannot be moved, so that the step must not run.
    """
    return _moved(step, paths, make_way) if isinstance(step, Run | FaceApiEvaluation) else []


def restore(step: Run | FaceApiEvaluation, paths: ProjectPaths) -> str:
    """Bring the result of a step back from the history.

    Returns:
        What replaces what, as a clause.

    Raises:
        ExperimentError: something cannot be moved. The result is still in the history.
    """
    clauses = _moved(step, paths, make_way)
    if isinstance(step, FaceApiEvaluation):
        keep_earlier(step)  # what another program left
    return "; ".join([*_moved(step, paths, bring_back), *clauses])


def _moved(
    step: Run | FaceApiEvaluation, paths: ProjectPaths, move: Callable[[Place, Identity], list[str]]
) -> list[str]:
    place = paths.place(step.experiment)
    assert step.identity is not None
    try:
        return move(place, step.identity)
    except OSError as error:
        raise ExperimentError(
            f"its earlier result cannot be moved to or from {place.history}: {error.strerror} ({error.filename}); "
            "nothing is lost, and the same command tries again"
        ) from error


def forget(todo: Sequence[Step], sweeps: Sequence[Sweep], paths: ProjectPaths) -> None:
    """`--fresh`: neither done nor interrupted, so that a fresh run that is interrupted in its turn can go on."""
    for sweep in sweeps:
        if sweep.log is not None:
            sweep.log.forget()
    for step in evaluations(todo):
        forget_evaluation(step, paths)
    for training in trainings(todo):
        if isinstance(training, Run):
            _forget_run(training, paths)
            continue
        training.run.manifest.unlink(missing_ok=True)
        forget_stopped(training)
        for folder in (training.run.checkpoints, *_confirmations(training)):
            shutil.rmtree(folder, ignore_errors=True)


def _forget_run(step: Run, paths: ProjectPaths) -> None:
    """The result stays until a new one takes its place; what is of others has been moved (see `clear_place`)."""
    assert step.identity is not None
    forget_unfinished(paths.place(step.experiment), step.identity)
    mark_as_own(step.run.out, step.identity)


def _confirmations(step: TrainingStep) -> list[Path]:
    """The folders of a trial on all seeds."""
    if not isinstance(step, Trial):
        return []
    folder = step.run.out
    return list(folder.parent.glob(f"{folder.name.partition('-')[0]}-s*"))
