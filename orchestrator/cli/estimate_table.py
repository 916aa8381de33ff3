"""`plan --sweep` on the terminal: trials, epochs and time of each sweep, in 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from orchestrator.cli.hours import Outlook
from orchestrator.planning.planner import Planner
from orchestrator.reporting.formats import duration
from orchestrator.sweeps.estimate import Job, confirmation_jobs, planned_trials, sweep_jobs
from orchestrator.sweeps.sweep import Sweep


def print_estimate(console: Console, sweeps: Sequence[Sweep], planner: Planner, outlook: Outlook) -> None:
    """What is left of each sweep, and its time if it had the machine to itself."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("Sweep", no_wrap=True)
    for name in ("Trials", "Epochs", "Time", "On new seeds", "Epochs", "Time"):
        table.add_column(name, justify="right")
    trained = [job for job in outlook.fixed if job.epochs]
    if trained:
        table.add_row("the experiments", *_figures(trained, outlook), "–", "–", "–")
    for sweep in sweeps:
        trials, again = sweep_jobs(sweep, planner), confirmation_jobs(sweep, planner)
        _, *rest = _figures(trials, outlook)
        left = f"{len(trials)} of {len(planned_trials(sweep))}"
        table.add_row(sweep.name, left, *rest, *_figures(again, outlook))
    console.print(table)


def _figures(jobs: Sequence[Job], outlook: Outlook) -> tuple[str, str, str]:
    """How many, their epochs, and their time; a dash where nobody knows it."""
    found = outlook.of(jobs)
    return f"{len(jobs)}", f"{sum(job.epochs for job in jobs)}", "–" if found.unknown else duration(found.clock)
