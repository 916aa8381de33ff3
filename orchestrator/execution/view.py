"""The interface to whoever shows a run to the user (the command line's rows or lines, or nothing)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TextIO

from orchestrator.execution.events import RunEvents
from orchestrator.planning.steps import Step
from trainable.base.errors import Failure


class RunView(RunEvents, Protocol):
    """Shows a run, and remembers the failures by name. `log` is the file where libraries say more of a failure."""

    failures: dict[str, Failure]
    log: Path

    def add(self, steps: Sequence[Step], unchosen: Collection[str] = ()) -> None:
        """Announce work. `unchosen` are the names that trials still to be chosen will have."""

    def say(self, text: str) -> None:
        """Show a line."""

    def decoded(self, there: int, wanted: int) -> None:
        """Show how many of the wanted images are decoded."""

    def snapshot(self) -> Mapping[str, Any]:
        """How far the run is, as JSON values, for those who look from outside. Called from any thread."""

    def abandon(self) -> None:
        """Leave the terminal usable: the process is about to end at once."""


MakeView = Callable[[TextIO], AbstractContextManager[RunView]]
"""Opens a view on a terminal."""
