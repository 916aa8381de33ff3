"""The work of a run between the executor's start and its end: FaceAPI, trainings, then the confirmations."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from orchestrator.execution.accelerators import Accelerators
from orchestrator.execution.allocation import Allocation, Allocator
from orchestrator.execution.bookkeeping import StopNotes, clear_place, forget
from orchestrator.execution.cluster import Cluster
from orchestrator.execution.cpu_shares import CpuShares
from orchestrator.execution.entries import Entry, Limits, Search
from orchestrator.execution.events import Listeners
from orchestrator.execution.executor import Executor, Training
from orchestrator.execution.faceapi_tasks import FaceApiTasks
from orchestrator.execution.hardware import Hardware
from orchestrator.execution.jobs import job_of
from orchestrator.execution.preparation import entry_of, make_policy
from orchestrator.execution.queue import TrainingQueue
from orchestrator.execution.tracked_runs import TrackedRuns
from orchestrator.execution.view import RunView
from orchestrator.planning.planner import Planner
from orchestrator.planning.steps import FaceApiEvaluation, Step, TrainingStep, Trial, evaluations, trainings
from orchestrator.sweeps.confirmation import to_confirm
from orchestrator.sweeps.policy import Policy
from orchestrator.sweeps.records import policy_of
from orchestrator.sweeps.sweep import Sweep
from orchestrator.tracking.tracker import Tracker
from trainable.base.errors import ExperimentError, Failure


class ActiveRun:
    """The work between the executor's start and its end.

    Args:
        over: says whether the run must not go on.
        fresh: what is done or begun does not count, neither now nor when a search chooses a trial.
    """

    def __init__(
        self,
        planner: Planner,
        hardware: Hardware,
        executor: Executor,
        cluster: Cluster,
        view: RunView,
        over: Callable[[], bool],
        sweeps: Sequence[Sweep],
        tracker: Tracker,
        *,
        fresh: bool,
    ) -> None:
        self.planner, self.hardware, self.executor, self.cluster = planner, hardware, executor, cluster
        self.view, self.over, self.sweeps, self.fresh = view, over, sweeps, fresh
        self.notes = StopNotes()
        self.shares = CpuShares(planner.paths.cpu_shares, cluster.cpus, self._folder_of)
        self.accelerators = Accelerators(planner.paths.accelerators, self._folder_of)
        tracked = TrackedRuns(tracker, self._step_of)
        self.events = Listeners([self.notes, self.shares, self.accelerators, view, tracked])
        self.faceapi: FaceApiTasks | None = None
        self.evaluations: dict[str, FaceApiEvaluation] = {}
        self.chosen: list[Trial] = []
        self.allocator = Allocator(cluster, hardware, self._measure, self.shares.file)
        deadlines = [sweep.options.deadline for sweep in sweeps if sweep.options.deadline is not None]
        self.deadline = min(deadlines, default=None)

    def _step_of(self, name: str) -> Step:
        return self.evaluations.get(name) or self.notes.steps[name]

    def run(self, todo: Sequence[Step]) -> list[Step]:
        """Run everything. Returns the steps, also those that were chosen on the way, without those out of budget."""
        inputs = self.planner.inputs
        tables = [table for parts in inputs.training.values() for table in parts.values()]
        with self.executor.serving([*tables, *inputs.faceapi.values()], self.planner.paths.internal):
            self.execute(todo)
            steps = [*todo, *self.chosen, *self.confirm()]
        return [step for step in steps if step.name not in self.notes.out_of_budget]

    def execute(self, todo: Sequence[Step]) -> None:
        """FaceAPI in a thread, training in this one, since Tune wants the main thread for its signals."""
        training, allocation = trainings(todo), None
        if training or any(sweep.unchosen for sweep in self.sweeps):
            allocation = self._allocated(training)
        todo = [step for step in todo if self._has_place(step)]
        if self.fresh:
            forget(todo, self.sweeps, self.planner.paths)
        training, self.evaluations = trainings(todo), {step.name: step for step in evaluations(todo)}
        self.faceapi = faceapi = FaceApiTasks(
            evaluations(todo), self.planner, self.executor, limit=self._tasks_at_once(bool(training)),
            events=self.events, stop=self.over, allow_corrupt=self.hardware.allow_corrupt,
        )  # fmt: skip
        work = self._prepared(training, allocation) if allocation is not None else None
        faceapi.start()
        try:
            if work is not None:
                work()
        finally:
            faceapi.limit = self._tasks_at_once(training=False)
            faceapi.finish()

    def _tasks_at_once(self, training: bool) -> int:
        """How many parts of FaceAPI's rows are evaluated at a time. Beside training few on the same nodes: they take
        cores that trials count on."""
        cluster = self.cluster
        beside = cluster.cpus_without_gpus if cluster.gpus else 0
        return max(1, beside + (cluster.cpus - beside) // (4 if training else 1))

    def _changed(self, cluster: Cluster) -> None:
        """Nodes have come or gone while trainings run."""
        self.view.say(f"the cluster has changed: {cluster} now, {self.cluster} before")
        self.cluster = self.allocator.cluster = cluster
        if self.faceapi is not None:
            self.faceapi.limit = self._tasks_at_once(training=True)

    def confirm(self) -> list[TrainingStep]:
        """Train the best of each sweep and its default on new seeds. Returns those trainings."""
        if self.over() or (self.deadline is not None and time.monotonic() >= self.deadline):
            return []
        steps = [step for sweep in self.sweeps for step in to_confirm(sweep, self.planner, self.view.failures)]
        steps = [self.planner.identify(step) for step in steps]
        if steps:
            self.view.add(steps)
            self._prepared(steps, self._allocated(steps))()
        return list(steps)

    def _has_place(self, step: Step) -> bool:
        """Whether what the step would replace is in the history now; one that cannot be moved there fails the step."""
        try:
            moved = clear_place(step, self.planner.paths)
        except ExperimentError as error:
            self.view.failed(step.name, Failure.of(error))
            return False
        for clause in moved:
            self.view.say(f"{step.name}: {clause}")
        return True

    def _allocated(self, training: Sequence[TrainingStep]) -> Allocation:
        """What `training`, and the trials that searches have still to choose, get of the cluster.

        Raises:
            ConfigError: one of them has no room on any node.
        """
        templates = [sweep.template for sweep in self.sweeps for _ in range(sweep.unchosen) if sweep.template]
        allocation = self.allocator.allocate([*training, *templates])
        if allocation.watches_memory:
            self.view.say("memory for fewer trials at once than there are CPUs for (a smaller --batch needs less)")
        return allocation

    def _prepared(self, training: Sequence[TrainingStep], allocation: Allocation) -> Callable[[], None]:
        """What trains `training` when called."""
        policies = {sweep.name: policy_of(sweep, self.planner, make_policy) for sweep in self.sweeps}
        steps = {step.name: step for step in training}
        self.notes.steps = dict(steps)
        queue = TrainingQueue(
            [entry_of(s, allocation.requests[s.name], policies, self.accelerators.of(s.name)) for s in training],
            policies,
            Limits(self.cluster, self.hardware.max_concurrent, self.deadline),
            searches={s.name: self._search(s, policies, allocation) for s in self.sweeps if s.unchosen},
        )
        self.shares.queue = queue if self.allocator.elastic else None

        def training_of(name: str) -> Training:
            step = self.notes.steps[name]
            template = _template(step, self.sweeps) if name not in steps else step
            job = job_of(step, self.planner.paths, allocation.resources[template.name])
            return Training(job, step.experiment.split, queue.request_of(name), allocation.by_node)

        tables, folder = self.planner.inputs.training, self.planner.paths.tune
        return lambda: self.executor.train(
            queue, training_of, tables, folder, events=self.events, stop=self.over, changed=self._changed
        )

    def _folder_of(self, name: str) -> Path:
        """The run folder of a training, as its job names it."""
        return self.notes.steps[name].run.out.resolve()

    def _search(self, sweep: Sweep, policies: Mapping[str, Policy], allocation: Allocation) -> Search:
        assert sweep.template is not None
        request = allocation.requests[sweep.template.name]

        def choose() -> Entry | None:
            from orchestrator.sweeps.proposals import next_trial

            trial = next_trial(sweep, policies[sweep.name], self.planner)
            if trial is None:
                return None
            if self.fresh:
                forget([trial], [], self.planner.paths)
            self.chosen.append(trial)
            self.notes.steps[trial.name] = trial
            return Entry(trial.name, trial.work, request, sweep.name, fixed=False)

        return Search(choose, sweep.unchosen, request)

    def _measure(self, step: TrainingStep, most: int) -> int:
        """How many trials like `step` pay on a GPU at once."""
        self.view.say(f"measuring how many trials at once pay on a GPU, with {step.name}")
        resources = self.hardware.resources(device=self.hardware.device)
        count = self.executor.trials_per_gpu(job_of(step, self.planner.paths, resources), most, self.over)
        self.view.say(f"trials at once on each GPU: {count}")
        return count


def _template(step: TrainingStep, sweeps: Sequence[Sweep]) -> TrainingStep:
    """The trial whose resources a chosen trial gets."""
    template = next(sweep.template for sweep in sweeps if sweep.experiment == step.experiment)
    assert template is not None
    return template
