"""An executor in this process: no Ray, no cluster. For tests of the orchestration, and for debugging a run."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, TextIO, TypeVar

from orchestrator.execution.cluster import Cluster
from orchestrator.execution.events import RunEvents
from orchestrator.execution.executor import OpenExecutor, Tables, Training
from orchestrator.execution.hardware import Hardware
from orchestrator.execution.photos import PhotoDisk
from orchestrator.execution.queue import TrainingQueue
from trainable.base.config import Job
from trainable.base.errors import Failure
from trainable.data.tables import ImageTable
from trainable.run.history import TrialHistory

T = TypeVar("T")
Stepper = Callable[[], dict[str, Any]]
"""Trains one epoch; what it returns is what a worker tells Tune, with `done` set after the last epoch."""


MakeStepper = Callable[[Job, Mapping[str, ImageTable]], Stepper]
"""From a job and the tables of its split, by part, to what trains it."""


def in_process_stepper(job: Job, tables: Mapping[str, ImageTable]) -> Stepper:
    """A real training in this process."""
    from trainable.run.stepper import JobStepper

    return JobStepper(job, tables).step


class LocalExecutor:
    """Trains the queue's trainings in turn, an epoch each, as many at a time as the pretended nodes can hold.

    Args:
        nodes: CPUs and GPUs of each pretended node; nothing is reserved.
        make_stepper: what trains a job.
    """

    modules: tuple[str, ...] = ()

    def __init__(
        self,
        log: Path,
        nodes: tuple[tuple[int, float], ...] = ((1, 0.0),),
        make_stepper: MakeStepper = in_process_stepper,
    ) -> None:
        self.terminal: TextIO = sys.stdout
        self.log, self.nodes, self.make_stepper = log, nodes, make_stepper
        self.disk: PhotoDisk | None = None
        self._threads = ThreadPoolExecutor(1)

    def connect(self, hardware: Hardware, say: Callable[[str], None]) -> Cluster:
        return Cluster(self.nodes)

    def serving(self, tables: Sequence[ImageTable], folder: Path) -> AbstractContextManager[None]:
        return nullcontext()

    def train(
        self,
        queue: TrainingQueue,
        jobs: Callable[[str], Training],
        tables: Tables,
        folder: Path,
        *,
        events: RunEvents,
        stop: Callable[[], bool],
        changed: Callable[[Cluster], None],
    ) -> None:

        def stepper(name: str) -> Stepper:
            training = jobs(name)
            return self.make_stepper(training.job, tables[training.split])

        _Loop(queue, stepper, events, stop).run()

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        return self._threads.submit(function, *arguments)

    def submit_here(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        return self.submit(function, *arguments)

    def cancel(self, future: Future[Any]) -> None:
        future.cancel()

    def ship(self, value: Any) -> Any:
        return value

    def trials_per_gpu(self, job: Job, most: int, stop: Callable[[], bool]) -> int:
        return 1


def local_executor(
    nodes: tuple[tuple[int, float], ...] = ((1, 0.0),), make_stepper: MakeStepper = in_process_stepper
) -> OpenExecutor:
    """Opens a `LocalExecutor`."""

    @contextmanager
    def opened(logs: Path, address: str | None) -> Iterator[LocalExecutor]:
        yield LocalExecutor(logs / "local.log", nodes, make_stepper)

    return opened


class _Loop:
    """The trainings under way."""

    def __init__(
        self,
        queue: TrainingQueue,
        make_stepper: Callable[[str], Stepper],
        events: RunEvents,
        stop: Callable[[], bool],
    ) -> None:
        self.queue, self.make_stepper, self.events, self.stop = queue, make_stepper, events, stop
        self.active: dict[str, Stepper] = {}
        self.known: dict[str, TrialHistory] = {}

    def run(self) -> None:
        while True:
            self.queue.draining = self.queue.draining or self.stop()
            for name, why in self.queue.dropped().items():
                self.events.stopped(name, why, self.known.get(name))
            while (new := self.queue.next()) is not None:
                self.queue.started(new)
                self.active[new] = self.make_stepper(new)
                self.events.started(new)
            if not self.active:
                return
            for running in list(self.active):
                self._advance(running)

    def _advance(self, name: str) -> None:
        try:
            result = self.active[name]()
        except Exception as error:  # whatever a training raises is its own failure
            self._failed(name, error)
            return
        self.events.epoch(name, result)
        history = self.known[name] = TrialHistory.from_json(result)
        if result["done"]:
            del self.active[name]
            self.queue.completed(name, history)
            self.events.finished(name)
            return
        verdict, why = self.queue.epoch(name, history)
        if verdict != "go":
            del self.active[name]
        if verdict == "pause":
            self.events.paused(name)
        if verdict == "stop":
            self.queue.ended(name)
            if why:
                self.events.stopped(name, why, history)

    def _failed(self, name: str, error: Exception) -> None:
        del self.active[name]
        failure = Failure.of(error)
        again = self.queue.failed(name, final=failure.final)
        (self.events.retried if again else self.events.failed)(name, failure)
