"""Runs and epochs as trackers are told them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from orchestrator.tracking.tracker import Ending, Epoch, Report, TrackedRun, Tracker

LABELS = ("기쁨", "상처")


def epoch(number: int) -> Epoch:
    return Epoch(number, {"val_macro_f1": number / 100, "train_loss": 1 / number, "images_per_second": 5.0})


def ending(epochs: int, **more: Any) -> Ending:
    """The end of a run that has results."""
    metrics = {"test_macro_f1": 0.5, **{f"test_f1/{label}": 0.25 for label in LABELS}}
    return Ending("FINISHED", metrics=metrics, history=[epoch(n) for n in range(1, epochs + 1)], **more)


@dataclass
class Heard(Tracker):
    """Writes down what it is told."""

    title: str = "Heard"
    begun: list[TrackedRun] = field(default_factory=list)
    epochs: list[tuple[str, int]] = field(default_factory=list)
    ended: dict[str, Ending] = field(default_factory=dict)
    reports: list[Report] = field(default_factory=list)

    def begin(self, run: TrackedRun) -> None:
        self.begun.append(run)

    def epoch(self, run: TrackedRun, epoch: Epoch) -> None:
        self.epochs.append((run.name, epoch.number))

    def end(self, run: TrackedRun, ending: Ending) -> None:
        self.ended[run.name] = ending

    def close(self, report: Report) -> None:
        self.reports.append(report)

    def run(self, name: str) -> TrackedRun:
        return next(run for run in self.begun if run.name == name)
