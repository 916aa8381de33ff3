"""A run's events as trackers know them: parameters, tags, metrics and files, read from steps and from their results."""

from __future__ import annotations

import csv
import math
import threading
import uuid
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from orchestrator.execution.events import NoEvents
from orchestrator.planning.steps import (
    Confirmation,
    FaceApiEvaluation,
    Step,
    TrainingStep,
    Trial,
    manifest_file,
    result_files,
)
from orchestrator.tracking.tracker import Ending, Epoch, TrackedRun, Tracker
from search_spaces.runbook import Experiment
from trainable.base.errors import Failure
from trainable.base.files import read_json, write_json
from trainable.base.text import one_line
from trainable.cache.hashes import digest
from trainable.run.history import HISTORY_COLUMNS, TrialHistory
from trainable.run.manifest import environment

_NO_METRICS = ("epoch", "stage", "micro_batch")
METRICS = tuple(name for name in HISTORY_COLUMNS if name not in _NO_METRICS)
"""Those columns of history.csv that are an epoch's metrics."""


class TrackedRuns(NoEvents):
    """Tells a tracker what happens to the steps of a command.

    Args:
        step_of: a step by its name, with its identity.
    """

    def __init__(self, tracker: Tracker, step_of: Callable[[str], Step]) -> None:
        self.tracker, self.step_of = tracker, step_of
        self._runs: dict[str, TrackedRun] = {}
        self._lock = threading.Lock()  # FaceAPI's events come from a thread of its own

    def started(self, name: str) -> None:
        self._run(name)

    def epoch(self, name: str, row: Mapping[str, Any]) -> None:
        self.tracker.epoch(self._run(name), epoch_of(row, self.step_of(name).rows[0]))

    def finished(self, name: str) -> None:
        self._end(name, finished(self.step_of(name)))

    def stopped(self, name: str, why: str, history: TrialHistory | None) -> None:
        if history is not None or name in self._runs:  # one that this command never started has no news
            self._end(name, Ending("KILLED", one_line(why)))

    def failed(self, name: str, failure: Failure) -> None:
        self._end(name, Ending("FAILED", one_line(failure.message)))

    def _run(self, name: str) -> TrackedRun:
        with self._lock:
            if name not in self._runs:
                self._runs[name] = tracked(self.step_of(name))
                self.tracker.begin(self._runs[name])
            return self._runs[name]

    def _end(self, name: str, ending: Ending) -> None:
        self.tracker.end(self._run(name), ending)


def tracked(step: Step) -> TrackedRun:
    """The step as trackers know it; its key is kept beside its checkpoints for a later command to go on with."""
    note, identity = _key_file(step), digest(step.identity)
    known = read_json(note)
    key = known.get("key") if isinstance(known, dict) and known.get("identity") == identity else None
    resumed = isinstance(key, str)
    if not isinstance(key, str):
        key = f"{datetime.now():%Y%m%d-%H%M%S}-{uuid.uuid4().hex[:8]}"
        with suppress(OSError):  # what is wrong with the folder is the run's to tell
            write_json(note, {"key": key, "identity": identity})
    group = sweep_group(step.experiment) if isinstance(step, Trial | Confirmation) else None
    return TrackedRun(key, step.name, group, _parameters(step), _tags(step), resumed)


def sweep_group(experiment: Experiment) -> str:
    """How trackers call the sweep of an experiment."""
    return f"{experiment.name} sweep"


def _key_file(step: Step) -> Path:
    if isinstance(step, TrainingStep):
        return step.run.checkpoints / "tracking.json"
    assert isinstance(step, FaceApiEvaluation)
    return step.begun / "tracking.json"


def _parameters(step: Step) -> dict[str, Any]:
    """The whole configuration and the data, by name."""
    about = {"split": step.experiment.split, "method": step.experiment.method}
    if not isinstance(step, TrainingStep):
        return {**about, "rows_test": step.rows[0]}
    config = step.config
    rows = {f"rows_{part}": count for part, count in zip(step.parts, step.rows, strict=False)}
    stages = {f"stage{number}_epoch": start for number, start in enumerate(config.stage_starts, 1) if number > 1}
    return {**about, **rows, **asdict(config), **stages}


def _tags(step: Step) -> dict[str, str]:
    there = environment()
    kind = {Trial: "trial", Confirmation: "confirmation", FaceApiEvaluation: "faceapi"}.get(type(step), "run")
    tags = {
        "experiment": step.experiment.name,
        "kind": kind,
        "identity": digest(step.identity),
        "host": there["host"],
        "commit": there["git_commit"] or "unknown",
    }
    if isinstance(step, Trial | Confirmation):
        tags |= {"sweep": step.experiment.name, "trial": str(step.number)}
    return tags


def epoch_of(row: Mapping[str, Any], images: int) -> Epoch:
    """The metrics in a row of history.csv, as numbers or as text; what is missing or no number is left out.

    Args:
        images: rows of the training part, for images per second of the whole epoch, its validation included.
    """
    metrics = {name: value for name in METRICS if (value := _number(row.get(name))) is not None}
    if metrics.get("seconds"):
        metrics["images_per_second"] = images / metrics["seconds"]
    return Epoch(int(row["epoch"]), metrics)


def finished(step: Step) -> Ending:
    """The results of a step that has them, from its files."""
    manifest = read_json(manifest_file(step)) or {}
    tags = {"device": manifest.get("device"), "host": manifest.get("host"), "commit": manifest.get("git_commit")}
    history = _history(step) if isinstance(step, TrainingStep) else ()
    metrics = _training_metrics(step) if isinstance(step, TrainingStep) else _faceapi_metrics(step, manifest)
    files = [file for file in (*result_files(step), manifest_file(step)) if file.is_file()]
    return Ending(
        "FINISHED",
        metrics=metrics,
        tags={name: str(value) for name, value in tags.items() if value is not None},
        history=history,
        files=files,
    )


def _history(step: TrainingStep) -> tuple[Epoch, ...]:
    try:
        with step.run.history.open(encoding="utf-8", newline="") as stream:
            return tuple(epoch_of(row, step.rows[0]) for row in csv.DictReader(stream))
    except (OSError, ValueError):  # no epoch is lost that was told already
        return ()


def _training_metrics(step: TrainingStep) -> dict[str, float]:
    """`best_val_...` and `test_...`, and each class's F1 in the test."""
    found: dict[str, float] = {}
    for prefix, file in (("best_val", step.run.val_metrics), ("test", step.run.test_metrics)):
        values = read_json(file) or {}
        for name in ("macro_f1", "accuracy", "loss", "epoch"):
            found |= _named(f"{prefix}_{name}", values.get(name))
        for label, scores in (values.get("per_class") or {}).items() if prefix == "test" else ():
            found |= _named(f"test_f1/{label}", scores.get("f1"))
    return found


def _faceapi_metrics(step: Step, manifest: Mapping[str, Any]) -> dict[str, float]:
    from orchestrator.reporting.faceapi_counts import COLUMNS, count_rows  # and pandas
    from orchestrator.reporting.frames import read_rows

    assert isinstance(step, FaceApiEvaluation)
    whole = count_rows(read_rows(step.csv), manifest.get("unreadable_images", [])).iloc[0]
    found = {name: float(whole[name]) for name in COLUMNS[1:]}
    return {**found, **_named("seconds", manifest.get("seconds"))}


def _named(name: str, value: object) -> dict[str, float]:
    number = _number(value)
    return {} if number is None else {name: number}


def _number(value: object) -> float | None:
    try:
        number = float(value)  # type: ignore[arg-type]  # what is no number is what this asks
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None
