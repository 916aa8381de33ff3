"""How many trials a GPU should run at once, measured with one of the trials that are to run.

    python -m trainable.probes.trials_per_gpu

The process reads a line of JSON, the trial (see `trainable.base.config.make_job`), and answers each line after it:
"ready" with "ready", and a number of seconds with JSON: images per second, and the bytes of device memory that were
free at first and are free now.
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from trainable.base.config import Job
from trainable.network.compute import pick_device
from trainable.network.graphs import CAPTURE_AT
from trainable.run.loop import Passes
from trainable.run.trainer import Trainer

LEAST_GAIN = 1.1
"""Twice the trials on a GPU must train so many times as fast together; each alone gets slower."""
MEMORY_SHARE = 0.85
"""The part of a GPU's memory that trials in their last stage may fill; the rest is for the test and for features."""
READY = "ready"
MOST_AHEAD = 8
"""Processes that start together at the beginning."""


class MeasuredTrial:
    """A trial in its last stage: its data and weights, the last epoch again and again, with validation and checkpoint.

    Args:
        trial: `out` is a folder that nobody reads.
        passes: see `Trainer`.

    Raises:
        RuntimeError: the device has no room for the trial.
    """

    def __init__(self, trial: Job, passes: Passes | None = None) -> None:
        self.device = pick_device(trial["resources"]["device"])
        self.free = self._free()  # the first use of a GPU takes some hundred MB of it
        self.trainer = Trainer.from_job(trial, passes=passes)
        self.images = len(self.trainer.tables["train"])
        steps = math.ceil(self.images / self.trainer.config.batch)
        for _ in range(math.ceil((CAPTURE_AT + 1) / steps) if self.device.type == "cuda" else 1):
            self._epoch()  # until all graphs are captured and the memory of a step is taken

    def _free(self) -> int:
        return torch.cuda.mem_get_info(self.device)[0] if self.device.type == "cuda" else 0

    def _epoch(self) -> None:
        state = self.trainer.state
        state.epoch, state.history = self.trainer.config.epochs - 1, []
        self.trainer.step()
        if self.trainer.state.fallbacks:
            raise RuntimeError(self.trainer.state.fallbacks[-1])

    def measure(self, seconds: float) -> dict[str, Any]:
        """Train for about `seconds`, at least an epoch."""
        epochs, began = 0, time.perf_counter()
        while not epochs or time.perf_counter() - began < seconds:
            self._epoch()
            epochs += 1
        speed = epochs * self.images / (time.perf_counter() - began)
        return {"images_per_second": speed, "free_before": self.free, "free": self._free()}


class TrialProcesses:
    """Processes that each run a `MeasuredTrial` at the same time, on this machine's first GPU.

    To start a process takes many times as long as to measure, so `ahead` of them start together at the beginning, and
    each is used again for every larger number. They touch the GPU when they are first asked for.
    """

    def __init__(self, trial: Job, ahead: int, seconds: float = 2.0) -> None:
        self.trial = {**trial, "test": False, "resources": {**trial["resources"], "threads": 1}}
        self.seconds = seconds
        self.processes: list[subprocess.Popen[str]] = []
        self._stack = ExitStack()
        self.folder = Path(self._stack.enter_context(TemporaryDirectory(prefix="trials-per-gpu-")))
        self._start(ahead)

    def _start(self, count: int) -> None:
        command, pipe = [sys.executable, "-m", "trainable.probes.trials_per_gpu"], subprocess.PIPE
        for number in range(len(self.processes), count):
            process = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
            self.processes.append(self._stack.enter_context(process))
            self._send(process, json.dumps({**self.trial, "out": str(self.folder / str(number))}))

    def __enter__(self) -> TrialProcesses:
        return self

    def __exit__(self, *details: object) -> None:
        for process in self.processes:
            process.kill()
        self._stack.close()

    def measure(self, count: int) -> tuple[float, int]:
        """Images per second of `count` trials together, and the bytes that they take; (0, 0) where one has no room."""
        self._start(count)
        working = self.processes[:count]
        for order in (READY, str(self.seconds)):
            for process in working:
                self._send(process, order)
            answers = [process.stdout.readline().strip() if process.stdout else "" for process in working]
            if not all(answers):
                return 0.0, 0
        found = [json.loads(answer) for answer in answers]
        taken = found[0]["free_before"] - min(one["free"] for one in found)
        return sum(one["images_per_second"] for one in found), max(taken, 1)

    @staticmethod
    def _send(process: subprocess.Popen[str], line: str) -> None:
        try:
            assert process.stdin is not None
            process.stdin.write(f"{line}\n")
            process.stdin.flush()
        except BrokenPipeError:  # the process has ended, and gives no answer
            pass


def best_count(measured: Callable[[int], tuple[float, int]], room: float, most: int) -> int:
    """How many trials a GPU should run at once: twice as many while their memory fits and the gain is worth it.

    Args:
        measured: from a number of trials to images per second and bytes of all of them at once.
        room: the bytes of memory that trials may take.
        most: how many trials there are, or CPUs for them.
    """
    count, (speed, memory) = 1, measured(1)
    while 2 * count <= most and 2 * memory <= room:
        faster, needed = measured(2 * count)
        if needed > room or faster < LEAST_GAIN * speed:
            break
        count, speed, memory = 2 * count, faster, needed
    return count


def trials_per_gpu(trial: Job, most: int) -> int:
    """`best_count` of `trial` on this machine's first GPU; 1 without one."""
    if not torch.cuda.is_available():
        return 1
    with TrialProcesses(trial, ahead=min(most, MOST_AHEAD)) as processes:
        return best_count(processes.measure, MEMORY_SHARE * torch.cuda.get_device_properties(0).total_memory, most)


def main() -> None:
    trial: Job = json.loads(sys.stdin.readline())
    measured: MeasuredTrial | None = None
    for order in sys.stdin:
        measured = measured or MeasuredTrial(trial)
        print(READY if order.strip() == READY else json.dumps(measured.measure(float(order))), flush=True)


if __name__ == "__main__":
    main()
