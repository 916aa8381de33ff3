"""Rows of the benchmark: what is measured, how often, and what came out."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PEER = Path(__file__).with_name("runbook_baseline.py")
TRAINED = ("probe_M1", "finetune_M1", "probe_M2", "finetune_M2", "finetune_K7")


@dataclass
class Row:
    """One line of the table.

    Args:
        samples: a value per repetition; the table shows their median, and the least and the greatest.
        target: what the value must reach; `at_least` says from which side.
        details: whatever explains the value, in seconds, images or bytes.
    """

    name: str
    unit: str
    samples: list[float]
    target: float | None = None
    at_least: bool = True
    details: dict[str, Any] = field(default_factory=dict)

    @property
    def median(self) -> float:
        return statistics.median(self.samples)

    @property
    def met(self) -> bool | None:
        if self.target is None:
            return None
        return self.median >= self.target if self.at_least else self.median <= self.target


@dataclass(frozen=True)
class Bench:
    """Where a benchmark runs: data, weights, and a folder for everything it writes."""

    project: Path
    weights: Path
    out: Path
    repeat: int = 1

    def fresh(self, name: str) -> Path:
        """A new folder."""
        number = len(list(self.out.glob(f"{name}.*")))
        folder = self.out / f"{name}.{number}"
        folder.mkdir(parents=True)
        return folder


def timed(command: Sequence[object], log: Path, **environment: str) -> float:
    """Wall seconds of a command, as a whole process; its output goes to `log`."""
    with log.open("ab") as stream:
        began = time.perf_counter()
        subprocess.run(
            [str(part) for part in command], cwd=ROOT, env={**os.environ, **environment}, check=True,
            stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT,
        )  # fmt: skip
        return time.perf_counter() - began


def ours(bench: Bench, folder: Path, *options: object, project: Path | None = None) -> float:
    """Wall seconds of `run-all` with an empty cache of its own."""
    command = [sys.executable, "-m", "orchestrator", "run-all", "--project-root", project or bench.project]
    command += ["--output-root", folder / "out", "--weights", bench.weights, *options]
    return timed(command, folder / "ours.log", EMOSWEEP_CACHE=str(folder / "cache"))


def jemalloc() -> dict[str, str]:
    """The environment of a process that has the allocator which our trials have; empty where Ray brings none."""
    import ray

    path = Path(ray.__file__).parent / "core/libjemalloc.so"
    return {"LD_PRELOAD": str(path)} if path.is_file() else {}


def peer(bench: Bench, folder: Path, *options: object) -> float:
    """Wall seconds of the runbook's commands, one after another."""
    command = [sys.executable, PEER, "--project-root", bench.project, "--out", folder / "peer"]
    return timed([*command, "--weights", bench.weights, *options], folder / "peer.log")


def manifest(folder: Path, experiment: str) -> dict[str, Any]:
    path = folder / "out/models/mobilenetv3_classifier/runs" / f"{experiment}_160" / "manifest.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import torch

    model = next((line.split(":")[1].strip() for line in _cpuinfo() if line.startswith("model name")), "")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {"cpu": model, "cpus": os.cpu_count(), "gpu": gpu, "torch": torch.__version__, "load": os.getloadavg()[0]}


def _cpuinfo() -> list[str]:
    try:
        return Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return []


def write(path: Path, rows: Sequence[Row], about: dict[str, Any]) -> None:
    values = [{**asdict(row), "median": row.median, "met": row.met} for row in rows]
    path.write_text(json.dumps({"machine": about, "rows": values}, indent=2) + "\n", encoding="utf-8")
