"""A planned training as the job that a worker's process gets."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.steps import TrainingStep
from trainable.base.config import NAMED_WEIGHTS, Job, Resources, RunSpec, make_job


def job_of(step: TrainingStep, paths: ProjectPaths, resources: Resources) -> Job:
    """The job of an identified training. All paths are absolute, since trials have working folders of their own."""
    assert step.identity is not None
    csvs = {part: path.resolve() for part, path in paths.training_csvs(step.experiment.split).items()}
    weights = step.config.weights
    config = step.config if weights in NAMED_WEIGHTS else replace(step.config, weights=str(Path(weights).resolve()))
    spec = RunSpec(paths.root.resolve(), csvs, step.run.out.resolve(), config, step.tests)
    return {**make_job(spec, resources, step.identity), "experiment": step.name}
