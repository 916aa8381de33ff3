"""Starting or joining Ray, quietly, and dividing what the cluster has."""

from __future__ import annotations

import contextlib
import itertools
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO, TypeVar

from orchestrator.execution.address import check_address, said, token_source
from orchestrator.execution.cluster import Cluster
from orchestrator.execution.events import RunEvents
from orchestrator.execution.executor import Tables, Training
from orchestrator.execution.hardware import Hardware
from orchestrator.execution.nodes import Nodes, cluster_of, is_autoscaled, place_for_task
from orchestrator.execution.queue import TrainingQueue
from orchestrator.execution.start import private_token, reason, start_ray
from orchestrator.execution.worker_environment import worker_environment
from orchestrator.planning.ray_environment import set_environment
from trainable.base.config import Job
from trainable.base.errors import ConfigError, ExperimentError, Failure
from trainable.base.limits import usable_memory
from trainable.data.tables import ImageTable

if TYPE_CHECKING:
    from trainable.ray_disk import RayDisk

T = TypeVar("T")

TASK_RETRIES = 2


def _measure_trials_per_gpu(job: Job, most: int) -> int:
    from trainable.probes.trials_per_gpu import trials_per_gpu  # and torch, which the driver does without

    return trials_per_gpu(job, most)


class RayExecutor:
    """Runs trainings and tasks on Ray. What Ray and its libraries print goes to a log file, away from the terminal."""

    modules: tuple[str, ...] = ("orchestrator.execution.tuner",)

    def __init__(self, terminal: TextIO, log: Path, address: str | None) -> None:
        self.terminal, self.log, self.address = terminal, log, address
        self.disk: RayDisk | None = None
        self.nodes: Nodes | None = None
        self._references: dict[Future[Any], Any] = {}
        self._task_numbers = itertools.count()

    def connect(self, hardware: Hardware, say: Callable[[str], None]) -> Cluster:
        """Start Ray on this machine, or join the cluster at the address.

        Raises:
            ConfigError: no cluster answers there, or none can be started here.
        """
        import ray

        quiet: dict[str, Any] = {"logging_level": "WARNING", "log_to_driver": True}  # to the log file
        if self.address is None:
            start_ray(hardware.num_cpus, self.log, **quiet)
            return cluster_of(ray.nodes(), usable_memory())
        check_address(self.address)
        try:
            ray.init(address=self.address, runtime_env=worker_environment(local=False), **quiet)
        except Exception as error:  # nor for this: connection, version, authentication
            raise ConfigError(
                f"{said(self.address)}: no Ray cluster could be joined ({reason(error)}); is it running, does "
                f"this machine have its token ({token_source()}) and the same RAY_AUTH_MODE?"
            ) from error
        self.nodes = Nodes()
        return self.nodes.first(hardware, is_autoscaled, say)

    @contextlib.contextmanager
    def serving(self, tables: Sequence[ImageTable], folder: Path) -> Iterator[None]:
        if self.address is None:  # one machine
            yield
            return
        from orchestrator.execution.driver_disk import driver_disk

        with driver_disk(tables, folder) as self.disk:
            yield

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
        from orchestrator.execution.tuner import train

        try:
            train(
                queue, jobs, tables, folder,
                events=events, stop=stop, changed=changed, nodes=self.nodes, disk=self.disk,
            )  # fmt: skip
        finally:
            if self.nodes is not None:
                self.nodes.want([])

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        return self._submit(place_for_task(next(self._task_numbers)), function, *arguments)

    def submit_here(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        from trainable.ray_disk import this_node

        return self._submit(this_node(), function, *arguments)

    def _submit(self, where: Any, function: Callable[..., T], *arguments: Any) -> Future[T]:
        import ray

        task = ray.remote(
            num_cpus=0,  # queued tasks that ask for CPUs keep trainings from starting
            max_retries=TASK_RETRIES,
            retry_exceptions=[ExperimentError],
            scheduling_strategy=where,
        )(function)
        reference = task.remote(*arguments)
        future: Future[T] = reference.future()
        self._references[future] = reference
        return future

    def cancel(self, future: Future[Any]) -> None:
        import ray

        ray.cancel(self._references[future])  # raises in the task, which then ends its Node; killing would not

    def ship(self, value: Any) -> Any:
        import ray

        return ray.put(value)

    def trials_per_gpu(
        self,
        job: Job,
        most: int,
        stop: Callable[[], bool],
        measure: Callable[[Job, int], int] = _measure_trials_per_gpu,
    ) -> int:
        """See `Executor`. `measure` runs in a process that has the GPU."""
        import ray
        from ray.exceptions import RayError

        task = ray.remote(num_gpus=1, num_cpus=0, max_retries=0)(measure).remote(job, most)
        try:
            while not ray.wait([task], timeout=0.5)[0]:
                if stop():
                    ray.cancel(task, force=True)
                    return 1
            count: int = ray.get(task)
        except RayError as error:
            raise ConfigError(f"--trials-per-gpu auto: {Failure.of(error).message} (give a number instead)") from error
        return count


@contextlib.contextmanager
def ray_executor(log_folder: Path, address: str | None = None) -> Iterator[RayExecutor]:
    """Descriptors 1 and 2 go to a new file in `log_folder` until the block ends; then Ray is shut down."""
    set_environment(local=address is None)
    log_folder.mkdir(parents=True, exist_ok=True)
    log = log_folder / f"{datetime.now():%Y%m%d-%H%M%S}.log"
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with log.open("ab") as stream:
        os.dup2(stream.fileno(), 1)
        os.dup2(stream.fileno(), 2)
    terminal = os.fdopen(saved[0], "w", encoding=sys.stdout.encoding or "utf-8", errors="replace", closefd=False)
    try:
        with private_token(local=address is None):
            import ray  # now, since it sets environment variables, which must not happen beside the preload's thread

            try:
                yield RayExecutor(terminal, log, address)
            finally:
                ray.shutdown()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        terminal.flush()
        for target, source in enumerate(saved, 1):
            os.dup2(source, target)
            os.close(source)
