"""The rows of history.csv (no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HISTORY_COLUMNS = (
    "epoch", "stage", "train_loss", "train_accuracy", "val_loss", "val_macro_f1", "val_accuracy",
    "lr_head", "lr_backbone", "micro_batch", "seconds",
)  # fmt: skip


def epoch_line(row: Mapping[str, Any], epochs: int) -> str:
    """One epoch in one line, for logs."""
    return (
        f"epoch {row['epoch']}/{epochs} stage {row['stage']}: loss {row['train_loss']:.4f}, "
        f"train accuracy {row['train_accuracy']:.3f}, val macro-F1 {row['val_macro_f1']:.4f}, {row['seconds']:.1f} s"
    )
