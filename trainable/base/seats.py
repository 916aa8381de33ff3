"""The trials on a node of a cluster divide its CPUs among themselves, from moment to moment (no torch).

Each trial that trains holds a lock in a folder of the node, and the others count the locks. So no CPU stays idle beside
a trial, whoever else has ended, paused or died, and nobody needs to tell the node. No number that a trial computes
depends on how many threads it has (see `trainable.pieces`).
"""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from filelock import FileLock, Timeout

LOOK_AGAIN_SECONDS = 1.0


def seats_of(node: str) -> Path:
    """The folder of a node, by the node's name: several nodes may be on one machine."""
    user = os.getuid() if hasattr(os, "getuid") else ""
    return Path(tempfile.gettempdir(), f"emosweep-seats-{user}-{node}")


class Seats:
    """The seats of a node, and the one of this process.

    Args:
        folder: the node's.
        cpus: those that the node's trials share.
    """

    def __init__(self, folder: Path, cpus: int) -> None:
        self.folder, self.cpus = folder, cpus
        self._own = FileLock(folder / f"{os.getpid():010}")
        self._threads, self._again = cpus, 0.0

    def take(self) -> None:
        """This process trains."""
        while not self._own.is_locked:
            self.folder.mkdir(exist_ok=True)
            with suppress(FileNotFoundError):  # the last one has left just now, and has taken the folder along
                self._own.acquire()

    def leave(self) -> None:
        """It does not any more. The last one who leaves leaves nothing behind."""
        self._own.release(force=True)
        Path(self._own.lock_file).unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()

    def __call__(self) -> int:
        """How many threads this process may have, as of a second ago: training asks hundreds of times a second."""
        now = time.monotonic()
        if now >= self._again:
            self._again = now + LOOK_AGAIN_SECONDS
            self._threads = self._count()
        return self._threads

    def _count(self) -> int:
        own = Path(self._own.lock_file).name
        taken = sorted({own, *(file.name for file in self.folder.glob("*") if file.name != own and _is_locked(file))})
        each, rest = divmod(self.cpus, len(taken))
        return max(1, each + (taken.index(own) < rest))


def _is_locked(file: Path) -> bool:
    """The file stays where it is, since whoever is about to lock it has it open."""
    try:
        with FileLock(file, timeout=0):
            return False
    except Timeout:
        return True
    except FileNotFoundError:  # the last one has left
        return False
