"""An experiment's training done again and compared with the result on disk, epoch by epoch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from orchestrator.execution.jobs import job_of
from orchestrator.planning.planner import Planner
from orchestrator.planning.steps import Run
from orchestrator.verification.comparison import (
    history_difference,
    json_file_difference,
    read_table,
    table_difference,
)
from orchestrator.verification.outcome import Again, Tell
from trainable.base.config import Resources
from trainable.base.limits import usable_cpus
from trainable.base.paths import RunPaths
from trainable.run.history import HISTORY_COLUMNS, epoch_line


def train_again(step: Run, planner: Planner, folder: Path, epochs: int | None, tell: Tell) -> Again:
    """Train on the CPU of this process, and stop at the first difference.

    Args:
        step: an identified run with a result.
        folder: an empty folder that receives everything that the training writes.
        epochs: train and compare only so many; None for all, and then the test too.

    Raises:
        Exception: what a training raises.
    """
    from trainable.run.trainer import Trainer  # and torch, which only this needs

    again, config = RunPaths(folder / step.run.out.name), step.config
    # A run that went on in spite of corrupt images is made again in the same way.
    job = job_of(replace(step, run=again), planner.paths, Resources("cpu", threads=usable_cpus(), allow_corrupt=True))
    trainer = Trainer.from_job(job, planner.inputs.training[step.experiment.split], log=tell)
    last = min(epochs or config.epochs, config.epochs)
    disk = read_table(step.run.history)
    for epoch in range(1, last + 1):
        row = trainer.step()
        tell(epoch_line(row, config.epochs))
        if found := history_difference(disk, epoch, HISTORY_COLUMNS, row):
            return Again(found)
    if last < config.epochs:
        return Again(same=f"the first {last} of {config.epochs} epochs are the same, bit for bit", whole=False)
    if len(disk) > config.epochs + 1:
        return Again(f"history.csv has {len(disk) - 1} epochs, the training {config.epochs}")
    trainer.finish()
    return Again(_first_difference(step.run, again) or "")


def _first_difference(before: RunPaths, again: RunPaths) -> str | None:
    """In all result files of a whole run but history.csv."""
    from orchestrator.verification.tensors import weights_difference

    return (
        weights_difference(before.best, again.best)
        or json_file_difference(before.classes, again.classes)
        or json_file_difference(before.val_metrics, again.val_metrics)
        or json_file_difference(before.test_metrics, again.test_metrics)
        or table_difference(before.test_preds, again.test_preds)
    )
