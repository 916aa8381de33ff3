"""FaceAPI's results that a run finds and did not make: they are copied aside before anything writes over them."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from faceapi.contract.results import probabilities_file
from orchestrator.execution.faceapi_answers import answers_folder
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.steps import FaceApiEvaluation
from trainable.base.files import read_json, replacing, write_json
from trainable.cache.hashes import file_digest


def keep_earlier(step: FaceApiEvaluation) -> None:
    """Copy results that are no evaluation of the same inputs, such as the runbook's own script's, to names of their
    own. The same content gets the same name, so that no number of attempts makes a second copy."""
    made_by = [_identity(file) for file in (step.manifest, _marker(step))]
    if not step.csv.is_file() or step.identity in made_by:
        return
    name = f"{step.csv.stem}.earlier-{file_digest(step.csv)[:8]}"
    earlier = step.csv.with_name(f"{name}.csv")
    targets = (earlier, probabilities_file(earlier), earlier.with_suffix(".manifest.json"))
    for file, target in zip((step.csv, step.probabilities, step.manifest), targets, strict=True):
        if file.is_file() and not target.exists():
            with replacing(target) as temporary:
                shutil.copyfile(file, temporary)


def forget_evaluation(step: FaceApiEvaluation, paths: ProjectPaths) -> None:
    """`--fresh`: the evaluation is neither done nor interrupted, and its photos are looked at again. Its results stay
    until new ones take their place."""
    for folder in (step.begun, answers_folder(step, paths)):
        shutil.rmtree(folder, ignore_errors=True)
    write_json(_marker(step), {"identity": step.identity})


def _marker(step: FaceApiEvaluation) -> Path:
    """Says that results of this identity are made again, whatever their manifest says; goes with what is begun."""
    return step.begun / "replacing.json"


def _identity(file: Path) -> Any:
    record = read_json(file)
    return record.get("identity") if isinstance(record, dict) else None
