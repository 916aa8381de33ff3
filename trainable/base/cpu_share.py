"""How many CPUs a run may use at the moment (no torch).

Where several trials share a machine, the driver writes a file whenever one of them starts, pauses or ends; each trial
reads its own number there while it trains. No number that it computes depends on it (see `trainable.pieces`).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from trainable.base.config import Resources
from trainable.base.files import read_json
from trainable.base.limits import usable_cpus
from trainable.base.seats import Seats

LOOK_AGAIN_SECONDS = 0.5


def cpu_share(resources: Resources, run: Path) -> Callable[[], int]:
    """What says how many threads a run may have at the moment. `run` is its folder."""
    threads = resources.threads or usable_cpus()
    return Seats(resources.seats, threads) if resources.seats else CpuShare(resources.shares, run, threads)


class CpuShare:
    """The number of threads of one run.

    Args:
        file: numbers by run folder, as JSON; None where no driver tells.
        run: the folder of this run, as the file names it.
        otherwise: the number where the file has none for this run.
    """

    def __init__(self, file: Path | None, run: Path, otherwise: int) -> None:
        self.file, self.run, self.otherwise = file, run, otherwise
        self._threads, self._again, self._read = otherwise, 0.0, -1

    def __call__(self) -> int:
        """The number as it was within the last half second: training asks hundreds of times a second."""
        now = time.monotonic()
        if self.file is not None and now >= self._again:
            self._again = now + LOOK_AGAIN_SECONDS
            self._look(self.file)
        return self._threads

    def _look(self, file: Path) -> None:
        try:
            written = file.stat().st_mtime_ns
        except OSError:  # another machine's disk, or the run is about to end
            return
        if written != self._read:
            self._read = written
            found = (read_json(file) or {}).get(str(self.run))
            self._threads = found if isinstance(found, int) and found > 0 else self.otherwise
