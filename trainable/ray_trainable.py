"""The thin adapter from `Trainer` to `ray.tune.Trainable`: one `step()` is one epoch. The only file here with Ray.

Torch is imported by the processes that train, and not by the driver, which only names this class.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
from ray import tune

from trainable.base.config import Job
from trainable.base.files import read_json
from trainable.base.paths import RunPaths
from trainable.run.history import TrialHistory

if TYPE_CHECKING:
    from trainable.data.tables import ImageTable
    from trainable.run.trainer import Trainer

_TABLES_KEPT = 16


def shipped(tables: Mapping[str, ImageTable]) -> dict[str, ray.ObjectRef]:
    """The tables of one split in Ray's object store, by part, for `job["tables"]` of all its trials.

    A reference passes through Tune's configurations unharmed: they are pickled, and JSON files show its number. The
    caller keeps the references for as long as trials may start.
    """
    return {part: ray.put(table) for part, table in tables.items()}


@lru_cache(_TABLES_KEPT)
def _fetched(reference: ray.ObjectRef) -> ImageTable:
    """A shipped table; once in a process, whatever number of trials run there one after the other."""
    table: ImageTable = ray.get(reference)
    return table


def received(tables: Mapping[str, Any] | None) -> dict[str, ImageTable] | None:
    """The tables of a job, which are references or the tables themselves; None for a job that has none."""
    if tables is None:
        return None
    return {part: _fetched(t) if isinstance(t, ray.ObjectRef) else t for part, t in tables.items()}


class StagedTrainable(tune.Trainable):
    """Trains the run of `config["job"]` and writes its artifacts with the last epoch.

    The job holds the values of `trainable.base.config.make_job`. It may also hold `tables`: by part of the split, the
    references that `shipped` gave, or the tables themselves. With tables and an identity, no CSV is read and no image
    is hashed here.

    A trial goes on from the checkpoint in its own run folder, which it writes with every epoch. So a killed actor, a
    killed driver and a new cluster are all the same case, and Tune's own checkpoints are needed only where Tune moves
    a trial (pause, perturb).
    """

    def setup(self, config: dict[str, Any]) -> None:
        # Tune may set a trial up while another actor still runs it: nothing is read or written before `step`.
        self._job: Job = config["job"]
        self._paths = RunPaths(Path(self._job["out"]))
        self._trainer: Trainer | None = None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    @property
    def trainer(self) -> Trainer:
        if self._trainer is None:
            from trainable.run.trainer import Trainer

            name = self._paths.out.name
            self._trainer = Trainer.from_job(
                self._job, received(self._job.get("tables")), log=lambda text: print(f"{name}: {text}", flush=True)
            )
        return self._trainer

    def step(self) -> dict[str, Any]:
        """Train an epoch; after the last one, evaluate the test and write all artifacts.

        Returns:
            The epoch's row of history.csv, the history of the whole trial (see `TrialHistory.to_json`), `epochs`,
            `done`, and with the last epoch the main metrics of the run.
        """
        from trainable.run.artifacts import finished_metrics

        trainer = self.trainer
        row = trainer.history[-1] if trainer.done else trainer.step()
        # All epochs, since a scheduler that was started again has not seen the earlier ones.
        history = TrialHistory.of_rows(trainer.history).to_json()
        result = {**row, **history, "epochs": trainer.config.epochs, "done": trainer.done}
        if trainer.done:
            trainer.finish()
            result |= finished_metrics(trainer.paths)
        return result

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Copy the run folder's own checkpoint, which every epoch ends with."""
        folder = Path(checkpoint_dir)
        for path in (self._paths.checkpoint, self._paths.checkpoint_note):
            shutil.copyfile(path, folder / path.name)

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Go on from the state of another trial; nothing changes where the run folder is as far or further."""
        folder = Path(checkpoint_dir)
        moved = read_json(folder / self._paths.checkpoint_note.name) or {}
        own = read_json(self._paths.checkpoint_note)
        if own and own.get("identity") == moved.get("identity") and own["epoch"] >= moved["epoch"]:
            return
        from trainable.run.checkpoints import read_state

        self.trainer.load_state_dict(read_state(folder / self._paths.checkpoint.name))

    def cleanup(self) -> None:
        self._trainer = None
