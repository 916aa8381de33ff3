"""Clusters that do not exist, as `--simulate` names them: 8x8, 4, 2x0."""

from __future__ import annotations

import re
from dataclasses import dataclass

from orchestrator.execution.cluster import Cluster
from trainable.base.errors import ConfigError
from trainable.base.limits import usable_cpus

CPUS_PER_GPU = 16
"""As many as the machine with the H100 of docs/performance.md has."""
MOST_GPUS = 4096


@dataclass(frozen=True)
class Shape:
    """So many nodes with so many GPUs each; nodes without have the CPUs of this machine."""

    nodes: int
    gpus: int

    def __str__(self) -> str:
        return f"{self.nodes}x{self.gpus}"

    @property
    def cluster(self) -> Cluster:
        cpus = CPUS_PER_GPU * self.gpus or usable_cpus()
        return Cluster(((cpus, float(self.gpus)),) * self.nodes)


def shapes(text: str) -> list[Shape]:
    """The clusters that a value of `--simulate` names.

    Raises:
        ConfigError: it names none.
    """
    return [_shape(part.strip(), text) for part in text.split(",")]


def _shape(part: str, text: str) -> Shape:
    found = re.fullmatch(r"(?:(\d{1,6})x)?(\d{1,6})", part, re.ASCII)
    nodes, gpus = (int(found[1] or 1), int(found[2])) if found else (0, 0)
    if not nodes or max(nodes, nodes * gpus) > MOST_GPUS:
        raise ConfigError(
            f"--simulate {text}: must be NODESxGPUS, such as 8x8, 4 (one node) or 2x0 (no GPU), commas between, "
            f"with 1 to {MOST_GPUS:,} nodes or GPUs, not {part!r}"
        )
    return Shape(nodes, gpus)
