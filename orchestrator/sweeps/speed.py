"""How fast this machine trains: measured in processes of their own, remembered in its cache (no torch)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainable.base.errors import ConfigError
from trainable.base.files import read_json, write_json
from trainable.base.limits import usable_cpus
from trainable.cache.folder import cache_root

LIMIT_SECONDS = 180.0
"""A measurement takes some seconds, and longer where the machine is busy; a GPU that hangs would take for ever."""
SAMPLE = 256
"""Images in the measured steps: more are no faster, and take longer to measure."""


@dataclass(frozen=True)
class Speed:
    """Trials that run at once, and stage-3 images per second of each of them then."""

    slots: int
    images_per_second: float
    device: str


def known_speed(batch: int) -> Speed | None:
    """The speed of this machine, where it has been measured."""
    with suppress(KeyError, TypeError):  # never measured, or noted by somebody else
        return Speed(**_remembered()[_key(batch)])
    return None


def measured(batch: int) -> Speed:
    """The speed of this machine, measured once and remembered in its cache.

    Raises:
        ConfigError: the measuring process failed; with its last line.
    """
    found = known_speed(batch)
    if found is not None:
        return found
    values = _measure(min(batch, SAMPLE), usable_cpus())
    with suppress(OSError):  # where nothing can be kept, it is measured every time
        _file().parent.mkdir(parents=True, exist_ok=True)
        write_json(_file(), {**_remembered(), _key(batch): values})
    return Speed(**values)


def gpus_here() -> int:
    """How many GPUs there are, at least 1: for a machine on which a GPU has trained. It asks no driver, which may take
    seconds."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
    return max(1, len(visible.split(",")) if visible else len(list(Path("/dev").glob("nvidia[0-9]*"))))


def _file() -> Path:
    return cache_root() / "speed.json"


def _remembered() -> dict[str, Any]:
    """What was measured, by `_key`."""
    known = read_json(_file())
    return known if isinstance(known, dict) else {}


def _key(batch: int) -> str:
    return f"{min(batch, SAMPLE)} images, {usable_cpus()} CPUs"


def _measure(batch: int, cpus: int) -> dict[str, Any]:
    """A process on each CPU at once, as trials run; where there is a GPU, one on it."""
    command = [sys.executable, "-m", "trainable.probes.speed", "--batch", str(batch), "--threads", "1"]
    first = _results([subprocess.Popen([*command, "--seconds", "1"], stdout=subprocess.PIPE, text=True)])[0]
    if first["gpus"]:
        return {"slots": first["gpus"], "images_per_second": first["images_per_second"], "device": first["device"]}
    together = _results([subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(cpus)])
    speed = sum(found["images_per_second"] for found in together) / cpus
    return {"slots": cpus, "images_per_second": speed, "device": first["device"]}


def _results(processes: Sequence[subprocess.Popen[str]]) -> list[dict[str, float]]:
    try:
        outputs = [process.communicate(timeout=LIMIT_SECONDS)[0].strip().splitlines() for process in processes]
    except subprocess.TimeoutExpired as error:
        for process in processes:
            process.kill()
        raise ConfigError(
            f"the speed of this machine could not be measured: nothing came back within {LIMIT_SECONDS:g} s; "
            "try: python -m trainable.probes.speed"
        ) from error
    if any(process.returncode for process in processes):
        raise ConfigError("the speed of this machine could not be measured: python -m trainable.probes.speed failed")
    return [json.loads(lines[-1]) for lines in outputs]
