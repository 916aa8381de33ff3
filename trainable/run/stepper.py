"""A job's training, one epoch at a time, for every kind of executor. Torch is imported with the first epoch."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainable.base.config import Job
from trainable.data.tables import ImageTable
from trainable.run.history import TrialHistory

if TYPE_CHECKING:
    from trainable.run.trainer import Trainer


class JobStepper:
    """Trains a job (see `trainable.base.config.make_job`) and writes its artifacts with the last epoch.

    A training goes on from the checkpoint in its own run folder, which it writes with every epoch.

    Args:
        tables: the checked tables of the job's split; read from the CSVs when not given.
    """

    def __init__(self, job: Job, tables: Mapping[str, ImageTable] | None = None) -> None:
        self.job, self.tables = job, tables

    @cached_property
    def trainer(self) -> Trainer:
        from trainable.run.trainer import Trainer

        name = Path(self.job["out"]).name
        return Trainer.from_job(self.job, self.tables, log=lambda text: print(f"{name}: {text}", flush=True))

    def step(self) -> dict[str, Any]:
        """Train an epoch; after the last one, evaluate the test and write all artifacts.

        Returns:
            The epoch's row of history.csv, the history of the whole trial (see `TrialHistory.to_json`), `epochs`,
            `done`, and with the last epoch the main metrics of the run.
        """
        from trainable.run.artifacts import finished_metrics

        trainer = self.trainer
        row = trainer.history[-1] if trainer.done else trainer.step()
        # All epochs, since a scheduler that was started again has not seen the earlier ones.
        history = TrialHistory.of_rows(trainer.history).to_json()
        result = {**row, **history, "epochs": trainer.config.epochs, "done": trainer.done}
        if trainer.done:
            trainer.finish()
            result |= finished_metrics(trainer.paths)
        return result
