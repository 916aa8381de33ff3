"""The floor: stage-3 training steps alone, with the runbook's epochs and batch sizes, on resident synthetic batches.

    python -m benchmarks.floor --project-root DIR --batch N

Once in one process with all CPUs as threads, and once in two with one thread each: the longest experiment in the
first, the others in the second. Then the same with PyTorch's modules instead of `trainable.network.tiled`. The first
epoch of a process is timed (it takes its memory from the system), then some more, whose median stands for the rest.
Prints JSON: seconds of both, and of the better one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F

from search_spaces.runbook import EXPERIMENTS
from trainable.base.config import TrainConfig
from trainable.data.tables import load_table
from trainable.network.model import build_model
from trainable.network.stages import StageBoundary, make_optimizer, set_stage, train_mode
from trainable.pieces.threads import share_among
from trainable.run.allocator import keep_freed_memory

EPOCHS = 3
FINETUNES = ("finetune_K7", "finetune_M1", "finetune_M2")


def sizes(project: Path) -> dict[str, tuple[int, int]]:
    """Training images and stage-3 epochs of each finetune."""
    found = {}
    for experiment in EXPERIMENTS:
        if experiment.name in FINETUNES:
            assert experiment.epochs
            csv = project / f"data_shared/cropped_faces_csv/train_{experiment.split}.csv"
            found[experiment.name] = (len(load_table(csv, project)), experiment.epochs - round(0.3 * experiment.epochs))
    return found


class Stage3:
    """A finetune in stage 3, with one resident batch of `batch` images, already normalised."""

    def __init__(self, batch: int, threads: int, *, modules: bool = False) -> None:
        """`modules`: PyTorch's own, which the trainer leaves for `trainable.network.tiled`."""
        keep_freed_memory()
        torch.set_num_threads(threads) if modules else share_among(lambda: threads)
        config = TrainConfig("finetune", 30, 5e-4, 1e-4, weights="none")
        self.model, _ = build_model(config, [str(i) for i in range(7)])
        set_stage(self.model, 3)
        train_mode(self.model, 3)
        self.optimizer = make_optimizer(self.model, config)
        self.forward = self.model if modules else StageBoundary(self.model, 3).after
        self.pixels = torch.randn(batch, 3, 160, 160).contiguous(memory_format=torch.channels_last)
        self.labels = torch.randint(0, 7, (batch,))

    def epoch(self, images: int) -> float:
        """Seconds of the steps over so many images."""
        began = time.perf_counter()
        for start in range(0, images, len(self.pixels)):
            n = min(len(self.pixels), images - start)
            self.optimizer.zero_grad(set_to_none=True)
            F.cross_entropy(self.forward(self.pixels[:n]), self.labels[:n]).backward()
            self.optimizer.step()
        return time.perf_counter() - began


def worker(jobs: list[tuple[int, int]], batch: int, threads: int, modules: bool) -> None:
    """For each (images, epochs): seconds of them all. Waits for a line on stdin first."""
    stage = Stage3(min(batch, max(images for images, _ in jobs)), threads, modules=modules)
    print("ready", flush=True)
    sys.stdin.readline()
    total = []
    for images, epochs in jobs:
        first = stage.epoch(images)
        rest = [stage.epoch(images) for _ in range(EPOCHS)]
        total.append(first + (epochs - 1) * statistics.median(rest))
    print(json.dumps(total), flush=True)


def together(groups: list[list[tuple[int, int]]], batch: int, threads: int, modules: bool) -> list[list[float]]:
    """Run each group in a process of its own, all at once."""
    command = [sys.executable, "-m", "benchmarks.floor", "--batch", str(batch), "--threads", str(threads)]
    command += [*(["--modules"] if modules else []), "--jobs"]
    processes = [
        subprocess.Popen([*command, json.dumps(g)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for g in groups
    ]
    for process in processes:
        assert process.stdout and process.stdout.readline().strip() == "ready"
    for process in processes:
        assert process.stdin
        process.stdin.write("go\n")
        process.stdin.flush()
    return [json.loads(process.communicate()[0].splitlines()[-1]) for process in processes]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--project-root", type=Path)
    parser.add_argument("--batch", type=int, required=True)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--jobs", type=json.loads)
    parser.add_argument("--modules", action="store_true")
    options = parser.parse_args()
    if options.jobs is not None:
        worker(options.jobs, options.batch, options.threads, options.modules)
        return
    found = sizes(options.project_root)
    jobs = [found[name] for name in FINETUNES]
    floors = {name: _floor(jobs, options.batch, modules) for name, modules in (("ours", False), ("modules", True))}
    print(json.dumps({**floors["ours"], "modules": floors["modules"], "images": [n * e for n, e in jobs]}))


def _floor(jobs: list[tuple[int, int]], batch: int, modules: bool) -> dict[str, float]:
    (one,) = together([jobs], batch, os.cpu_count() or 1, modules)
    two = together([jobs[:1], jobs[1:]], batch, 1, modules)
    seconds = {"one_process": sum(one), "two_processes": max(sum(two[0]), sum(two[1]))}
    return {"seconds": min(seconds.values()), **seconds}


if __name__ == "__main__":
    main()
