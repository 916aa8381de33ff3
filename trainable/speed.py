"""How fast this machine trains: stage-3 steps on a resident synthetic batch.

    python -m trainable.speed --batch N --threads T --seconds S

Prints JSON: images per second of one process, peak bytes of device memory, and the device.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from trainable.allocator import keep_freed_memory
from trainable.config import IMAGE_SIZE, TrainConfig
from trainable.device import device_name, pick_device
from trainable.engine import Engine
from trainable.model import build_model
from trainable.stages import make_optimizer, set_stage, train_mode

LEAST_GAIN = 1.1
"""Twice the trials on a GPU must train so many times as fast together; each alone gets slower."""
MEMORY_SHARE = 0.85
"""The part of a GPU's memory that training steps may fill; the rest is for images, features and validation."""
CLASSES = [str(number) for number in range(7)]


def measure(batch: int, threads: int | None, seconds: float, device: str = "auto") -> dict[str, Any]:
    """Train for about `seconds` (at least two steps after the first, which takes its memory from the system)."""
    keep_freed_memory()
    if threads:
        torch.set_num_threads(threads)
    place = pick_device(device)
    engine = Engine(place, amp=place.type == "cuda")
    config = TrainConfig("finetune", 30, 5e-4, 1e-4, weights="none")
    model, _ = build_model(config, CLASSES)
    model = model.to(place)
    set_stage(model, 3)
    train_mode(model, 3)
    optimizer, scaler = make_optimizer(model, config), engine.scaler()
    shape = (batch, 3, IMAGE_SIZE, IMAGE_SIZE)
    pixels = torch.randn(shape, device=place).contiguous(memory_format=torch.channels_last)
    labels = torch.randint(0, len(CLASSES), (batch,), device=place)

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        with engine.autocast():
            loss = F.cross_entropy(model(pixels), labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        if place.type == "cuda":
            torch.cuda.synchronize()

    step()
    steps, began = 0, time.perf_counter()
    while steps < 2 or time.perf_counter() - began < seconds:
        step()
        steps += 1
    speed = steps * batch / (time.perf_counter() - began)
    memory = torch.cuda.max_memory_reserved() if place.type == "cuda" else 0
    gpus = torch.cuda.device_count() if place.type == "cuda" else 0
    return {"images_per_second": speed, "memory": memory, "device": device_name(place), "gpus": gpus}


def together(count: int, batch: int, seconds: float = 3.0) -> tuple[float, int]:
    """Images per second of `count` processes that train at once on this machine's first GPU, and bytes of them all."""
    command = [sys.executable, "-m", "trainable.speed", "--batch", str(batch), "--seconds", str(seconds)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    outputs = [process.communicate()[0].strip().splitlines() for process in processes]
    if any(process.returncode for process in processes):
        return 0.0, 0  # they do not fit
    found = [json.loads(lines[-1]) for lines in outputs]
    return sum(one["images_per_second"] for one in found), sum(one["memory"] for one in found)


def best_count(measured: Callable[[int], tuple[float, int]], room: float, most: int) -> int:
    """How many trials a GPU should run at once: twice as many while their memory fits and the gain is worth it.

    Args:
        measured: images per second and bytes of so many trials at once.
        room: bytes for trials.
        most: trials that there are CPUs for.
    """
    count, (speed, memory) = 1, measured(1)
    while 2 * count <= most and 2 * memory <= room:
        faster, needed = measured(2 * count)
        if needed > room or faster < LEAST_GAIN * speed:
            break
        count, speed, memory = 2 * count, faster, needed
    return count


def trials_per_gpu(batch: int, cpus: int) -> int:
    """`best_count` on this machine's first GPU; 1 without one.

    Args:
        cpus: CPUs of this machine per GPU.
    """
    if not torch.cuda.is_available():
        return 1
    room = MEMORY_SHARE * torch.cuda.get_device_properties(0).total_memory
    return best_count(lambda count: together(count, batch), room, cpus)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    print(json.dumps(measure(options.batch, options.threads, options.seconds, options.device)))
