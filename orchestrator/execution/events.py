"""What happens in a run, as typed events: each listener implements `RunEvents`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from trainable.base.errors import Failure
from trainable.run.history import TrialHistory


class RunEvents(Protocol):
    """Hears of everything that happens to a piece of work, which is known by its name. Called from any thread."""

    def waiting(self, name: str, seconds: int, why: str) -> None:
        """The work has shown no sign of life for so many seconds; `why` is a clause."""

    def started(self, name: str) -> None:
        """The work has begun, or goes on after a pause or a failure."""

    def epoch(self, name: str, row: Mapping[str, Any]) -> None:
        """A training has finished an epoch; `row` is what `JobStepper.step` returned: the values of history.csv,
        `epochs` (their number in all), and the history of all epochs so far."""

    def paused(self, name: str) -> None:
        """A trial waits for others after an epoch; `started` tells when it goes on."""

    def retried(self, name: str, failure: Failure) -> None:
        """A training has failed and is tried again; `started` tells when it goes on."""

    def progress(self, name: str, done: int, rows: int) -> None:
        """An evaluation has finished `done` of its `rows`."""

    def finished(self, name: str) -> None:
        """The work has its results."""

    def stopped(self, name: str, why: str, history: TrialHistory | None) -> None:
        """A trial was stopped before its end; `history` is None where it was not started in this command."""

    def failed(self, name: str, failure: Failure) -> None:
        """The work has failed for good."""


class Listeners:
    """Hands every event on to several listeners, in their order."""

    def __init__(self, listeners: Sequence[RunEvents]) -> None:
        self.listeners = listeners

    def waiting(self, name: str, seconds: int, why: str) -> None:
        for listener in self.listeners:
            listener.waiting(name, seconds, why)

    def started(self, name: str) -> None:
        for listener in self.listeners:
            listener.started(name)

    def epoch(self, name: str, row: Mapping[str, Any]) -> None:
        for listener in self.listeners:
            listener.epoch(name, row)

    def paused(self, name: str) -> None:
        for listener in self.listeners:
            listener.paused(name)

    def retried(self, name: str, failure: Failure) -> None:
        for listener in self.listeners:
            listener.retried(name, failure)

    def progress(self, name: str, done: int, rows: int) -> None:
        for listener in self.listeners:
            listener.progress(name, done, rows)

    def finished(self, name: str) -> None:
        for listener in self.listeners:
            listener.finished(name)

    def stopped(self, name: str, why: str, history: TrialHistory | None) -> None:
        for listener in self.listeners:
            listener.stopped(name, why, history)

    def failed(self, name: str, failure: Failure) -> None:
        for listener in self.listeners:
            listener.failed(name, failure)


class NoEvents:
    """Hears everything and does nothing: the base of listeners that need only some events."""

    def waiting(self, name: str, seconds: int, why: str) -> None:
        pass

    def started(self, name: str) -> None:
        pass

    def epoch(self, name: str, row: Mapping[str, Any]) -> None:
        pass

    def paused(self, name: str) -> None:
        pass

    def retried(self, name: str, failure: Failure) -> None:
        pass

    def progress(self, name: str, done: int, rows: int) -> None:
        pass

    def finished(self, name: str) -> None:
        pass

    def stopped(self, name: str, why: str, history: TrialHistory | None) -> None:
        pass

    def failed(self, name: str, failure: Failure) -> None:
        pass
