"""Where a stage-3 step spends its time on this CPU: operations with one thread and two, and freed memory kept or not.

python -m benchmarks.step_profile [--batch 128] [--memory-batch 256]

Takes two to three minutes on two busy cores.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks import floor

REPEATS, MEMORY_REPEATS, SHOWN = 4, 2, 10


def operations(batch: int) -> None:
    """Milliseconds of the costliest operations in the fastest of some steps, and how much two threads gain."""
    stage, best = floor.Stage3(batch, 1), {}
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
    sys.stdout.flush()  # the second half takes longer
    memory(options.memory_batch)


if __name__ == "__main__":
    main()
