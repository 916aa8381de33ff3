"""The nodes of a Ray cluster: which are there now, and which its autoscaler should add."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from orchestrator.execution.cluster import Cluster, Request
from orchestrator.execution.hardware import Hardware
from trainable.base.accelerator import ACCELERATOR, accelerator_of
from trainable.base.errors import ConfigError

MEMORY_SHARE = 0.9
"""The part of a node's memory that trainings may fill; the rest is Ray's, the driver's and FaceAPI's."""
LOOK_SECONDS = 5.0
PATIENCE_SECONDS, LONGEST_WAIT_SECONDS = 60.0, 900.0
"""How often it is said that there is no node yet, and after how long nobody waits for one any more."""
SILENCE_SECONDS = 10.0
"""How long a cluster that has just started may take to say that it has an autoscaler."""
_A_LITTLE = 0.001
"""What a training takes of a resource that says what kind of node this is: any number of trainings fits."""


def cluster_of(nodes: Sequence[Mapping[str, Any]], most: int | None = None) -> Cluster:
    """The live ones of the nodes that `ray.nodes` lists.

    Args:
        most: bytes of each node that processes may fill, where Ray cannot know of a limit.
    """
    alive = [node["Resources"] for node in nodes if node["Alive"]]
    memory = [resources.get("memory", 0) for resources in alive]
    return Cluster(
        tuple((int(resources.get("CPU", 0)), float(resources.get("GPU", 0))) for resources in alive),
        tuple(int(MEMORY_SHARE * (room if most is None else min(room, most))) for room in memory),
        tuple(map(accelerator_of, alive)),
    )


def bundle_of(request: Request) -> dict[str, float]:
    """What Ray reserves on a node for a training."""
    share = request.share
    amounts = {"CPU": float(share.cpus), "GPU": share.gpus, "memory": float(request.memory)}
    if request.accelerator:
        amounts[ACCELERATOR + request.accelerator] = _A_LITTLE
    return {name: amount for name, amount in amounts.items() if amount}


def place_for_task(number: int) -> Any:
    """Where Ray should run the task of this number, which takes CPU time that it does not reserve: in turns on the
    nodes that have CPUs and no GPUs, where there are GPUs elsewhere, whose CPUs the trainings need."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    chosen = for_tasks(_ray_nodes())
    return NodeAffinitySchedulingStrategy(chosen[number % len(chosen)], soft=True) if chosen else "SPREAD"


def for_tasks(nodes: Sequence[Mapping[str, Any]]) -> list[str]:
    """The nodes that take tasks, once for each of their CPUs; none where all nodes are alike."""
    alive = [(node["NodeID"], node["Resources"]) for node in nodes if node["Alive"]]
    if not any(resources.get("GPU") for _, resources in alive):
        return []
    plain = [(name, int(resources.get("CPU", 0))) for name, resources in alive if not resources.get("GPU")]
    most = max((cpus for _, cpus in plain), default=0)
    return [name for turn in range(most) for name, cpus in plain if turn < cpus]


class Nodes:
    """The nodes of a cluster that others have started, for the time of a run.

    Args:
        look: lists the nodes as `ray.nodes` does.
        ask: tells the autoscaler what has to fit into the cluster; it is never told less than that.
        clock: seconds.
        sleep: waits for so many.
    """

    def __init__(
        self,
        look: Callable[[], Sequence[Mapping[str, Any]]] | None = None,
        ask: Callable[[list[dict[str, float]]], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._look, self._ask = look or _ray_nodes, ask or _ask_autoscaler
        self._clock, self._sleep = clock, sleep
        self._last = Cluster(())
        self._looked = float("-inf")
        self._asked: list[dict[str, float]] = []

    def now(self) -> Cluster:
        """The nodes that live."""
        self._looked, self._last = self._clock(), cluster_of(self._look())
        return self._last

    @property
    def due(self) -> bool:
        """Whether a few seconds have gone since the nodes were looked at."""
        return self._clock() - self._looked >= LOOK_SECONDS

    def changed(self) -> Cluster | None:
        """The nodes, where others live than the last time."""
        before = self._last
        return None if self.now() == before else self._last

    def want(self, requests: Sequence[Request]) -> None:
        """What the run needs room for: an autoscaler adds nodes for it, and takes away those that are idle."""
        self._tell([bundle_of(request) for request in requests])

    def first(self, hardware: Hardware, autoscaled: Callable[[], bool | None], say: Callable[[str], None]) -> Cluster:
        """The nodes, once one of them can train as `hardware` wishes: a cluster that grows may begin with none.

        What comes back may have none, where nobody would add one.

        Raises:
            ConfigError: none has come in a long time.
        """
        since = self._clock()
        said = since - PATIENCE_SECONDS
        while (lacks := _lacks(self.now(), hardware)) is not None:
            grows = autoscaled()
            if grows is False or (grows is None and self._clock() - since >= SILENCE_SECONDS):
                break
            now, what = self._clock(), " and ".join(f"{n:g} {name}" for name, n in lacks.items() if n >= 1)
            if now - since >= LONGEST_WAIT_SECONDS:
                raise ConfigError(f"no node with {what} has come in {now - since:.0f} s; the cluster has {self._last}")
            if now - said >= PATIENCE_SECONDS:
                said = now
                say(f"waiting for a node with {what}; the cluster has {self._last}")
            self._tell([lacks])
            self._sleep(1)
        return self._last

    def _tell(self, bundles: list[dict[str, float]]) -> None:
        if bundles != self._asked:
            self._asked = bundles
            self._ask(bundles)


def _lacks(cluster: Cluster, hardware: Hardware) -> dict[str, float] | None:
    """What the first node must have that can train; None where one has it."""
    wants_gpu = hardware.device == "cuda" or bool(hardware.accelerator_type) or bool(hardware.gpus_per_trial)
    try:
        nodes = cluster.of_type(hardware.accelerator_type).nodes
    except ConfigError:
        nodes = ()
    if any(cpus and (gpus or not wants_gpu) for cpus, gpus in nodes):
        return None
    lacks = {"CPU": float(hardware.cpus_per_trial or 1)}
    if wants_gpu:
        lacks["GPU"] = 1.0
    if hardware.accelerator_type:
        lacks[ACCELERATOR + hardware.accelerator_type] = _A_LITTLE
    return lacks


def is_autoscaled() -> bool | None:
    """Whether the cluster has an autoscaler that may add nodes; None where it has none, or none that has said so yet.

    One that only watches a cluster that was started by hand has a type of its own for each node.
    """
    found = _node_types()
    alive = {f"node_{node['NodeID']}" for node in _ray_nodes() if node["Alive"]}
    return None if found is None else not alive <= found


def _node_types() -> set[str] | None:
    """The types of nodes that the autoscaler counts, of either version; None where it has not counted."""
    import ray
    from ray._private.ray_constants import DEBUG_AUTOSCALING_STATUS
    from ray.autoscaler.v2.sdk import get_cluster_status
    from ray.autoscaler.v2.utils import is_autoscaler_v2
    from ray.experimental.internal_kv import _internal_kv_get

    if is_autoscaler_v2():
        status = get_cluster_status(ray.get_runtime_context().gcs_address)
        return {node.ray_node_type_name for node in (*status.active_nodes, *status.idle_nodes)}
    report = json.loads(_internal_kv_get(DEBUG_AUTOSCALING_STATUS) or "{}").get("autoscaler_report")
    return None if report is None else {*(report["active_nodes"] or ()), *(report["idle_nodes"] or ())}


def _ray_nodes() -> Sequence[Mapping[str, Any]]:
    import ray
    from ray._private.state import state

    leaving = state.get_draining_nodes()  # they train to the end of their epochs, and take nothing new
    return [{**node, "Alive": node["Alive"] and node["NodeID"] not in leaving} for node in ray.nodes()]


def _ask_autoscaler(bundles: list[dict[str, float]]) -> None:
    from ray.autoscaler.sdk import request_resources

    request_resources(bundles=bundles)
