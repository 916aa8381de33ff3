"""What it costs a worker to send a training's state after every epoch: run on the head, prints seconds a state as JSON.

python tests/cluster/sending.py ADDRESS_OF_A_WORKER EPOCHS
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

STATE = 16 << 20
"""The size of a checkpoint of MobileNetV3-Small with its optimizer."""
EPOCH_SECONDS = 0.5
"""Longer than a state is on its way, as an epoch is."""


def processor_seconds() -> float:
    """Of all processes of this host so far: what sends is Ray's as well as ours."""
    times = [process.info["cpu_times"] for process in psutil.process_iter(["cpu_times"])]
    return sum(found.user + found.system for found in times if found)


def epochs(run: MirroredRun, count: int, *, send: bool) -> tuple[float, float]:
    """(seconds in which training waited, processor seconds) of so many epochs that save their state."""
    paths, waited = RunPaths(Path(run.job["out"])), 0.0
    before = processor_seconds()
    for epoch in range(1, count + 1):
        paths.checkpoint.write_bytes(os.urandom(STATE))
        write_note(paths, {}, epoch, TrialHistory.of_rows([]))
        start = time.perf_counter()
        if send:
            run.saved()
        waited += time.perf_counter() - start
        time.sleep(EPOCH_SECONDS)
    run.settle()
    return waited, processor_seconds() - before


@ray.remote(num_cpus=0)
def measure(disk: RayDisk, job: Any, count: int) -> dict[str, float]:
    run = MirroredRun(disk, job)
    try:
        _, without = epochs(run, count, send=False)
        waited, spent = epochs(run, count, send=True)
    finally:
        run.close()
    return {"waited": waited / count, "cpu": (spent - without) / count}


def main(address: str, count: int) -> None:
    ray.init("auto", logging_level="ERROR")
    with TemporaryDirectory() as folder:
        job: Any = {"out": f"{folder}/run", "identity": {}, "config": {"weights": "none"}}
        disk = RayDisk.start([], Landmarks.leave(Path(folder), []))
        disk.expect(job)
        there = measure.options(resources={f"node:{address}": 0.001})
        print(json.dumps(ray.get(there.remote(disk, job, count))))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
