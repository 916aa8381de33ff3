"""`run-all`: checked steps in, results on disk out (the only module that puts Ray, training and FaceAPI together)."""

from __future__ import annotations

import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from rich.console import Console

from orchestrator.lock import only_one
from orchestrator.memory import requests
from orchestrator.paths import ProjectPaths
from orchestrator.plan import Planner, Step
from orchestrator.prepare import Preparation
from orchestrator.progress import ProgressView
from orchestrator.ray_session import Cluster, Share, session
from orchestrator.tail import tail
from trainable.config import Resources
from trainable.errors import ConfigError


@dataclass(frozen=True)
class Hardware:
    """The user's wishes about where things run; none of it changes what is computed."""

    address: str | None = None
    device: str = "auto"
    workers: int | None = None
    num_cpus: int | None = None
    cpus_per_trial: int | None = None
    gpus_per_trial: float | None = None
    plain: bool = False

    def __post_init__(self) -> None:
        if self.device not in ("auto", "cpu", "cuda"):
            raise ConfigError(f"--device must be auto, cpu or cuda, not {self.device!r}")
        for name, least in (("workers", 0), ("num_cpus", 1), ("cpus_per_trial", 1), ("gpus_per_trial", 0)):
            value = getattr(self, name)
            if value is not None and not value >= least:  # also what is not a number
                raise ConfigError(f"--{name.replace('_', '-')} must be at least {least}, not {value:g}")
        if self.gpus_per_trial is not None and self.device == ("cpu" if self.gpus_per_trial else "cuda"):
            raise ConfigError(f"--gpus-per-trial {self.gpus_per_trial:g} goes against --device {self.device}")
        if self.address and self.num_cpus:
            raise ConfigError("--num-cpus is for a Ray that is started here; a cluster at --address has its own")


@dataclass(frozen=True)
class Outcome:
    """How a run ended: what failed and why, and whether it was interrupted."""

    failures: dict[str, str]
    interrupted: bool

    @property
    def exit_code(self) -> int:
        return 130 if self.interrupted else 1 if self.failures else 0


def run_steps(
    steps: Sequence[Step], planner: Planner, hardware: Hardware, console: Console, *, fresh: bool, verbose: bool
) -> Outcome:
    """Run what is to do of `steps`; what fails leaves the rest alone.

    Raises:
        ConfigError: before a result is touched: weights, cluster or resources are not to be had, or another run is on.
    """
    paths = planner.paths
    todo = [step for step in steps if step.to_do]
    if not todo:
        return Outcome({}, False)
    with only_one(paths):
        todo = [planner.identify(step) for step in todo]
        look: dict[str, Any] = {"force_terminal": console.is_terminal, "width": console.width}
        with session(paths.logs) as ray_session:
            terminal = Console(file=ray_session.terminal, **look)
            terminal.print(f"Ray's log: {ray_session.log}", highlight=False, soft_wrap=True)
            with ProgressView(terminal, todo, verbose=verbose) as view:
                stop = threading.Event()
                with _preparation(todo, planner, hardware, view, stop) as ready:
                    cluster = ray_session.connect(hardware.address, hardware.num_cpus)
                    if fresh:
                        ready.finish()
                        _forget(todo, paths)
                    with _interrupts(stop, view.say):
                        _execute(todo, planner, hardware, cluster, view, stop=stop)
    return _outcome(todo, planner, view.failures, interrupted=stop.is_set())


def _preparation(
    todo: Sequence[Step], planner: Planner, hardware: Hardware, view: ProgressView, stop: threading.Event
) -> Preparation:
    training = [step for step in todo if step.experiment.trains]
    splits = {step.experiment.split for step in training} if not hardware.plain else set()
    tables = [table for split in sorted(splits) for table in planner.inputs.training[split].values()]
    files = list(dict.fromkeys(row.file for table in tables for row in table.rows))
    return Preparation(training, files, view.decoded, stop)


def _execute(
    todo: Sequence[Step],
    planner: Planner,
    hardware: Hardware,
    cluster: Cluster,
    view: ProgressView,
    *,
    stop: threading.Event,
) -> None:
    """FaceAPI in a thread, training in this one (Tune wants the main thread for its signals)."""
    from orchestrator.faceapi.shards import FaceApiJobs
    from orchestrator.training import train

    training = [step for step in todo if step.experiment.trains]
    faceapi = [step for step in todo if not step.experiment.trains]
    share = None
    if training:
        share = cluster.share(len(training), hardware.device, hardware.cpus_per_trial, hardware.gpus_per_trial)
    # Beside training on CPUs, FaceAPI takes cores that trials count on: few at a time.
    limit = max(1, cluster.cpus // 4) if training else max(1, cluster.cpus)
    jobs = FaceApiJobs(
        faceapi, planner.inputs, planner.settings.faceapi, planner.paths,
        limit=limit, report=view, stop=stop,
    )  # fmt: skip
    jobs.start()
    try:
        if share is not None:
            memory = requests(training, cluster.slots(share), cluster.memory) if share.device == "cpu" else {}
            if memory:
                view.say("memory for fewer trials at once than there are CPUs for (a smaller --batch needs less)")
            resources = _resources(training, share, cluster, hardware, all_at_once=not memory)
            train(training, planner.paths, share, resources, memory, report=view, stop=stop)
    finally:
        jobs.limit = max(1, cluster.cpus)
        while jobs.thread.is_alive():
            jobs.thread.join(0.5)  # a plain join would keep signals waiting


def _resources(
    training: Sequence[Step], share: Share, cluster: Cluster, hardware: Hardware, *, all_at_once: bool
) -> dict[str, Resources]:
    """What each trial may use. On one machine without GPUs, the one that is alone at the end gets all CPUs."""
    usual = Resources(share.device, share.cpus, hardware.workers, hardware.plain)
    found = {step.name: usual for step in training}
    if all_at_once and share.device == "cpu" and len(cluster.nodes) == 1 and hardware.cpus_per_trial is None:
        last = tail(training, cluster.slots(share)[0])
        if last is not None:
            found[last[0]] = replace(usual, tail=(last[1], cluster.cpus))
    return found


def _outcome(todo: Sequence[Step], planner: Planner, failures: dict[str, str], *, interrupted: bool) -> Outcome:
    """What the disk says, whatever was reported."""
    after = planner.plan([step.experiment for step in todo])
    left = {step.name for step in after if step.to_do}
    if interrupted:
        return Outcome({name: text for name, text in failures.items() if name in left}, bool(left))
    return Outcome({name: failures.get(name, "ended without a result") for name in sorted(left)}, False)


def _forget(todo: Sequence[Step], paths: ProjectPaths) -> None:
    """`--fresh`: neither done nor interrupted, so that a fresh run that is interrupted in its turn can go on."""
    for step in todo:
        paths.manifest(step.experiment).unlink(missing_ok=True)
        partial = paths.run(step.experiment).checkpoints if step.experiment.trains else paths.shards(step.experiment)
        shutil.rmtree(partial, ignore_errors=True)


@contextmanager
def _interrupts(stop: threading.Event, say: Callable[[str], None]) -> Iterator[None]:
    """SIGINT and SIGTERM once: finish the epochs in hand. Twice: leave at once; at most those epochs are lost."""

    def handle(number: int, frame: Any) -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()
        say("stopping when the epochs in hand are saved; once more to stop at once")

    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
