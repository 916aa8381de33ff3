"""An evaluation of FaceAPI done again and compared with the result on disk."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

from orchestrator.execution.events import NoEvents
from orchestrator.execution.faceapi_tasks import FaceApiTasks
from orchestrator.execution.local import LocalExecutor
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.planner import Planner
from orchestrator.planning.steps import FaceApiEvaluation
from orchestrator.verification.comparison import table_difference
from orchestrator.verification.outcome import Again, Tell
from trainable.base.errors import ExperimentError, Failure

POLL_SECONDS = 0.05


class _Events(NoEvents):
    """Says how far the evaluation is, and keeps why it failed."""

    def __init__(self, tell: Tell) -> None:
        self.tell = tell
        self.failure: Failure | None = None

    def progress(self, name: str, done: int, rows: int) -> None:
        if done:
            self.tell(f"{done} of {rows} rows")

    def failed(self, name: str, failure: Failure) -> None:
        self.failure = failure


def evaluate_again(step: FaceApiEvaluation, planner: Planner, folder: Path, tell: Tell) -> Again:
    """Evaluate in this process.

    Args:
        step: an identified evaluation with a result.
        folder: an empty folder that receives everything that the evaluation writes.

    Raises:
        ExperimentError: the evaluation failed.
    """
    elsewhere = Planner(planner.inputs, planner.settings, ProjectPaths(planner.paths.root, folder))
    again = replace(elsewhere.evaluation(step.experiment, fresh=True), identity=step.identity)
    events, stop = _Events(tell), threading.Event()
    # One with corrupt photos is made again in the same way.
    tasks = FaceApiTasks(
        [again], elsewhere, LocalExecutor(folder / "log"), limit=1, events=events, stop=stop.is_set, allow_corrupt=True
    )
    tasks.start()
    try:
        _wait_for(tasks.thread)
    finally:  # after Ctrl-C nothing may write into the folder any more
        stop.set()
        _wait_for(tasks.thread)
    if events.failure is not None:
        raise ExperimentError(events.failure.message)
    return Again(table_difference(step.csv, again.csv) or "")


def _wait_for(thread: threading.Thread) -> None:
    """Until it has ended. Python's own `join` would take a thread for ended once a wait for it was interrupted."""
    while thread in threading.enumerate():
        time.sleep(POLL_SECONDS)
