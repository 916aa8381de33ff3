"""Where trainings and tasks run: the interface between the orchestration and Ray."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TextIO, TypeVar

from orchestrator.execution.cluster import Cluster, Request
from orchestrator.execution.events import RunEvents
from orchestrator.execution.hardware import Hardware
from orchestrator.execution.photos import PhotoDisk
from orchestrator.execution.queue import TrainingQueue
from trainable.base.config import Job
from trainable.data.tables import ImageTable

T = TypeVar("T")


@dataclass(frozen=True)
class Training:
    """A training as an executor gets it: its job, the split whose tables it reads, and what it asks of a node.

    `by_node`: the trainings on a node divide its CPUs among themselves.
    """

    job: Job
    split: str
    request: Request
    by_node: bool = False


Tables = Mapping[str, Mapping[str, ImageTable]]
"""The checked tables of each split, by part. They travel to a worker's process once, however many trainings it runs."""


class Executor(Protocol):
    """Runs trainings and tasks: on Ray (`orchestrator.execution.session`), or in this process, for tests.

    `terminal` is where the user looks; what libraries print goes to the file `log`. `modules` are those that `train`
    needs, so that they can be imported ahead.
    """

    terminal: TextIO
    log: Path
    modules: tuple[str, ...]

    @property
    def disk(self) -> PhotoDisk | None:
        """What leads other nodes to the files of this one; None where there are no others."""

    def connect(self, hardware: Hardware, say: Callable[[str], None]) -> Cluster:
        """Start a cluster here, or join the one that the executor was opened for, and wait for its first node.

        Raises:
            ConfigError: no cluster answers there, or none can be started here.
        """

    def serving(self, tables: Sequence[ImageTable], folder: Path) -> AbstractContextManager[None]:
        """While the block runs, nodes that do not see the folders of this one get the images of `tables` from here, and
        what trainings save comes back. `folder` is somewhere among the outputs."""

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
        """Run all trainings of the queue (see `orchestrator.execution.tuner.train`); `changed` hears of nodes that come
        and go."""

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Start a task that takes no CPU from trainings; it is tried again where its process dies."""

    def submit_here(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """The same on this node, for a task that needs its folders."""

    def cancel(self, future: Future[Any]) -> None:
        """End a task that was submitted."""

    def ship(self, value: Any) -> Any:
        """Send a value to the cluster once; tasks take what is returned as an argument in its place."""

    def trials_per_gpu(self, job: Job, most: int, stop: Callable[[], bool]) -> int:
        """How many such trainings, up to `most`, a GPU should run at once; 1 when stopped.

        Raises:
            ConfigError: the measuring process ended without an answer.
        """


OpenExecutor = Callable[[Path, str | None], AbstractContextManager[Executor]]
"""Opens an executor that keeps its logs in the given folder, for the cluster at an address or, with None, for one that
it starts itself."""
