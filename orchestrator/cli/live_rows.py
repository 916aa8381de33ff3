"""A run on a terminal: a row for each experiment and sweep, which changes in place."""

from __future__ import annotations

import os
from contextlib import suppress

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from orchestrator.cli.row_layout import draw
from orchestrator.cli.sentences import sentence
from orchestrator.cli.terminal import say, styled
from orchestrator.progress.event import Event
from orchestrator.progress.state import RunState
from orchestrator.progress.usage import Machine

_ALWAYS = ("note", "waiting", "retried", "failed")
"""Events that stay on the terminal, above the rows."""
_VERBOSE = (*_ALWAYS, "epoch", "finished", "stopped")


class LiveRows:
    """Draws the rows anew where something has changed, twice a second at most.

    Args:
        verbose: a line an epoch, too.
    """

    period = 0.5

    def __init__(self, console: Console, state: RunState, machine: Machine, *, verbose: bool) -> None:
        self.console, self.state, self.machine = console, state, machine
        self._spoken = _VERBOSE if verbose else _ALWAYS
        self._live = Live(
            console=console, auto_refresh=False, vertical_overflow="crop",
            redirect_stdout=False, redirect_stderr=False,  # Ray prints what actors say there
        )  # fmt: skip
        self._drawn: list[Text] = []

    def open(self, now: float) -> None:
        self._follow_size()
        self._live.start()

    def added(self, now: float) -> None:
        self.tick(now)

    def show(self, event: Event, now: float) -> None:
        if event.kind in self._spoken:
            text = sentence(event, self.state.row_of(event.name, now))
            say(self.console, styled((text, "red")) if event.kind == "failed" else text)

    def tick(self, now: float) -> None:
        self._draw(now)

    def close(self, now: float) -> None:
        self._draw(now)
        self._live.stop()

    def _draw(self, now: float) -> None:
        self._follow_size()
        width, height = self.console.size
        lines = draw(self.state, self.machine.usage, now, width, height - 1, plain=self._plain)
        if lines != self._drawn:
            self._drawn = lines
            self._live.update(Group(*lines), refresh=True)

    @property
    def _plain(self) -> bool:
        """Whether the terminal knows only its language's own characters, of which the bars are none."""
        return not self.console.encoding.lower().startswith("utf")

    def _follow_size(self) -> None:
        """rich asks the standard streams for the size, of which a run sends two to its log."""
        with suppress(OSError, ValueError):
            width, height = os.get_terminal_size(self.console.file.fileno())
            if width > 0 and height > 1:
                self.console.size = (width, height)
