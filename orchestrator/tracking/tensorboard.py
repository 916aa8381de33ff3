"""TensorBoard: a folder of curves for each run, in which a run that was interrupted goes on."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.tracking.tracker import Ending, Epoch, Report, TrackedRun, Tracker

if TYPE_CHECKING:
    from tensorboardX import SummaryWriter


class TensorBoardTracker(Tracker):
    """Writes event files to `folder`/NAME/KEY. A point's step is its epoch.

    An event file is never changed. A later one hides steps of the earlier ones in its folder by saying at which step
    it begins (`purge_step`).
    """

    title = "TensorBoard"

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._writers: dict[str, SummaryWriter] = {}
        self._told: dict[str, set[int]] = {}
        # tensorboardX would set it in this tracker's thread, where Ray may be reading the environment.
        os.environ.setdefault("CRC32C_SW_MODE", "auto")

    def epoch(self, run: TrackedRun, epoch: Epoch) -> None:
        told = self._told.setdefault(run.key, set())
        if epoch.number in told:
            return
        if run.key not in self._writers:
            self._writers[run.key] = self._open(run, epoch.number)
        self._write(run, [epoch])

    def end(self, run: TrackedRun, ending: Ending) -> None:
        told = self._told.get(run.key, set())
        if any(epoch.number not in told for epoch in ending.history):
            self._close(run.key)
            self._writers[run.key] = self._open(run, 1)
            self._write(run, ending.history)
        if ending.metrics:
            if run.key not in self._writers:
                self._writers[run.key] = self._open(run, 1)
            self._finish(run, ending)
        self._close(run.key)

    def close(self, report: Report) -> None:
        for key in list(self._writers):
            self._close(key)

    def _open(self, run: TrackedRun, first: int) -> SummaryWriter:
        from tensorboardX import SummaryWriter  # and torch, which takes seconds

        folder = self.folder / run.name.replace("#", "-").replace("/", "-seed") / run.key
        # The library names files by the second, TensorBoard reads them in the order of their names.
        suffix = f".{time.time_ns()}"
        return SummaryWriter(str(folder), purge_step=first, flush_secs=1, filename_suffix=suffix)

    def _write(self, run: TrackedRun, epochs: Sequence[Epoch]) -> None:
        writer, told = self._writers[run.key], self._told.setdefault(run.key, set())
        for epoch in epochs:
            for name, value in epoch.metrics.items():
                writer.add_scalar(name, value, epoch.number)
            told.add(epoch.number)

    def _finish(self, run: TrackedRun, ending: Ending) -> None:
        """The final metrics, and a row of TensorBoard's table of parameters."""
        from tensorboardX.summary import hparams

        writer = self._writers[run.key]
        for name, value in ending.metrics.items():
            writer.add_scalar(name, value, ending.last_epoch)
        parameters = {name: _plain(value) for name, value in run.parameters.items()}
        for summary in hparams(parameters, dict(ending.metrics)):
            writer.file_writer.add_summary(summary)

    def _close(self, key: str) -> None:
        writer = self._writers.pop(key, None)
        if writer is not None:
            writer.close()


def _plain(value: object) -> object:
    return value if isinstance(value, bool | int | float | str) else str(value)
