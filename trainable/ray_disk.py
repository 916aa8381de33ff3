"""The driver's disk as a Ray actor (`trainable.remote`), and the way to it from other nodes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from trainable.base.config import Job
from trainable.data.tables import ImageTable
from trainable.remote.disk import DriverDisk, Traffic
from trainable.remote.landmarks import Landmarks

CALLS_AT_ONCE = 8


def this_node() -> NodeAffinitySchedulingStrategy:
    """Where a task or an actor goes that needs this node's folders."""
    return NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)


class RayDisk:
    """A `trainable.remote.mirror.Disk`; travels to trials, with the landmarks by which they know whether they need it.

    Args:
        actor: a handle of a `DriverDisk`.
    """

    def __init__(self, actor: Any, landmarks: Landmarks) -> None:
        self.actor, self.landmarks = actor, landmarks

    @classmethod
    def start(cls, tables: Iterable[ImageTable], landmarks: Landmarks) -> RayDisk:
        """Start the actor on this node, which takes no CPU from trials."""
        options = {"num_cpus": 0, "max_concurrency": CALLS_AT_ONCE, "scheduling_strategy": this_node()}
        return cls(ray.remote(DriverDisk).options(**options).remote(list(tables), Path.cwd()), landmarks)

    def expect(self, job: Job) -> None:
        ray.get(self.actor.expect.remote(job))

    def traffic(self) -> Traffic:
        found: Traffic = ray.get(self.actor.traffic.remote())
        return found

    def stop(self) -> None:
        ray.kill(self.actor)

    def images(self, digests: Sequence[str]) -> list[bytes]:
        found: list[bytes] = ray.get(self.actor.images.remote(digests))
        return found

    def changed(self, digest: str) -> None:
        ray.get(self.actor.changed.remote(digest))

    def weights(self, weights: str) -> bytes:
        found: bytes = ray.get(self.actor.weights.remote(weights))
        return found

    def begin(self, out: str) -> tuple[int, dict[str, bytes]]:
        found: tuple[int, dict[str, bytes]] = ray.get(self.actor.begin.remote(out))
        return found

    def own(self, out: str) -> None:
        ray.get(self.actor.own.remote(out))

    def save(self, out: str, turn: int, checkpoint: bytes, note: bytes) -> None:
        ray.get(self.actor.save.remote(out, turn, checkpoint, note))

    def finish(self, out: str, turn: int, files: Mapping[str, bytes]) -> str:
        found: str = ray.get(self.actor.finish.remote(out, turn, files))
        return found
