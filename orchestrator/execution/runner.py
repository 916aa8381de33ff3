"""`run-all`: checked steps in, results on disk out (the only module that puts Ray, training and FaceAPI together)."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from orchestrator.cli.progress import ProgressView
from orchestrator.execution.hardware import Hardware
from orchestrator.execution.lock import only_one
from orchestrator.execution.memory import requests
from orchestrator.execution.preload import Preparation
from orchestrator.execution.session import Cluster, Share, session
from orchestrator.execution.shares import Shares
from orchestrator.execution.work import Limits, Work
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.planner import Planner, Step
from orchestrator.sweeps.confirmation import to_confirm
from orchestrator.sweeps.policies import TIME_BUDGET, Policy
from orchestrator.sweeps.records import forget_stopped, note_stopped, policy_of
from orchestrator.sweeps.sweep import Sweep
from trainable.base.config import Resources
from trainable.data.tables import distinct_images


@dataclass(frozen=True)
class Outcome:
    """How a run ended: what failed and why, and whether it was interrupted."""

    failures: dict[str, str]
    interrupted: bool

    @property
    def exit_code(self) -> int:
        return 130 if self.interrupted else 1 if self.failures else 0


def run_steps(
    steps: Sequence[Step],
    planner: Planner,
    hardware: Hardware,
    console: Console,
    *,
    fresh: bool,
    verbose: bool,
    sweeps: Sequence[Sweep] = (),
) -> Outcome:
    """Run what is to do of `steps` and of the sweeps' trials, then the confirmations; what fails leaves the rest alone.

    Raises:
        ConfigError: before a result is touched: weights, cluster or resources are not to be had, or another run is on.
    """
    paths = planner.paths
    todo = [step for step in (*steps, *(trial for sweep in sweeps for trial in sweep.trials)) if step.to_do]
    if not todo and not any(to_confirm(sweep, planner) for sweep in sweeps):
        return Outcome({}, False)
    with only_one(paths):
        todo = [planner.identify(step) for step in todo]
        look: dict[str, Any] = {"force_terminal": console.is_terminal, "width": console.width}
        with session(paths.logs) as ray_session:
            terminal = Console(file=ray_session.terminal, **look)
            terminal.print(f"Ray's log: {ray_session.log}", highlight=False, soft_wrap=True)
            with ProgressView(terminal, todo, verbose=verbose) as view:
                stop = threading.Event()
                with _preparation(todo, planner, hardware, view, stop) as ready:
                    cluster = ray_session.connect(hardware.address, hardware.num_cpus)
                    if fresh:
                        ready.finish()
                        _forget(todo, paths, sweeps)
                    with _interrupts(stop, view.say):
                        run = _Run(planner, hardware, cluster, view, ready.over, sweeps)
                        run.execute(todo)
                        todo = [*run.current(todo), *run.confirm()]
                        todo = [step for step in todo if step.name not in run.out_of_time]
    return _outcome(todo, planner, view.failures, interrupted=stop.is_set())


def _preparation(
    todo: Sequence[Step], planner: Planner, hardware: Hardware, view: ProgressView, stop: threading.Event
) -> Preparation:
    training = [step for step in todo if step.experiment.trains]
    splits = {step.experiment.split for step in training} if not hardware.plain else set()
    tables = [table for split in sorted(splits) for table in planner.inputs.training[split].values()]
    images = distinct_images(tables) if tables else None
    return Preparation(training, images, view.decoded, stop)


class _Run:
    """What is done between Ray's start and its end."""

    def __init__(
        self,
        planner: Planner,
        hardware: Hardware,
        cluster: Cluster,
        view: ProgressView,
        stop: threading.Event,
        sweeps: Sequence[Sweep],
    ) -> None:
        self.planner, self.hardware, self.cluster, self.view, self.stop = planner, hardware, cluster, view, stop
        self.sweeps = sweeps
        self.out_of_time: set[str] = set()
        self.shares = Shares(cluster, hardware, self._measure)
        self.steps: dict[str, Step] = {}
        budgets = [sweep.options.budget for sweep in sweeps if sweep.options.budget is not None]
        self.deadline = time.monotonic() + min(budgets) if budgets else None

    def execute(self, todo: Sequence[Step]) -> None:
        """FaceAPI in a thread, training in this one (Tune wants the main thread for its signals)."""
        from orchestrator.execution.faceapi_tasks import FaceApiJobs

        training = [step for step in todo if step.experiment.trains]
        faceapi = [step for step in todo if not step.experiment.trains]
        work = self._work(training) if training else None
        # Beside training on CPUs, FaceAPI takes cores that trials count on: few at a time.
        limit = max(1, self.cluster.cpus // 4) if training else max(1, self.cluster.cpus)
        jobs = FaceApiJobs(
            faceapi, self.planner.inputs, self.planner.settings.faceapi, self.planner.paths,
            limit=limit, report=self.view, stop=self.stop,
        )  # fmt: skip
        jobs.start()
        try:
            if work is not None:
                self._train(work)
        finally:
            jobs.limit = max(1, self.cluster.cpus)
            while jobs.thread.is_alive():
                jobs.thread.join(0.5)  # a plain join would keep signals waiting

    def confirm(self) -> list[Step]:
        """Train the best of each sweep and its default on new seeds. Returns those trials."""
        if self.stop.is_set() or (self.deadline is not None and time.monotonic() >= self.deadline):
            return []
        steps = [step for sweep in self.sweeps for step in to_confirm(sweep, self.planner, self.view.failures)]
        steps = [self.planner.identify(step) for step in steps]
        if steps:
            self.view.add(steps)
            self._train(self._work(steps))
        return steps

    def _train(self, work: Work) -> None:
        from orchestrator.execution.tuner import train

        def report(name: str, event: str, value: Any) -> None:
            step = self.steps[name]
            if event == "start":
                forget_stopped(step, self.planner.paths)
            if event == "stopped":
                why, past = value
                if not step.open:
                    note_stopped(step, self.planner.paths, why, past)
                value = why
                if why == TIME_BUDGET:
                    self.out_of_time.add(name)
            self.view(name, event, value)

        self.steps = {step.name: step for step in work.steps}
        train(work, self.planner.paths, report=report, stop=self.stop)

    def current(self, steps: Sequence[Step]) -> list[Step]:
        """The steps with what searches have chosen meanwhile, and without what they will not."""
        now = {step.name: step for sweep in self.sweeps for step in sweep.steps}
        return [now.get(step.name, step) if step.open else step for step in steps if not step.open or step.name in now]

    def _work(self, training: Sequence[Step]) -> Work:
        """Who gets what. What the fixed steps get depends on them alone: with a sweep beside them, their numbers are
        those of a run without one."""
        fixed = [step for step in training if step.sweep is None]
        swept = [step for step in training if step.sweep is not None]
        shares: dict[str, Share] = {}
        resources: dict[str, Resources] = {}
        memory: dict[str, int] = {}
        for steps, all_steps in ((fixed, fixed), (swept, training)):
            if steps:
                share = self.shares.of(all_steps)
                wanted = self._memory(all_steps, share)
                memory |= wanted
                shares |= dict.fromkeys((step.name for step in steps), share)
                resources |= self.shares.resources(steps, share, all_at_once=not wanted)
        if memory:
            self.view.say("memory for fewer trials at once than there are CPUs for (a smaller --batch needs less)")
        slots = sum(self.cluster.slots(shares[training[-1].name]))
        limits = Limits(slots, self.hardware.max_concurrent, self.deadline)
        policies = {sweep.base.name: policy_of(sweep, self.planner) for sweep in self.sweeps}
        return Work(training, shares, resources, memory, policies, limits, self._choice(policies))

    def _choice(self, policies: Mapping[str, Policy]) -> Callable[[str], Step | None]:
        def choose(name: str) -> Step | None:
            from orchestrator.sweeps.proposals import next_trial

            sweep = next(s for s in self.sweeps if s.base.name == self.steps[name].sweep)
            step = next_trial(sweep, name, policies[sweep.base.name], self.planner)
            if step is not None:
                self.steps[name] = step
            return step

        return choose

    def _measure(self, step: Step, most: int) -> int:
        """How many trials like `step` pay on a GPU at once."""
        from orchestrator.execution.tuner import job_of, measure_trials_per_gpu

        self.view.say(f"measuring how many trials at once pay on a GPU, with {step.name}")
        hardware = self.hardware
        resources = Resources(hardware.device, workers=hardware.workers, plain=hardware.plain)
        count = measure_trials_per_gpu(job_of(step, self.planner.paths, resources), most, self.stop)
        self.view.say(f"trials at once on each GPU: {count}")
        return count

    def _memory(self, steps: Sequence[Step], share: Share) -> dict[str, int]:
        return requests(steps, self.cluster.slots(share), self.cluster.memory) if share.device == "cpu" else {}


def _outcome(todo: Sequence[Step], planner: Planner, failures: dict[str, str], *, interrupted: bool) -> Outcome:
    """What the disk says, whatever was reported."""
    after = [planner.again(step) for step in todo]
    left = {step.name for step in after if step.to_do}
    if interrupted:
        return Outcome({name: text for name, text in failures.items() if name in left}, bool(left))
    return Outcome({name: failures.get(name, "ended without a result") for name in sorted(left)}, False)


def _forget(todo: Sequence[Step], paths: ProjectPaths, sweeps: Sequence[Sweep]) -> None:
    """`--fresh`: neither done nor interrupted, so that a fresh run that is interrupted in its turn can go on."""
    for sweep in sweeps:
        if sweep.log is not None:
            sweep.log.forget()
    for step in todo:
        paths.manifest(step.experiment).unlink(missing_ok=True)
        forget_stopped(step, paths)
        for run in _confirmations(step, paths):
            shutil.rmtree(run, ignore_errors=True)
        partial = paths.run(step.experiment).checkpoints if step.experiment.trains else paths.shards(step.experiment)
        shutil.rmtree(partial, ignore_errors=True)


def _confirmations(step: Step, paths: ProjectPaths) -> list[Path]:
    """The folders of a trial on all seeds."""
    if step.sweep is None:
        return []
    folder = paths.run(step.experiment).out
    return list(folder.parent.glob(f"{folder.name.partition('-')[0]}-s*"))


@contextmanager
def _interrupts(stop: threading.Event, say: Callable[[str], None]) -> Iterator[None]:
    """SIGINT and SIGTERM once: finish the epochs in hand. Twice: leave at once; at most those epochs are lost."""

    def handle(number: int, frame: Any) -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()
        say("stopping when the epochs in hand are saved; once more to stop at once")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
