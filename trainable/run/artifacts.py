"""What a finished run leaves in its folder (runbook section 6), and the checkpoint it goes on from until then."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from trainable.base.config import RunSpec
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
    """All artifacts of a finished run. The manifest goes first and comes last: what has one is whole.

    Args:
        test: metrics and predictions. None for a run without a test, beside whose results those of an earlier one
            would be taken for its own.
    """
    paths = RunPaths(spec.out)
    paths.manifest.unlink(missing_ok=True)
    if test is None:
        for path in set(paths.results) - set(paths.trial_results):
            path.unlink(missing_ok=True)
    else:
        metrics, predictions = test
        save_torch(paths.best, {"model": best["model"], "classes": classes, "config": asdict(spec.config)})
        write_json(paths.test_metrics, metrics)
        write_csv(paths.test_preds, PREDS_COLUMNS, predictions)
    write_json(paths.val_metrics, best["metrics"])
    write_json(paths.classes, {"classes": classes})
    write_csv(paths.history, HISTORY_COLUMNS, ([row.get(name) for name in HISTORY_COLUMNS] for row in history))
    write_json(paths.manifest, manifest)
    shutil.rmtree(paths.checkpoints, ignore_errors=True)


def finished_metrics(paths: RunPaths) -> dict[str, Any]:
    """What a finished run found, from its files; None for what a run without a test does not have."""
    val, test = (read_json(path) or {} for path in (paths.val_metrics, paths.test_metrics))
    return {
        "val_macro_f1": val.get("macro_f1"),
        "test_macro_f1": test.get("macro_f1"),
        "test_accuracy": test.get("accuracy"),
    }
