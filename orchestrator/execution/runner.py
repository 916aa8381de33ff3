"""A command's run: checked steps in, results on disk out. Everything that runs goes through an `Executor`."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.execution.active_run import ActiveRun
from orchestrator.execution.bookkeeping import forget
from orchestrator.execution.executor import OpenExecutor
from orchestrator.execution.hardware import Hardware
from orchestrator.execution.interrupts import INTERRUPTED, graceful_interrupts
from orchestrator.execution.lock import only_one
from orchestrator.execution.preload import Preload
from orchestrator.execution.session import ray_executor
from orchestrator.execution.view import MakeView, RunView
from orchestrator.planning.planner import Planner
from orchestrator.planning.steps import Step, trainings
from orchestrator.sweeps.confirmation import to_confirm
from orchestrator.sweeps.sweep import Sweep, left_to_do
from orchestrator.tracking.tracker import NO_TRACKER, Tracker
from trainable.base.errors import Failure
from trainable.data.tables import ImageTable, distinct_images


@dataclass(frozen=True)
class Outcome:
    """How a run ended: what failed, by name, and whether the user interrupted the run."""

    failures: Mapping[str, Failure]
    interrupted: bool

    @property
    def exit_code(self) -> int:
        return INTERRUPTED if self.interrupted else 1 if self.failures else 0


def run_steps(
    steps: Sequence[Step],
    sweeps: Sequence[Sweep],
    planner: Planner,
    hardware: Hardware,
    make_view: MakeView,
    *,
    fresh: bool = False,
    open_executor: OpenExecutor = ray_executor,
    preload: Sequence[str] = (),
    tracker: Tracker = NO_TRACKER,
) -> Outcome:
    """Run what is to do of `steps` and of the sweeps' trials, then the confirmations. A failure leaves the rest alone.

    Args:
        preload: modules that the caller needs afterwards, imported when nothing else is left to do.
        tracker: is told of the runs; the caller closes it.

    Raises:
        ConfigError: before a result is touched: weights, cluster or resources are unavailable, or another run writes
            to the same folder.
    """
    todo = left_to_do(steps, sweeps)
    if not todo and not any(sweep.unchosen or to_confirm(sweep, planner) for sweep in sweeps):
        return Outcome({}, False)
    with only_one(planner.paths):
        todo = [planner.identify(step) for step in todo]
        stop = threading.Event()
        with open_executor(planner.paths.logs, hardware.address) as executor, make_view(executor.terminal) as view:
            _announce(view, executor.log, todo, sweeps)
            images = None if hardware.plain else _images(todo, planner)
            with Preload(trainings(todo), images, view.decoded, stop, executor.modules, preload, view.say) as load:
                cluster = executor.connect(hardware.num_cpus)
                if fresh:
                    load.finish()
                    forget(todo, sweeps)
                with graceful_interrupts(stop, view.say, view.abandon):
                    run = ActiveRun(planner, hardware, executor, cluster, view, load.over, sweeps, tracker, fresh=fresh)
                    ran = run.run(todo)
    return _outcome(ran, planner, view.failures, interrupted=stop.is_set())


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
