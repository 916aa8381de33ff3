"""The one class that owns the paths of a training run's folder (runbook section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PREDS_COLUMNS = ("path", "true", "pred")
"""The columns of test_preds.csv: an image as the input CSV names it, and the names of two classes."""


@dataclass(frozen=True)
class RunPaths:
    """Everything a run writes into its folder `out`."""

    out: Path

    @property
    def best(self) -> Path:
        return self.out / "best.pt"

    @property
    def val_metrics(self) -> Path:
        return self.out / "val_metrics_best.json"

    @property
    def test_metrics(self) -> Path:
        return self.out / "test_metrics.json"

    @property
    def test_preds(self) -> Path:
        return self.out / "test_preds.csv"

    @property
    def val_logits(self) -> Path:
        """Those of the best epoch."""
        return self.out / "val_logits.parquet"

    @property
    def test_logits(self) -> Path:
        return self.out / "test_logits.parquet"

    @property
    def classes(self) -> Path:
        return self.out / "classes.json"

    @property
    def history(self) -> Path:
        return self.out / "history.csv"

    @property
    def manifest(self) -> Path:
        return self.out / "manifest.json"

    @property
    def checkpoints(self) -> Path:
        return self.out / ".checkpoints"

    @property
    def owner(self) -> Path:
        """Says which run is about to replace the results in the folder (see `trainable.run.kept_aside`)."""
        return self.checkpoints / "owner.json"

    @property
    def checkpoint(self) -> Path:
        return checkpoint_pairs(self.checkpoints)[0][0]

    @property
    def checkpoint_note(self) -> Path:
        """What `checkpoint` holds, in JSON, for readers without torch."""
        return checkpoint_pairs(self.checkpoints)[0][1]

    @property
    def previous_checkpoint(self) -> Path:
        """The checkpoint of the epoch before, in case that the last one is broken."""
        return checkpoint_pairs(self.checkpoints)[1][0]

    @property
    def previous_note(self) -> Path:
        return checkpoint_pairs(self.checkpoints)[1][1]

    @property
    def results(self) -> tuple[Path, ...]:
        """The files that make a finished run, the manifest aside."""
        return (self.best, self.val_metrics, self.test_metrics, self.test_preds, self.classes, self.history)

    @property
    def files(self) -> tuple[Path, ...]:
        """All that a finished run may leave, the manifest aside. Runs of earlier versions have no logits."""
        return (*self.results, self.val_logits, self.test_logits)

    @property
    def trial_results(self) -> tuple[Path, ...]:
        """Those of them that a run without a test leaves."""
        return (self.val_metrics, self.classes, self.history)

    @property
    def stopped(self) -> Path:
        """Why a trial was stopped before its end, and what it had shown."""
        return self.out / "stopped.json"


def checkpoint_pairs(folder: Path) -> tuple[tuple[Path, Path], ...]:
    """(checkpoint, note) of the last epoch, and of the one before it."""
    return tuple((folder / f"{name}.pt", folder / f"{name}.json") for name in ("last", "previous"))
