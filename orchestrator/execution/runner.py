"""A command's run: checked steps in, results on disk out. Everything that runs goes through an `Executor`."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from orchestrator.execution.active_run import ActiveRun
from orchestrator.execution.bookkeeping import restore
from orchestrator.execution.executor import OpenExecutor
from orchestrator.execution.hardware import Hardware
from orchestrator.execution.interrupts import INTERRUPTED, graceful_interrupts
from orchestrator.execution.lock import only_one
from orchestrator.execution.preload import Preload
from orchestrator.execution.publishing import Publisher
from orchestrator.execution.session import ray_executor
from orchestrator.execution.view import MakeView, RunView
from orchestrator.planning.planner import Planner
from orchestrator.planning.steps import FaceApiEvaluation, Run, Step, trainings
from orchestrator.sweeps.confirmation import to_confirm
from orchestrator.sweeps.sweep import Sweep, left_to_do
from orchestrator.tracking.tracker import NO_TRACKER, Tracker
from trainable.base.errors import ExperimentError, Failure
from trainable.data.tables import ImageTable, distinct_images


@dataclass(frozen=True)
class Outcome:
    """How a run ended: what failed, by name, whether the user interrupted the run, and what was not run but restored
    from the history: by name, with a clause that says what replaces what."""

    failures: Mapping[str, Failure]
    interrupted: bool
    restored: Mapping[str, str] = field(default_factory=dict)

    @property
    def exit_code(self) -> int:
        return INTERRUPTED if self.interrupted else 1 if self.failures else 0

    def with_ran(self, other: Outcome) -> Outcome:
        """This outcome of restoring, followed by that of running."""
        return replace(other, failures={**self.failures, **other.failures}, restored=self.restored)


def run_steps(
    steps: Sequence[Step], sweeps: Sequence[Sweep], planner: Planner, hardware: Hardware, make_view: MakeView, *,
    fresh: bool = False, open_executor: OpenExecutor = ray_executor, preload: Sequence[str] = (),
    tracker: Tracker = NO_TRACKER, command: str = "",
) -> Outcome:  # fmt: skip
    """Run what is to do of `steps` and of the sweeps' trials, then the confirmations. A failure leaves the rest alone.

    Args:
        preload: modules that the caller needs afterwards, imported when nothing else is left to do.
        tracker: is told of the runs; the caller closes it.
        command: as the user gave it, for those who look from outside.

    Raises:
        ConfigError: before a result is touched: weights, cluster or room are lacking, or another run writes there.
    """
    if not _to_restore(steps) and not _anything_left(steps, sweeps, planner):
        return Outcome({}, False)
    with only_one(planner.paths), Publisher(planner.paths, hardware.address, command) as others:
        restored = _restored(steps, planner)
        if not _anything_left(steps, sweeps, planner):
            return restored
        todo = [planner.identify(step) for step in left_to_do(steps, sweeps)]
        stop = threading.Event()
        with open_executor(planner.paths.logs, hardware.address) as executor, make_view(executor.terminal) as view:
            _announce(view, executor.log, todo, sweeps)
            others.show(view)
            images = None if hardware.plain else _images(todo, planner)
            with Preload(trainings(todo), images, view.decoded, stop, executor.modules, preload, view.say) as load:
                cluster = executor.connect(hardware, view.say)
                if fresh:
                    load.finish()
                leave = others.leaving(view.abandon)
                with graceful_interrupts(stop, view.say, leave) as interrupts, others.heeding(interrupts):
                    run = ActiveRun(planner, hardware, executor, cluster, view, load.over, sweeps, tracker, fresh=fresh)
                    ran = run.run(todo)
        outcome = restored.with_ran(_outcome(ran, planner, view.failures, interrupted=stop.is_set()))
        others.exit_code = outcome.exit_code
    return outcome


def _to_restore(steps: Sequence[Step]) -> list[Run | FaceApiEvaluation]:
    return [step for step in steps if isinstance(step, Run | FaceApiEvaluation) and step.status == "restored"]


def _anything_left(steps: Sequence[Step], sweeps: Sequence[Sweep], planner: Planner) -> bool:
    """Whether anything is to run, now or when the trials of a sweep are done."""
    return bool(left_to_do(steps, sweeps)) or any(sweep.unchosen or to_confirm(sweep, planner) for sweep in sweeps)


def _restored(steps: Sequence[Step], planner: Planner) -> Outcome:
    """Bring back what the history has."""
    restored, failures = {}, {}
    for step in _to_restore(steps):
        try:
            restored[step.name] = restore(step, planner.paths)
        except ExperimentError as error:
            failures[step.name] = Failure.of(error)
    return Outcome(failures, False, restored)


def _announce(view: RunView, log: Path, todo: Sequence[Step], sweeps: Sequence[Sweep]) -> None:
    view.log = log
    view.say(f"Ray's log: {log}")
    view.add(todo, [name for sweep in sweeps for name in sweep.unchosen_names()])


def _images(todo: Sequence[Step], planner: Planner) -> ImageTable | None:
    """The images that the trainings read, one row for each file."""
    splits = {step.experiment.split for step in trainings(todo)}
    tables = [table for split in sorted(splits) for table in planner.inputs.training[split].values()]
    return distinct_images(tables) if tables else None


def _outcome(steps: Sequence[Step], planner: Planner, failures: Mapping[str, Failure], *, interrupted: bool) -> Outcome:
    """What the disk says, whatever was reported."""
    left = {step.name for step in map(planner.again, steps) if step.to_do}
    if interrupted:
        return Outcome({name: failure for name, failure in failures.items() if name in left}, bool(left))
    silent = Failure("ended without a result")
    return Outcome({name: failures.get(name, silent) for name in sorted(left)}, False)
