"""The thin adapter from `Trainer` to `ray.tune.Trainable`: one `step()` is one epoch. The only file here with Ray.

Torch is imported by the processes that train, and not by the driver, which only names this class.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune

from trainable.base.config import Job
from trainable.base.files import write_json
from trainable.base.paths import RunPaths, checkpoint_pairs
from trainable.run.resumption import find_checkpoint
from trainable.run.stepper import JobStepper

if TYPE_CHECKING:
    from trainable.data.tables import ImageTable


class StagedTrainable(tune.Trainable):
    """Trains the run of `config["job"]` and writes its artifacts with the last epoch.

    `config["split"]` names the split in the tables that `tune.with_parameters` gives to `setup`. With tables and an
    identity in the job, no CSV is read and no image is hashed here.

    A trial goes on from the checkpoint in its own run folder, which it writes with every epoch. So a killed actor, a
    killed driver and a new cluster are all the same case, and Tune's own checkpoints are needed only where Tune moves
    a trial (pause, perturb).
    """

    def setup(self, config: dict[str, Any], tables: Mapping[str, Mapping[str, ImageTable]] | None = None) -> None:
        self._tables = tables
        self._begin(config)

    def _begin(self, config: dict[str, Any]) -> None:
        # Tune may set a trial up while another actor still runs it: nothing is read or written before `step`.
        self._job: Job = config["job"]
        self._split_tables = self._tables[config["split"]] if self._tables else None
        self._paths = RunPaths(Path(self._job["out"]))
        self._stepper: JobStepper | None = None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self._begin(new_config)
        return True

    @property
    def stepper(self) -> JobStepper:
        if self._stepper is None:
            self._stepper = JobStepper(self._job, self._split_tables)
        return self._stepper

    def step(self) -> dict[str, Any]:
        return self.stepper.step()

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Copy the run folder's own checkpoint, which every epoch ends with: the last whole one."""
        found = find_checkpoint(self._paths.checkpoints, self._job["identity"])
        if found.file is not None:
            file, note = checkpoint_pairs(Path(checkpoint_dir))[0]
            shutil.copyfile(found.file, file)
            write_json(note, found.note)

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Go on from the state of another trial; nothing changes where the run folder is as far or further."""
        moved = find_checkpoint(Path(checkpoint_dir), None)
        if moved.file is None:  # there was none to copy
            return
        if find_checkpoint(self._paths.checkpoints, moved.note["identity"]).epoch >= moved.epoch:
            return
        from trainable.run.checkpoints import read_state

        self.stepper.trainer.load_state_dict(read_state(moved.file))

    def cleanup(self) -> None:
        self._stepper = None
