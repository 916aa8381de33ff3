"""The checkpoint of a run: everything that the run needs to go on after its last whole epoch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from trainable.base.files import replacing, write_json
from trainable.base.paths import RunPaths
from trainable.run.checkpoint_format import pack, unpack
from trainable.run.history import TrialHistory
from trainable.run.identity import Identity


def save_torch(path: Path, value: Any) -> None:
    """`torch.save` into a file that appears whole."""
    with replacing(path) as temporary:
        torch.save(value, temporary)


def save_checkpoint(paths: RunPaths, state: dict[str, Any]) -> None:
    """The state of a run between two epochs, and a note that says what it is without torch."""
    save_torch(paths.checkpoint, pack(state))
    note = {"identity": state["identity"], "epoch": state["epoch"], **TrialHistory.of_rows(state["history"]).to_json()}
    write_json(paths.checkpoint_note, note)


def read_state(checkpoint: Path) -> Any:
    """The state that `save_checkpoint` wrote, on the CPU. Version 0.1.0 wrote it tensor by tensor.

    Raises:
        OSError: there is no such file. Torch raises other errors where the file is no checkpoint.
    """
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    return unpack(saved) if "tensors" in saved else saved


def load_checkpoint(paths: RunPaths, identity: Identity) -> dict[str, Any] | None:
    """The state to go on from; None without a checkpoint, or with one of other data or another configuration."""
    try:
        state = read_state(paths.checkpoint)
    except Exception:  # no file, or a file that a full disk cut short: the run begins from the start
        return None
    return state if isinstance(state, dict) and state.get("identity") == identity else None
