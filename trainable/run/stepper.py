"""A job's training, one epoch at a time, for every kind of executor. Torch is imported with the first epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainable.base.config import Job
from trainable.data.input_files import ON_DISK, InputFiles
from trainable.data.tables import ImageTable
from trainable.run.history import TrialHistory

if TYPE_CHECKING:
    from trainable.run.trainer import Trainer


class JobStepper:
    """Trains a job (see `trainable.base.config.make_job`) and writes its artifacts with the last epoch.

    A training goes on from the checkpoint in its own run folder, which it writes with every epoch.

    Args:
        tables: the checked tables of the job's split; read from the CSVs when not given.
        source: where the contents of its files come from.
        saved: called when an epoch is trained and in the run folder's checkpoint, before the test follows the last one.
    """

    def __init__(
        self,
        job: Job,
        tables: Mapping[str, ImageTable] | None = None,
        source: InputFiles = ON_DISK,
        saved: Callable[[], None] = lambda: None,
    ) -> None:
        self.job, self.tables, self.source, self.saved = job, tables, source, saved

    @cached_property
    def trainer(self) -> Trainer:
        from trainable.run.trainer import Trainer

        name = Path(self.job["out"]).name
        options: dict[str, Any] = {"log": lambda text: print(f"{name}: {text}", flush=True), "source": self.source}
        return Trainer.from_job(self.job, self.tables, **options)

    def step(self) -> dict[str, Any]:
        """Train an epoch; after the last one, evaluate the test and write all artifacts.

        Returns:
            The epoch's row of history.csv, the history of the whole trial (see `TrialHistory.to_json`), `epochs`,
            `done`, `device` (cpu or cuda), `threads`, and with the last epoch the main metrics of the run.
        """
        from trainable.run.artifacts import finished_metrics

        trainer = self.trainer
        if not trainer.done:
            trainer.step()
            self.saved()
        # All epochs, since a scheduler that was started again has not seen the earlier ones.
        history = TrialHistory.of_rows(trainer.history).to_json()
        result = {**trainer.history[-1], **history, "epochs": trainer.config.epochs, "done": trainer.done}
        result |= {"device": trainer.compute.device.type, "threads": trainer.cpus()}
        if trainer.done:
            trainer.finish()
            result |= finished_metrics(trainer.paths)
        return result
