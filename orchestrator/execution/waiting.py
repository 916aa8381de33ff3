"""Says which work waits for a process, and why: Ray itself would wait for ever without a word."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Mapping

from orchestrator.execution.events import RunEvents
from trainable.base.accelerator import ACCELERATOR

PATIENCE_SECONDS = 45.0
"""Nobody waits for a minute without a word: Tune may take some seconds to ask."""
FACEAPI_PATIENCE_SECONDS = 300.0
"""An evaluation's first sign is a part of its rows, which takes a while where photos are large."""


def why_no_process(bundle: Mapping[str, float]) -> str:
    """What keeps a training's process from starting, as far as Ray says it.

    Args:
        bundle: what it asks of a node, by resource.
    """
    from ray._private.state import state
    from ray.util import placement_group_table

    try:
        groups, free = placement_group_table().values(), state.available_resources_per_node().values()
    except Exception:  # whatever it is, a word about waiting must not end the run
        return "it has no process, and Ray does not say why"
    if any(group["state"] in ("PENDING", "RESCHEDULING") for group in groups):
        nodes = "; ".join(_amounts(bundle, node) for node in free) or "nothing"
        return f"it has no process: it asks for {_amounts(bundle, bundle)}, and the nodes have free: {nodes}"
    return f"it has no process, though Ray has room for one; the end of {_log()} says why"


def _amounts(kinds: Iterable[str], amounts: Mapping[str, float]) -> str:
    """How much there is of each kind of resource."""
    return ", ".join(_amount(kind, amounts.get(kind, 0.0)) for kind in kinds)


def _amount(kind: str, amount: float) -> str:
    if kind == "memory":
        return f"{amount / 1e9:.1f} GB"
    if kind.startswith(ACCELERATOR):
        return kind.removeprefix(ACCELERATOR) if amount else f"no {kind.removeprefix(ACCELERATOR)}"
    return f"{amount:g} {kind}"


def why_no_part(name: str = "") -> str:
    """What may keep the parts of an evaluation from coming back."""
    return f"no part of its rows is evaluated yet; where Ray starts no process at all, the end of {_log()} says why"


def _log() -> str:
    return f"{os.environ.get('RAY_TMPDIR', '/tmp')}/ray/session_latest/logs/raylet.out"


class Waiting:
    """The work that has asked for a process and shows no sign of one yet.

    Args:
        events: hears of each that waits for longer than `patience`, and again after twice that time, and so on.
        why: called for the reason, with the name.
        patience: seconds.
        clock: seconds.
    """

    def __init__(
        self,
        events: RunEvents,
        why: Callable[[str], str],
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
                self.events.waiting(name, round(now - since), self.why(name))
