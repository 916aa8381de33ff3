"""MLflow: a run for each training and evaluation, below a run for its sweep and one for the command."""

from __future__ import annotations

import getpass
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.tracking.tracker import PROJECT, Ending, Epoch, Report, Status, TrackedRun, Tracker
from trainable.base.files import replacing

if TYPE_CHECKING:
    from mlflow import MlflowClient

_ENVIRONMENT = {
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # 7 tries with growing pauses take four minutes
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
    "MLFLOW_DISABLE_TELEMETRY": "true",
}
"""How MLflow's client behaves, where the user has not said otherwise."""
SQLITE = "sqlite:///"
KEY, PARENT = "emosweep.key", "mlflow.parentRunId"
_MARK = "val_macro_f1"
"""A metric that every epoch has."""
_METRICS, _PARAMETERS = 1000, 100
"""How many MLflow takes at once."""


@dataclass
class _Open:
    """A run that the server knows, and the epochs that it has."""

    id: str
    epochs: set[int] = field(default_factory=set)


class MlflowTracker(Tracker):
    """Writes to the server or database at `uri`.

    A run of MLflow is made when there is something to tell of it, so that what could not be told is told later.

    Args:
        artifacts: where the files of runs go, for a database, which has no place of its own; None for a server.
        command: the command's words, which name its run.
    """

    def __init__(self, uri: str, command: str, artifacts: Path | None = None) -> None:
        self.uri, self.command, self.artifacts = uri, command, artifacts
        self.title = f"MLflow at {re.sub('//[^/@]*@', '//', uri)}"  # without a password
        self._open: dict[str, _Open] = {}
        self._groups: dict[str, str] = {}
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        import mlflow  # noqa: F401  # here in the main thread: it takes seconds, and sets environment variables

        if not uri.startswith("sqlite:"):  # whose database the client would make now, which takes seconds
            self._client  # noqa: B018  # raises where the address is of no kind that MLflow knows

    def begin(self, run: TrackedRun) -> None:
        self._known(run)

    def epoch(self, run: TrackedRun, epoch: Epoch) -> None:
        self._tell(self._known(run), [epoch])

    def end(self, run: TrackedRun, ending: Ending) -> None:
        known = self._known(run)
        self._tell(known, ending.history)
        self._log(known.id, Epoch(ending.last_epoch, ending.metrics), ending.tags)
        if ending.why:
            self._client.set_tag(known.id, "why", ending.why)
        for file in ending.files:
            self._client.log_artifact(known.id, str(file))
        self._client.set_terminated(known.id, ending.status)
        del self._open[run.key]

    def close(self, report: Report) -> None:
        for known in self._open.values():
            self._client.set_terminated(known.id, "KILLED")
        for group, files in report.groups.items():
            self._end_parent(self._groups.get(group), files, report.status)
        self._end_parent(self.__dict__.get("_parent"), report.files, report.status)

    def _end_parent(self, run_id: str | None, files: Iterable[Path], status: Status) -> None:
        """End a run that others are below; None where none of them has begun."""
        if run_id is not None:
            for file in files:
                self._client.log_artifact(run_id, str(file))
            self._client.set_terminated(run_id, status)

    # -- what there is on the server

    @cached_property
    def _client(self) -> MlflowClient:
        from mlflow import MlflowClient

        database = Path(self.uri.removeprefix(SQLITE))
        if self.artifacts is not None and not database.exists():
            # Beside its place: a process that is killed while tables are made leaves a database that nothing opens.
            with replacing(database) as temporary:
                MlflowClient(f"{SQLITE}{temporary}")
        return MlflowClient(self.uri)

    @cached_property
    def _experiment(self) -> str:
        """The experiment's id; it is made where there is none."""
        from mlflow.exceptions import MlflowException

        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", PROJECT)
        place = self.artifacts.absolute().as_uri() if self.artifacts is not None else None
        try:
            found = self._client.get_experiment_by_name(name)
            return str(found.experiment_id if found else self._client.create_experiment(name, place))
        except MlflowException:  # another command has made it meanwhile
            found = self._client.get_experiment_by_name(name)
            if found is None:
                raise
            return str(found.experiment_id)

    @cached_property
    def _parent(self) -> str:
        """The id of the command's own run."""
        return self._create(f"{self.command} {datetime.now():%Y-%m-%d %H:%M:%S}", {"kind": "command"})

    def _group(self, name: str) -> str:
        """The id of a sweep's run."""
        if name not in self._groups:
            self._groups[name] = self._create(name, {"kind": "sweep", PARENT: self._parent})
        return self._groups[name]

    def _known(self, run: TrackedRun) -> _Open:
        if run.key not in self._open:
            parent = self._parent if run.group is None else self._group(run.group)
            self._open[run.key] = self._again(run, parent) or self._new(run, parent)
        return self._open[run.key]

    def _new(self, run: TrackedRun, parent: str) -> _Open:
        known = _Open(self._create(run.name, {**run.tags, KEY: run.key, PARENT: parent}))
        self._log_parameters(known.id, run.parameters)
        return known

    def _again(self, run: TrackedRun, parent: str) -> _Open | None:
        """The run of an earlier command, or one whose making this command did not hear of."""
        found = self._client.search_runs([self._experiment], f"tags.`{KEY}` = '{run.key}'", max_results=1)
        if not found:
            return None
        run_id, told = found[0].info.run_id, found[0].data.params
        self._client.update_run(run_id, status="RUNNING")
        self._log(run_id, Epoch(0, {}), {**run.tags, PARENT: parent})
        self._log_parameters(run_id, {name: value for name, value in run.parameters.items() if name not in told})
        return _Open(run_id, {point.step for point in self._client.get_metric_history(run_id, _MARK)})

    def _create(self, name: str, tags: Mapping[str, str]) -> str:
        about = {"mlflow.source.name": f"python -m orchestrator {self.command}", "mlflow.user": _user()}
        run = self._client.create_run(self._experiment, tags={**about, **tags}, run_name=name)
        return str(run.info.run_id)

    # -- what is told

    def _tell(self, known: _Open, epochs: Iterable[Epoch]) -> None:
        """The epochs that the server does not have."""
        for epoch in epochs:
            if epoch.number not in known.epochs:
                self._log(known.id, epoch)
                known.epochs.add(epoch.number)

    def _log(self, run_id: str, epoch: Epoch, tags: Mapping[str, str] | None = None) -> None:
        from mlflow.entities import Metric, RunTag

        now = time.time_ns() // 1_000_000
        points = [Metric(metric_name(name), value, now, epoch.number) for name, value in epoch.metrics.items()]
        self._client.log_batch(
            run_id, metrics=points[:_METRICS], tags=[RunTag(name, value) for name, value in (tags or {}).items()]
        )

    def _log_parameters(self, run_id: str, parameters: Mapping[str, object]) -> None:
        from mlflow.entities import Param

        values = [Param(name, str(value)) for name, value in parameters.items()]
        self._client.log_batch(run_id, params=values[:_PARAMETERS])


def metric_name(name: str) -> str:
    """The name as MLflow takes it: letters (of any script), digits, and a few signs."""
    return re.sub(r"[^\w.\- /]", "_", name)


def _user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a container without a table of users
        return "unknown"
