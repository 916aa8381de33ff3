"""A training, a search and the limits of a run, as the `TrainingQueue` sees them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from orchestrator.execution.cluster import Cluster, Request
from orchestrator.sweeps.policy import Decision

RETRIES = 2
"""How often a training is tried again after it failed; each whole epoch in between earns it as many."""
LOST_PROCESSES = 5
"""How often a training is tried again whose process died before the training could use it."""


@dataclass(frozen=True)
class Entry:
    """A training before it runs.

    Args:
        work: the estimated effort, which orders the start.
        request: what the training asks of a node while it runs.
        sweep: the sweep whose policy hears of the training, and judges it unless it is fixed.
        fixed: the training goes to its end, whatever others show.
        accelerator: the type of GPU that has trained it in an earlier command; "" for none.
    """

    name: str
    work: float
    request: Request
    sweep: str | None = None
    fixed: bool = True
    accelerator: str = ""


@dataclass
class EntryState:
    """How far a training is. `failures` and `lost` count those since its last whole epoch.

    Args:
        place: its number in the order of the queue.
        decision: what its policy said last while it waits; None where it is still to be asked.
        accelerator: the type of GPU that has trained it; "" for none.
    """

    entry: Entry
    place: int
    status: Literal["new", "active", "paused", "ended"] = "new"
    failures: int = 0
    lost: int = 0
    decision: Decision | None = None
    accelerator: str = ""

    def failed(self, *, used: bool) -> bool:
        """Count a failure, or a process that was lost before it was used. Returns whether that is one too many."""
        if used:
            self.failures += 1
        else:
            self.lost += 1
        return self.failures > RETRIES or self.lost > LOST_PROCESSES

    def request_of(self, cluster: Cluster) -> Request:
        """What it asks of a node: GPUs of the type that it began on, while the cluster has any."""
        request = self.entry.request
        began_on_one = request.share.gpus and not request.accelerator and self.accelerator in cluster.accelerators
        return replace(request, accelerator=self.accelerator) if began_on_one else request


@dataclass
class Search:
    """A sweep's search, which chooses trials while the sweep runs.

    Args:
        choose: the next trial, or None where there is nothing else to try.
        remaining: how many trials it may still choose.
        request: what each of them asks of a node.
    """

    choose: Callable[[], Entry | None]
    remaining: int
    request: Request


@dataclass
class Limits:
    """What a run may use.

    Args:
        cluster: as it is now; it is replaced where nodes come or go.
        deadline: of `clock`; ends the trials of sweeps, never the fixed trainings.
        clock: seconds; None for `time.monotonic`.
    """

    cluster: Cluster
    max_concurrent: int | None = None
    deadline: float | None = None
    clock: Callable[[], float] | None = None

    def full(self, active: int) -> bool:
        """Whether as many trainings run as may run at once."""
        return self.max_concurrent is not None and active >= self.max_concurrent

    @property
    def over(self) -> bool:
        return self.deadline is not None and (self.clock or time.monotonic)() >= self.deadline
