"""W&B: a run folder for each training and evaluation, offline unless the user has set WANDB_MODE."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.tracking.tracker import PROJECT, Ending, TrackedRun
from orchestrator.tracking.wandb_like import WandbLike

if TYPE_CHECKING:
    from wandb import Run

_ENVIRONMENT = {"WANDB_MODE": "offline", "WANDB_SILENT": "true", "WANDB_ERROR_REPORTING": "false"}
"""How W&B's client behaves, where the user has not said otherwise."""


class WandbTracker(WandbLike):
    """Writes to `folder`/wandb, one `offline-run-...` for each run and command; `wandb sync` uploads them.

    Args:
        command: the command's words, which name the group of its fixed runs.
    """

    title = "W&B"

    def __init__(self, folder: Path, command: str) -> None:
        super().__init__()
        self.folder, self.command = folder, command
        for name, value in _ENVIRONMENT.items():
            os.environ.setdefault(name, value)
        import wandb  # noqa: F401  # here in the main thread: it takes seconds

    def start(self, run: TrackedRun) -> Run:
        import wandb

        self.folder.mkdir(parents=True, exist_ok=True)
        return wandb.init(
            project=os.environ.get("WANDB_PROJECT", PROJECT), id=run.key, name=run.name, dir=str(self.folder),
            group=run.group or self.command, job_type=run.tags.get("kind"), config={**run.tags, **run.parameters},
            resume="allow", reinit="create_new",  # beside the runs that are open
            settings=wandb.Settings(console="off", x_disable_stats=True),  # of this process, which does not train
        )  # fmt: skip

    def finish(self, there: Run, ending: Ending) -> None:
        there.summary.update({**ending.metrics, **ending.tags, "status": ending.status, "why": ending.why})
        for file in ending.files:  # W&B takes what lies in the run's folder
            shutil.copy(file, there.dir)
        there.finish(exit_code=0 if ending.status == "FINISHED" else 1)
