"""Several trials on one GPU, each a process of its own."""

from __future__ import annotations

import importlib.util
import math
import os
import time
from dataclasses import replace
from typing import Any

import torch
from torch import multiprocessing
from torch.multiprocessing.spawn import spawn

from benchmarks.gpu_rows.common import Learner, Row, Setup, project, rate_row, ratio_row
from trainable.base.config import Resources, make_job
from trainable.network.compute import Compute
from trainable.probes.trials_per_gpu import TrialProcesses, best_count
from trainable.run.allocator import keep_freed_memory

PATIENCE_SECONDS = 120.0


def check(setup: Setup) -> list[Row]:
    """All measure at the same time, in windows that begin together."""
    rows: list[Row] = []
    one: list[float] = []
    for count in setup.sizes.processes:
        totals, reserved, used = _together(setup, count)
        one = one or totals
        name = f"{count} process{'es' if count > 1 else ''}, batch {setup.sizes.trial[1]}"
        rows.append(rate_row(f"{name}, all together", totals))
        if count > 1:
            rows.append(ratio_row(f"{name}, to one process", totals, one))
        if setup.cuda:
            rows.append(Row(f"{name}, peak memory each", round(reserved), "MiB", f"with context {used / count:.0f}"))
    return [*rows, *_rehearsed(setup)]


def _rehearsed(setup: Setup) -> list[Row]:
    """What `--trials-per-gpu auto` measures: whole epochs of a trial that reads files, on few images and on many."""
    most = max(setup.sizes.processes)
    names = [f"{n} images in files, batch {setup.sizes.trial[1]}" for n in setup.sizes.rehearsed]
    if importlib.util.find_spec("pyarrow") is None:
        return [Row(name, "skipped: no pyarrow") for name in names]
    rows: list[Row] = []
    for name, n in zip(names, setup.sizes.rehearsed, strict=True):
        spec = project(setup, n, setup.sizes.trial[1])
        told: list[str] = []
        trial = make_job(spec, Resources(setup.device.type), {})
        with TrialProcesses(trial, ahead=most, seconds=setup.sizes.trial_window) as processes:

            def measured(
                count: int, processes: TrialProcesses = processes, told: list[str] = told
            ) -> tuple[float, int]:
                speed, memory = processes.measure(count)
                told.append(f"{count}: {speed:.0f}")
                return speed, memory

            rows.append(Row(name, best_count(measured, math.inf, most), "at once", ", ".join(told)))
    return rows


def _together(setup: Setup, count: int) -> tuple[list[float], float, float]:
    """Images a second of all processes by window; the most MiB that one reserved; MiB in use on the device."""
    spawned = multiprocessing.get_context("spawn")
    barrier, results = spawned.Barrier(count), spawned.SimpleQueue()
    idle = _in_use(setup)
    spawn(_trial, (setup, count, barrier, results), nprocs=count, join=True)
    found = [results.get() for _ in range(count)]
    totals = [sum(rates) for rates in zip(*(rates for rates, _, _ in found), strict=True)]
    return totals, max(reserved for _, reserved, _ in found), max(used for _, _, used in found) - idle


def _trial(rank: int, setup: Setup, count: int, barrier: Any, results: Any) -> None:
    setup = replace(setup, sizes=replace(setup.sizes, images=setup.sizes.trial[0]))  # draw no more than it trains on
    torch.set_num_threads(max(1, len(os.sched_getaffinity(0)) // count))
    keep_freed_memory()
    learner = Learner(setup, 3, Compute(setup.device, amp=setup.cuda))
    inputs = learner.inputs(*setup.sizes.trial)
    learner.epoch(inputs)
    rates = []
    for _ in range(setup.sizes.repeats):
        barrier.wait(PATIENCE_SECONDS)
        began, done = time.perf_counter(), 0
        while time.perf_counter() - began < setup.sizes.trial_window:
            done += len(learner.epoch(inputs).predicted)  # which came from the device, so its work is done
        rates.append(done / (time.perf_counter() - began))
    barrier.wait(PATIENCE_SECONDS)
    reserved = torch.cuda.max_memory_reserved() / 2**20 if setup.cuda else 0.0
    results.put((rates, reserved, _in_use(setup)))
    barrier.wait(PATIENCE_SECONDS)


def _in_use(setup: Setup) -> float:
    """MiB on the device, by whomever."""
    if not setup.cuda:
        return 0.0
    free, total = torch.cuda.mem_get_info()
    return (total - free) / 2**20
