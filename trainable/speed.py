"""How fast this machine trains: stage-3 steps on a resident synthetic batch.

    python -m trainable.speed --batch N --threads T --seconds S

Prints JSON: images per second of one process, free bytes of device memory before and after, and the device. With
`--crew` it does so for each line "measure" that comes in, and answers "ready" with "ready".
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from trainable.allocator import keep_freed_memory
from trainable.config import IMAGE_SIZE, TrainConfig
from trainable.device import device_name, pick_device
from trainable.engine import Engine
from trainable.graphs import CAPTURE_AT, StepGraphs
from trainable.loop import train_epoch
from trainable.model import build_model
from trainable.stages import Cut, make_optimizer, set_stage, train_mode

LEAST_GAIN = 1.1
"""Twice the trials on a GPU must train so many times as fast together; each alone gets slower."""
MEMORY_SHARE = 0.85
"""The part of a GPU's memory that training steps may fill; the rest is for images, features and validation."""
CLASSES = [str(number) for number in range(7)]
READY, MEASURE = "ready", "measure"
MOST_AHEAD = 8
"""Processes of a crew that start at the beginning."""


@dataclass
class Repeated:
    """One batch on the device, `times` over: the limit of what inputs can reach."""

    x: Tensor
    y: Tensor
    times: int
    corrupt: set[str] = field(default_factory=set)

    def __len__(self) -> int:
        return len(self.x) * self.times

    def epoch(self, epoch: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        for _ in range(self.times):
            yield self.x, self.y


class SyntheticTrial:
    """Stage 3 of a trial, on one batch of noise.

    Raises:
        ConfigError: CUDA was asked for and there is none.
    """

    def __init__(self, batch: int, threads: int | None, device: str = "auto") -> None:
        keep_freed_memory()
        if threads:
            torch.set_num_threads(threads)
        self.device = pick_device(device)
        self.free = self._free()  # the first use of a GPU takes some hundred MB of it
        self.engine = Engine(self.device, amp=self.device.type == "cuda")
        config = TrainConfig("finetune", 30, 5e-4, 1e-4, weights="none")
        model, _ = build_model(config, CLASSES)
        self.model = model.to(self.device)
        set_stage(self.model, 3)
        train_mode(self.model, 3)
        self.optimizer, self.scaler = make_optimizer(self.model, config), self.engine.scaler()
        cuda = self.device.type == "cuda"
        self.graphs = StepGraphs(self.device, list(self.model.parameters())) if cuda else None
        pixels = torch.randn(batch, 3, IMAGE_SIZE, IMAGE_SIZE, device=self.device)
        labels = torch.randint(0, len(CLASSES), (batch,), device=self.device)
        self.inputs = Repeated(pixels.contiguous(memory_format=torch.channels_last), labels, CAPTURE_AT if cuda else 1)
        self._train()  # until steps are as they will be, with their memory taken

    def _free(self) -> int:
        return torch.cuda.mem_get_info(self.device)[0] if self.device.type == "cuda" else 0

    def _train(self) -> None:
        forward = Cut(self.model, 3).live
        train_epoch(forward, self.inputs, 0, self.optimizer, self.scaler, self.engine, graphs=self.graphs)

    def measure(self, seconds: float) -> dict[str, Any]:
        """Train for about `seconds`, at least two epochs: eight steps each on a GPU, which is waited for after them."""
        epochs, began = 0, time.perf_counter()
        while epochs < 2 or time.perf_counter() - began < seconds:
            self._train()
            epochs += 1
        speed = epochs * len(self.inputs) / (time.perf_counter() - began)
        gpus = torch.cuda.device_count() if self.device.type == "cuda" else 0
        found = {"images_per_second": speed, "device": device_name(self.device), "gpus": gpus}
        return {**found, "free_before": self.free, "free": self._free()}


class Crew:
    """Processes that train at once on this machine's first GPU, as many as one asks for.

    To start one takes many times as long as to measure, so `ahead` of them start together at the beginning, and each
    is used again for every larger number. They touch the GPU when first asked for.
    """

    def __init__(self, batch: int, ahead: int, seconds: float = 2.0, device: str = "auto") -> None:
        self.command = [sys.executable, "-m", "trainable.speed", "--crew", "--batch", str(batch)]
        self.command += ["--seconds", str(seconds), "--threads", "1", "--device", device]
        self.members: list[subprocess.Popen[str]] = []
        self._stack = ExitStack()
        self._start(ahead)

    def _start(self, count: int) -> None:
        for _ in range(len(self.members), count):
            pipe = subprocess.PIPE
            process = subprocess.Popen(self.command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True)
            self.members.append(self._stack.enter_context(process))

    def __enter__(self) -> Crew:
        return self

    def __exit__(self, *details: object) -> None:
        for member in self.members:
            member.kill()
        self._stack.close()

    def __call__(self, count: int) -> tuple[float, int]:
        """Images per second of `count` of them and the bytes they take; (0, 0) where one has no room."""
        self._start(count)
        working = self.members[:count]
        for order in (READY, MEASURE):
            for member in working:
                self._tell(member, order)
            answers = [member.stdout.readline().strip() if member.stdout else "" for member in working]
            if not all(answers):
                return 0.0, 0
        found = [json.loads(answer) for answer in answers]
        taken = found[0]["free_before"] - min(one["free"] for one in found)
        return sum(one["images_per_second"] for one in found), max(taken, 1)

    @staticmethod
    def _tell(member: subprocess.Popen[str], order: str) -> None:
        try:
            assert member.stdin is not None
            member.stdin.write(f"{order}\n")
            member.stdin.flush()
        except BrokenPipeError:  # it has ended, as its answer will show
            pass


def best_count(measured: Callable[[int], tuple[float, int]], room: float, most: int) -> int:
    """How many trials a GPU should run at once: twice as many while their memory fits and the gain is worth it.

    Args:
        measured: images per second and bytes of so many trials at once.
        room: bytes for trials.
        most: trials that there are, or CPUs for them.
    """
    count, (speed, memory) = 1, measured(1)
    while 2 * count <= most and 2 * memory <= room:
        faster, needed = measured(2 * count)
        if needed > room or faster < LEAST_GAIN * speed:
            break
        count, speed, memory = 2 * count, faster, needed
    return count


def trials_per_gpu(batch: int, most: int) -> int:
    """`best_count` on this machine's first GPU; 1 without one."""
    if not torch.cuda.is_available():
        return 1
    with Crew(batch, ahead=min(most, MOST_AHEAD)) as crew:
        return best_count(crew, MEMORY_SHARE * torch.cuda.get_device_properties(0).total_memory, most)


def _work_in_crew(options: argparse.Namespace) -> None:
    trial: SyntheticTrial | None = None
    for order in sys.stdin:
        trial = trial or SyntheticTrial(options.batch, options.threads, options.device)
        print(json.dumps(trial.measure(options.seconds)) if order.strip() == MEASURE else READY, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--device", default="auto")
    parser.add_argument("--crew", action="store_true", help="see above")
    options = parser.parse_args()
    if options.crew:
        _work_in_crew(options)
    else:
        print(json.dumps(SyntheticTrial(options.batch, options.threads, options.device).measure(options.seconds)))
