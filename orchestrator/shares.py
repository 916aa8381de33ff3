"""What each trial gets of the cluster: the user's wishes, else so that all of it is used."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from orchestrator.hardware import Hardware
from orchestrator.plan import Step
from orchestrator.ray_session import Cluster, Share
from orchestrator.tail import tail
from trainable.config import Resources


@dataclass
class Shares:
    """Divides `cluster` as `hardware` asks.

    Args:
        measure: batch and a number of trials to how many of them, at most that many, pay on a GPU at once.
    """

    cluster: Cluster
    hardware: Hardware
    measure: Callable[[int, int], int]
    _measured: dict[int, tuple[int, int]] = field(default_factory=dict)

    def of(self, trials: int, batch: int) -> Share:
        """What each of `trials` gets, whose largest batch is `batch`.

        Raises:
            ConfigError: no node can ever hold such a trial.
        """
        hardware, gpus = self.hardware, self.hardware.gpus_per_trial
        if gpus == "auto":
            gpus = None
            if self.cluster.gpus and hardware.device != "cpu":
                gpus = 1 / self._trials_per_gpu(batch, trials)
        return self.cluster.share(trials, hardware.device, hardware.cpus_per_trial, gpus)

    def _trials_per_gpu(self, batch: int, trials: int) -> int:
        """Measured again only where the last answer was as many as it could be."""
        cpus, gpus = next((c, g) for c, g in self.cluster.nodes if g)
        most = max(1, min(int(cpus / gpus), trials))
        asked, count = self._measured.get(batch, (1, 1))
        if most > asked and 2 * count > asked:
            count = self.measure(batch, most)
            self._measured[batch] = most, count
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
