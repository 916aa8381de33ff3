"""How long what is left takes and what it costs, in sentences; and the refusal of what is over the budget."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console

from orchestrator.cli.sentences import about
from orchestrator.cli.spending import Spending
from orchestrator.cli.terminal import say
from orchestrator.execution.hardware import Hardware
from orchestrator.planning.planner import Planner
from orchestrator.planning.steps import Step, trainings
from orchestrator.progress.pace import Left
from orchestrator.sweeps.estimate import Expected, Job, confirmation_jobs, expected, fixed_jobs, sweep_jobs
from orchestrator.sweeps.rates import Rates, known_rates
from orchestrator.sweeps.speed import Speed, gpus_here, known_speed, measured
from orchestrator.sweeps.sweep import Sweep
from trainable.base.errors import ConfigError
from trainable.base.limits import usable_cpus

ANY_NUMBER = 10**9


@dataclass(frozen=True)
class Outlook:
    """What is left to do, and how fast it goes.

    Args:
        slots: trainings at once; of a cluster that is not joined yet nobody knows how many, so all are.
    """

    fixed: Sequence[Job]
    trials: Sequence[Job]
    confirmations: Sequence[Job]
    rates: Rates
    slots: int

    @property
    def lacks_speed(self) -> bool:
        """Whether nobody knows how fast some training goes; FaceAPI's speed is known once it has run."""
        jobs = (*self.fixed, *self.trials, *self.confirmations)
        return any(job.epochs and self.rates.of(job.experiment, kind) is None for job in jobs for kind in job.costs)

    @property
    def all(self) -> Expected:
        return self.of([*self.fixed, *self.trials], self.confirmations)

    def of(self, *phases: Sequence[Job]) -> Expected:
        return expected(phases, self.rates, self.slots, usable_cpus())


def look_ahead(
    steps: Sequence[Step],
    sweeps: Sequence[Sweep],
    planner: Planner,
    hardware: Hardware,
    console: Console,
    *,
    measure: bool,
) -> Outlook:
    """The outlook of a command.

    Args:
        measure: whether the machine's speed is measured where no run has shown it; that takes some seconds.
    """
    fixed = fixed_jobs(steps, planner)
    trials = [job for sweep in sweeps for job in sweep_jobs(sweep, planner)]
    confirmations = [job for sweep in sweeps for job in confirmation_jobs(sweep, planner)]
    configs = [step.config for step in trainings(steps) if step.to_do] + [sweep.default.config for sweep in sweeps]
    batch = max((config.batch for config in configs), default=1)

    def outlook(speed: Speed | None) -> Outlook:
        rates = known_rates(planner.paths, speed, hardware.device)
        return Outlook(fixed, trials, confirmations, rates, _slots(rates, hardware))

    found = outlook(known_speed(batch))
    if measure and found.lacks_speed:
        say(console, "measuring how fast this machine trains")
        found = outlook(measured(batch))
    return found


def say_hours(outlook: Outlook, spending: Spending, console: Console) -> None:
    """Say how long what is left takes, and what it costs; nothing where nothing is left or nothing is known."""
    found = outlook.all
    if not found.sources:
        return
    at_once = min(outlook.slots, len([*outlook.fixed, *outlook.trials, *outlook.confirmations]))
    work = f" ({_time(found.devices)} of work, {at_once} at once)" if found.devices > found.clock else ""
    without = f", without {' '.join(found.unknown)}, never run here" if found.unknown else ""
    say(console, f"time: about {_time(found.clock)}{work}, {_sources(found, outlook)}{without}")
    if spending.price_per_hour is not None:
        say(console, f"cost: about {_cost(found.clock, spending)}")


def check_budget(outlook: Outlook, spending: Spending) -> None:
    """Compare the experiments themselves with the budget; sweeps end when it is spent.

    Raises:
        ConfigError: they are expected to need more.
    """
    budget, needed = spending.limit, outlook.of(outlook.fixed)
    if budget is None or needed.clock <= budget.seconds:
        return
    limit = f"--budget {budget.said}"
    if budget.is_money:
        limit += f" ({_time(budget.seconds)} at {spending.price_per_hour:,.2f} an hour)"
    need = _time(needed.clock) if spending.price_per_hour is None else _cost(needed.clock, spending)
    raise ConfigError(
        f"{limit}: the experiments that are left need about {need}, {_sources(needed, outlook)}; give more, or choose "
        "experiments with --only"
    )


def _sources(found: Expected, outlook: Outlook) -> str:
    first, others = found.sources[0], len(found.sources) - 1
    more = f" and {others} other{'s' if others > 1 else ''}" if others else ""
    return f"from {first}{more}{f' on {outlook.rates.device}' if outlook.rates.device else ''}"


def _cost(seconds: float, spending: Spending) -> str:
    return f"{spending.cost(seconds):,.2f} ({_time(seconds)} at {spending.price_per_hour:,.2f} an hour)"


def _time(seconds: float) -> str:
    return about(Left(seconds))


def _slots(rates: Rates, hardware: Hardware) -> int:
    """How many trainings run at once."""
    if hardware.address is not None:
        slots = ANY_NUMBER
    elif rates.device == "cpu":
        slots = (hardware.num_cpus or usable_cpus()) // (hardware.cpus_per_trial or 1)
    else:
        share = hardware.gpus_per_trial
        slots = int(gpus_here() / share) if isinstance(share, int | float) and share else gpus_here()
    return max(1, min(slots, hardware.max_concurrent or ANY_NUMBER))
