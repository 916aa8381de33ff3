"""What a tracker such as MLflow is told of a command's runs: the interface, and a tracker that does nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

Status = Literal["FINISHED", "FAILED", "KILLED"]
"""MLflow's words. KILLED: an interrupted run, or a trial that was stopped early."""

PROJECT = "emosweep"
"""How trackers call the project (MLflow: the experiment) unless the user's environment names another."""


@dataclass(frozen=True)
class TrackedRun:
    """A training or an evaluation, as trackers know it.

    Args:
        key: unique, and the same when an interrupted run goes on in a later command.
        name: what people read; a later run of other data may have it too.
        group: the sweep that the run belongs to; None for a fixed run.
        parameters: the configuration, by name.
        resumed: the run has begun in an earlier command.
    """

    key: str
    name: str
    group: str | None = None
    parameters: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    resumed: bool = False


@dataclass(frozen=True)
class Epoch:
    """The metrics of an epoch (counted from 1), by the names of history.csv."""

    number: int
    metrics: Mapping[str, float]


@dataclass(frozen=True)
class Ending:
    """How a run ended.

    Args:
        why: in one line, where the run has no results.
        metrics: the final ones, by name.
        tags: what is known only now, such as the device.
        history: every epoch of the run, also those of earlier commands; empty without results.
        files: its results.
    """

    status: Status
    why: str = ""
    metrics: Mapping[str, float] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    history: Sequence[Epoch] = ()
    files: Sequence[Path] = ()

    @property
    def last_epoch(self) -> int:
        return max((epoch.number for epoch in self.history), default=0)


@dataclass(frozen=True)
class Report:
    """What a command leaves besides its runs: files of its own, and those of each sweep."""

    status: Status
    files: Sequence[Path] = ()
    groups: Mapping[str, Sequence[Path]] = field(default_factory=dict)


class Tracker:
    """Hears of the runs of one command, and does nothing. Other trackers derive from it.

    The methods may raise anything, and be called after any of them has raised. Calls may be missing: `epoch` where a
    process died, `end` where the command was killed. So `end` brings the whole history again.
    """

    title = ""

    def begin(self, run: TrackedRun) -> None:
        """A run begins or goes on. Called once in a command."""

    def epoch(self, run: TrackedRun, epoch: Epoch) -> None:
        """A training has finished an epoch, which may have been told before."""

    def end(self, run: TrackedRun, ending: Ending) -> None:
        """A run has ended. It may be one that has not begun in this command."""

    def close(self, report: Report) -> None:
        """The command ends: so do its sweeps, and with KILLED the runs that have not ended."""


NO_TRACKER = Tracker()


class Trackers(Tracker):
    """Hands everything on to several trackers."""

    def __init__(self, trackers: Iterable[Tracker]) -> None:
        self.trackers = tuple(trackers)

    def begin(self, run: TrackedRun) -> None:
        for tracker in self.trackers:
            tracker.begin(run)

    def epoch(self, run: TrackedRun, epoch: Epoch) -> None:
        for tracker in self.trackers:
            tracker.epoch(run, epoch)

    def end(self, run: TrackedRun, ending: Ending) -> None:
        for tracker in self.trackers:
            tracker.end(run, ending)

    def close(self, report: Report) -> None:
        for tracker in self.trackers:
            tracker.close(report)
