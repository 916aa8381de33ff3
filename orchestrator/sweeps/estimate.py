"""How long a sweep will take on this machine, from a speed that was measured on it (no torch here)."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console
from rich.table import Table

from orchestrator.plan import Step
from orchestrator.summary import duration
from orchestrator.sweeps.confirm import CANDIDATES
from orchestrator.sweeps.plan import Sweep
from orchestrator.sweeps.policies import Halving, rungs
from orchestrator.tail import epoch_costs
from trainable.atomic import read_json, write_json
from trainable.cache import cache_root
from trainable.errors import ConfigError

START_UP = 10.0
"""Seconds for Ray and the first trial's imports."""
SAMPLE = 256
"""Images in the measured steps: more are no faster, and take longer to measure."""


@dataclass(frozen=True)
class Speed:
    """Trials that run at once, and stage-3 images per second of each of them then."""

    slots: int
    images_per_second: float
    device: str


@dataclass(frozen=True)
class Load:
    """Trials, epochs, and images in training steps (see `tail.epoch_costs`)."""

    trials: int = 0
    epochs: int = 0
    images: float = 0.0

    def __add__(self, other: Load) -> Load:
        return Load(self.trials + other.trials, self.epochs + other.epochs, self.images + other.images)


def sweep_load(sweep: Sweep) -> Load:
    """What is left of a sweep. With asha as many trials end at each rung as the policy says; median may stop any, so
    it is counted as none."""
    todo = sorted((step for step in sweep.trials if step.to_do), key=lambda step: step.status != "interrupted")
    judged = len(sweep.steps) - 1
    load = Load()
    for place, step in enumerate(todo):
        assert step.config is not None
        ends = _ends_at(step, place, judged, sweep) if step is not sweep.default else step.config.epochs
        load += Load(1, ends, _images(step, ends))
    return load


def _images(step: Step, epochs: int) -> float:
    """The work of so many epochs. What is computed once for all of a sweep's trials is left out."""
    assert step.config is not None
    costs = epoch_costs(step.config, step.rows)
    return sum([costs[1], *costs[1:epochs]]) if len(costs) > 1 else costs[0]


def _ends_at(step: Step, place: int, judged: int, sweep: Sweep) -> int:
    """The epochs of the trial that comes out at `place`."""
    assert step.config is not None
    if sweep.options.scheduler == "asha":
        for rung in rungs(step.config):
            if place >= max(Halving.LEAST_KEPT, math.ceil(rung.keep * judged)):
                return rung.epochs
    return step.config.epochs


def confirmation_load(sweep: Sweep) -> Load:
    """The best and the default on new seeds; which ones they are is not known yet."""
    config, runs = sweep.default.config, sweep.options.confirm * (1 + CANDIDATES)
    assert config is not None
    return Load(runs, runs * config.epochs, runs * _images(sweep.default, config.epochs))


def fixed_load(steps: Sequence[Step]) -> Load:
    configs = [(step, step.config) for step in steps if step.to_do and step.config is not None]
    loads = [Load(1, config.epochs, sum(epoch_costs(config, step.rows))) for step, config in configs]
    return sum(loads, Load())


def measured(batch: int) -> Speed:
    """The speed of this machine, measured once and remembered in its cache.

    Raises:
        ConfigError: the measuring process failed; with its last line.
    """
    batch = min(batch, SAMPLE)
    cpus = os.cpu_count() or 1
    path, key = cache_root() / "speed.json", f"{batch} images, {cpus} CPUs"
    known = read_json(path)
    known = known if isinstance(known, dict) else {}
    if key not in known:
        known[key] = _measure(batch, cpus)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_json(path, known)
    return Speed(**known[key])


def _measure(batch: int, cpus: int) -> dict[str, object]:
    """A process on each CPU at once, as trials run; where there is a GPU, one on it."""
    command = [sys.executable, "-m", "trainable.speed", "--batch", str(batch), "--threads", "1"]
    first = _results([subprocess.Popen([*command, "--seconds", "1"], stdout=subprocess.PIPE, text=True)])[0]
    if first["gpus"]:
        return {"slots": first["gpus"], "images_per_second": first["images_per_second"], "device": first["device"]}
    together = _results([subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(cpus)])
    speed = sum(found["images_per_second"] for found in together) / cpus
    return {"slots": cpus, "images_per_second": speed, "device": first["device"]}


def _results(processes: Sequence[subprocess.Popen[str]]) -> list[dict[str, float]]:
    outputs = [process.communicate()[0].strip().splitlines() for process in processes]
    if any(process.returncode for process in processes):
        raise ConfigError("the speed of this machine could not be measured: python -m trainable.speed failed")
    return [json.loads(lines[-1]) for lines in outputs]


def print_estimate(console: Console, steps: Sequence[Step], sweeps: Sequence[Sweep]) -> None:
    """Trials, epochs and time of each sweep and of everything, in 80 columns."""
    speed = measured(max(config.batch for config in (sweep.default.config for sweep in sweeps) if config))
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("Sweep", no_wrap=True)
    for name in ("Trials", "Epochs", "Time", "On new seeds", "Epochs", "Time"):
        table.add_column(name, justify="right")
    fixed = fixed_load(steps)
    if fixed.trials:
        table.add_row("the experiments", f"{fixed.trials}", f"{fixed.epochs}", _time(fixed, speed), "–", "–", "–")
    total = fixed
    for sweep in sweeps:
        load = sweep_load(sweep)
        again = confirmation_load(sweep) if sweep.options.confirm else Load()
        total += load + again
        table.add_row(
            sweep.base.name, f"{load.trials} of {len(sweep.trials)}", f"{load.epochs}", _time(load, speed),
            f"{again.trials}", f"{again.epochs}", _time(again, speed),
        )  # fmt: skip
    console.print(table)
    console.print(
        f"about {_time(total, speed, START_UP)} in all: {speed.slots} trials at once, "
        f"{speed.images_per_second:.0f} images/s each (measured on this {speed.device})",
        highlight=False, soft_wrap=True,
    )  # fmt: skip


def _time(load: Load, speed: Speed, more: float = 0.0) -> str:
    return duration(load.images / speed.images_per_second / speed.slots + more)
