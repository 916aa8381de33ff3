"""Which trackers a command tells: TensorBoard always, others where the user asks for them."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from orchestrator.planning.paths import ProjectPaths
from orchestrator.tracking.background import Background
from orchestrator.tracking.tensorboard import TensorBoardTracker
from orchestrator.tracking.tracker import Tracker, Trackers
from trainable.base.errors import ConfigError, Failure

MLFLOW_DATABASE = "mlflow.db"


@dataclass(frozen=True)
class TrackerChoice:
    """The trackers that the user asks for.

    Args:
        mlflow: a server's address, a database file (a relative path lies below the output root), or "" for
            MLFLOW_TRACKING_URI and else mlflow/mlflow.db; None for no MLflow.

    Raises:
        ConfigError: a package is missing.
    """

    mlflow: str | None = None
    wandb: bool = False
    trackio: bool = False

    def __post_init__(self) -> None:
        for package, wanted in (("mlflow", self.mlflow is not None), ("wandb", self.wandb), ("trackio", self.trackio)):
            if wanted and find_spec(package) is None:
                raise ConfigError(
                    f"--{package} needs a package that is not installed: pip install 'emosweep[{package}]'"
                )

    def open(self, paths: ProjectPaths, command: str) -> Tracker:
        """The trackers, each in a thread of its own.

        Args:
            command: what the user runs, such as "run-all".

        Raises:
            ConfigError: an address of no kind that the tracker knows, or a package that cannot be imported.
        """
        chosen: list[tuple[str, Callable[[], Tracker]]] = []
        if self.mlflow is not None:
            chosen.append(("mlflow", lambda: self._mlflow(paths, command)))
        if self.wandb:
            chosen.append(("wandb", lambda: _wandb(paths, command)))
        if self.trackio:
            chosen.append(("trackio", lambda: _trackio(command)))
        trackers: list[Tracker] = [TensorBoardTracker(paths.internal / "tensorboard")]
        for option, make in chosen:
            try:
                trackers.append(make())
            except Exception as error:  # whatever a library raises at an address that it does not take
                raise ConfigError(f"--{option}: {Failure.of(error).message}") from error
        return Trackers([Background(tracker, paths.logs / "tracking.log") for tracker in trackers])

    def _mlflow(self, paths: ProjectPaths, command: str) -> Tracker:
        from orchestrator.tracking.mlflow import MlflowTracker

        place = self.mlflow or os.environ.get("MLFLOW_TRACKING_URI") or f"mlflow/{MLFLOW_DATABASE}"
        if "://" in place or place.startswith("databricks"):
            return MlflowTracker(place, command)
        database = (paths.output / Path(place).expanduser()).resolve()
        if database.is_dir():
            raise ConfigError(f"{database} is a folder; name a file such as {database / MLFLOW_DATABASE}")
        return MlflowTracker(f"sqlite:///{database}", command, database.with_name("artifacts"))


def _wandb(paths: ProjectPaths, command: str) -> Tracker:
    from orchestrator.tracking.wandb import WandbTracker

    return WandbTracker(paths.output, command)


def _trackio(command: str) -> Tracker:
    from orchestrator.tracking.trackio import TrackioTracker

    return TrackioTracker(command)
