"""A job's training, one epoch at a time, for every kind of executor. Torch is imported with the first epoch."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from trainable.run.history import TrialHistory
from trainable.run.job import Job, trainer_of

if TYPE_CHECKING:
    from trainable.run.trainer import Trainer


class JobStepper:
    """Trains a job (see `trainable.run.job`) and writes its artifacts with the last epoch.

    A training goes on from the checkpoint in its own run folder, which it writes with every epoch.
    """

    def __init__(self, job: Job) -> None:
        self.job = job

    @cached_property
    def trainer(self) -> Trainer:
        name = self.job["name"]
        return trainer_of(self.job, lambda text: print(f"{name}: {text}", flush=True))

    def step(self) -> dict[str, Any]:
        """Train one epoch.

        Returns:
            The epoch's row of history.csv, all epochs so far (a scheduler that was started again has not seen them),
            their number in all, whether this was the last one, and then the metrics of the results.
        """
        from trainable.run.artifacts import finished_metrics

        trainer = self.trainer
        row = trainer.history[-1] if trainer.done else trainer.step()
        history = TrialHistory.of_rows(trainer.history)
        result = {**row, **history.to_json(), "epochs": trainer.config.epochs, "done": trainer.done}
        if trainer.done:
            trainer.finish()
            result |= finished_metrics(trainer.paths)
        return result
