"""Which checkpoint a run goes on from: the last whole one (no torch).

A run keeps its last two checkpoints. The note beside each has the size and the digest of its file, so a file that a
disk has cut short or changed is not taken for a checkpoint. The planner and the trainer ask the same function, so that
a run does what the plan says.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainable.base.files import read_json, write_json
from trainable.base.paths import RunPaths, checkpoint_pairs
from trainable.cache.hashes import file_digest
from trainable.run.history import TrialHistory
from trainable.run.identity import Identity

Note = dict[str, Any]


@dataclass(frozen=True)
class Resumption:
    """Where a run goes on.

    Args:
        file: the checkpoint; None to begin from the start.
        note: what the checkpoint says of itself; {} without one.
        broken: a sentence about later checkpoints that are broken, and what happens instead; "" where none is.
    """

    file: Path | None = None
    note: Note = field(default_factory=dict)
    broken: str = ""

    @property
    def epoch(self) -> int:
        """The epochs that are trained; 0 without a checkpoint."""
        return int(self.note.get("epoch", 0))

    def words(self, epochs: int) -> str:
        """What happens, for `plan`; "" where a run simply begins.

        Args:
            epochs: those of the whole run.
        """
        text = self.broken or (f"goes on after epoch {self.epoch}" if self.file else "")
        return f"{text} of {epochs}" if self.file else text


def find_checkpoint(folder: Path, identity: Identity | None, unusable: tuple[Path, ...] = ()) -> Resumption:
    """The last whole checkpoint of a folder.

    Args:
        folder: `RunPaths.checkpoints`, or a copy of it.
        identity: of the run that is to go on; None for any run's.
        unusable: files that have turned out to hold no checkpoint, whatever their notes say.
    """
    broken: list[int | None] = []
    for file, beside in checkpoint_pairs(folder):
        note = read_note(beside)
        if not note:
            if file.exists():
                broken.append(None)
        elif identity is None or note["identity"] == identity:
            if file not in unusable and _is_whole(file, note):
                return Resumption(file, note, _sentence(broken, note["epoch"]))
            broken.append(note["epoch"])
    return Resumption(broken=_sentence(broken, 0))


def checkpoint_notes(folder: Path) -> list[Note]:
    """The notes of both checkpoints, the last one first, whole or not. Notes that say nothing are left out."""
    return [note for _, beside in checkpoint_pairs(folder) if (note := read_note(beside))]


def read_note(path: Path) -> Note:
    """A checkpoint's note; {} where it is missing or not what `write_note` writes."""
    found = read_json(path)
    if isinstance(found, dict) and isinstance(found.get("identity"), dict) and type(found.get("epoch")) is int:
        return found
    return {}


def write_note(paths: RunPaths, identity: Identity, epoch: int, history: TrialHistory) -> None:
    """Say beside the last checkpoint what it holds, and what its file is."""
    file = paths.checkpoint
    whole = {"size": file.stat().st_size, "sha256": file_digest(file)}
    write_json(paths.checkpoint_note, {"identity": identity, "epoch": epoch, **whole, **history.to_json()})


def keep_previous(paths: RunPaths, identity: Identity, epoch: int) -> None:
    """Before the checkpoint of `epoch` (from 1) takes its place: the one that lies there becomes the previous one, if
    it is whole and of this run. One of the two is whole at every instant."""
    if is_last_whole(paths, identity, before=epoch):
        _keep_as_previous(paths)
    elif epoch == 1:
        paths.previous_note.unlink(missing_ok=True)  # a run that began anew does not fall back to what it replaces


def _keep_as_previous(paths: RunPaths) -> None:
    """Give the last checkpoint, which stays where it is, a second name."""
    paths.previous_checkpoint.unlink(missing_ok=True)
    try:
        paths.previous_checkpoint.hardlink_to(paths.checkpoint)
    except OSError:  # a file system without hard links
        shutil.copyfile(paths.checkpoint, paths.previous_checkpoint)
    write_json(paths.previous_note, read_note(paths.checkpoint_note))


def is_last_whole(paths: RunPaths, identity: Identity, before: int) -> bool:
    """Whether the last checkpoint is whole, of this identity, and of an epoch before epoch `before`."""
    note = read_note(paths.checkpoint_note)
    return bool(note) and note["identity"] == identity and note["epoch"] < before and _is_whole(paths.checkpoint, note)


def _is_whole(file: Path, note: Note) -> bool:
    """Whether the file is what its note says. Versions before 0.2 noted neither size nor digest, and are believed."""
    if "sha256" not in note:
        return True
    try:
        return bool(file.stat().st_size == note.get("size") and file_digest(file) == note["sha256"])
    except OSError:
        return False


def _sentence(broken: list[int | None], epoch: int) -> str:
    """What is lost and what is left.

    A process that was killed between writing a checkpoint and its note leaves a note of the epoch before, whose
    checkpoint is the previous one: nothing is lost there that the note knew of.
    """
    lost = sorted(number for number in broken if number is not None and number > epoch)
    if not lost and None not in broken:
        return ""
    numbers = " and ".join(map(str, lost))
    if not lost:
        what = "the last checkpoint is broken"
    elif len(lost) == 1:
        what = f"the checkpoint of epoch {numbers} is broken"
    else:
        what = f"the checkpoints of epochs {numbers} are broken"
    return f"{what}; {f'goes on after epoch {epoch}' if epoch else 'begins anew'}"
