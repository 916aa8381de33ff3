"""Sweeps by the real command line, what they left, and the same trials trained alone; shared by the sweep tests."""

from __future__ import annotations

import csv
import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ray_runs import run_all
from small_runs import CPU, history, spec_of

from trainable.base.config import TrainConfig
from trainable.base.files import read_json
from trainable.run.trainer import Trainer

EXPERIMENTS = ("probe_M1", "finetune_M1")
EPOCHS = 8
SMALL = ("--num-samples", 4, "--confirm", 2)
SWEEPS = Path("models/mobilenetv3_classifier/sweeps")
Row = dict[str, str]


@dataclass
class Bench:
    """A project, weights that let a few epochs learn something, and a folder for runs without Ray."""

    project: Path
    weights: Path
    alone_in: Path
    _alone: dict[TrainConfig, Path] = field(default_factory=dict)

    def options(self, *more: object) -> list[object]:
        return [*EXPERIMENTS, "--weights", self.weights, "--epochs", EPOCHS, *more]

    def sweep(self, output: Path, *more: object) -> subprocess.CompletedProcess[str]:
        done: subprocess.CompletedProcess[str] = run_all(self.project, output, *self.options(*more), verb="sweep")
        return done

    def config(self, experiment: str, row: Row, seed: int = 1337) -> TrainConfig:
        """The configuration that a line of a sweep's table stands for."""
        rates = {name: float(row[name]) for name in ("lr_head", "lr_backbone") if name in row}
        mode: Any = experiment.partition("_")[0]
        return TrainConfig(mode, epochs=EPOCHS, batch=8, weights=str(self.weights), seed=seed, **rates)

    def alone(self, config: TrainConfig) -> Path:
        """The folder of the run of a configuration in one process, without Ray and without a test."""
        if config not in self._alone:
            out = self.alone_in / f"{len(self._alone)}"
            Trainer(spec_of(self.project, out, config, test=False), CPU).run()
            self._alone[config] = out
        return self._alone[config]

    def alone_scores(self, config: TrainConfig) -> list[float]:
        return [float(row["val_macro_f1"]) for row in history(self.alone(config))]


def rows_of(path: Path) -> list[Row]:
    with path.open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def table(output: Path, experiment: str, kind: str = ".csv") -> list[Row]:
    """A sweep's table of trials, or of confirmations."""
    return rows_of(output / f"reports/sweeps/{experiment}_160{kind}")


def without_seconds(rows: list[Row]) -> list[Row]:
    return [{name: value for name, value in row.items() if name != "seconds"} for row in rows]


def trials(output: Path) -> set[Path]:
    """The folders of the trials themselves, which all have the sweep's seed."""
    return set((output / SWEEPS).glob("*/*-s1337"))


def files(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file below: when it was written, and what it holds."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_mtime_ns, path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def epochs_of(folder: Path) -> int:
    """How far a trial under way has come."""
    return (read_json(folder / ".checkpoints/last.json") or {}).get("epoch", 0)


def tune_trials(output: Path) -> set[Path]:
    """Tune's own folders of trials."""
    return {path.relative_to(output) for path in (output / ".emosweep/tune").glob("*/*/")}


def tune_results(output: Path) -> list[list[dict[str, Any]]]:
    """What Tune wrote down of each of its trials: a list of results."""
    found = sorted((output / ".emosweep/tune").glob("*/*/result.json"))
    return [[json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] for path in found]
