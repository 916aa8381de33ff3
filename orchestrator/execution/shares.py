"""What each trial gets of the cluster: the user's wishes, else so that all of it is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.execution.hardware import Hardware
from orchestrator.execution.session import Cluster, Share
from orchestrator.execution.tail import tail
from orchestrator.planning.planner import Step
from trainable.base.config import Resources


@dataclass
class Shares:
    """Divides `cluster` as `hardware` asks.

    Args:
        measure: a step and a number of trials to how many such, at most that many, pay on a GPU at once.
    """

    cluster: Cluster
    hardware: Hardware
    measure: Callable[[Step, int], int]
    _measured: dict[tuple[int, ...], tuple[int, int]] = field(default_factory=dict)

    def of(self, steps: Sequence[Step]) -> Share:
        """What each of `steps` gets.

        Raises:
            ConfigError: no node can ever hold such a trial.
        """
        hardware, gpus = self.hardware, self.hardware.gpus_per_trial
        if gpus == "auto":
            gpus = None
            if self.cluster.gpus and hardware.device != "cpu":
                gpus = 1 / self._trials_per_gpu(steps)
        return self.cluster.share(len(steps), hardware.device, hardware.cpus_per_trial, gpus)

    def _trials_per_gpu(self, steps: Sequence[Step]) -> int:
        """By the step that takes most memory. Measured again only where the last answer was as many as it could be."""
        cpus, gpus = next((c, g) for c, g in self.cluster.nodes if g)
        most = max(1, min(int(cpus / gpus), len(steps)))
        largest = max(steps, key=_size)
        asked, count = self._measured.get(_size(largest), (1, 1))
        if most > asked and 2 * count > asked:
            count = self.measure(largest, most)
            self._measured[_size(largest)] = most, count
        return min(count, most)

    def resources(self, training: Sequence[Step], share: Share, *, all_at_once: bool) -> dict[str, Resources]:
        """What each trial may use. On one machine without GPUs the fixed one that is alone at the end gets all CPUs."""
        cluster, hardware = self.cluster, self.hardware
        usual = Resources(share.device, share.cpus, hardware.workers, hardware.plain)
        found = {step.name: usual for step in training}
        fixed, free = training[0].sweep is None, hardware.cpus_per_trial is None
        if fixed and all_at_once and share.device == "cpu" and len(cluster.nodes) == 1 and free:
            last = tail(training, cluster.slots(share)[0])
            if last is not None:
                found[last[0]] = replace(usual, tail=(last[1], cluster.cpus))
        return found


def _size(step: Step) -> tuple[int, ...]:
    """Larger for what takes more of a GPU's memory: images of a batch in stage 3, then all of them."""
    assert step.config is not None
    return step.config.mode == "finetune", min(step.config.batch, step.rows[0]), step.rows[0]
