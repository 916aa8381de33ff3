"""Who works on which part of a folder: a lock a part, and a note beside it that says who has it and that he goes on.

On a network's file system the lock of a host that died may stay. What is computed under a lock can be computed twice
without harm, so nobody waits for a holder who stands still, and who waits for longer says so.
"""

from __future__ import annotations

import json
import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from trainable.base.files import read_json
from trainable.base.log import LOG
from trainable.cache.folder import HOLDER, LOCK

POLL_SECONDS = 0.5
_DEAD: set[tuple[Path, str]] = set()
"""Holders for whom this process has waited in vain."""


@dataclass(frozen=True)
class Patience:
    """How long to wait for a lock, in seconds.

    Args:
        silent: without a word; then again as long and twice as long before the next one.
        still: for a holder whose note does not change.
        gone: for a holder on this host whose process has ended; another one may have the lock and no note yet.
    """

    silent: float = 10.0
    still: float = 300.0
    gone: float = 2.0


class Claims:
    """The parts of a folder that this process works on while the `with` block runs."""

    def __init__(self, folder: Path, patience: Patience) -> None:
        self.folder, self.patience = folder, patience
        self._stack = ExitStack()
        self._notes: list[Path] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    def take(self, part: str, seconds: float = 0) -> bool:
        """Lock a part, waiting for at most so long; whether it is locked now."""
        lock = FileLock(self.folder / f"{part}{LOCK}")
        try:
            lock.acquire(timeout=seconds)
        except Timeout:
            return False
        self._stack.callback(lock.release)
        note = self.folder / f"{part}{HOLDER}"
        with suppress(OSError):  # the lock counts; who waits for it knows less then
            note.write_text(json.dumps({"host": socket.gethostname(), "pid": os.getpid()}), encoding="utf-8")
            self._stack.callback(_remove, note)
            self._notes.append(note)
        return True

    def wait(self, part: str, waiting: Callable[[], None]) -> None:
        """Lock a part as soon as its holder lets go of it, or go on without its lock where he stands still.

        Args:
            waiting: called about twice a second; what it raises ends the waiting.
        """
        began = moved = time.monotonic()
        say, seen = self.patience.silent, ("", 0)
        while (self.folder, self._holder(part)[0]) not in _DEAD and not self.take(part, POLL_SECONDS):
            waiting()
            now, before = time.monotonic(), seen
            seen = self._holder(part)
            if seen != before:
                moved = now
            if now - moved >= self._most(seen[0]):
                _DEAD.add((self.folder, seen[0]))
                LOG.warning("%s: %s stands still; computing its rows here, too", self.folder, _name(seen[0]))
                return
            if now - began >= say:
                seconds = round(now - began)
                LOG.warning("%s: waiting %d s for %s, which computes rows", self.folder, seconds, _name(seen[0]))
                say *= 2

    def beat(self) -> None:
        """Tell those who wait that this process goes on."""
        for note in self._notes:
            with suppress(OSError):  # deleted: anything in a cache may be
                os.utime(note)

    def _holder(self, part: str) -> tuple[str, int]:
        """Who has a part ("" where nobody says so), and a number that changes while he goes on."""
        note = self.folder / f"{part}{HOLDER}"
        who = read_json(note)
        if not isinstance(who, dict):
            return "", 0
        with suppress(OSError):  # its holder has let go
            return f"{who.get('pid')}@{who.get('host')}", note.stat().st_mtime_ns
        return "", 0

    def _most(self, who: str) -> float:
        """How long a holder may stand still."""
        return self.patience.gone if _has_ended(who) else self.patience.still


def _name(who: str) -> str:
    pid, _, host = who.partition("@")
    return f"process {pid} on {host}" if who else "another process"


def _has_ended(who: str) -> bool:
    """Whether the process was one of this host and is there no more."""
    pid, _, host = who.partition("@")
    if host != socket.gethostname() or not pid.isdecimal() or sys.platform == "win32":  # where `os.kill` kills
        return False
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):  # another user's
        return False
    return False


def _remove(note: Path) -> None:
    with suppress(OSError):
        note.unlink(missing_ok=True)
