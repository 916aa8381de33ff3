"""What a command says of its sweeps at its end: files, tables, and the page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.console import Console

from orchestrator.cli.terminal import say
from orchestrator.cli.tool_commands import refresh_report
from orchestrator.planning.planner import Planner
from orchestrator.sweeps.sweep import Sweep

if TYPE_CHECKING:
    from orchestrator.reporting.sweep_results import SweepResult


def report_sweeps(sweeps: Sequence[Sweep], planner: Planner, console: Console, *, alone: bool) -> Sequence[SweepResult]:
    """Files and tables of the sweeps; the page too where no experiment's table follows."""
    if not sweeps:
        return []
    from orchestrator.cli.sweep_table import print_sweep
    from orchestrator.reporting.sweep_results import sweep_result, write_sweep

    found = [sweep_result(sweep, planner) for sweep in sweeps]
    for result in found:
        write_sweep(result, planner)
        print_sweep(console, result)
    if alone:
        refresh_report(planner.paths)
        say(console, f"report: {planner.paths.index}")
    return found
