"""Says which trainings wait for a process, and why: Tune itself would wait for ever without a word."""

from __future__ import annotations

import os
import time
from collections.abc import Callable

from orchestrator.execution.events import RunEvents

PATIENCE_SECONDS = 60.0


def why_no_process() -> str:
    """What keeps a training's process from starting, as far as Ray says it."""
    from ray.util import placement_group_table

    if any(group["state"] in ("PENDING", "RESCHEDULING") for group in placement_group_table().values()):
        return "no node has the CPUs, GPUs or memory for it that were free when the run began"
    folder = os.environ.get("RAY_TMPDIR", "/tmp")
    return f"Ray has room for it but starts no process; the end of {folder}/ray/session_latest/logs/raylet.out says why"


class Waiting:
    """The trainings that have asked for a process and have none yet.

    Args:
        events: hears of each that waits for longer than a minute, and again after twice that time, and so on.
        why: called for the reason.
        clock: seconds.
    """

    def __init__(
        self, events: RunEvents, why: Callable[[], str] = why_no_process, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.events, self.why, self.clock = events, why, clock
        self._asked: dict[str, tuple[float, float]] = {}

    def asked(self, name: str) -> None:
        """The training has asked for a process."""
        self._asked[name] = self.clock(), PATIENCE_SECONDS

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
