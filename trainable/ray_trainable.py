"""The thin adapter from `Trainer` to `ray.tune.Trainable`: one `step()` is one epoch. The only file here with Ray.

Torch is imported by the processes that train: the driver, which only names this class, starts seconds earlier without.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune

from trainable.base.files import read_json
from trainable.base.paths import RunPaths
from trainable.run.job import Job, trainer_of

if TYPE_CHECKING:
    from trainable.run.trainer import Trainer


class StagedTrainable(tune.Trainable):
    """Trains `config["job"]` (see `trainable.run.job`) and writes its artifacts with the last epoch.

    A trial goes on from the checkpoint in its own run folder, which it writes with every epoch. So a killed actor, a
    killed driver and a new cluster are all the same case, and Tune's own checkpoints are needed only where Tune moves
    a trial (pause, perturb).
    """

    def setup(self, config: dict[str, Any]) -> None:
        # Tune may set a trial up while another actor still runs it: nothing is read or written before `step`.
        self._job: Job = config["job"]
        self._trainer: Trainer | None = None

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    @property
    def trainer(self) -> Trainer:
        if self._trainer is None:
            name = self._job["name"]
            self._trainer = trainer_of(self._job, lambda text: print(f"{name}: {text}", flush=True))
        return self._trainer

    def step(self) -> dict[str, Any]:
        from trainable.run.artifacts import finished_metrics
        from trainable.run.checkpoints import past

        trainer = self.trainer
        row = trainer.history[-1] if trainer.done else trainer.step()
        # The whole past, since a scheduler that was started again has not seen it.
        result = {**row, **past(trainer.history), "epochs": trainer.config.epochs, "done": trainer.done}
        if trainer.done:
            trainer.finish()
            result |= finished_metrics(trainer.paths)
        return result

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """A copy of the run folder's own checkpoint, which every epoch ends with."""
        paths, folder = RunPaths(Path(self._job["out"])), Path(checkpoint_dir)
        shutil.copyfile(paths.checkpoint, folder / paths.checkpoint.name)
        shutil.copyfile(paths.checkpoint_note, folder / paths.checkpoint_note.name)

    def load_checkpoint(self, checkpoint_dir: str) -> None:
        """Nothing to do where the run folder is as far or further; a state from another trial is taken up."""
        paths, folder = RunPaths(Path(self._job["out"])), Path(checkpoint_dir)
        moved = read_json(folder / paths.checkpoint_note.name) or {}
        own = read_json(paths.checkpoint_note)
        if own and own.get("identity") == moved.get("identity") and own["epoch"] >= moved["epoch"]:
            return
        from trainable.run.checkpoints import read_state

        self.trainer.load_state_dict(read_state(folder / paths.checkpoint.name))

    def cleanup(self) -> None:
        self._trainer = None
