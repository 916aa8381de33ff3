"""How the CPUs, GPUs and memory of a cluster are divided among the trainings. No Ray, no torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.execution.cluster import Cluster, Request, Share
from orchestrator.execution.hardware import Hardware
from orchestrator.planning.steps import TrainingStep
from trainable.base.config import Resources

PROCESS_BYTES, BYTES_PER_IMAGE = 0.8e9, 5.5e6
"""Main memory of a trial's process, and of each image in a stage-3 batch on a CPU (`python -m benchmarks --rows peak`),
with room for the batch's pixels and for the modules of Ray and Tune."""


@dataclass(frozen=True)
class Allocation:
    """What each training asks for, and what it may use, by its name.

    `by_node`: on a node, its trainings divide all its CPUs among themselves.
    """

    requests: Mapping[str, Request]
    resources: Mapping[str, Resources]
    by_node: bool = False

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
        kind = self.hardware.accelerator_type
        requests = {step.name: Request(share, memory.get(step.name, 0), kind) for step in steps}
        by_node = self.elastic and self.hardware.address is not None
        return Allocation(requests, dict.fromkeys(requests, self._resources(share)), by_node)

    def share(self, steps: Sequence[TrainingStep]) -> Share:
        """The share of each of `steps`. Where CPUs are shared from moment to moment, a trial reserves one, so that as
        many as possible can start."""
        gpus = self.hardware.gpus_per_trial
        if gpus == "auto":
            gpus = 1 / self._trials_per_gpu(steps) if self._on_gpus else None
        cluster = self.cluster.of_type(self.hardware.accelerator_type)
        trials = cluster.cpus if self.elastic else len(steps)
        return cluster.share(trials, self.hardware.device, self.hardware.cpus_per_trial, gpus)

    @property
    def _on_gpus(self) -> bool:
        hardware = self.hardware
        return self.cluster.gpus > 0 and hardware.device != "cpu" and hardware.gpus_per_trial != 0

    @property
    def elastic(self) -> bool:
        """Whether the trials on a node share its CPUs from moment to moment: where no GPU does the work, unless the
        user says how many each gets."""
        known = len(self.cluster.nodes) == 1 or self.hardware.address is not None
        return known and not self._on_gpus and self.hardware.cpus_per_trial is None

    def _trials_per_gpu(self, steps: Sequence[TrainingStep]) -> int:
        """Measured with the training that takes most memory, and again only where the last answer was the most that had
        been asked for."""
        cpus, gpus = next((c, g) for c, g in self.cluster.of_type(self.hardware.accelerator_type).nodes if g)
        most = max(1, min(int(cpus / gpus), len(steps)))
        largest = max(steps, key=_size)
        asked, count = self._measured.get(_size(largest), (1, 1))
        if most > asked and 2 * count > asked:
            count = self.measure(largest, most)
            self._measured[_size(largest)] = most, count
        return min(count, most)

    def _resources(self, share: Share) -> Resources:
        """What each training may use."""
        shares = self.shares if self.elastic and self.hardware.address is None else None
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
