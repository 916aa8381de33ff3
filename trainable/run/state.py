"""The progress of a run: the part of a checkpoint that is not the network (no torch)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Any, Self

from trainable.base.config import PARTS


def _nothing_corrupt() -> dict[str, list[str]]:
    return {part: [] for part in PARTS}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass
class RunState:
    """The epochs that a run has trained, and what happened on the way. Checkpoints hold every field by its name.

    Args:
        epoch: the number of epochs trained.
        best: `model` (a state dict on the CPU) and `metrics` of the best epoch; {} before the first epoch.
        history: a row of history.csv for each epoch.
        corrupt: by part of the split, the CSV paths of corrupt images that were met, in the order of their names.
        notes: sentences for the manifest, such as what was wrong with a checkpoint or with the weights.
        fallbacks: a sentence for each time that the run went on with less memory or fewer workers.
        micro_batch: the most images that the device takes at a time; None for whole batches.
        started: when the run began: UTC, in ISO 8601.
    """

    epoch: int = 0
    best: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    corrupt: dict[str, list[str]] = field(default_factory=_nothing_corrupt)
    notes: list[str] = field(default_factory=list)
    fallbacks: list[str] = field(default_factory=list)
    micro_batch: int | None = None
    started: str = field(default_factory=_now)

    @classmethod
    def from_checkpoint(cls, saved: Mapping[str, Any]) -> Self:
        """From a checkpoint, which also holds other values; one of an earlier version may lack some of these."""
        return cls(**{part.name: saved[part.name] for part in fields(cls) if part.name in saved})

    def to_checkpoint(self) -> dict[str, Any]:
        """This state's part of a checkpoint."""
        return {part.name: getattr(self, part.name) for part in fields(self)}

    def is_best(self, macro_f1: float) -> bool:
        """Whether an epoch of this validation macro-F1 is the best so far. On a tie the earlier epoch is."""
        return not self.best or macro_f1 > self.best["metrics"]["macro_f1"]

    def add_epoch(self, row: dict[str, Any]) -> None:
        """Count an epoch by its row of history.csv."""
        self.history.append(row)
        self.epoch += 1

    def add_notes(self, notes: Iterable[str]) -> None:
        """Add sentences for the manifest that are not there yet."""
        self.notes = list(dict.fromkeys((*self.notes, *notes)))

    def add_corrupt(self, part: str, paths: Collection[str]) -> list[str]:
        """Note corrupt images of a part. Returns those that were not known, sorted."""
        new = sorted(set(paths) - set(self.corrupt[part]))
        self.corrupt[part] += new
        return new
