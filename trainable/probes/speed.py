"""The training speed of this machine: stage-3 steps on a resident synthetic batch.

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
from trainable.base.limits import usable_cpus
from trainable.network.compute import device_name, make_compute, pick_device
from trainable.network.graphs import CAPTURE_AT
from trainable.network.network import Network
from trainable.pieces.threads import share_among
from trainable.run.allocator import keep_freed_memory
from trainable.run.loop import train_epoch

CLASSES = [str(number) for number in range(7)]


@dataclass
class Repeated:
    """Inputs that give one batch on the device, `times` over: no inputs can be faster."""

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
    """A network in stage 3 that trains on one batch of noise.

    Raises:
        ConfigError: CUDA was asked for and there is no CUDA GPU.
    """

    def __init__(self, batch: int, threads: int | None, device: str = "auto") -> None:
        keep_freed_memory()
        share_among(lambda: threads or usable_cpus())
        self.device = pick_device(device)
        cuda = self.device.type == "cuda"
        config = TrainConfig("finetune", 30, 5e-4, 1e-4, weights="none")
        self.compute = make_compute(config, self.device)
        self.network = Network(config, CLASSES, self.compute)
        self.network.enter_stage(3, use_graphs=cuda)
        self.network.train_mode(config.lr_head, config.lr_backbone)
        pixels = torch.randn(batch, 3, IMAGE_SIZE, IMAGE_SIZE, device=self.device)
        labels = torch.randint(0, len(CLASSES), (batch,), device=self.device)
        self.inputs = Repeated(pixels.contiguous(memory_format=torch.channels_last), labels, CAPTURE_AT if cuda else 1)
        self._train()  # until all graphs are captured and the memory of a step is taken

    def _train(self) -> None:
        network = self.network
        train_epoch(
            network.boundary().after, self.inputs, 0, network.optimizer, network.scaler, self.compute,
            graphs=network.graphs,
        )  # fmt: skip

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
