"""Where a stage-3 step spends its time on this CPU.

python -m benchmarks.step_profile [--batch 128] [--memory-batch 256]

The operations of PyTorch's modules with one thread and two, a depthwise weight's gradient whole and in parts, tiles of
several sizes, and freed memory kept or not. Takes some five minutes on two busy cores.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks import floor
from trainable.network.tiled import tiles
from trainable.network.tiled.layers import convolution_backward

REPEATS, MEMORY_REPEATS, CALLS, SHOWN = 4, 2, 200, 10
TILE_SIZES = (1, 2, 4, 6, 8, 16)
"""Quarters of a MiB."""


def operations(batch: int) -> None:
    """Milliseconds of the costliest operations in the fastest of some steps, and how much two threads gain."""
    stage, best = floor.Stage3(batch, 1, modules=True), {}
    for threads in (1, 2):
        torch.set_num_threads(threads)
        stage.epoch(4 * batch)
        best[threads] = min((_profiled(stage, batch) for _ in range(REPEATS)), key=lambda found: sum(found.values()))
    one, two = best[1], best[2]
    print(f"{'operation':34} {'1 thread':>9} {'2 threads':>9} {'gain':>5}   (ms a step of {batch})")
    for name in ["all", *sorted(one, key=lambda name: -one[name])[:SHOWN]]:
        a, b = (sum(one.values()), sum(two.values())) if name == "all" else (one[name], two.get(name, 0.0))
        print(f"{name:34} {a:9.1f} {b:9.1f} {a / b if b else 0:5.2f}")


def _profiled(stage: floor.Stage3, batch: int) -> dict[str, float]:
    with profile(activities=[ProfilerActivity.CPU]) as found:
        stage.epoch(batch)
    return {event.key: event.self_cpu_time_total / 1000 for event in found.key_averages()}


def depthwise(images: int = 8) -> None:
    """Microseconds an image for the weight's gradient of a 5 x 5 depthwise convolution: whole, and in parts."""
    torch.set_num_threads(1)
    print(f"{'5 x 5 depthwise weight':34} {'whole':>9} {'in parts':>9}   (us an image, its input's gradient included)")
    for channels, side in ((240, 10), (576, 5)):
        conv = torch.nn.Conv2d(channels, channels, 5, 1, 2, groups=channels, bias=False)
        conv.to(memory_format=torch.channels_last)
        x = torch.randn(images, channels, side, side).contiguous(memory_format=torch.channels_last).requires_grad_()
        y = conv(x)
        dy, dw = torch.randn_like(y), torch.empty_like(conv.weight)
        whole, parts = _medians(
            partial(torch.autograd.grad, y, (x, conv.weight), dy, retain_graph=True),
            partial(convolution_backward, conv, dy, x.detach(), dw),
        )
        name = f"{channels} channels, {side} x {side}"
        print(f"{name:34} {whole / images * 1e6:9.1f} {parts / images * 1e6:9.1f}")


def tile_sizes(batch: int) -> None:
    """Images/s by how much a tile may hold, in turn, with one thread; beside PyTorch's modules."""
    ours, theirs = floor.Stage3(batch, 1), floor.Stage3(batch, 1, modules=True)
    found: dict[str, list[float]] = {}
    for _ in range(2 * REPEATS + 1):
        found.setdefault("modules", []).append(batch / theirs.epoch(batch))
        for size in TILE_SIZES:
            tiles.TILE_BYTES = size << 18
            found.setdefault(f"tiles of {size / 4:g} MiB", []).append(batch / ours.epoch(batch))
    for name, values in found.items():
        print(f"{name:34} {statistics.median(values[1:]):9.1f} images/s, batch {batch}")


def _medians(*calls: Callable[[], object]) -> list[float]:
    """Seconds of each, in turn."""
    seconds: list[list[float]] = [[] for _ in calls]
    for _ in range(CALLS):
        for call, found in zip(calls, seconds, strict=True):
            began = time.perf_counter()
            call()
            found.append(time.perf_counter() - began)
    return [statistics.median(found) for found in seconds]


def one_way(batch: int, keep: bool) -> None:
    """Print the median milliseconds per image of this process."""
    if not keep:
        floor.keep_freed_memory = lambda: None
    stage = floor.Stage3(batch, 1)
    stage.epoch(batch)
    print(statistics.median(stage.epoch(batch) for _ in range(MEMORY_REPEATS)) / batch * 1000)


def memory(batch: int) -> None:
    """Kept and not kept in turn, each in a process of its own."""
    found: dict[str, list[float]] = {"keep": [], "free": []}
    for _ in range(2):
        for way, values in found.items():
            command = [sys.executable, "-m", "benchmarks.step_profile", "--memory-batch", str(batch), "--way", way]
            values.append(float(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    kept, freed = (statistics.median(values) for values in found.values())
    print(f"batch {batch}, one thread: {kept:.2f} ms an image with freed memory kept, {freed:.2f} ms without")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--memory-batch", type=int, default=256)
    parser.add_argument("--way", choices=("keep", "free"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.way:
        one_way(options.memory_batch, options.way == "keep")
        return
    operations(options.batch)
    depthwise()
    tile_sizes(options.memory_batch)
    sys.stdout.flush()  # the rest runs in processes
    memory(options.memory_batch)


if __name__ == "__main__":
    main()
