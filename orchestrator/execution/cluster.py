"""The live nodes of a cluster, what a training asks of one, and who fits beside whom. No Ray, no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from trainable.base.errors import ConfigError

_ROUNDING = 1e-9


@dataclass(frozen=True)
class Share:
    """The CPUs, and the GPUs or the part of one, that a training gets."""

    cpus: int
    gpus: float

    @property
    def device(self) -> str:
        return "cuda" if self.gpus else "cpu"


@dataclass(frozen=True)
class Request:
    """What a training asks of a node: its share, and bytes of memory; 0 where memory needs no watching."""

    share: Share
    memory: int = 0


@dataclass(frozen=True)
class Cluster:
    """The live nodes of a cluster.

    Args:
        nodes: CPUs and GPUs of each node.
        memory: bytes of each node that trainings may fill; empty where nobody watches memory.
    """

    nodes: tuple[tuple[int, float], ...]
    memory: tuple[int, ...] = ()

    @property
    def cpus(self) -> int:
        return sum(cpus for cpus, _ in self.nodes)

    @property
    def gpus(self) -> float:
        return sum(gpus for _, gpus in self.nodes)

    def fits(self, running: Sequence[Request], another: Request) -> bool:
        """Whether `another` training fits beside the `running` ones. Each lies on one node; the largest go first.

        Where running ones can't all be placed in this order, there is no room until one of them ends.
        """
        memory = self.memory or (0,) * len(self.nodes)
        free = [[float(cpus), gpus, float(room)] for (cpus, gpus), room in zip(self.nodes, memory, strict=True)]
        largest_first = sorted(running, key=lambda request: (request.share.gpus, request.share.cpus), reverse=True)
        return all(_placed(request, free) for request in (*largest_first, another))

    def share(self, trials: int, device: str, cpus: int | None, gpus: float | None) -> Share:
        """The share of each of `trials` trainings: a GPU where there are GPUs, or `gpus` of one; otherwise as many CPUs
        as let all of them run at once, if they can, and leave no CPU idle.

        Args:
            device, cpus, gpus: the user's wishes.

        Raises:
            ConfigError: no node can ever hold such a trial. Tune would wait for such a node without a word.
        """
        if device == "cuda" and not self.gpus:
            raise ConfigError("--device cuda: no node of this cluster has a GPU (use --device cpu or auto)")
        on_gpu = device != "cpu" and bool(self.gpus) and gpus != 0
        if not on_gpu and gpus:
            raise ConfigError(f"--gpus-per-trial {gpus:g}: there is no GPU for it here")
        gpu_share = (gpus or 1.0) if on_gpu else 0.0
        hosts = [(c, g) for c, g in self.nodes if g >= gpu_share]
        if not hosts:
            raise ConfigError(f"--gpus-per-trial {gpu_share:g}: no node has as many GPUs")
        most = max(c for c, _ in hosts)
        if not most:
            raise ConfigError(f"no node{' with a GPU' if on_gpu else ''} has a CPU; a trial needs one")
        if cpus is not None and cpus > most:
            raise ConfigError(f"--cpus-per-trial {cpus}: no node that a trial could run on has more than {most} CPUs")
        return Share(cpus or _cpus_per_trial(hosts, trials, gpu_share), gpu_share)

    def slots(self, share: Share) -> list[int]:
        """How many trainings with this share run at once on each node."""
        return [_slots([node], share.cpus, share.gpus) for node in self.nodes]


def _placed(request: Request, free: list[list[float]]) -> bool:
    """Take the request from the first node that has room; whether there is one."""
    wanted = (request.share.cpus, request.share.gpus, request.memory)
    for node in free:
        if all(have + _ROUNDING >= want for have, want in zip(node, wanted, strict=True)):
            node[:] = [have - want for have, want in zip(node, wanted, strict=True)]
            return True
    return False


def _cpus_per_trial(hosts: Sequence[tuple[int, float]], trials: int, gpus: float) -> int:
    wanted = max(1, min(trials, _slots(hosts, 1, gpus)))
    return max((n for n in range(1, max(c for c, _ in hosts) + 1) if _slots(hosts, n, gpus) >= wanted), default=1)


def _slots(nodes: Sequence[tuple[int, float]], cpus: int, gpus: float) -> int:
    return sum(min(c // cpus, int(g / gpus + _ROUNDING) if gpus else c) for c, g in nodes)
