"""`plan` on the terminal, in 80 columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from orchestrator.cli.terminal import say, styled
from orchestrator.planning.steps import Step, TrainingStep
from trainable.base.text import one_line

_COLOURS = {"done": "green", "restored": "green", "stale": "yellow", "interrupted": "yellow", "new": "cyan"}


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
            styled((step.status, _COLOURS[step.status])),
            one_line(step.why),
        )
    console.print(table)
    if running:
        say(console, "a run is writing here now: what is not done may be under way")
    names = " ".join(step.name for step in steps if step.to_do)
    todo = ", ".join([names, *more] if names else more)
    back = " ".join(step.name for step in steps if step.status == "restored")
    say(console, f"to run: {todo}" if todo else "nothing to run" if back else "nothing to run: all done")
    if back:
        say(console, f"restored from the history by run-all, without training: {back}")
