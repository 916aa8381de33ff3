"""`plan --simulate`: how long what is planned would take on clusters that do not exist, in 80 columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated

from cyclopts import Group, Parameter
from rich import box
from rich.console import Console
from rich.table import Table

from orchestrator.cli.hours import Outlook
from orchestrator.cli.options import Machine
from orchestrator.cli.terminal import say
from orchestrator.execution.hardware import Hardware
from orchestrator.planning.steps import trainings
from orchestrator.reporting.formats import duration
from orchestrator.simulation.plan import Planned, Simulated, rates_of, simulate, source
from orchestrator.simulation.shape import Shape, shapes
from trainable.base.command_line import option, whole
from trainable.base.errors import ConfigError

SIMULATION = Group("Simulation", sort_key=3.5)


@Parameter(name="*", group=SIMULATION)
@dataclass(frozen=True, kw_only=True)
class Simulation:
    """Clusters that do not exist, and how their GPUs would be shared."""

    simulate: Annotated[
        str | None,
        option("Time on clusters you do not have: NODESxGPUS, as in 8x8,4,2x0 (docs/scale.md).", metavar="SHAPES"),
    ] = None
    gpus_per_trial: Annotated[float | None, option("As run-all's, on the simulated nodes.")] = None
    trials_per_gpu: Annotated[str | None, option("As run-all's: N.", metavar="N")] = None
    max_concurrent: Annotated[int | None, whole("As run-all's.")] = None

    @property
    def shapes(self) -> Sequence[Shape]:
        """Raises ConfigError where a shape cannot be read, or an option has nothing to simulate."""
        if self.simulate is None:
            if self != Simulation():
                raise ConfigError(
                    "plan takes --gpus-per-trial, --trials-per-gpu and --max-concurrent with --simulate SHAPES only"
                )
            return ()
        return shapes(self.simulate)

    @property
    def on_cpus(self) -> bool:
        """Whether a shape has no GPU, so that this machine's own speed counts."""
        return any(not shape.gpus for shape in self.shapes)

    def check(self) -> None:
        """Raises ConfigError for any of the values, before the data is read."""
        _ = self.shapes, self.hardware

    @property
    def hardware(self) -> Hardware:
        """Raises ConfigError where a value is out of range or two contradict each other."""
        machine = Machine(
            address="",
            gpus_per_trial=self.gpus_per_trial,
            trials_per_gpu=self.trials_per_gpu,
            max_concurrent=self.max_concurrent,
        )
        found = machine.hardware
        if found.gpus_per_trial == "auto":
            raise ConfigError("--trials-per-gpu auto is measured on the GPUs themselves; give --simulate a number")
        return found


def print_simulations(console: Console, simulation: Simulation, planned: Planned, outlook: Outlook) -> None:
    """A line for each cluster; nothing where nothing is left to train.

    Raises:
        ConfigError: a shape cannot hold a training, or nobody knows how fast one goes there.
    """
    configs = [step.config for step in trainings(planned.steps)] + [s.default.config for s in planned.sweeps]
    batch = max((config.batch for config in configs), default=1)
    shapes, hardware, found = simulation.shapes, simulation.hardware, []
    for shape in shapes:
        own = hardware if shape.gpus else replace(hardware, gpus_per_trial=None)
        found.append(simulate(planned, shape, rates_of(shape, outlook.rates, batch), own))
    if all(not one.seen.starts for one in found):
        return
    console.print(_table(found))
    sources = dict.fromkeys(source(rates_of(shape, outlook.rates, batch)) for shape in shapes)
    for said in sources:
        say(console, f"simulated, not run: from {said}")
    if planned.sweeps:
        say(console, "scores of trials are made up: which of them go on is one course of many")
    say(console, "how far to trust it: docs/scale.md")
    unknown = dict.fromkeys(name for one in found for name in one.unknown)
    if unknown:
        say(console, f"without {' '.join(unknown)}, never run here")


def _table(found: Sequence[Simulated]) -> Table:
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("Nodes", no_wrap=True)
    for name in ("GPUs", "Time", "GPU hours", "Idle", "At once"):
        table.add_column(name, justify="right")
    table.add_column("Ends with", overflow="fold")
    for one in found:
        hours = f"{one.used / 3600:.2f}" + ("" if one.shape.gpus else " CPU")
        gpus = one.shape.nodes * one.shape.gpus
        table.add_row(
            f"{one.shape}",
            f"{gpus:,}",
            duration(one.clock),
            hours,
            f"{one.idle:.0%}",
            f"{one.seen.most}",
            one.seen.last,
        )
    return table
