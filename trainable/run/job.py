"""A run as plain values, which travel to the process that trains. No torch until it is a trainer there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trainable.base.config import Resources, RunSpec, TrainConfig

if TYPE_CHECKING:
    from trainable.run.trainer import Trainer

Job = dict[str, Any]


def job(spec: RunSpec, resources: Resources, identity: dict[str, Any]) -> Job:
    """JSON values, which Tune also writes into its own records."""
    return {
        "name": spec.name,
        "project_root": str(spec.project_root),
        "csvs": {part: str(path) for part, path in spec.csvs.items()},
        "out": str(spec.out),
        "config": vars(spec.config).copy(),
        "test": spec.test,
        "resources": vars(resources).copy(),
        "identity": identity,
    }


def trainer_of(job: Job, log: Callable[[str], None]) -> Trainer:
    """Its trainer; raises what `Trainer` does."""
    from trainable.run.trainer import Trainer

    spec = RunSpec(
        project_root=Path(job["project_root"]),
        csvs={part: Path(path) for part, path in job["csvs"].items()},
        out=Path(job["out"]),
        config=TrainConfig(**job["config"]),
        test=job["test"],
    )
    return Trainer(spec, Resources(**job["resources"]), job["identity"], log=log)
