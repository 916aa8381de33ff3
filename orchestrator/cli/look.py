"""How a run shows itself, as the options and the terminal have it."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, TextIO

from orchestrator.cli.terminal import Terminal
from orchestrator.execution.view import MakeView, RunView
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.planner import Planner
from orchestrator.sweeps.confirmation import ranked
from orchestrator.sweeps.sweep import Sweep

if TYPE_CHECKING:
    from orchestrator.execution.runner import Outcome
    from orchestrator.reporting.results import Result
    from orchestrator.reporting.sweep_results import SweepResult


class Look:
    """Rows on a terminal, lines elsewhere, or JSON.

    Args:
        log_format: auto, text or json (see `orchestrator.cli.options.LOG_FORMATS`).
        verbose: a line an epoch above the rows.
    """

    def __init__(self, log_format: str, verbose: bool) -> None:
        self.verbose = verbose
        self.json = log_format == "json"
        self.console = Terminal(stderr=True) if self.json else Terminal()
        """For everything that is no event. With JSON on stdout it is stderr."""
        # Now, since a run sends the standard streams to its log.
        self._rows = log_format == "auto" and self.console.is_terminal and not self.console.is_dumb_terminal
        self._is_terminal = self.console.is_terminal

    def make_view(self, sweeps: Sequence[Sweep], planner: Planner, price_per_hour: float | None = None) -> MakeView:
        """What opens the view of a run."""
        from orchestrator.cli.event_lines import JsonLines, TextLines
        from orchestrator.cli.live_rows import LiveRows
        from orchestrator.cli.progress import Printer, ProgressView
        from orchestrator.progress.state import RunState
        from orchestrator.progress.usage import Machine

        known = {sweep.name: ranked(sweep, planner) for sweep in sweeps}
        best = {name: ranking[0][0] for name, ranking in known.items() if ranking}

        def open_view(terminal: TextIO) -> AbstractContextManager[RunView]:
            state, machine = RunState(sweeps, best, time.monotonic()), Machine()
            look = Terminal(file=terminal, force_terminal=self._is_terminal, width=self.console.columns)
            printer: Printer = TextLines(look, state, machine)
            if self.json:
                printer = JsonLines(look.file, state, machine)
            elif self._rows:
                printer = LiveRows(look, state, machine, verbose=self.verbose)
            return ProgressView(state, printer, machine, price_per_hour=price_per_hour)

        return open_view

    def tell_results(
        self, results: Sequence[Result], sweeps: Sequence[SweepResult], paths: ProjectPaths, outcome: Outcome
    ) -> None:
        """The last lines of JSON; the console has the same as tables."""
        if not self.json:
            return
        from orchestrator.cli.event_lines import write_json_line
        from orchestrator.cli.sweep_table import conclusions

        def tell(event: str, **values: object) -> None:
            write_json_line(sys.stdout, datetime.now(), event, values)

        for result in results:
            tell(
                "result", name=result.experiment.name, epochs=result.epochs, batch=result.batch, test_rows=result.n,
                val_macro_f1=result.val_macro_f1, test_macro_f1=result.test_macro_f1, top1=result.test_top1,
                coverage=result.coverage, top1_all_rows=result.top1_all_rows, seconds=result.seconds,
                notes=result.notes,
            )  # fmt: skip
        for sweep in sweeps:
            chosen = None if sweep.chosen is None else {"trial": sweep.chosen.number, **sweep.chosen.values}
            tell("sweep_result", name=sweep.sweep.name, chosen=chosen, conclusions=conclusions(sweep))
        failures = {name: failure.message for name, failure in outcome.failures.items()}
        tell(
            "end", exit_code=outcome.exit_code, interrupted=outcome.interrupted, failed=failures,
            report=str(paths.index),
        )  # fmt: skip
