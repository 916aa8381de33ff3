"""How the CPUs, GPUs and memory of a cluster are divided among the trainings. No Ray, no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.execution.hardware import Hardware
from orchestrator.planning.steps import TrainingStep
from trainable.base.config import Resources
from trainable.base.errors import ConfigError

PROCESS_BYTES, BYTES_PER_IMAGE = 0.8e9, 5.5e6
"""Main memory of a trial's process, and of each image in a stage-3 batch on a CPU (`python -m benchmarks --rows peak`),
with room for the batch's pixels and for the modules of Ray and Tune."""
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


@dataclass(frozen=True)
class Allocation:
    """What each training asks for, and what it may use, by its name."""

    requests: Mapping[str, Request]
    resources: Mapping[str, Resources]

    @property
    def watches_memory(self) -> bool:
        """Whether there is memory for fewer trainings at once than there are CPUs for."""
        return any(request.memory for request in self.requests.values())


@dataclass
class Allocator:
    """Divides `cluster` as `hardware` asks.

    Args:
        measure: given a training and a number of trials, how many such trials, at most that many, pay on one GPU.
        shares: the file that tells trainings which CPUs are theirs (see `orchestrator.execution.cpu_shares`).
    """

    cluster: Cluster
    hardware: Hardware
    measure: Callable[[TrainingStep, int], int]
    shares: Path | None = None
    _measured: dict[tuple[int, ...], tuple[int, int]] = field(default_factory=dict)

    def allocate(self, steps: Sequence[TrainingStep]) -> Allocation:
        """Divide the cluster among `steps`.

        Raises:
            ConfigError: no node can ever hold such a trial.
        """
        share = self.share(steps)
        memory = memory_requests(steps, self.cluster, share) if share.device == "cpu" else {}
        requests = {step.name: Request(share, memory.get(step.name, 0)) for step in steps}
        return Allocation(requests, dict.fromkeys(requests, self._resources(share)))

    def share(self, steps: Sequence[TrainingStep]) -> Share:
        """The share of each of `steps`. Where CPUs are shared from moment to moment, a trial reserves one, so that as
        many as possible can start."""
        gpus = self.hardware.gpus_per_trial
        if gpus == "auto":
            gpus = 1 / self._trials_per_gpu(steps) if self._on_gpus else None
        trials = self.cluster.cpus if self.elastic else len(steps)
        return self.cluster.share(trials, self.hardware.device, self.hardware.cpus_per_trial, gpus)

    @property
    def _on_gpus(self) -> bool:
        hardware = self.hardware
        return self.cluster.gpus > 0 and hardware.device != "cpu" and hardware.gpus_per_trial != 0

    @property
    def elastic(self) -> bool:
        """Whether trials share the CPUs from moment to moment: on one machine, where no GPU does the work, unless the
        user says how many each gets."""
        return len(self.cluster.nodes) == 1 and not self._on_gpus and self.hardware.cpus_per_trial is None

    def _trials_per_gpu(self, steps: Sequence[TrainingStep]) -> int:
        """Measured with the training that takes most memory, and again only where the last answer was the most that had
        been asked for."""
        cpus, gpus = next((c, g) for c, g in self.cluster.nodes if g)
        most = max(1, min(int(cpus / gpus), len(steps)))
        largest = max(steps, key=_size)
        asked, count = self._measured.get(_size(largest), (1, 1))
        if most > asked and 2 * count > asked:
            count = self.measure(largest, most)
            self._measured[_size(largest)] = most, count
        return min(count, most)

    def _resources(self, share: Share) -> Resources:
        """What each training may use."""
        shares = self.shares if self.elastic else None
        return self.hardware.resources(device=share.device, threads=share.cpus, shares=shares)


def memory_requests(steps: Sequence[TrainingStep], cluster: Cluster, share: Share) -> dict[str, int]:
    """The bytes that each training asks the cluster for, by its name; {} where any of them fit together.

    Trainings that ask for different amounts cannot follow each other in one process, so they ask only where they must.
    Those that do follow each other keep what the largest took, so that many of the largest must fit together. A request
    for more than the largest node has is cut to that.
    """
    if not cluster.memory:
        return {}
    needs = {step.name: peak_bytes(step) for step in steps}
    largest = sorted(needs.values(), reverse=True)
    slots = zip(cluster.slots(share), cluster.memory, strict=True)
    if all(sum(largest[:trials]) <= room for trials, room in slots):
        return {}
    return {name: min(amount, max(cluster.memory)) for name, amount in needs.items()}


def peak_bytes(step: TrainingStep) -> int:
    """The estimated peak of a training's main memory on a CPU, where the activations of a stage-3 step lie."""
    images = min(step.config.batch, step.rows[0]) if step.config.mode == "finetune" else 0
    return int(PROCESS_BYTES + BYTES_PER_IMAGE * images)


def _size(step: TrainingStep) -> tuple[int, ...]:
    """Larger for a training that takes more of a GPU's memory: by the images of a stage-3 batch, then by all images."""
    return step.config.mode == "finetune", min(step.config.batch, step.rows[0]), step.rows[0]
