"""The options that choose trackers, and what trackers are told when a command ends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Group, Parameter

from orchestrator.planning.paths import ProjectPaths
from orchestrator.sweeps.sweep import Sweep
from orchestrator.tracking.choice import TrackerChoice
from orchestrator.tracking.tracker import Report, Status, Tracker
from trainable.base.command_line import flag, option

if TYPE_CHECKING:
    from orchestrator.execution.runner import Outcome

SWEEP_FILES = (".csv", "_best.json", "_confirmation.csv", "_verdict.json")
"""The ends of the names of a sweep's files in reports/."""


@Parameter(name="*", group=Group("Tracking", sort_key=5))
@dataclass(frozen=True, kw_only=True)
class Tracking:
    """Trackers besides TensorBoard, whose files are always written (docs/tracking.md)."""

    mlflow: Annotated[
        tuple[str, ...] | None,
        option(
            "A server's address, or a database file below the output root. Default: mlflow/mlflow.db there.",
            consume_multiple=(0, 1),
            metavar="[URI]",
        ),
    ] = None
    wandb: Annotated[bool, flag("W&B, offline unless WANDB_MODE says otherwise.")] = False
    trackio: Annotated[bool, flag("Trackio, in its own local database.")] = False

    @property
    def choice(self) -> TrackerChoice:
        """Raises ConfigError where a package is missing."""
        place = None if self.mlflow is None else self.mlflow[-1] if self.mlflow else ""
        return TrackerChoice(place, self.wandb, self.trackio)


class Tracked:
    """The tracker of a command, and how its run ended; None until it has."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.outcome: Outcome | None = None

    @property
    def status(self) -> Status:
        if self.outcome is None or self.outcome.interrupted:
            return "KILLED"
        return "FAILED" if self.outcome.failures else "FINISHED"


@contextmanager
def tracked(choice: TrackerChoice, paths: ProjectPaths, command: str, sweeps: Sequence[Sweep]) -> Iterator[Tracked]:
    """Open the trackers, and close them with the report where the block has written one.

    Raises:
        ConfigError: see `TrackerChoice.open`.
    """
    found = Tracked(choice.open(paths, command))
    try:
        yield found
    finally:
        report = [paths.index] if found.outcome is not None and paths.index.is_file() else []
        found.tracker.close(Report(found.status, report, _sweep_files(sweeps, paths)))


def _sweep_files(sweeps: Sequence[Sweep], paths: ProjectPaths) -> Mapping[str, list[Path]]:
    from orchestrator.execution.tracked_runs import sweep_group

    found = {}
    for experiment in [sweep.experiment for sweep in sweeps]:
        files = [paths.sweep(experiment, kind) for kind in SWEEP_FILES]
        found[sweep_group(experiment)] = [file for file in files if file.is_file()]
    return found
