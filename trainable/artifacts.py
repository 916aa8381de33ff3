"""What a finished run leaves in its folder (runbook section 6), and the checkpoint it goes on from until then."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from trainable.atomic import read_json, replacing, write_csv, write_json
from trainable.config import RunSpec
from trainable.history import HISTORY_COLUMNS
from trainable.identity import Identity
from trainable.packing import pack, unpack
from trainable.paths import RunPaths

PREDS_COLUMNS = ("path", "true", "pred")


def save_torch(path: Path, value: Any) -> None:
    with replacing(path) as temporary:
        torch.save(value, temporary)


def save_checkpoint(paths: RunPaths, state: dict[str, Any]) -> None:
    """The state of a run between two epochs, and a note that says what it is without torch."""
    save_torch(paths.checkpoint, pack(state))
    note = {"identity": state["identity"], "epoch": state["epoch"], **past(state["history"])}
    write_json(paths.checkpoint_note, note)


def read_state(checkpoint: Path) -> Any:
    """What `save_checkpoint` was given, on the CPU. Version 0.1.0 wrote it tensor by tensor."""
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    return unpack(saved) if "tensors" in saved else saved


def past(history: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """A run so far, an item an epoch: what a scheduler judges it by."""
    scores = [float(row["val_macro_f1"]) for row in history]
    return {
        "scores": scores,
        "stages": [row["stage"] for row in history],
        "best_val_macro_f1": max(scores, default=0.0),
        "total_seconds": round(sum(row.get("seconds", 0.0) for row in history), 3),
    }


def load_checkpoint(paths: RunPaths, identity: Identity) -> dict[str, Any] | None:
    """The state to go on from; None where there is none, or it belongs to other data or another configuration."""
    try:
        state = read_state(paths.checkpoint)
    except Exception:  # no file, or one that a full disk cut short: then the run begins anew
        return None
    return state if isinstance(state, dict) and state.get("identity") == identity else None


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
