"""A training that sleeps: it reports what a real one does, imports no torch, and uses hardly any CPU."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ray import tune
from ray.train._internal.session import _TrainingResult  # what `Trainable.save` returns; it has no public name

from orchestrator.simulation.costs import made_up_score


class Sleeper(tune.Trainable):
    """Sleeps for `config["job"]["seconds"]`, an epoch each. A file says how far it came, as a run folder does."""

    _first = True

    def setup(self, config: dict[str, Any], tables: object = None) -> None:
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._job = new_config["job"]
        self._file = Path(self._job["out"])
        self._scores: list[float] | None = None
        return True

    def step(self) -> dict[str, Any]:
        began = time.time()
        name, stages = self._job["experiment"], self._job["stages"]
        if self._scores is None:
            known = int(self._file.read_text()) if self._file.is_file() else 0
            self._scores = [made_up_score(name, epoch) for epoch in range(1, known + 1)]
        done = len(self._scores)
        time.sleep(self._job["seconds"][done])
        self._scores.append(made_up_score(name, done + 1))
        self._file.write_text(str(done + 1))
        new, self._first = self._first, False
        row = {"epoch": done + 1, "epochs": len(stages), "done": done + 1 == len(stages), "slept": time.time() - began}
        return {**row, "scores": list(self._scores), "stages": list(stages[: done + 1]), "new_process": new}

    def save(self, checkpoint_dir: str | None = None) -> _TrainingResult:
        """As a real one's in a cluster: Tune keeps nothing."""
        return _TrainingResult(None, dict(self._last_result or {}))
