"""Results of real trainings and evaluations, made in this process, and how they are verified."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from faceapi_models import PACKAGE
from portraits import portrait
from projects import BOX, make_project, write_csv
from small_runs import CPU, tables_of, write_weights

from orchestrator.execution.events import NoEvents
from orchestrator.execution.faceapi_tasks import FaceApiTasks
from orchestrator.execution.jobs import job_of
from orchestrator.execution.local import LocalExecutor
from orchestrator.planning.inputs import check_inputs
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.planner import Planner
from orchestrator.planning.selection import select
from orchestrator.planning.settings import Settings, load_recipe
from orchestrator.planning.steps import FaceApiEvaluation, Run
from orchestrator.verification.outcome import Verification
from orchestrator.verification.recorded import compare_with_record
from trainable.cache.hashes import ImageHashes
from trainable.run.stepper import JobStepper

TRAININGS = ("probe_M1", "finetune_K7")
NAMES = (*TRAININGS, *(("faceapi_M1",) if PACKAGE.is_dir() else ()))
RUNS = "models/mobilenetv3_classifier/runs"


def make_results(root: Path) -> Path:
    """A project with results: English labels, Korean ones, and FaceAPI where its weights are there."""
    make_project(root)
    photo = "data_raw/photos/M1/얼굴.jpg"
    (box,) = portrait(root / photo, [(320, 200, 90)])
    rows = [(photo, "happy", *box), ("data_raw/photos/M1/0.jpg", "sad", 10, 10, 100, 100)]
    write_csv(root / "data_shared/splits_csv/test_M1.csv", ("path", "label_en", *BOX), rows)
    weights = write_weights(root / "가중치.pt", tables_of(root)["train"])
    recipe: dict[str, Any] = {"batch": 8, "weights": str(weights), "label_smoothing": 0.1}
    recipe["experiments"] = {"probe_*": {"epochs": 2, "lr_head": 0.01}, "finetune_*": {"epochs": 3, "lr_head": 0.01}}
    (root / "recipe.json").write_text(json.dumps(recipe), encoding="utf-8")
    ours = planner(root)
    for step in ours.plan(select(NAMES)):
        _make(ours.identify(step), ours)
    return root


def _make(step: Run | FaceApiEvaluation, ours: Planner) -> None:
    if isinstance(step, Run):
        stepper = JobStepper(job_of(step, ours.paths, CPU), ours.inputs.training[step.experiment.split])
        while not stepper.step()["done"]:
            pass
        return
    executor = LocalExecutor(ours.paths.output / "log")
    tasks = FaceApiTasks([step], ours, executor, limit=1, events=NoEvents(), stop=lambda: False)
    tasks.start()
    tasks.finish()


def planner(root: Path, *names: str, recipe: Path | None = None) -> Planner:
    """Over the inputs as they are now; remembers no hashes."""
    paths, settings = ProjectPaths(root, root), Settings(load_recipe(recipe or root / "recipe.json"))
    found = Planner(check_inputs(select(names or NAMES), settings, paths), settings, paths)
    found.hashes = ImageHashes()
    return found


def step_of(ours: Planner, name: str) -> Run | FaceApiEvaluation:
    (step,) = ours.plan(select([name]))
    return step


def verified(root: Path, name: str, *, recipe: Path | None = None) -> Verification:
    """How one result compares with its record."""
    ours = planner(root, name, recipe=recipe)
    return compare_with_record(step_of(ours, name), ours)


def flip(file: Path, place: int, mask: int = 1) -> None:
    """Change one byte."""
    content = bytearray(file.read_bytes())
    content[place] ^= mask
    file.write_bytes(content)
