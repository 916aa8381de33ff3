"""The runbook's section 7 table on the terminal, in 80 columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from orchestrator.cli.terminal import say, styled
from orchestrator.reporting.formats import METHODS, duration, percent, score
from orchestrator.reporting.results import Result

_LEGEND = (
    "F1: macro-F1; val: at the best epoch. Below ours, dim: the runbook's published.\n"
    "FaceAPI's Top-1 is over matched rows (face detected, IoU ≥ 0.30); Cover. is\n"
    "their share; All rows counts the others as wrong."
)


def print_summary(console: Console, results: Sequence[Result]) -> int:
    """Print the results in 80 columns, with the runbook's published figures dim below them, and then the notes.

    Returns:
        How many lines of the terminal that takes.
    """
    table = Table(box=box.SIMPLE_HEAD, padding=0, pad_edge=False)  # one space between: with hours it needs them all
    for name in ("Split", "Method"):
        table.add_column(name, no_wrap=True)
    for name in ("Ep.", "Batch", "val F1", "test F1", "Top-1", "Cover.", "All rows", "Time"):
        table.add_column(name, justify="right", no_wrap=True)
    for result in results:
        experiment, published = result.experiment, result.experiment.published
        table.add_row(
            experiment.split,
            METHODS[experiment.method],
            _plain(result.epochs),
            _plain(result.batch),
            _pair(result.val_macro_f1, published.val_macro_f1, score),
            _pair(result.test_macro_f1, published.test_macro_f1, score),
            _pair(result.test_top1, published.top1, percent),
            _pair(result.coverage, published.coverage, percent),
            percent(result.top1_all_rows),
            duration(result.seconds),
        )
    notes = [styled((result.experiment.name, "yellow"), f": {note}") for result in results for note in result.notes]
    console.print(table)
    console.print(_LEGEND, soft_wrap=True)
    for note in notes:
        say(console, note)
    columns = console.size.width
    below = [*map(cell_len, _LEGEND.splitlines()), *(note.cell_len for note in notes)]
    return len(console.render_lines(table)) + sum(max(1, -(-length // columns)) for length in below)


def _pair(ours: float | None, published: float | None, form: Callable[[float | None], str]) -> str | Text:
    return form(ours) if published is None else Text.assemble(form(ours), "\n", (form(published), "dim"))


def _plain(value: int | None) -> str:
    return "–" if value is None else str(value)
