"""What the FaceAPI evaluation needs and depends on: an engine, weights, label names (no Ray, no ONNX Runtime)."""

from __future__ import annotations

import functools
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from orchestrator.faceapi.weights import NETWORKS, check_weights, has_manifests, manifest_name
from orchestrator.paths import ProjectPaths
from orchestrator.settings import FaceApiSettings
from trainable.atomic import read_json
from trainable.errors import ConfigError, Problem
from trainable.identity import Identity, ImageHashes, digest, file_digest, table_digests
from trainable.tables import Box, ImageTable, nfc

NODE_DIR = Path(os.environ.get("EMOSWEEP_FACEAPI", Path(__file__).resolve().parents[2] / "faceapi"))
EVALUATOR = "eval_faceapi.mjs"


@dataclass(frozen=True)
class Evaluator:
    """A ready evaluation with the weights in `models`: ours in Python ("onnx") or in Node ("node"), or a user's script.

    Except for "onnx", `node` runs `script`.
    """

    engine: Literal["onnx", "node", "script"]
    models: Path
    node: str = ""
    script: Path = Path()

    @property
    def own_script(self) -> bool:
        return self.engine == "script"


@dataclass(frozen=True)
class LabelledRow:
    """A row of a split as the onnx engine wants it: `file` is absolute, `label` one of face-api's classes."""

    path: str
    file: Path
    label: str
    box: Box


def prepare(settings: FaceApiSettings, paths: ProjectPaths) -> Evaluator:
    """Find everything the evaluation needs; for the onnx engine that is the weights.

    Raises:
        ConfigError: something is missing or broken; says what to do.
    """
    if settings.engine == "onnx" and settings.script is None:
        models = find_models(settings, paths)
        check_weights(models)
        return Evaluator("onnx", models)
    node = shutil.which("node")
    if node is None:
        what = "--faceapi-script" if settings.script else "--faceapi-engine node"
        raise ConfigError(f"node is not on the PATH; {what} needs Node 18 or newer (--faceapi-engine onnx does not)")
    own = settings.script is not None
    script = settings.script.resolve() if settings.script else NODE_DIR / EVALUATOR
    if not script.is_file():
        what = f"--faceapi-script {settings.script}" if own else str(script)
        raise ConfigError(f"{what}: no such file")
    if own and not paths.faceapi_baseline.is_dir():
        raise ConfigError(f"{paths.faceapi_baseline}: no such folder; --faceapi-script is run there (runbook 5.4)")
    if not own and not (NODE_DIR / "node_modules").is_dir():
        raise ConfigError(f"the evaluator's packages are missing; run: npm ci --ignore-scripts --prefix {NODE_DIR}")
    return Evaluator("script" if own else "node", find_models(settings, paths), node, script)


def find_models(settings: FaceApiSettings, paths: ProjectPaths) -> Path:
    """The weights: `--faceapi-models`, else the project's own folder, else the npm package's.

    Raises:
        ConfigError: there are none; names the three places.
    """
    own = paths.faceapi_baseline / "models"
    package = NODE_DIR / "node_modules" / "@vladmandic" / "face-api" / "model"
    for folder in (settings.models,) if settings.models else (own, package):
        if has_manifests(folder):
            return folder.resolve()
    wanted = " and ".join(manifest_name(network) for network in NETWORKS)
    if settings.models:
        raise ConfigError(
            f"--faceapi-models {settings.models}: must hold {wanted} "
            f"(without the option the weights are looked for in {own}, then in {package})"
        )
    raise ConfigError(
        f"no face-api weights: --faceapi-models DIR was not given, and {wanted} are neither in {own} nor in {package} "
        f"(npm ci --ignore-scripts --prefix {NODE_DIR} brings the latter)"
    )


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
    known = _known_labels(settings)
    return [
        Problem(
            f"label {row.label!r} is none of face-api's",
            str(table.csv),
            row.line,
            table.label_column,
            f"name it with --faceapi-label '{row.label}=CLASS'",
        )
        for row in table.rows
        if _key(row.label) not in known
    ]


def labelled(table: ImageTable, settings: FaceApiSettings) -> list[LabelledRow]:
    """The rows for the onnx engine, wherever it runs; all labels must be known (see `label_problems`)."""
    known = _known_labels(settings)
    return [
        LabelledRow(row.path, row.file.absolute(), known[_key(row.label)], row.box) for row in table.rows if row.box
    ]


def _known_labels(settings: FaceApiSettings) -> dict[str, str]:
    """Label to class, as faceapi/lib/labels.mjs reads them: the user's names win, case does not matter."""
    return {_key(name): target for name, target in (*label_names().items(), *settings.labels.items())}


def _key(label: str) -> str:
    return nfc(label).strip().lower()


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
            "engine": evaluator.engine,
            "input_size": settings.input_size,
            "score_threshold": settings.score_threshold,
            "labels": dict(sorted(settings.labels.items())),
        }
    return {"data": data, "weights": digest(weights), "config": config}
