"""`plan` on the terminal, in 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from orchestrator.planning.steps import Step, TrainingStep

_COLOURS = {"done": "green", "stale": "yellow", "interrupted": "yellow", "new": "cyan"}


def print_plan(console: Console, steps: Sequence[Step], *, running: bool, more: Sequence[str] = ()) -> None:
    """One line a step; rows are train/val/test, for FaceAPI the test rows.

    Args:
        running: whether a run is writing here now; then what is not done may be under way.
        more: what else is to run, in words.
    """
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("Experiment", no_wrap=True)
    table.add_column("Rows", justify="right", no_wrap=True)
    for name in ("Epochs", "Batch"):
        table.add_column(name, justify="right")
    table.add_column("Status", no_wrap=True)
    table.add_column("Why", overflow="fold")
    for step in steps:
        table.add_row(
            step.name,
            "/".join(map(str, step.rows)),
            str(step.config.epochs) if isinstance(step, TrainingStep) else "–",
            str(step.config.batch) if isinstance(step, TrainingStep) else "–",
            f"[{_COLOURS[step.status]}]{step.status}[/]",
            escape(step.why),
        )
    console.print(table)
    if running:
        console.print("a run is writing here now: what is not done may be under way", highlight=False, soft_wrap=True)
    names = " ".join(step.name for step in steps if step.to_do)
    todo = ", ".join([names, *more] if names else more)
    console.print(f"to run: {todo}" if todo else "nothing to run: all done", highlight=False, soft_wrap=True)
