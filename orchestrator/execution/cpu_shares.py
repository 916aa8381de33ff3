"""Trials on one machine without GPUs use the CPUs that no other trial needs at the moment. No Ray, no torch.

The queue knows which trainings are active. Whenever that changes, a file tells each of them its number of threads;
trainings read it while they train (see `trainable.base.cpu_share`). Their results do not depend on it, so a file that
is a moment old does no harm.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from orchestrator.execution.cluster import Request
from orchestrator.execution.events import NoEvents
from orchestrator.execution.queue import TrainingQueue
from trainable.base.errors import Failure
from trainable.base.files import write_json
from trainable.run.history import TrialHistory


class CpuShares(NoEvents):
    """Keeps the file with the numbers of threads, by run folder.

    Args:
        file: where it lies.
        cpus: those that the trainings share.
        folder_of: the run folder of a training.
    """

    def __init__(self, file: Path, cpus: int, folder_of: Callable[[str], Path]) -> None:
        self.file, self.cpus, self.folder_of = file, cpus, folder_of
        self.queue: TrainingQueue | None = None
        """Whose trainings share the CPUs; None where each has a number of its own."""
        self._written: dict[str, int] = {}

    def _update(self, name: str) -> None:
        if self.queue is None or not self.queue.knows(name):  # an evaluation
            return
        found = {str(self.folder_of(name)): count for name, count in divided(self.cpus, self.queue.active).items()}
        if found != self._written:
            write_json(self.file, found)
            self._written = found

    def started(self, name: str) -> None:
        self._update(name)

    def paused(self, name: str) -> None:
        self._update(name)

    def retried(self, name: str, failure: Failure) -> None:
        self._update(name)

    def finished(self, name: str) -> None:
        self._update(name)

    def stopped(self, name: str, why: str, history: TrialHistory | None) -> None:
        self._update(name)

    def failed(self, name: str, failure: Failure) -> None:
        self._update(name)


def divided(cpus: int, active: Mapping[str, Request]) -> dict[str, int]:
    """The threads of each training: what it has asked for, and its part of what nobody has asked for. Where that cannot
    be divided evenly, those that come first get one more."""
    if not active:
        return {}
    spare = max(0, cpus - sum(request.share.cpus for request in active.values()))
    each, rest = divmod(spare, len(active))
    return {name: request.share.cpus + each + (number < rest) for number, (name, request) in enumerate(active.items())}
