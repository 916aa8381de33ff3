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
from trainable.run.stepper import JobStepper

if TYPE_CHECKING:
    from trainable.data.tables import ImageTable

_TABLES_KEPT = 16


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

    The job holds the values of `trainable.base.config.make_job`. It may also hold `tables`: by part of the split,
    references to tables in Ray's object store, or the tables themselves. With tables and an identity, no CSV is read
    and no image is hashed here.

    A trial goes on from the checkpoint in its own run folder, which it writes with every epoch. So a killed actor, a
    killed driver and a new cluster are all the same case, and Tune's own checkpoints are needed only where Tune moves
    a trial (pause, perturb).
    """

    def setup(self, config: dict[str, Any]) -> None:
        # Tune may set a trial up while another actor still runs it: nothing is read or written before `step`.
        self._job: Job = config["job"]
        self._paths = RunPaths(Path(self._job["out"]))
        self._stepper: JobStepper | None = None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    @property
    def stepper(self) -> JobStepper:
        if self._stepper is None:
            self._stepper = JobStepper(self._job, received(self._job.get("tables")))
        return self._stepper

    def step(self) -> dict[str, Any]:
        return self.stepper.step()

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

        self.stepper.trainer.load_state_dict(read_state(folder / self._paths.checkpoint.name))

    def cleanup(self) -> None:
        self._stepper = None
