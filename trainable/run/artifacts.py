"""The files that a finished run leaves in its folder (runbook section 6)."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from trainable.base.config import RunSpec, TrainConfig
from trainable.base.files import read_json, write_csv, write_json
from trainable.base.paths import PREDS_COLUMNS, RunPaths
from trainable.run.checkpoints import save_torch
from trainable.run.history import HISTORY_COLUMNS


def write_results(
    spec: RunSpec,
    classes: list[str],
    *,
    best: dict[str, Any],
    history: Sequence[dict[str, Any]],
    test: tuple[dict[str, Any], Sequence[tuple[str, str, str]]] | None,
    manifest: dict[str, Any],
) -> None:
    """Write all artifacts of a finished run and remove its checkpoint.

    An older manifest is removed first and the new one is written last, so a folder with a manifest is complete.

    Args:
        best: `model` (a state dict) and `metrics` of the best epoch.
        history: a row of history.csv for each epoch.
        test: metrics, and rows of test_preds.csv. None for a run without a test: the test results and the weights
            of an earlier run in this folder are removed, since a reader would take them for this run's.
    """
    paths = RunPaths(spec.out)
    paths.manifest.unlink(missing_ok=True)
    if test is None:
        for path in set(paths.results) - set(paths.trial_results):
            path.unlink(missing_ok=True)
    else:
        metrics, predictions = test
        save_torch(paths.best, best_checkpoint(best["model"], classes, spec.config))
        write_json(paths.test_metrics, metrics)
        write_csv(paths.test_preds, PREDS_COLUMNS, predictions)
    write_json(paths.val_metrics, best["metrics"])
    write_json(paths.classes, {"classes": classes})
    write_csv(paths.history, HISTORY_COLUMNS, ([row.get(name) for name in HISTORY_COLUMNS] for row in history))
    write_json(paths.manifest, manifest)
    shutil.rmtree(paths.checkpoints, ignore_errors=True)


def best_checkpoint(state_dict: Mapping[str, Any], classes: Sequence[str], config: TrainConfig) -> dict[str, Any]:
    """The content of best.pt. Exporters load `state_dict` into a `mobilenet_v3_small` with a head of as many classes,
    and `--weights` takes the file too."""
    return {"state_dict": state_dict, "classes": list(classes), "config": asdict(config)}


def finished_metrics(paths: RunPaths) -> dict[str, Any]:
    """The main metrics of a finished run, from its files; None for each one that a run without a test lacks."""
    val, test = (read_json(path) or {} for path in (paths.val_metrics, paths.test_metrics))
    return {
        "val_macro_f1": val.get("macro_f1"),
        "test_macro_f1": test.get("macro_f1"),
        "test_accuracy": test.get("accuracy"),
    }
