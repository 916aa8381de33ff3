"""What of this machine is in use."""

from __future__ import annotations

import os
import shutil
import subprocess
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import psutil

from trainable.base.limits import memory_in_use, usable_cpus, usable_memory

NVIDIA_SMI = "nvidia-smi"
_QUERY = ("--query-gpu=utilization.gpu,memory.used,memory.total", "--format=csv,noheader,nounits")
_PATIENCE_SECONDS = 5.0


@dataclass(frozen=True)
class Gpu:
    """`busy` is the share of time in which something ran on it; memory is in bytes."""

    busy: float
    used: int
    memory: int


@dataclass(frozen=True)
class Usage:
    """Shares are from 0 to 1, memory is in bytes; None where this machine does not tell.

    Args:
        cpu: the share of this process's CPUs that was in use since the look before, by anybody.
        used, memory: the memory that cannot be had any more, of that which this process and its children may fill.
    """

    cpu: float | None = None
    used: int | None = None
    memory: int | None = None
    gpus: tuple[Gpu, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """JSON values; docs/progress.md says what they mean."""
        return {"cpu": self.cpu, "memory_used": self.used, "memory": self.memory, "gpus": list(map(asdict, self.gpus))}


class Machine:
    """Looks at this machine, which with `--address` need not be the one that trains.

    `usage` is what the last look has shown.
    """

    def __init__(self) -> None:
        self._smi = shutil.which(NVIDIA_SMI)
        self.usage = Usage()
        with suppress(Exception):
            _cpu()  # shares are counted from here on

    def look(self) -> None:
        """See what is in use now; that takes seconds where NVIDIA's driver is slow. It never raises: these are figures
        for the eye."""
        cpu, used, memory = None, None, None
        with suppress(Exception):  # containers hide any of psutil's files
            cpu = _cpu()
        with suppress(Exception):
            used, memory = _memory()
        self.usage = Usage(cpu, used, memory, self._gpus())

    def _gpus(self) -> tuple[Gpu, ...]:
        if self._smi is None:
            return ()
        try:
            done = subprocess.run(
                [self._smi, *_QUERY], capture_output=True, text=True, timeout=_PATIENCE_SECONDS, check=True
            )
        except (OSError, subprocess.SubprocessError):  # a driver that fails once is not asked again
            self._smi = None
            return ()
        return gpus_of(done.stdout)


def gpus_of(text: str) -> tuple[Gpu, ...]:
    """The GPUs that `nvidia-smi` lists, those aside whose figures it does not know, such as parts of a GPU (MIG)."""
    found = []
    for line in text.splitlines():
        with suppress(ValueError):
            busy, used, memory = (int(part) for part in line.split(","))
            found.append(Gpu(busy / 100, used * 2**20, memory * 2**20))
    return tuple(found)


def _cpu() -> float | None:
    """None where a control group gives less than the CPUs that can be seen, whose use then says nothing."""
    shares = psutil.cpu_percent(percpu=True)
    own = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else range(len(shares))
    if usable_cpus() < len(own) or not set(own) <= set(range(len(shares))):
        return None
    return float(sum(shares[cpu] for cpu in own)) / len(own) / 100


def _memory() -> tuple[int, int]:
    machine = psutil.virtual_memory()
    limit, used = usable_memory(), memory_in_use()
    if limit is not None and used is not None and limit < machine.total:
        return used, limit
    return machine.total - machine.available, machine.total
