"""Trackio: runs in its own local database, which `trackio show` opens."""

from __future__ import annotations

from contextvars import Context
from typing import TYPE_CHECKING

from orchestrator.tracking.tracker import PROJECT, Ending, TrackedRun
from orchestrator.tracking.wandb_like import WandbLike

if TYPE_CHECKING:
    from trackio import Run


class TrackioTracker(WandbLike):
    """Writes to Trackio's database (TRACKIO_DIR), or where Trackio's other variables say.

    Args:
        command: the command's words, which name the group of its fixed runs.
    """

    title = "Trackio"

    def __init__(self, command: str) -> None:
        super().__init__()
        self.command = command
        import trackio  # noqa: F401  # here in the main thread: it takes seconds

    def start(self, run: TrackedRun) -> Run:
        import trackio

        def init() -> Run:
            return trackio.init(
                project=PROJECT, name=f"{run.name} {run.key}", group=run.group or self.command,
                config={**run.tags, **run.parameters}, resume="allow", embed=False,
                auto_log_cpu=False, auto_log_gpu=False,
            )  # fmt: skip

        return Context().run(init)  # in a context of its own, since a new run ends the context's other one

    def finish(self, there: Run, ending: Ending) -> None:
        status = {"status": ending.status, **({"why": ending.why} if ending.why else {})}
        there.log({**ending.metrics, **ending.tags, **status}, step=ending.last_epoch)
        for file in ending.files:
            there.log_artifact(str(file), name=file.name, type="result")
        there.finish()
