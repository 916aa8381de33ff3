"""An experiment's training done again and compared with the result on disk, epoch by epoch."""

from __future__ import annotations

from collections.abc import Collection, Mapping
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
from orchestrator.verification.outcome import Again, Record, Tell
from trainable.base.config import Resources
from trainable.base.paths import RunPaths
from trainable.run.history import HISTORY_COLUMNS, epoch_line


def why_not(record: Record) -> str:
    """Why a training made again could not be compared with the recorded one; "" where it can."""
    device = record.get("device")
    if device == "cpu":
        return ""
    if record.get("deterministic") is not True:
        return f"it was made on {device} without --deterministic, which gives other last bits each time"
    from trainable.network.compute import device_name, pick_device

    here = device_name(pick_device("auto"))
    return "" if here == device else f"it was made on {device}, and here is {'no GPU' if here == 'cpu' else here}"


def train_again(step: Run, record: Record, planner: Planner, folder: Path, epochs: int | None, tell: Tell) -> Again:
    """Train in this process as the result says that it was trained, and stop at the first difference.

    Args:
        step: an identified run.
        record: what its result says of itself.
        folder: an empty folder that receives everything that the training writes.
        epochs: train and compare only so many; None for all, and then the test too.

    Raises:
        Exception: what a training raises.
    """
    from trainable.run.trainer import Trainer  # and torch, which only this needs

    _tell_of_instructions(record, tell)
    again, config = RunPaths(folder / step.run.out.name), step.config
    job = job_of(replace(step, run=again), planner.paths, _resources(record))
    trainer = Trainer.from_job(job, planner.inputs.training[step.experiment.split], log=tell)
    last = min(epochs or config.epochs, config.epochs)
    disk = read_table(step.run.history)
    for epoch in range(1, last + 1):
        row = trainer.step()
        tell(epoch_line(row, config.epochs))
        if found := history_difference(disk, epoch, HISTORY_COLUMNS, row):
            return Again(found)
    if last < config.epochs:
        return Again(same=f"the first {last} of {config.epochs} epochs are the same, bit for bit")
    if len(disk) > config.epochs + 1:
        return Again(f"history.csv has {len(disk) - 1} epochs, the training {config.epochs}")
    trainer.finish()
    return Again(_first_difference(step.run, again, record["artifacts"]) or "")


def _resources(record: Record) -> Resources:
    """What computes as the recorded run did; it may have gone on in spite of corrupt images."""
    gpu, plain = record.get("device") != "cpu", record.get("path") == "plain"
    return Resources("cuda" if gpu else "cpu", plain=plain, deterministic=gpu, allow_corrupt=True)


def _tell_of_instructions(record: Record, tell: Tell) -> None:
    """Say it where PyTorch chooses other code on this processor: sums may round differently."""
    import torch

    processor, here = record.get("processor"), torch.backends.cpu.get_cpu_capability()
    before = processor.get("instructions") if isinstance(processor, Mapping) else None
    if before not in (None, here):
        tell(f"PyTorch uses the instruction sets {here} here and used {before}, so numbers may round differently")


def _first_difference(before: RunPaths, again: RunPaths, recorded: Collection[str]) -> str | None:
    """In all result files of a whole run but history.csv.

    Args:
        recorded: the names of the files that the result on disk is made of.
    """
    from orchestrator.verification.tensors import weights_difference

    compare = {
        ".pt": weights_difference,
        ".json": json_file_difference,
        ".csv": table_difference,
        ".parquet": table_difference,
    }
    files = [path.name for path in again.results] + sorted(path.name for path in again.out.iterdir() if path.is_file())
    names = [name for name in dict.fromkeys(files) if name in recorded and name != again.history.name]
    found = (compare[Path(name).suffix](before.out / name, again.out / name) for name in names)
    return next(filter(None, found), None)
