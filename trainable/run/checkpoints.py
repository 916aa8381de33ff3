"""A run's checkpoint: everything it needs to go on after its last whole epoch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from trainable.base.files import replacing, write_json
from trainable.base.paths import RunPaths
from trainable.run.checkpoint_format import pack, unpack
from trainable.run.identity import Identity


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
