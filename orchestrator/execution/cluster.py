"""The live nodes of a cluster, what a training asks of one, and who fits beside whom. No Ray, no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
    """What a training asks of a node.

    Args:
        memory: bytes; 0 where memory needs no watching.
        accelerator: the type of GPU, as Ray names it (A10G, H100); "" for any.
    """

    share: Share
    memory: int = 0
    accelerator: str = ""


@dataclass(frozen=True)
class Cluster:
    """The live nodes of a cluster.

    Args:
        nodes: CPUs and GPUs of each node.
        memory: bytes of each node that trainings may fill; empty where nobody watches memory.
        accelerators: the type of each node's GPUs, "" where Ray does not know it; empty where nobody asks.
    """

    nodes: tuple[tuple[int, float], ...]
    memory: tuple[int, ...] = ()
    accelerators: tuple[str, ...] = ()

    def __str__(self) -> str:
        counts = {"node": len(self.nodes), "CPU": self.cpus, **({"GPU": self.gpus} if self.gpus else {})}
        return ", ".join(f"{count:g} {what}{'s' if count != 1 else ''}" for what, count in counts.items())

    @property
    def cpus(self) -> int:
        return sum(cpus for cpus, _ in self.nodes)

    @property
    def cpus_without_gpus(self) -> int:
        """The CPUs of nodes that have no GPU."""
        return sum(cpus for cpus, gpus in self.nodes if not gpus)

    @property
    def gpus(self) -> float:
        return sum(gpus for _, gpus in self.nodes)

    def fits(self, running: Sequence[Request], another: Request) -> bool:
        """Whether `another` training fits beside the `running` ones. Each lies on one node; the largest go first.

        Where running ones can't all be placed in this order, there is no room until one of them ends.
        """
        free = [_Free(float(c), g, float(m), a) for (c, g), m, a in zip(self.nodes, *self._details, strict=True)]
        return all(_placed(request, free) for request in (*sorted(running, key=_size, reverse=True), another))

    @property
    def _details(self) -> tuple[tuple[int, ...], tuple[str, ...]]:
        count = len(self.nodes)
        return self.memory or (0,) * count, self.accelerators or ("",) * count

    def of_type(self, accelerator: str) -> Cluster:
        """The cluster as a training sees it that wants GPUs of one type: others do not count.

        Raises:
            ConfigError: no node has such GPUs.
        """
        if not accelerator:
            return self
        types = self._details[1]
        nodes = tuple((c, g if found == accelerator else 0.0) for (c, g), found in zip(self.nodes, types, strict=True))
        if not any(gpus for _, gpus in nodes):
            others = ", ".join(sorted({*types} - {""})) or "none that Ray knows"
            raise ConfigError(f"--accelerator-type {accelerator}: no node has such GPUs (here: {others})")
        return replace(self, nodes=nodes)

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


@dataclass
class _Free:
    """What is free on a node."""

    cpus: float
    gpus: float
    memory: float
    accelerator: str

    def holds(self, request: Request) -> bool:
        return (
            self.cpus + _ROUNDING >= request.share.cpus
            and self.gpus + _ROUNDING >= request.share.gpus
            and self.memory + _ROUNDING >= request.memory
            and request.accelerator in ("", self.accelerator)
        )


def _size(request: Request) -> tuple[bool, float, int]:
    """Those that only some nodes can hold are placed first."""
    return bool(request.accelerator), request.share.gpus, request.share.cpus


def _placed(request: Request, free: Sequence[_Free]) -> bool:
    """Take the request from the first node that has room; whether there is one."""
    node = next((node for node in free if node.holds(request)), None)
    if node is None:
        return False
    node.cpus -= request.share.cpus
    node.gpus -= request.share.gpus
    node.memory -= request.memory
    return True


def _cpus_per_trial(hosts: Sequence[tuple[int, float]], trials: int, gpus: float) -> int:
    wanted = max(1, min(trials, _slots(hosts, 1, gpus)))
    return max((n for n in range(1, max(c for c, _ in hosts) + 1) if _slots(hosts, n, gpus) >= wanted), default=1)


def _slots(nodes: Sequence[tuple[int, float]], cpus: int, gpus: float) -> int:
    return sum(min(c // cpus, int(g / gpus + _ROUNDING) if gpus else c) for c, g in nodes)
