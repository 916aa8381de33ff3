"""The checkpoint of a run: everything that the run needs to go on after its last whole epoch."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import torch

from trainable.base.files import replacing
from trainable.base.paths import RunPaths
from trainable.run.checkpoint_format import pack, unpack
from trainable.run.history import TrialHistory
from trainable.run.identity import Identity
from trainable.run.resumption import find_checkpoint, keep_previous, write_note


def save_torch(path: Path, value: Any) -> None:
    """`torch.save` into a file that appears whole.

    Raises:
        OSError: the disk is full or fails. Torch hides that unless Python opens the file.
    """
    with replacing(path, lambda: _saved_size(value)) as temporary, temporary.open("wb") as file:
        torch.save(value, file)


def _saved_size(value: Any) -> int:
    """Bytes that `torch.save` writes."""
    counter = _Counter()
    torch.save(value, counter)
    return counter.size


class _Counter(io.BytesIO):
    """A file that counts what is written to it and keeps nothing."""

    size = 0

    def write(self, data: Any, /) -> int:
        count = memoryview(data).nbytes
        self.size += count
        return count


def save_checkpoint(paths: RunPaths, state: dict[str, Any]) -> None:
    """The state of a run between two epochs, and a note that says what it is without torch.

    The checkpoint before it is kept as the previous one (see `keep_previous`).
    """
    identity, epoch = state["identity"], state["epoch"]
    keep_previous(paths, identity, epoch)
    save_torch(paths.checkpoint, pack(state))
    write_note(paths, identity, epoch, TrialHistory.of_rows(state["history"]))


def read_state(checkpoint: Path) -> Any:
    """The state that `save_checkpoint` wrote, on the CPU. Version 0.1.0 wrote it tensor by tensor.

    Raises:
        OSError: there is no such file. Torch raises other errors where the file is no checkpoint.
    """
    saved = torch.load(checkpoint, map_location="cpu", weights_only=True)
    return unpack(saved) if "tensors" in saved else saved


def load_checkpoint(paths: RunPaths, identity: Identity) -> tuple[dict[str, Any] | None, str]:
    """The state to go on from, and a sentence about checkpoints that are broken ("" where none is).

    The state is None without a whole checkpoint, or with one of other data or another configuration.
    """
    unusable: tuple[Path, ...] = ()
    while True:
        found = find_checkpoint(paths.checkpoints, identity, unusable)
        if found.file is None:
            return None, found.broken
        try:
            state = read_state(found.file)
        except Exception:  # torch documents no exceptions for files that are no checkpoints
            state = None
        if isinstance(state, dict) and state.get("identity") == identity:
            return state, found.broken
        unusable = (*unusable, found.file)
