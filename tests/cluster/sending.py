"""What it costs a worker to send a training's state after every epoch: run on the head, prints seconds a state as JSON.

python tests/cluster/sending.py ADDRESS_OF_A_WORKER EPOCHS BYTES_OF_A_STATE...
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psutil
import ray

from trainable.base.paths import RunPaths
from trainable.ray_disk import RayDisk
from trainable.remote.landmarks import Landmarks
from trainable.remote.mirror import MirroredRun
from trainable.run.history import TrialHistory
from trainable.run.resumption import write_note

EPOCH_SECONDS = 0.5
"""Longer than a state is on its way, as an epoch is."""


def processor_seconds() -> float:
    """Of all processes of this host so far: what sends is Ray's as well as ours."""
    times = [process.info["cpu_times"] for process in psutil.process_iter(["cpu_times"])]
    return sum(found.user + found.system for found in times if found)


def epochs(run: MirroredRun, count: int, size: int, *, send: bool) -> tuple[float, float]:
    """(seconds in which training waited, processor seconds) of so many epochs that save a state of this many bytes."""
    paths, waited = RunPaths(Path(run.job["out"])), 0.0
    before = processor_seconds()
    for epoch in range(1, count + 1):
        paths.checkpoint.write_bytes(os.urandom(size))
        write_note(paths, {}, epoch, TrialHistory.of_rows([]))
        start = time.perf_counter()
        if send:
            run.saved()
        waited += time.perf_counter() - start
        time.sleep(EPOCH_SECONDS)
    run.settle()
    return waited, processor_seconds() - before


@ray.remote(num_cpus=0)
def measure(disk: RayDisk, job: Any, count: int, sizes: list[int]) -> list[dict[str, float]]:
    run, costs = MirroredRun(disk, job), []
    try:
        for size in sizes:
            _, without = epochs(run, count, size, send=False)
            waited, spent = epochs(run, count, size, send=True)
            costs.append({"waited": waited / count, "cpu": (spent - without) / count})
    finally:
        run.close()
    return costs


def main(address: str, count: int, sizes: list[int]) -> None:
    ray.init("auto", logging_level="ERROR")
    with TemporaryDirectory() as folder:
        job: Any = {"out": f"{folder}/run", "identity": {}, "config": {"weights": "none"}}
        disk = RayDisk.start([], Landmarks.leave(Path(folder), []))
        disk.expect(job)
        there = measure.options(resources={f"node:{address}": 0.001})
        print(json.dumps(ray.get(there.remote(disk, job, count, sizes))))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), list(map(int, sys.argv[3:])))
