"""What a finished run says about itself: what made it, on what it ran, and what happened on the way."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from trainable.network.device import device_name
from trainable.run.allocator import uses_jemalloc
from trainable.run.environment import environment

if TYPE_CHECKING:
    from trainable.run.trainer import Trainer


def manifest_of(run: Trainer, test_seconds: float) -> dict[str, Any]:
    """The content of manifest.json; of the parts of the split, those that `run` has read."""
    return {
        "experiment": run.spec.name,
        "identity": run.identity,
        "config": asdict(run.config),
        "test": run.spec.test,
        "classes": run.classes,
        "csvs": {part: str(run.spec.csvs[part]) for part in run.tables},
        "rows": {part: len(table) for part, table in run.tables.items()},
        "label_columns": {part: table.label_column for part, table in run.tables.items()},
        "device": device_name(run.engine.device),
        "amp": run.engine.amp,
        "threads": run.threads,
        "tail": run.tail,
        "allocator": "jemalloc" if uses_jemalloc() else "system",
        "path": "plain" if run.supply.plain else "fast",
        "workers": run.supply.workers,
        "micro_batch": run.engine.micro_batch,
        "fallbacks": run.fallbacks,
        "corrupt_images": {part: run.corrupt[part] for part in run.tables},
        "started": run.started,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        **durations(run.history, test_seconds),
        **environment(),
    }


def durations(history: Sequence[dict[str, Any]], test_seconds: float) -> dict[str, Any]:
    """Seconds of each stage, and of the whole run with its test evaluation."""
    stages: dict[str, float] = {}
    for row in history:
        stages[str(row["stage"])] = stages.get(str(row["stage"]), 0.0) + row["seconds"]
    return {
        "seconds_per_stage": {stage: round(seconds, 3) for stage, seconds in stages.items()},
        "seconds": round(sum(stages.values()) + test_seconds, 3),
    }
