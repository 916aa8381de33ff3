"""What one Tuner is given to do, as plain values (no Ray, no torch)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from orchestrator.execution.session import Share
from orchestrator.planning.planner import Step
from orchestrator.sweeps.policies import Policy
from trainable.base.config import Resources


@dataclass(frozen=True)
class Limits:
    """What a run may use. `deadline` (of `time.monotonic`) ends a sweep's trials, never the fixed ones."""

    slots: int
    max_concurrent: int | None = None
    deadline: float | None = None

    @property
    def over(self) -> bool:
        return self.deadline is not None and time.monotonic() >= self.deadline


@dataclass(frozen=True)
class Work:
    """What one Tuner runs.

    Args:
        steps: fixed experiments and trials of sweeps; the latter start in this order.
        shares: what each step gets of the cluster, by its name.
        resources: what each step is told to use, by its name.
        memory: bytes that a step must ask for, by its name; a step that is missing asks for none.
        policies: by sweep (see `Step.sweep`).
        choose: the open step of that name with a configuration, or None where its sweep has nothing else to try.
    """

    steps: Sequence[Step]
    shares: Mapping[str, Share]
    resources: Mapping[str, Resources]
    memory: Mapping[str, int]
    policies: Mapping[str, Policy]
    limits: Limits
    choose: Callable[[str], Step | None] = lambda name: None
