"""What a run has shown so far, epoch by epoch: the rows of history.csv, and what a sweep judges a trial by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from trainable.run.loop import PassResult

HISTORY_COLUMNS = (
    "epoch", "stage", "train_loss", "train_accuracy", "val_loss", "val_macro_f1", "val_accuracy",
    "lr_head", "lr_backbone", "micro_batch", "seconds",
)  # fmt: skip


@dataclass(frozen=True)
class TrialHistory:
    """The epochs of a run so far.

    The same four values stand in a checkpoint's note, in each result that Tune gets, and in stopped.json.

    Args:
        scores: validation macro-F1, one an epoch.
        stages: the stage (1, 2 or 3) of each epoch.
        seconds: of all epochs together.
    """

    scores: tuple[float, ...] = ()
    stages: tuple[int, ...] = ()
    seconds: float = 0.0

    @classmethod
    def of_rows(cls, rows: Iterable[Mapping[str, Any]]) -> Self:
        """From rows of history.csv, as numbers or as text."""
        known = list(rows)
        return cls(
            tuple(float(row["val_macro_f1"]) for row in known),
            tuple(int(row["stage"]) for row in known),
            round(sum(float(row.get("seconds") or 0.0) for row in known), 3),
        )

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """From what `to_json` gave, among other values; missing ones are empty."""
        scores, stages = tuple(values.get("scores") or ()), tuple(values.get("stages") or ())
        return cls(scores, stages, values.get("total_seconds") or 0.0)

    def to_json(self) -> dict[str, Any]:
        """JSON values, for files and for Tune's results."""
        return {
            "scores": list(self.scores),
            "stages": list(self.stages),
            "best_val_macro_f1": self.best or 0.0,
            "total_seconds": self.seconds,
        }

    def __len__(self) -> int:
        """The number of epochs."""
        return len(self.scores)

    @property
    def best(self) -> float | None:
        """The highest validation macro-F1; None before the first epoch."""
        return max(self.scores, default=None)

    def best_of_stage(self, epochs: int) -> float:
        """The highest score among the first `epochs` epochs that is of the last one's stage."""
        stage = self.stages[epochs - 1]
        pairs = zip(self.scores[:epochs], self.stages[:epochs], strict=True)
        return max(score for score, s in pairs if s == stage)


def history_row(
    epoch: int, stage: int, train: PassResult, val: PassResult, metrics: Mapping[str, Any],
    rates: tuple[float, float | None], micro_batch: int,
) -> dict[str, Any]:  # fmt: skip
    """An epoch's row of history.csv, without its seconds.

    Args:
        train, val: the epoch's passes over training and validation rows.
        metrics: of the validation rows (see `trainable.run.metrics`).
        rates: the learning rates of head and backbone; None for a backbone that does not train.
    """
    return {
        "epoch": epoch,
        "stage": stage,
        "train_loss": train.loss,
        "train_accuracy": train.accuracy,
        "val_loss": val.loss,
        "val_macro_f1": metrics["macro_f1"],
        "val_accuracy": metrics["accuracy"],
        "lr_head": rates[0],
        "lr_backbone": rates[1],
        "micro_batch": micro_batch,
    }


def epoch_line(row: Mapping[str, Any], epochs: int) -> str:
    """One epoch in one line, for logs."""
    return (
        f"epoch {row['epoch']}/{epochs} stage {row['stage']}: loss {row['train_loss']:.4f}, "
        f"train accuracy {row['train_accuracy']:.3f}, val macro-F1 {row['val_macro_f1']:.4f}, {row['seconds']:.1f} s"
    )
