"""manifest.json: what made a run, on what it ran, and what happened on the way (no torch)."""

from __future__ import annotations

import functools
import platform
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from trainable.base.config import RunSpec
from trainable.cache.digests import file_digest
from trainable.data.tables import ImageTable
from trainable.run.allocator import uses_jemalloc
from trainable.run.identity import Identity
from trainable.run.state import RunState

_PACKAGES = ("torch", "torchvision", "numpy", "pillow", "onnxruntime", "scikit-learn", "ray")
_REPOSITORY = Path(__file__).resolve().parents[2]


def manifest_of(
    spec: RunSpec, identity: Identity, tables: Mapping[str, ImageTable], classes: Sequence[str], state: RunState,
    test_seconds: float, *, device: str, amp: bool, plain: bool, workers: int, deterministic: bool,
) -> dict[str, Any]:  # fmt: skip
    """The content of manifest.json, for the parts of the split that the run has read.

    Args:
        tables: the parts that the run has read.
        test_seconds: what the evaluation of the test took; 0.0 for a run without one.
        device: the name of the device (see `trainable.network.compute.device_name`).
        amp: whether the run computed in mixed precision.
        plain: whether every epoch decoded and computed everything.
        workers: DataLoader workers at the end.
        deterministic: whether a GPU used deterministic kernels only.
    """
    return {
        "experiment": spec.name,
        "identity": identity,
        "config": asdict(spec.config),
        "test": spec.test,
        "classes": list(classes),
        "csvs": {part: str(spec.csvs[part]) for part in tables},
        "rows": {part: len(table) for part, table in tables.items()},
        "label_columns": {part: table.label_column for part, table in tables.items()},
        "device": device,
        "amp": amp,
        "allocator": "jemalloc" if uses_jemalloc() else "system",
        "path": "plain" if plain else "fast",
        "workers": workers,
        "deterministic": deterministic or device == "cpu",
        "micro_batch": state.micro_batch,
        "notes": state.notes,
        "fallbacks": state.fallbacks,
        "corrupt_images": {part: state.corrupt[part] for part in tables},
        "started": state.started,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        **durations(state.history, test_seconds),
        **environment(),
        "processor": {**environment()["processor"], "instructions": _instructions()},
    }


def artifact_digests(files: Iterable[Path]) -> dict[str, str]:
    """The name and the hex SHA-256 of each of the files that is there, by which `verify` knows them again."""
    return {file.name: file_digest(file) for file in files if file.is_file()}


def durations(history: Sequence[Mapping[str, Any]], test_seconds: float) -> dict[str, Any]:
    """Seconds of each stage, and of the whole run with its test evaluation."""
    stages: dict[str, float] = {}
    for row in history:
        stages[str(row["stage"])] = stages.get(str(row["stage"]), 0.0) + row["seconds"]
    return {
        "seconds_per_stage": {stage: round(seconds, 3) for stage, seconds in stages.items()},
        "seconds": round(sum(stages.values()) + test_seconds, 3),
    }


@functools.cache
def environment() -> dict[str, Any]:
    """Versions of the packages that decide numbers, this project's commit, host, platform and processor."""
    versions = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "versions": versions,
        "git_commit": _commit(),
        "host": platform.node(),
        "platform": platform.platform(),
        "processor": {"model": _processor_model()},
    }


def _commit() -> str | None:
    """The commit of this project's checkout; None where the project does not run from one."""
    if not (_REPOSITORY / ".git").exists():
        return None
    command = ["git", "-C", str(_REPOSITORY), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _processor_model() -> str:
    """The product name of the CPU where Linux tells it, else what the platform calls it."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:  # not Linux
        lines = []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or platform.machine()


def _instructions() -> str:
    """The instruction sets of the CPU that PyTorch has chosen its code for, such as AVX2: others round differently."""
    import torch  # loaded already by the run that ends here; the planner reads manifests without it

    return str(torch.backends.cpu.get_cpu_capability())
