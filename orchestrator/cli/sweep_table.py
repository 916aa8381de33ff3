"""A sweep on the terminal, in 80 columns."""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from orchestrator.cli.terminal import say, styled
from orchestrator.reporting.sweep_results import Confirmed, SweepResult, TrialRow, spread
from trainable.base.text import one_line, visible

SHOWN = 8


def print_sweep(console: Console, result: SweepResult) -> None:
    """The best trials, then what the confirmation says."""
    sweep = result.sweep
    trials = sorted(result.trials, key=_order)
    finished = sum(trial.record.finished for trial in trials)
    heading = f": sweep {sweep.options.space}, {len(trials)} trials, {finished} to the end"
    console.print()
    say(console, styled((sweep.name, "bold"), heading))
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("#", justify="right")
    for name in sweep.parameters:
        table.add_column(visible(name), justify="right")
    for name in ("Ep.", "val F1"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("Ended", overflow="fold")
    for trial in trials[:SHOWN]:
        table.add_row(
            f"{trial.number}",
            *(visible(f"{value}") for value in trial.values.values()),
            f"{len(trial.record.history)}",
            "–" if trial.record.history.best is None else f"{trial.record.history.best:.4f}",
            one_line(trial.record.why) + (" (default)" if trial.number == 0 else ""),
        )  # fmt: skip
    console.print(table)
    if len(trials) > SHOWN:
        say(console, f"and {len(trials) - SHOWN} more in reports/sweeps/{sweep.experiment.folder}.csv")
    for line in conclusions(result):
        say(console, one_line(line))


def conclusions(result: SweepResult) -> list[str]:
    """What may be said, in sentences."""
    lines = [result.problem] if result.problem else []
    for found in result.confirmed:
        lines.append(_sentence(found))
    if result.chosen is None:
        return [*lines, "no trial went to its end"]
    alone = "validation macro-F1 on one seed, which is partly luck"
    how = "mean validation macro-F1 over new seeds" if result.confirmed else alone
    what = "the default" if result.chosen.number == 0 else f"#{result.chosen.number}"
    return [*lines, f"chosen: {what} ({how}); reports/sweeps/{result.sweep.experiment.folder}_best.json"]


def _sentence(found: Confirmed) -> str:
    n, test = len(found.seeds), _mean_sd(found.test)
    if found.against is None:
        return f"default on {n} new seeds: val {_mean_sd(found.val)}, test {test}"
    c = found.against
    return (
        f"#{found.trial.number} on {n} new seeds: val {_mean_sd(found.val)}, test {test}; against the default "
        f"{c.difference:+.4f} [{c.low:+.4f}, {c.high:+.4f}]: {c.verdict}"
    )


def _mean_sd(values: tuple[float, ...]) -> str:
    mean, deviation = spread(values)
    return f"{mean:.4f} ± {deviation:.4f}"


def _order(trial: TrialRow) -> tuple[bool, float, int]:
    return (not trial.record.finished, -(trial.record.history.best or 0.0), trial.number)
