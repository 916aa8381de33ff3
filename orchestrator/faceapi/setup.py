"""What the FaceAPI evaluation needs and depends on: Node, the evaluator, weights, label names (no Ray)."""

from __future__ import annotations

import functools
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

from orchestrator.paths import ProjectPaths
from orchestrator.settings import FaceApiSettings
from trainable.atomic import read_json
from trainable.errors import ConfigError, Problem
from trainable.identity import Identity, ImageHashes, digest, file_digest, table_digests
from trainable.tables import ImageTable, nfc

NODE_DIR = Path(os.environ.get("EMOSWEEP_FACEAPI", Path(__file__).resolve().parents[2] / "faceapi"))
EVALUATOR = "eval_faceapi.mjs"
NETWORKS = ("tiny_face_detector_model", "face_expression_model")


@dataclass(frozen=True)
class Evaluator:
    """A ready evaluation: `node` runs `script` with the weights in `models`."""

    node: str
    script: Path
    models: Path
    own_script: bool


def prepare(settings: FaceApiSettings, paths: ProjectPaths) -> Evaluator:
    """Find everything the evaluation needs.

    Raises:
        ConfigError: something is missing; says what to do.
    """
    node = shutil.which("node")
    if node is None:
        raise ConfigError("node is not on the PATH; FaceAPI needs Node 18 or newer (or leave it out with --only)")
    own = settings.script is not None
    script = settings.script.resolve() if settings.script else NODE_DIR / EVALUATOR
    if not script.is_file():
        what = f"--faceapi-script {settings.script}" if own else str(script)
        raise ConfigError(f"{what}: no such file")
    if own and not paths.faceapi_baseline.is_dir():
        raise ConfigError(f"{paths.faceapi_baseline}: no such folder; --faceapi-script is run there (runbook 5.4)")
    if not own and not (NODE_DIR / "node_modules").is_dir():
        raise ConfigError(f"the evaluator's packages are missing; run: npm ci --ignore-scripts --prefix {NODE_DIR}")
    return Evaluator(node, script, find_models(settings, paths), own)


def find_models(settings: FaceApiSettings, paths: ProjectPaths) -> Path:
    """The weights: `--faceapi-models`, else the project's own folder, else the npm package's."""
    own = paths.faceapi_baseline / "models"
    package = NODE_DIR / "node_modules" / "@vladmandic" / "face-api" / "model"
    for folder in (settings.models,) if settings.models else (own, package):
        if all((folder / f"{name}-weights_manifest.json").is_file() for name in NETWORKS):
            return folder.resolve()
    if settings.models:
        wanted = ", ".join(f"{name}-weights_manifest.json" for name in NETWORKS)
        raise ConfigError(f"--faceapi-models {settings.models}: must hold {wanted}")
    raise ConfigError(f"no face-api weights in {own} nor in {package}; name their folder with --faceapi-models")


@functools.cache
def label_names() -> dict[str, str]:
    """face-api's classes and the other names they go by, to the class."""
    known = read_json(NODE_DIR / "labels.json")
    if not known:
        raise ConfigError(f"{NODE_DIR / 'labels.json'}: missing or not JSON; is the checkout whole?")
    return {**{name: name for name in known["classes"]}, **{nfc(k): v for k, v in known["aliases"].items()}}


def check_label_options(settings: FaceApiSettings) -> None:
    """Raises ConfigError where `--faceapi-label NAME=CLASS` names a class that face-api does not have."""
    classes = sorted(set(label_names().values()))
    for name, target in settings.labels.items():
        if target not in classes:
            raise ConfigError(f"--faceapi-label {name}={target}: face-api has the classes {', '.join(classes)}")


def label_problems(table: ImageTable, settings: FaceApiSettings) -> list[Problem]:
    """Rows whose label has no face-api class."""
    names = {**label_names(), **{nfc(k): v for k, v in settings.labels.items()}}
    return [
        Problem(
            f"label {row.label!r} is none of face-api's",
            str(table.csv),
            row.line,
            table.label_column,
            f"name it with --faceapi-label '{row.label}=CLASS'",
        )
        for row in table.rows
        if row.label not in names and row.label.lower() not in names
    ]


def faceapi_identity(
    table: ImageTable, settings: FaceApiSettings, evaluator: Evaluator, hashes: ImageHashes
) -> Identity:
    """What a FaceAPI result depends on; compared key by key to say what changed."""
    data = {"test": table_digests(table, hashes.of(row.file for row in table.rows))}
    weights = [file_digest(file) for name in NETWORKS for file in sorted(evaluator.models.glob(f"{name}*"))]
    if evaluator.own_script:
        config: Identity = {"engine": "script", "script": file_digest(evaluator.script)}
    else:
        config = {
            "engine": "node",
            "input_size": settings.input_size,
            "score_threshold": settings.score_threshold,
            "labels": dict(sorted(settings.labels.items())),
        }
    return {"data": data, "weights": digest(weights), "config": config}
