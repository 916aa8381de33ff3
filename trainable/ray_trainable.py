"""The thin adapter from `Trainer` to `ray.tune.Trainable`: one `step()` is one epoch.

Torch is imported by the processes that train, and not by the driver, which only names this class.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ray import tune
from ray.train._internal.session import _TrainingResult  # what `Trainable.save` returns; it has no public name

from trainable.base.config import Job
from trainable.base.errors import NODE_LEAVES, NodeLeaves
from trainable.base.files import write_json
from trainable.base.last_moment import before_the_end
from trainable.base.paths import RunPaths, checkpoint_pairs
from trainable.base.seats import Seats, seats_of
from trainable.ray_disk import RayDisk
from trainable.ray_node import Node
from trainable.remote.mirror import FetchedFiles, MirroredRun
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

    In a cluster `disk` leads to the driver's. Where this node sees neither project nor results, what the trial reads
    comes from there, and what it saves goes there: the run folder is the driver's in any case.
    """

    def setup(
        self,
        config: dict[str, Any],
        tables: Mapping[str, Mapping[str, ImageTable]] | None = None,
        disk: RayDisk | None = None,
    ) -> None:
        self._tables, self._disk = tables, disk
        self._begin(config)
        if disk is not None:
            before_the_end(self._settle)

    def _begin(self, config: dict[str, Any]) -> None:
        # Tune may set a trial up while another actor still runs it: nothing is read or written before `step`.
        self._job: Job = config["job"]
        self._split_tables = self._tables[config["split"]] if self._tables else None
        self._paths = RunPaths(Path(self._job["out"]))
        self._stepper: JobStepper | None = None
        self._mirror: MirroredRun | None = None
        self._seats: Seats | None = None
        self._node: Node | None = None
        self._says_where: dict[str, str] = {}
        self._by_node: bool = config.get("by_node", False)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.cleanup()
        self._begin(new_config)
        return True

    @property
    def stepper(self) -> JobStepper:
        if self._stepper is None:
            disk = self._disk
            self._stepper = JobStepper(self._job, self._split_tables) if disk is None else self._far_stepper(disk)
        return self._stepper

    def _far_stepper(self, disk: RayDisk) -> JobStepper:
        """On a node of a cluster, which may see the driver's folders or not."""
        job, node = self._job, Node.here()
        self._node = node
        self._says_where = {"node": node.address, "accelerator": node.accelerator}
        if self._by_node:
            self._seats = Seats(seats_of(node.name), node.cpus)
            job = {**job, "resources": {**job["resources"], "threads": node.cpus, "seats": str(self._seats.folder)}}
        source = FetchedFiles(disk, job, local=disk.landmarks.project_is_here)
        if disk.landmarks.output_is_here:
            disk.own(job["out"])
            return JobStepper(job, self._split_tables, source)
        self._mirror = MirroredRun(disk, job)
        return JobStepper(self._mirror.job, self._split_tables, source, self._mirror.saved)

    def step(self) -> dict[str, Any]:
        stepper = self.stepper
        if self._node is not None and self._node.leaves:
            self._settle()
            raise NodeLeaves(NODE_LEAVES)
        if self._seats is not None:
            self._seats.take()
        result = {**stepper.step(), **self._says_where}
        if result["done"]:
            self._leave_seat()
        if result["done"] and self._mirror is not None and (note := self._mirror.finish()):
            print(f"{self._mirror.name}: {note}", flush=True)
        return result

    def save(self, checkpoint_dir: str | None = None) -> _TrainingResult:
        """What Tune keeps of a trial that pauses: in a cluster nothing, since the next node may not see it, and the run
        folder at the driver is as far then."""
        self._leave_seat()
        if self._disk is None:
            return super().save(checkpoint_dir)
        self._settle()
        return _TrainingResult(None, dict(self._last_result or {}))

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

    def _settle(self) -> None:
        """The state of the last whole epoch is with the driver when this returns."""
        if self._mirror is not None:
            self._mirror.settle()

    def _leave_seat(self) -> None:
        """What this process does not use is for the other trials of the node."""
        if self._seats is not None:
            self._seats.leave()

    def cleanup(self) -> None:
        self._stepper = None
        self._leave_seat()
        if self._mirror is not None:
            self._mirror.close()
            self._mirror = None
