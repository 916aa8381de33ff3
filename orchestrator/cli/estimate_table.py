"""`plan --sweep` on the terminal: trials, epochs and time of each sweep, in 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from orchestrator.cli.terminal import say
from orchestrator.planning.steps import Step, trainings
from orchestrator.reporting.formats import duration
from orchestrator.sweeps.estimate import START_UP, Load, confirmation_load, fixed_load, planned_trials, sweep_load
from orchestrator.sweeps.speed import Speed, measured
from orchestrator.sweeps.sweep import Sweep


def print_estimate(console: Console, steps: Sequence[Step], sweeps: Sequence[Sweep]) -> None:
    """Trials, epochs and time of each sweep and of everything, in 80 columns."""
    speed = measured(max(sweep.default.config.batch for sweep in sweeps))
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("Sweep", no_wrap=True)
    for name in ("Trials", "Epochs", "Time", "On new seeds", "Epochs", "Time"):
        table.add_column(name, justify="right")
    fixed = fixed_load(trainings(steps))
    if fixed.trials:
        table.add_row("the experiments", f"{fixed.trials}", f"{fixed.epochs}", _time(fixed, speed), "–", "–", "–")
    total = fixed
    for sweep in sweeps:
        load = sweep_load(sweep)
        again = confirmation_load(sweep) if sweep.options.confirm else Load()
        total += load + again
        table.add_row(
            sweep.name, f"{load.trials} of {len(planned_trials(sweep))}", f"{load.epochs}", _time(load, speed),
            f"{again.trials}", f"{again.epochs}", _time(again, speed),
        )  # fmt: skip
    console.print(table)
    say(
        console,
        f"about {_time(total, speed, START_UP)} in all: {speed.slots} trials at once, "
        f"{speed.images_per_second:.0f} images/s each (measured on this {speed.device})",
    )


def _time(load: Load, speed: Speed, more: float = 0.0) -> str:
    return duration(load.images / speed.images_per_second / speed.slots + more)
