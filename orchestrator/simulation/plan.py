"""A planned command on a cluster that does not exist: what `ActiveRun` would do, on pretended nodes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from orchestrator.execution.allocation import Allocator
from orchestrator.execution.entries import Entry, Limits, Search
from orchestrator.execution.hardware import Hardware
from orchestrator.execution.preparation import entry_of, make_policy
from orchestrator.execution.queue import TrainingQueue
from orchestrator.planning.costs import FORWARD, stage_cost
from orchestrator.planning.planner import Planner
from orchestrator.planning.steps import Step, TrainingStep, evaluations, trainings
from orchestrator.simulation.costs import ON_CPU, ON_GPU, Overheads, Work
from orchestrator.simulation.machine import Machine, Seen
from orchestrator.simulation.shape import Shape
from orchestrator.sweeps.confirmation import CANDIDATES, to_confirm, under_way
from orchestrator.sweeps.estimate import fixed_jobs
from orchestrator.sweeps.policy import Policy
from orchestrator.sweeps.rates import FACEAPI, TEST, Rates
from orchestrator.sweeps.records import trial_record
from orchestrator.sweeps.speed import Speed
from orchestrator.sweeps.sweep import Sweep, left_to_do
from trainable.base.config import TrainConfig
from trainable.base.errors import ConfigError
from trainable.run.history import TrialHistory

H100 = "an NVIDIA H100's speed (docs/performance.md)"
H100_IMAGES_PER_SECOND = {128: 25_338.0, 1024: 43_504.0}
"""Of stage 3 on one NVIDIA H100 80GB, by batch (docs/performance.md)."""


@dataclass(frozen=True)
class Planned:
    """What a command is to do, as the planner found it. `budget`: seconds after which sweeps end."""

    steps: Sequence[Step]
    sweeps: Sequence[Sweep]
    planner: Planner
    budget: float | None = None


@dataclass(frozen=True)
class Simulated:
    """A command on a shape, in seconds.

    Args:
        clock: until all is done.
        used: GPU seconds, or CPU seconds where there is no GPU, for which trainings held their slots.
        idle: the share of all GPUs', or CPUs', time in which no training held them.
        unknown: evaluations that are left out, since nobody knows how fast they go here.
    """

    shape: Shape
    clock: float
    used: float
    idle: float
    seen: Seen
    unknown: Sequence[str]


def rates_of(shape: Shape, here: Rates, batch: int) -> Rates:
    """How fast a shape's nodes are: as GPUs have trained here, else as an H100; without GPUs as this machine's CPUs."""
    if bool(shape.gpus) == (here.device not in ("cpu", "")):
        return here
    faceapi = [run for run in here.runs if not run.way]
    if not shape.gpus:
        return Rates("cpu", here.runs if here.device == "cpu" else faceapi, here.speed)
    nearest = min(H100_IMAGES_PER_SECOND, key=lambda known: abs(math.log(batch / known)))
    return Rates(H100, faceapi, Speed(1, H100_IMAGES_PER_SECOND[nearest], H100))


def simulate(
    planned: Planned, shape: Shape, rates: Rates, hardware: Hardware, overheads: Overheads | None = None
) -> Simulated:
    """Run what is planned on pretended nodes: trainings and sweeps with FaceAPI beside them, then the confirmations.

    Raises:
        ConfigError: no node can hold a training, or nobody knows how fast a training goes.
    """
    if hardware.gpus_per_trial == "auto":
        raise ConfigError("--trials-per-gpu auto is measured on the GPUs themselves; give --simulate a number")
    cluster = shape.cluster
    machine = Machine(cluster, overheads or (ON_GPU if shape.gpus else ON_CPU))
    simulation = _Simulation(planned, machine, rates, hardware)
    simulation.execute()
    faceapi, unknown = simulation.faceapi_end()
    machine.now = max(machine.now, faceapi)
    simulation.confirm()
    clock, total = machine.now, cluster.gpus or float(cluster.cpus)
    used = machine.seen.used
    return Simulated(shape, clock, used, 1 - used / (total * clock) if clock else 0.0, machine.seen, unknown)


class _Simulation:
    """What `ActiveRun` does, without doing it."""

    def __init__(self, planned: Planned, machine: Machine, rates: Rates, hardware: Hardware) -> None:
        self.planned, self.machine, self.rates = planned, machine, rates
        self.hardware = hardware
        self.allocator = Allocator(machine.cluster, hardware, lambda step, most: 1)
        self.limits = Limits(machine.cluster, hardware.max_concurrent, planned.budget, machine.clock)

    def execute(self) -> None:
        sweeps = self.planned.sweeps
        steps = trainings(left_to_do(self.planned.steps, sweeps))
        chosen = {name: s.template for s in sweeps if s.template for name in s.unchosen_names()}
        if not steps and not chosen:
            return
        requests = self.allocator.allocate([*steps, *chosen.values()]).requests
        policies = {sweep.name: self._policy(sweep) for sweep in sweeps}
        entries = {step.name: entry_of(step, requests[step.name], policies) for step in steps}
        works = {step.name: self._work(step, entries[step.name]) for step in steps}

        def search(sweep: Sweep, template: TrainingStep) -> Search:
            names, request = iter(sweep.unchosen_names()), requests[template.name]

            def choose() -> Entry:
                entry = Entry(next(names), template.work, request, sweep.name, fixed=False)
                works[entry.name] = self._work(template, entry)
                return entry

            return Search(choose, sweep.unchosen, request)

        searches = {s.name: search(s, s.template) for s in sweeps if s.template and s.unchosen}
        queue = TrainingQueue(entries.values(), policies, self.limits, searches)
        self.machine.run(queue, works.__getitem__)

    def confirm(self) -> None:
        if self.limits.over:
            return
        steps = {step.name: step for sweep in self.planned.sweeps for step in self._confirmations(sweep)}
        if not steps:
            return
        request = self.allocator.allocate(list(steps.values())).requests
        works = {n: self._work(s, Entry(n, s.work, request[s.name])) for n, s in steps.items()}
        queue = TrainingQueue([work.entry for work in works.values()], {}, self.limits)
        self.machine.run(queue, works.__getitem__)

    def faceapi_end(self) -> tuple[float, list[str]]:
        """When FaceAPI is done: on a quarter of the CPUs beside trainings, on all of them afterwards."""
        steps, rate = evaluations(left_to_do(self.planned.steps, [])), self.rates.of("", FACEAPI)
        if rate is None:
            return 0.0, [step.name for step in steps]
        jobs = fixed_jobs(steps, self.planned.planner)
        left, cpus = math.fsum(rate.seconds * job.costs[FACEAPI] for job in jobs), max(1, self.machine.cluster.cpus)
        few, until = max(1, cpus // 4), self.machine.now
        return (left / few if left <= few * until else until + (left - few * until) / cpus), []

    def _confirmations(self, sweep: Sweep) -> Iterator[TrainingStep]:
        """The default and the best two on new seeds; of a sweep under way, those with the best made-up scores."""
        if not under_way(sweep):
            yield from to_confirm(sweep, self.planned.planner)
            return
        finished = []
        for name, config in self._members(sweep):
            history = self.machine.seen.histories.get(name, TrialHistory())
            if len(history) == config.epochs:
                finished.append((-(history.best or 0.0), name, config))
        best = [config for _, _, config in sorted(finished, key=lambda found: found[:2])][:CANDIDATES]
        for number, config in enumerate([sweep.default.config, *best] if best else []):
            for seed in range(config.seed + 1, config.seed + 1 + sweep.options.confirm):
                seeded = replace(config, seed=seed)
                yield self.planned.planner.confirmation(sweep.experiment, seeded, number)

    def _members(self, sweep: Sweep) -> Iterator[tuple[str, TrainConfig]]:
        yield from ((trial.name, trial.config) for trial in sweep.others)
        if sweep.template is not None:
            yield from ((name, sweep.template.config) for name in sweep.unchosen_names())

    def _policy(self, sweep: Sweep) -> Policy:
        """As `policy_of`, except that what is new is not looked for on disk."""
        policy = make_policy(sweep.options.scheduler)
        policy.add(sweep.default.name, sweep.default.config, exempt=True)
        for name, config in self._members(sweep):
            policy.add(name, config)
        for member in sweep.members:
            if (history := self._history(member)).scores:
                policy.report(member.name, history)
            if not member.to_do:
                policy.leave(member.name)
        return policy

    def _history(self, step: TrainingStep) -> TrialHistory:
        known = step.status in ("done", "interrupted")
        return trial_record(step, self.planned.planner).history if known else TrialHistory()

    def _work(self, step: TrainingStep, entry: Entry) -> Work:
        """The training's epochs in seconds. Several on one GPU divide its speed, as they do on many images."""
        config, rows, share = step.config, step.rows, entry.request.share
        slower = 1 / share.gpus if 0 < share.gpus < 1 else 1.0 if share.gpus else 1 / share.cpus
        history = self._history(step)
        done = min(len(history), config.epochs - 1)
        history = replace(history, scores=history.scores[:done], stages=history.stages[:done])
        pace = {kind: slower * self._pace(step, kind) for kind in ("1", "2", "3", TEST) if self._needs(step, kind)}
        stages = [config.stage_at(epoch) for epoch in range(done, config.epochs)]
        seconds = [pace[str(stage)] * stage_cost(stage, rows) for stage in stages]
        features = pace["1"] * FORWARD * (2 * rows[0] + rows[1])
        test = pace[TEST] * FORWARD * rows[2] if step.tests else 0.0
        return Work(entry, config, seconds, features, test, sum(rows), history)

    def _needs(self, step: TrainingStep, kind: str) -> bool:
        return step.tests if kind == TEST else int(kind) <= len(step.config.stage_starts)

    def _pace(self, step: TrainingStep, kind: str) -> float:
        rate = self.rates.of(step.experiment.name, kind)
        if rate is None:
            raise ConfigError(f"--simulate: nobody knows how fast {step.experiment.name} goes before a first run")
        return rate.seconds


def source(rates: Rates) -> str:
    """What the speed of trainings is taken from, in words."""
    if any(run.way for run in rates.runs):
        return f"finished runs on {rates.device}"
    return rates.device if rates.device == H100 else "this machine's measured speed"
