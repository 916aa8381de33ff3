"""Finds the engine and the weights of a FaceAPI evaluation, and computes its identity (no Ray, no ONNX Runtime)."""

from __future__ import annotations

import shutil
from pathlib import Path

from faceapi.contract.settings import Evaluator, FaceApiSettings
from faceapi.node.process import EVALUATOR, NODE_DIR
from faceapi.python.weights import NETWORKS, check_weights, has_manifests, manifest_name
from trainable.base.errors import ConfigError
from trainable.cache.hashes import ImageHashes, digest, file_digest
from trainable.data.spelling import spelled
from trainable.data.tables import ImageTable
from trainable.run.identity import Identity, table_digests

PACKAGE_MODELS = NODE_DIR / "node_modules" / "@vladmandic" / "face-api" / "model"
"""The weights that come with face-api's npm package."""


def prepare(settings: FaceApiSettings, baseline: Path) -> Evaluator:
    """Find the programs and weights of an evaluation; the onnx engine needs weights only.

    Args:
        baseline: `models/faceapi_baseline` below the project root (runbook section 2).

    Raises:
        ConfigError: something is missing or broken; says what to do.
    """
    if settings.engine == "onnx" and settings.script is None:
        models = find_models(settings, baseline)
        check_weights(models)
        return Evaluator("onnx", models)
    node = shutil.which("node")
    if node is None:
        what = "--faceapi-script" if settings.script else "--faceapi-engine node"
        raise ConfigError(f"node is not on the PATH; {what} needs Node 18 or newer (--faceapi-engine onnx does not)")
    own = settings.script is not None
    script = spelled(settings.script).resolve() if settings.script else NODE_DIR / EVALUATOR
    if not script.is_file():
        what = f"--faceapi-script {settings.script}" if own else str(script)
        raise ConfigError(f"{what}: no such file")
    if own and not baseline.is_dir():
        raise ConfigError(f"{baseline}: no such folder; --faceapi-script is run there (runbook 5.4)")
    if not own and not (NODE_DIR / "node_modules").is_dir():
        raise ConfigError(f"the evaluator's packages are missing; run: npm ci --ignore-scripts --prefix {NODE_DIR}")
    return Evaluator("script" if own else "node", find_models(settings, baseline), node, script)


def find_models(settings: FaceApiSettings, baseline: Path, package: Path = PACKAGE_MODELS) -> Path:
    """Find the folder with the weights: `--faceapi-models`, else `models` in `baseline`, else `package`.

    Raises:
        ConfigError: no folder has the weights; the message names the three places.
    """
    own = baseline / "models"
    for folder in (spelled(settings.models),) if settings.models else (own, package):
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


def faceapi_identity(
    table: ImageTable, settings: FaceApiSettings, evaluator: Evaluator, hashes: ImageHashes
) -> Identity:
    """Compute what a FaceAPI result depends on: rows and photos, weights, engine and settings.

    A user's own script counts by its content. Identities are compared key by key to say what changed.
    """
    hashes.fill([table])
    data = {"test": table_digests(table)}
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
