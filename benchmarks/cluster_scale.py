"""A sweep of hundreds of trials on GPUs that nodes of this machine pretend to have; the trials sleep.

    python -m benchmarks.cluster_scale [--shapes 1x2,2x4,8x8] [--trials 500] [--epoch 5]
    python -m benchmarks.cluster_scale --alone [--trials 50,500,2000,5000]

Queue, halving, Tune and its interfaces are the real ones (`orchestrator.execution.tuner.train`); a training of ten
epochs sleeps `--epoch` seconds in each of stage 3 and half of it before. A shape takes NODES x GPUS processes of some
100 MB, and on few CPUs the start of a process takes long, so that the share of busy slots is given with and without it.
Driver's seconds are CPU time of this process. Each shape is simulated, too, with the overheads measured in it.
`--alone` runs the same queue without Ray, on a clock of its own: seconds of CPU an event. Prints JSON.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from orchestrator.execution.cluster import Cluster, Request, Share
from orchestrator.execution.entries import Entry, Limits
from orchestrator.execution.events import NoEvents
from orchestrator.execution.executor import Training
from orchestrator.execution.queue import TrainingQueue
from orchestrator.planning.ray_environment import set_environment
from orchestrator.simulation.costs import Overheads, Work
from orchestrator.simulation.machine import Machine
from orchestrator.simulation.shape import Shape, shapes
from orchestrator.sweeps.halving import Halving
from orchestrator.sweeps.policy import Policy
from trainable.base.config import TrainConfig
from trainable.base.errors import Failure
from trainable.run.history import TrialHistory

CONFIG = TrainConfig("finetune", 10, 5e-4, 1e-4)
SWEEPS = 5
"""As `run-all --sweep` has them: one for each MobileNet experiment."""
ON_ONE_GPU = Request(Share(1, 1.0))


def works(trials: int, epoch: float) -> dict[str, Work]:
    """So many trials in five sweeps."""
    found = {}
    stages = [CONFIG.stage_at(number) for number in range(CONFIG.epochs)]
    seconds = [epoch if stage == 3 else epoch / 2 for stage in stages]
    for number in range(trials):
        sweep, place = f"m{number % SWEEPS}", number // SWEEPS
        entry = Entry(f"{sweep}#{place}", 1.0, ON_ONE_GPU, sweep, fixed=False)
        found[entry.name] = Work(entry, CONFIG, seconds)
    return found


def queue_of(
    todo: Mapping[str, Work], cluster: Cluster, clock: Callable[[], float], kind: type[TrainingQueue] = TrainingQueue
) -> TrainingQueue:
    policies: dict[str, Policy] = {work.entry.sweep or "": Halving() for work in todo.values()}
    for name, work in todo.items():
        policies[work.entry.sweep or ""].add(name, work.config, exempt=name.endswith("#0"))
    return kind([work.entry for work in todo.values()], policies, Limits(cluster, clock=clock))


def alone(trials: int, slots: int = 64) -> dict[str, Any]:
    """The queue without Ray."""
    todo = works(trials, 5.0)
    machine = Machine(Cluster(((slots, float(slots)),)), Overheads())
    before, began = memory(), time.process_time()
    queue = queue_of(todo, machine.cluster, machine.clock)
    machine.run(queue, todo.__getitem__)
    seconds = time.process_time() - began
    events = machine.seen.events + len(machine.seen.starts)
    return {"trials": trials, "events": events, "ms_per_event": 1000 * seconds / events, "MB": memory() - before}


def memory() -> float:
    """MB that this process has in main memory."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


class AskedQueue(TrainingQueue):
    """Notes when each training's turn came, and when it gave its slot back."""

    asked: dict[str, float]

    def started(self, name: str) -> None:
        super().started(name)
        self.asked[name] = time.time()


@dataclass
class Watch(NoEvents):
    """Writes down who runs, and how long everything besides sleeping takes."""

    asked: dict[str, float] = field(default_factory=dict)
    changes: list[tuple[float, int]] = field(default_factory=list)
    """When a training began to hold a slot (1) or ceased to (-1)."""
    ends: list[float] = field(default_factory=list)
    process: list[float] = field(default_factory=list)
    begin: list[float] = field(default_factory=list)
    epochs: list[float] = field(default_factory=list)
    count: int = 0
    failures: list[str] = field(default_factory=list)
    last: dict[str, float] = field(default_factory=dict)
    held: set[str] = field(default_factory=set)

    def started(self, name: str) -> None:
        self.count += 1
        self.changes.append((time.time(), 1))
        self.held.add(name)

    def epoch(self, name: str, row: Mapping[str, Any]) -> None:
        now = time.time()
        self.count += 1
        if name in self.asked:
            (self.process if row["new_process"] else self.begin).append(now - self.asked.pop(name) - row["slept"])
        else:
            self.epochs.append(now - self.last[name] - row["slept"])
        self.last[name] = now

    def paused(self, name: str) -> None:
        self._left(name)

    def finished(self, name: str) -> None:
        self._left(name)
        self.ends.append(time.time())

    def stopped(self, name: str, why: str, history: TrialHistory | None) -> None:
        self._left(name)
        self.ends.append(time.time())

    def retried(self, name: str, failure: Failure) -> None:
        self._left(name)
        self.failures.append(f"{name}: {failure.message}")

    def failed(self, name: str, failure: Failure) -> None:
        self.retried(name, failure)
        self.ends.append(time.time())

    def _left(self, name: str) -> None:
        self.count += 1
        if name in self.held:
            self.held.remove(name)
            self.changes.append((time.time(), -1))

    def busy(self, begin: float, end: float, slots: int) -> float:
        """The share of the slots that trainings held."""
        held, since, total = 0, begin, 0.0
        for now, change in sorted(self.changes):
            now = min(max(now, begin), end)
            total += held * (now - since)
            held, since = held + change, now
        return (total + held * (end - since)) / (slots * (end - begin)) if end > begin else 0.0

    def full(self, slots: int) -> float:
        """When every slot was held for the first time."""
        held = 0
        for now, change in sorted(self.changes):
            held += change
            if held == slots:
                return now
        return float("nan")


@contextmanager
def pretended(shape: Shape) -> Iterator[None]:
    """A Ray of so many nodes on this machine, joined."""
    import ray
    from ray.cluster_utils import Cluster as RayCluster

    node = {"num_cpus": max(1, shape.gpus), "num_gpus": shape.gpus, "object_store_memory": 80 * 2**20}
    nodes = RayCluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    try:
        for _ in range(shape.nodes - 1):
            nodes.add_node(**node)
        ray.init(nodes.address, log_to_driver=False, logging_level="ERROR")
        yield
    finally:
        ray.shutdown()
        nodes.shutdown()


def with_ray(shape: Shape, trials: int, epoch: float, folder: Path) -> dict[str, Any]:
    """The real thing, as far as it goes without GPUs."""
    from benchmarks.sleeper import Sleeper
    from orchestrator.execution.tuner import train

    todo, slots = works(trials, epoch), shape.nodes * shape.gpus
    cluster = Cluster(((shape.gpus, float(shape.gpus)),) * shape.nodes)
    queue = queue_of(todo, cluster, time.monotonic, AskedQueue)
    assert isinstance(queue, AskedQueue)
    watch = Watch()
    queue.asked = watch.asked

    def training(name: str) -> Training:
        stages = [CONFIG.stage_at(number) for number in range(CONFIG.epochs)]
        job: Any = {"experiment": name, "out": str(folder / name), "stages": stages, "seconds": todo[name].seconds}
        return Training(job, "M1", ON_ONE_GPU)

    before, cpu, began = memory(), time.process_time(), time.time()
    train(queue, training, {}, folder / "tune", events=watch, stop=lambda: False, trainable=Sleeper)
    end, cpu = time.time(), time.process_time() - cpu
    if len(watch.ends) < trials:
        raise RuntimeError(f"only {len(watch.ends)} of {trials} trials ended: {watch.failures[:3]}")
    few = sorted(watch.ends)[max(0, trials - slots)]
    measured = Overheads(
        process=statistics.mean(watch.process),
        begin=statistics.mean(watch.begin) if watch.begin else 0.0,
        epoch=statistics.mean(watch.epochs),
    )
    machine = Machine(cluster, Overheads(measured.process - measured.begin, measured.begin, measured.epoch))
    machine.run(queue_of(todo, cluster, machine.clock), todo.__getitem__)
    return {
        "shape": f"{shape}", "trials": trials, "epoch_s": epoch, "makespan_s": end - began,
        "simulated_s": machine.now, "error": machine.now / (end - began) - 1,
        "busy": watch.busy(began, few, slots), "busy_once_full": watch.busy(watch.full(slots), few, slots),
        "full_after_s": watch.full(slots) - began, "fewer_than_slots_after_s": few - began,
        "failures": len(watch.failures), "processes": len(watch.process), "events": watch.count, "driver_cpu_s": cpu,
        "driver_ms_per_event": 1000 * cpu / watch.count, "driver_MB": memory(), "driver_MB_more": memory() - before,
        "overheads_s": {"process": measured.process, "begin": measured.begin, "epoch": measured.epoch},
        "epochs": len(watch.epochs) + len(watch.process) + len(watch.begin),
        "simulated_epochs": machine.seen.events, "load": os.getloadavg()[0],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", default="1x2,2x4,8x8")
    parser.add_argument("--trials", default="500", help="numbers, commas between")
    parser.add_argument("--epoch", type=float, default=5.0, help="seconds")
    parser.add_argument("--alone", action="store_true", help="the queue without Ray")
    options = parser.parse_args()
    counts = [int(count) for count in options.trials.split(",")]
    if options.alone:
        for trials in counts:
            print(json.dumps(alone(trials)), flush=True)
        return
    set_environment(local=True)
    from orchestrator.execution.start import private_token

    with private_token(local=True):  # Ray reads it once
        for trials, shape in itertools.product(counts, shapes(options.shapes)):
            with tempfile.TemporaryDirectory() as folder, pretended(shape):
                print(json.dumps(with_ray(shape, trials, options.epoch, Path(folder))), flush=True)


if __name__ == "__main__":
    main()
