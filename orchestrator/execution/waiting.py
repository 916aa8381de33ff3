"""Says which work waits for a process, and why: Ray itself would wait for ever without a word."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from orchestrator.execution.events import RunEvents

PATIENCE_SECONDS = 60.0
FACEAPI_PATIENCE_SECONDS = 300.0
"""An evaluation's first sign is a part of its rows, which takes a while where photos are large."""


def why_no_process() -> str:
    """What keeps a training's process from starting, as far as Ray says it."""
    from ray.util import placement_group_table

    try:
        groups = placement_group_table().values()
    except Exception:  # whatever it is, a word about waiting must not end the run
        return "it has no process, and Ray does not say why"
    if any(group["state"] in ("PENDING", "RESCHEDULING") for group in groups):
        return "it has no process, since no node has the CPUs, GPUs or memory that were free when the run began"
    return f"it has no process, though Ray has room for one; the end of {_log()} says why"


def why_no_part() -> str:
    """What may keep the parts of an evaluation from coming back."""
    return f"no part of its rows is evaluated yet; where Ray starts no process at all, the end of {_log()} says why"


def _log() -> str:
    return f"{os.environ.get('RAY_TMPDIR', '/tmp')}/ray/session_latest/logs/raylet.out"


class Waiting:
    """The work that has asked for a process and shows no sign of one yet.

    Args:
        events: hears of each that waits for longer than `patience`, and again after twice that time, and so on.
        why: called for the reason.
        patience: seconds.
        clock: seconds.
    """

    def __init__(
        self,
        events: RunEvents,
        why: Callable[[], str] = why_no_process,
        patience: float = PATIENCE_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.events, self.why, self.patience, self.clock = events, why, patience, clock
        self._asked: dict[str, tuple[float, float]] = {}

    def asked(self, name: str) -> None:
        """The training has asked for a process."""
        self._asked[name] = self.clock(), self.patience

    def over(self, name: str) -> bool:
        """The training has its process, or has ended; whether it waited until now."""
        return self._asked.pop(name, None) is not None

    def say_who_waits(self) -> None:
        """Tell of those that have waited for too long."""
        now = self.clock()
        for name, (since, patience) in self._asked.items():
            if now - since >= patience:
                self._asked[name] = since, 2 * patience
                self.events.waiting(name, round(now - since), self.why())
