"""A result on disk compared with what it recorded when it was made (no torch)."""

from __future__ import annotations

from orchestrator.history.place import read_record
from orchestrator.planning.planner import Planner
from orchestrator.planning.steps import FaceApiEvaluation, Run, Step, TrainingStep, manifest_file, result_files
from orchestrator.verification.changes import Sources, environment_changes, file_changes, input_changes
from orchestrator.verification.outcome import NO_HASHES, NO_MANIFEST, Verification
from trainable.cache.digests import file_digest
from trainable.network.weight_files import imagenet_file
from trainable.run.manifest import environment


def compare_with_record(step: Run | FaceApiEvaluation, planner: Planner) -> Verification:
    """Compare a result with its inputs of today and with its files.

    Args:
        planner: its `hashes` decide whether contents are read anew or remembered.
    """
    record, files = read_record(manifest_file(step)) or None, result_files(step)
    if record is None:
        left = any(file.is_file() for file in files)
        return Verification(step.name, unverified=(NO_MANIFEST,) if left else ())
    step = planner.identify(step)
    assert step.identity is not None
    changed = file_changes(record, files)
    return Verification(
        name=step.name,
        record=record,
        inputs=(*input_changes(record, step.identity, _sources(step, planner)), *_imagenet_change(step)),
        files=tuple(changed or ()),
        unverified=(NO_HASHES,) if changed is None else (),
        remarks=tuple(environment_changes(record, environment())),
    )


def _sources(step: Step, planner: Planner) -> Sources:
    split = step.experiment.split
    if isinstance(step, TrainingStep):
        tables, weights = planner.inputs.training[split], step.config.weights
    else:
        assert planner.inputs.evaluator is not None
        tables, weights = {"test": planner.inputs.faceapi[split]}, str(planner.inputs.evaluator.models)
    csvs = {part: table.csv for part, table in tables.items()}
    return Sources(csvs, {part: len(table) for part, table in tables.items()}, weights)


def _imagenet_change(step: Step) -> list[str]:
    """ImageNet's weights count by their name, and so does their file: its name ends with the first digits of its
    SHA-256."""
    file = imagenet_file()
    if not isinstance(step, TrainingStep) or step.config.weights != "imagenet" or not file.is_file():
        return []
    right = file_digest(file).startswith(file.stem.rpartition("-")[2])
    return [] if right else [f"weights changed ({file} is not what its name says)"]
