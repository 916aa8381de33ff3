"""The files that a finished run leaves in its folder (runbook section 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from trainable.base.config import RunSpec, TrainConfig
from trainable.base.files import read_json, write_csv, write_json
from trainable.base.paths import PREDS_COLUMNS, RunPaths
from trainable.data.tables import ImageTable
from trainable.run.checkpoints import save_torch
from trainable.run.history import HISTORY_COLUMNS
from trainable.run.logits import write_logits
from trainable.run.placing import new_results, put_in_place

if TYPE_CHECKING:
    from torch import Tensor


def write_results(
    spec: RunSpec,
    classes: list[str],
    tables: Mapping[str, ImageTable],
    *,
    best: dict[str, Any],
    history: Sequence[dict[str, Any]],
    test: tuple[dict[str, Any], Sequence[tuple[str, str, str]], Tensor] | None,
    manifest: dict[str, Any],
) -> str:
    """Write all artifacts of a finished run and remove its checkpoint.

    They are written beside their place first, so that a full disk costs nothing that was there. What another run has
    left in the folder, or the runbook's own script, is moved aside. An older manifest of the same identity is removed
    then, and the new one moved in last: a folder with a manifest is complete.

    Args:
        tables: the parts that the run has read.
        best: `model` (a state dict), `metrics` and validation `logits` of the best epoch.
        history: a row of history.csv for each epoch.
        test: metrics, rows of test_preds.csv, and logits. None for a run without a test: the test results and the
            weights of an earlier run in this folder are removed, since a reader would take them for this run's.

    Returns:
        A sentence about earlier results that were moved aside; "" where there were none.
    """
    new = new_results(RunPaths(spec.out))
    if test is not None:
        metrics, predictions, logits = test
        save_torch(new.best, best_checkpoint(best["model"], classes, spec.config))
        write_json(new.test_metrics, metrics)
        write_csv(new.test_preds, PREDS_COLUMNS, predictions)
        write_logits(new.test_logits, tables["test"], classes, logits)
    if best.get("logits") is not None:  # a checkpoint of an earlier version has none
        write_logits(new.val_logits, tables["val"], classes, best["logits"])
    write_json(new.val_metrics, best["metrics"])
    write_json(new.classes, {"classes": classes})
    write_csv(new.history, HISTORY_COLUMNS, ([row.get(name) for name in HISTORY_COLUMNS] for row in history))
    return put_in_place(RunPaths(spec.out), manifest)


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
