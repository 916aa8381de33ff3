"""What the user sees while a run goes on: rows on a terminal, lines elsewhere, or JSON for programs."""

from __future__ import annotations

import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from orchestrator.cli.terminal import restore_terminal
from orchestrator.planning.steps import Step
from orchestrator.progress.event import Event, Kind
from orchestrator.progress.snapshot import Snapshot
from orchestrator.progress.state import RunState
from orchestrator.progress.usage import Machine
from trainable.base.errors import Failure
from trainable.base.log import LOG
from trainable.base.text import one_line
from trainable.run.history import HISTORY_COLUMNS, TrialHistory

LOOK_SECONDS = 5.0
_EPOCH_VALUES = (*HISTORY_COLUMNS, "epochs", "scores", "stages", "total_seconds")
_PLACE_VALUES = ("hostname", "node", "node_ip", "device", "threads", "gpus", "accelerator")


class Printer(Protocol):
    """Shows a run's state. It is called under the view's lock.

    `period` is the number of seconds between two calls of `tick`.
    """

    period: float

    def open(self, now: float) -> None:
        """Begin."""

    def added(self, now: float) -> None:
        """Work was announced."""

    def show(self, event: Event, now: float) -> None:
        """Show an event that the state has taken in."""

    def tick(self, now: float) -> None:
        """Show what time alone has changed."""

    def close(self, now: float) -> None:
        """Show the last state, and leave the terminal as it was."""


class ProgressView:
    """Hears the events of a run, from any thread, and remembers what failed (see `execution.view.RunView`).

    Nothing that goes wrong with showing a run ends the run; Ray's log has the traceback.

    Args:
        machine: what it shows is looked at every few seconds, in a thread, for the printer.
        clock: seconds, of the same clock as the state's `began`.
        price_per_hour: of the machine or cluster, where it is known.
    """

    def __init__(
        self,
        state: RunState,
        printer: Printer,
        machine: Machine,
        clock: Callable[[], float] = time.monotonic,
        price_per_hour: float | None = None,
    ) -> None:
        self.state, self.printer, self.machine, self.clock = state, printer, machine, clock
        self.price_per_hour = price_per_hour
        self.failures: dict[str, Failure] = {}
        self.log = Path()
        self._lock = threading.RLock()  # a signal's handler speaks in the middle of an event
        self._over = threading.Event()
        self._ticker = threading.Thread(target=self._tick, name="progress", daemon=True)
        self._spoken = _Spoken(self.say)

    def __enter__(self) -> Self:
        self._try(self.printer.open)
        self._ticker.start()
        LOG.addHandler(self._spoken)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        LOG.removeHandler(self._spoken)
        self._over.set()
        self._try(self.printer.close)

    def snapshot(self) -> Mapping[str, Any]:
        with self._lock:
            return Snapshot.of(self.state, self.machine.usage, self.clock(), self.price_per_hour).to_json()

    def abandon(self) -> None:
        restore_terminal()

    def add(self, steps: Sequence[Step], unchosen: Collection[str] = ()) -> None:
        def announce(now: float) -> None:
            self.state.add(steps, unchosen)
            self.printer.added(now)

        self._try(announce)

    def say(self, text: str) -> None:
        self._hear("note", text=text)

    def decoded(self, there: int, wanted: int) -> None:
        self._hear("decoded", done=there, total=wanted)

    # -- events

    def waiting(self, name: str, seconds: int, why: str) -> None:
        self._hear("waiting", name, seconds=seconds, why=why)

    def started(self, name: str) -> None:
        self._hear("started", name)

    def epoch(self, name: str, row: Mapping[str, Any]) -> None:
        place = {key: row[key] for key in _PLACE_VALUES if key in row}
        self._hear("epoch", name, **{key: row[key] for key in _EPOCH_VALUES if key in row}, place=place)

    def paused(self, name: str) -> None:
        self._hear("paused", name)

    def retried(self, name: str, failure: Failure) -> None:
        _write_details(name, failure)
        self._hear("retried", name, message=one_line(failure.message), log=str(self.log))

    def progress(self, name: str, done: int, rows: int) -> None:
        self._hear("progress", name, done=done, total=rows)

    def finished(self, name: str) -> None:
        self.failures.pop(name, None)
        self._hear("finished", name)

    def stopped(self, name: str, why: str, history: TrialHistory | None) -> None:
        self._hear("stopped", name, why=one_line(why), epochs=None if history is None else len(history))

    def failed(self, name: str, failure: Failure) -> None:
        self.failures[name] = failure
        _write_details(name, failure)
        self._hear("failed", name, message=one_line(failure.message), log=str(self.log))

    def _hear(self, kind: Kind, name: str = "", **values: Any) -> None:
        event = Event(kind, name, values)

        def show(now: float) -> None:
            self.state.apply(event, now)
            self.printer.show(event, now)

        self._try(show)

    def _tick(self) -> None:
        looked = float("-inf")
        while not self._over.wait(self.printer.period):
            if self.clock() - looked >= LOOK_SECONDS:
                self.machine.look()  # not under the lock: events must not wait for it
                looked = self.clock()
            with self._lock:
                if not self._over.is_set():
                    self._try(self.printer.tick)

    def _try(self, action: Callable[[float], None]) -> None:
        with self._lock:
            try:
                action(self.clock())
            except Exception:  # whatever it is, it concerns the eye alone
                traceback.print_exc()


def _write_details(name: str, failure: Failure) -> None:
    """To the log that the message names."""
    print(f"{name}: {failure.details or failure.message}", file=sys.stderr, flush=True)


class _Spoken(logging.Handler):
    """Shows what is logged about waiting, which would go to Ray's log with all of stderr."""

    def __init__(self, say: Callable[[str], None]) -> None:
        super().__init__()
        self._say = say

    def emit(self, record: logging.LogRecord) -> None:
        self._say(record.getMessage())
