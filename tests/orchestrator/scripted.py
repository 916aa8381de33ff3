"""Trainings whose scores are made up, for tests of the orchestration: no torch, a few files a run.

They stand in for real ones because an order of events, a failure at a given epoch or a race between trials cannot be
forced with real training; tests with a real Ray and real training hold the two together (see `test_run_all.py`).
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from trainable.base.config import TrainConfig
from trainable.base.errors import ExperimentError
from trainable.base.files import read_json, write_json
from trainable.base.paths import RunPaths
from trainable.run.history import HISTORY_COLUMNS, TrialHistory

Score = Callable[[str, int], float]
"""The validation macro-F1 of a training, by its name, after so many epochs."""


def even(name: str, epoch: int) -> float:
    """The same for all, a little better with each epoch."""
    return 0.1 + 0.001 * epoch


@dataclass
class Script:
    """What happens in the trainings of a run, and what has happened.

    Args:
        fails: by name, after how many epochs an attempt fails; each entry is used once for each number in it.
        on_epoch: called with the name and the epoch before the epoch is recorded.
    """

    score: Score = even
    fails: dict[str, list[int]] = field(default_factory=dict)
    on_epoch: Callable[[str, int], None] = lambda name, epoch: None
    log: list[tuple[str, int]] = field(default_factory=list)
    """(name, epoch) in the order in which epochs were trained."""

    def stepper(self, job: Mapping[str, Any], tables: object = None) -> Callable[[], dict[str, Any]]:
        return _Scripted(self, job).step

    @property
    def starts(self) -> list[str]:
        """The names in the order of their first epochs."""
        return list(dict.fromkeys(name for name, _ in self.log))

    def epochs(self, name: str) -> int:
        """The epochs trained by a training, those that were trained twice counted twice."""
        return sum(other == name for other, _ in self.log)


class _Scripted:
    def __init__(self, script: Script, job: Mapping[str, Any]) -> None:
        self.script, self.job, self.name = script, job, job["experiment"]
        self.config = TrainConfig(**job["config"])
        self.run = RunPaths(Path(job["out"]))
        note = read_json(self.run.checkpoint_note) or {}
        same = note.get("identity") == job["identity"]
        self.history = TrialHistory.from_json(note) if same else TrialHistory()

    def step(self) -> dict[str, Any]:
        epoch = len(self.history) + 1
        fails = self.script.fails.get(self.name, [])
        if epoch in fails:
            fails.remove(epoch)
            raise ExperimentError(f"made to fail in epoch {epoch}")
        self.script.log.append((self.name, epoch))
        self.script.on_epoch(self.name, epoch)
        scores = (*self.history.scores, self.script.score(self.name, epoch))
        self.history = TrialHistory(scores, (*self.history.stages, self.config.stage_at(epoch - 1)), float(epoch))
        write_json(
            self.run.checkpoint_note, {"identity": self.job["identity"], "epoch": epoch, **self.history.to_json()}
        )
        done = epoch == self.config.epochs
        if done:
            self._finish()
        row = {"epoch": epoch, "stage": self.history.stages[-1], "val_macro_f1": scores[-1], "train_loss": 0.0}
        return {**row, "train_accuracy": 0.0, "seconds": 1.0, **self.history.to_json(), "epochs": self.config.epochs,
                "done": done}  # fmt: skip

    def _finish(self) -> None:
        best = self.history.best
        rows = zip(self.history.scores, self.history.stages, strict=True)
        with self.run.history.open("w", encoding="utf-8", newline="") as stream:
            writer = csv.DictWriter(stream, HISTORY_COLUMNS)
            writer.writeheader()
            writer.writerows({"val_macro_f1": score, "stage": stage, "seconds": 1.0} for score, stage in rows)
        write_json(self.run.val_metrics, {"macro_f1": best})
        write_json(self.run.classes, {"classes": ["a", "b"]})
        if self.job["test"]:
            self.run.best.write_bytes(b"")
            write_json(self.run.test_metrics, {"macro_f1": best})
            right = int(10 * (best or 0))
            lines = [f"{row}.jpg,a,{'a' if row < right else 'b'}" for row in range(10)]
            self.run.test_preds.write_text("\n".join(["path,true,pred", *lines]) + "\n", encoding="utf-8")
        write_json(self.run.manifest, {"identity": self.job["identity"], "finished": "2026-01-01T00:00:00+00:00",
                                       "seconds": float(len(self.history))})  # fmt: skip
        shutil.rmtree(self.run.checkpoints)
