"""How fast this machine trains: stage-3 steps on a resident synthetic batch.

    python -m trainable.probes.speed --batch N --threads T --seconds S

Prints JSON: images per second of one process, the device, and how many GPUs there are.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from trainable.base.config import IMAGE_SIZE, TrainConfig
from trainable.network.compute import Engine
from trainable.network.device import device_name, pick_device
from trainable.network.graphs import CAPTURE_AT, StepGraphs
from trainable.network.model import build_model
from trainable.network.stages import Cut, make_optimizer, set_stage, train_mode
from trainable.run.allocator import keep_freed_memory
from trainable.run.loop import train_epoch

CLASSES = [str(number) for number in range(7)]


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
        return {"images_per_second": speed, "device": device_name(self.device), "gpus": gpus}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    print(json.dumps(SyntheticTrial(options.batch, options.threads, options.device).measure(options.seconds)))
