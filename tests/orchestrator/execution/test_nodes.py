"""What is known of a cluster's nodes, and asked of its autoscaler. The lists of nodes are made up: no machine of the
tests has GPUs, and none is rented. `test_nodes_come_and_go.py` has real nodes."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.execution.cluster import Cluster, Request, Share
from orchestrator.execution.hardware import Hardware
from orchestrator.execution.nodes import (
    LONGEST_WAIT_SECONDS,
    LOOK_SECONDS,
    SILENCE_SECONDS,
    Nodes,
    bundle_of,
    cluster_of,
    for_tasks,
)
from trainable.base.errors import ConfigError

ON_A_GPU = Request(Share(4, 0.5), accelerator="A10G")


def node(name: str = "n", *, cpus: int = 0, gpus: int = 0, kind: str = "", alive: bool = True) -> dict[str, Any]:
    resources: dict[str, float] = {"CPU": float(cpus), "node:10.0.0.1": 1.0, "memory": 1000.0}
    if gpus:
        resources |= {"GPU": float(gpus)}
    if kind:
        resources |= {f"accelerator_type:{kind}": 1.0}
    return {"NodeID": name, "Alive": alive, "Resources": resources}


class Times:
    """A cluster that changes while its nodes are looked at, with a clock that goes on when somebody sleeps."""

    def __init__(self, *lists: list[dict[str, Any]]) -> None:
        self.lists, self.now = list(lists), 0.0
        self.asked: list[list[dict[str, float]]] = []
        self.said: list[str] = []
        self.nodes = Nodes(self.look, self.asked.append, lambda: self.now, self.sleep)

    def look(self) -> list[dict[str, Any]]:
        return self.lists.pop(0) if len(self.lists) > 1 else self.lists[0]

    def sleep(self, seconds: float) -> None:
        self.now += seconds

    def first(self, autoscaled: bool | None = True, **wishes: Any) -> Cluster:
        return self.nodes.first(Hardware(address="auto", **wishes), lambda: autoscaled, self.said.append)


def test_of_each_live_node_nine_tenths_of_the_memory_are_for_trainings() -> None:
    nodes = [node(cpus=8, gpus=1, kind="T4"), node(cpus=64, alive=False), {"Alive": True, "Resources": {"node:x": 1.0}}]
    cluster = cluster_of(nodes)
    assert cluster == Cluster(((8, 1.0), (0, 0.0)), (900, 0), ("T4", ""))
    assert cluster_of(nodes, most=500).memory == (450, 0), "a container's limit, which Ray may not know"


def test_a_training_reserves_a_node_with_the_gpus_that_it_wants() -> None:
    assert bundle_of(Request(Share(2, 0.0))) == {"CPU": 2.0}
    assert bundle_of(ON_A_GPU) == {"CPU": 4.0, "GPU": 0.5, "accelerator_type:A10G": 0.001}


def test_gpus_of_another_type_do_not_count() -> None:
    cluster = cluster_of([node(cpus=8, gpus=2, kind="T4"), node(cpus=8, gpus=1, kind="A10G"), node(cpus=32)])
    assert cluster.of_type("A10G").share(3, "auto", None, None) == Share(8, 1.0)
    assert cluster.fits([], ON_A_GPU)
    assert cluster.fits([ON_A_GPU], ON_A_GPU)
    assert not cluster.fits([ON_A_GPU, ON_A_GPU], ON_A_GPU)
    on_any = Request(Share(4, 0.5))
    assert cluster.fits([on_any] * 3, ON_A_GPU), "what any node can hold leaves room on the node that only some can use"
    with pytest.raises(ConfigError, match=r"--accelerator-type H100: no node has such GPUs \(here: A10G, T4\)"):
        cluster.of_type("H100")


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 2), st.booleans()), max_size=6))
def test_tasks_go_to_nodes_without_gpus_as_their_cpus_allow(specs: list[tuple[int, int, bool]]) -> None:
    nodes = [node(str(i), cpus=cpus, gpus=gpus, alive=alive) for i, (cpus, gpus, alive) in enumerate(specs)]
    chosen = Counter(for_tasks(nodes))
    mixed = any(gpus and alive for _, gpus, alive in specs)
    expected = {str(i): cpus for i, (cpus, gpus, alive) in enumerate(specs) if mixed and alive and cpus and not gpus}
    assert chosen == expected


def test_changes_are_seen_after_a_few_seconds_and_told_once() -> None:
    one, two = [node("a", cpus=1)], [node("a", cpus=1), node("b", cpus=4)]
    times = Times(one, two, two, one)
    assert times.nodes.now().cpus == 1
    assert not times.nodes.due
    times.sleep(LOOK_SECONDS)
    assert times.nodes.due
    changed = times.nodes.changed()
    assert changed is not None and changed.cpus == 5
    times.sleep(LOOK_SECONDS)
    assert times.nodes.changed() is None, "the same as before"
    times.sleep(LOOK_SECONDS)
    changed = times.nodes.changed()
    assert changed is not None and changed.cpus == 1


def test_the_autoscaler_hears_what_is_wanted_and_nothing_twice() -> None:
    times = Times([node(cpus=1)])
    for wanted in ([ON_A_GPU] * 2, [ON_A_GPU] * 2, [ON_A_GPU], []):
        times.nodes.want(wanted)
    assert [len(bundles) for bundles in times.asked] == [2, 1, 0]


def test_a_cluster_that_begins_with_nothing_is_waited_for() -> None:
    head = node("head")
    times = Times([head], [head, node("cpus", cpus=8)], [head, node("gpu", cpus=8, gpus=1, kind="L4")])
    assert times.first(accelerator_type="L4").gpus == 1
    assert times.asked == [[{"CPU": 1.0, "GPU": 1.0, "accelerator_type:L4": 0.001}]]
    assert times.said == ["waiting for a node with 1 CPU and 1 GPU; the cluster has 1 node, 0 CPUs"]


def test_any_node_with_a_cpu_will_do_where_nobody_asks_for_gpus() -> None:
    assert Times([node("head")], [node("head"), node("b", cpus=2)]).first().cpus == 2
    assert Times([node("head")], [node("head"), node("b", cpus=2)]).first(device="cpu").cpus == 2


def test_nobody_waits_where_no_node_will_come_or_for_ever() -> None:
    times = Times([node(cpus=4)])
    assert times.first(autoscaled=False, device="cuda").gpus == 0, "which the allocation then refuses"
    assert (times.now, times.asked, times.said) == (0.0, [], [])
    assert times.first(autoscaled=None, device="cuda").gpus == 0
    assert times.now == SILENCE_SECONDS, "an autoscaler that has just started has not said anything yet"
    times = Times([node(cpus=4)])
    with pytest.raises(ConfigError, match=rf"no node with 1 CPU and 1 GPU has come in {LONGEST_WAIT_SECONDS:.0f} s"):
        times.first(device="cuda")
    assert len(times.said) == LONGEST_WAIT_SECONDS // 60, "once a minute"
