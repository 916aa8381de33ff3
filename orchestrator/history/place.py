"""Where an experiment's current result lies, and where its earlier ones are kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainable.base.files import read_json
from trainable.cache.hashes import digest
from trainable.run.identity import Identity
from trainable.run.resumption import checkpoint_notes

Record = dict[str, Any]


@dataclass(frozen=True)
class Place:
    """The files of one experiment.

    Args:
        files: all that a finished result may have, the manifest aside.
        needed: those of them without which it is none.
        manifest: says what made the files. Where it lies, they are whole.
        marker: says whose results are about to be replaced in this place (`--fresh`, or a run's last instant).
        unfinished: the folder of a training's checkpoints; None for FaceAPI, which keeps its parts by identity.
        history: the folder of the earlier results, on the same disk if possible: `<digest>` is a finished result,
            `<digest>.unfinished` a training's checkpoints.
    """

    files: tuple[Path, ...]
    needed: tuple[Path, ...]
    manifest: Path
    marker: Path
    unfinished: Path | None
    history: Path

    @property
    def journal(self) -> Path:
        """Names the kept result whose files are being moved: those in place without a manifest are copies of it."""
        return self.history / "moving.json"

    def entry(self, identity: Identity) -> Path:
        """The folder of the finished result of an identity."""
        return self.history / digest(identity)[:12]

    def unfinished_entry(self, identity: Identity) -> Path:
        """The folder of the checkpoints of an identity."""
        return self.history / f"{digest(identity)[:12]}.unfinished"

    @property
    def current(self) -> Record:
        """What the result in place says of itself; {} where there is none, or another program's."""
        return read_record(self.manifest)

    @property
    def has_record(self) -> bool:
        """Whether there is anything with which today's identity can be compared."""
        notes = checkpoint_notes(self.unfinished) if self.unfinished else []
        return bool(self.current or notes) or self.history.is_dir()

    def is_being_replaced(self, identity: Identity | None) -> bool:
        """Whether a run has begun to replace the result of this identity."""
        return bool(identity) and read_record(self.marker).get("identity") == identity

    def kept(self, identity: Identity | None) -> Record:
        """What the whole result of an identity in the history says of itself; {} without one."""
        if identity is None:
            return {}
        entry = self.entry(identity)
        record = read_record(entry / self.manifest.name)
        whole = all((entry / file.name).is_file() for file in self.needed)
        return record if whole and record.get("identity") == identity else {}


def read_record(file: Path) -> Record:
    """What made a result, from a file that we wrote; {} for any other."""
    found = read_json(file)
    return found if isinstance(found, dict) and isinstance(found.get("identity"), dict) else {}


def finished(record: Record) -> str:
    """When a result was finished, such as 2026-01-02T03:04:05Z; "" where its record does not say."""
    return str(record.get("finished", "")).replace("+00:00", "Z")
