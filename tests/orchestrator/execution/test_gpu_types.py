"""Real nodes of a real Ray that say they have GPUs of several types: trainings lie on those that they want.

No machine of the tests has a GPU, so the trainings here compute nothing; what is tested is where Ray puts them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ray import cloudpickle, tune

from orchestrator.execution.accelerators import Accelerators
from orchestrator.execution.cluster import Request, Share
from orchestrator.execution.entries import Entry, Limits
from orchestrator.execution.executor import Training
from orchestrator.execution.nodes import Nodes
from orchestrator.execution.queue import TrainingQueue
from orchestrator.execution.tuner import train
from trainable.ray_node import Node

pytestmark = [pytest.mark.ray, pytest.mark.nightly]
TYPES = ("A10G", "T4")
EPOCHS = 3
ON_A_GPU = Request(Share(1, 1.0))


class Visits(tune.Trainable):
    """Leaves a line with the type of its node for each epoch, and dies once in the middle of the second one."""

    def setup(self, config: dict[str, Any], tables: object = None) -> None:
        self.file = Path(config["job"]["file"])

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.setup(new_config)
        return True

    def step(self) -> dict[str, Any]:
        kind = Node.here().accelerator
        lines = self.file.read_text(encoding="utf-8").splitlines() if self.file.exists() else []
        if len(lines) == 1 and not (died := self.file.with_suffix(".died")).exists():
            died.touch()
            os._exit(1)
        lines.append(kind)
        self.file.write_text("\n".join(lines), encoding="utf-8")
        epoch = len(lines)
        history = {"epoch": epoch, "scores": [0.5] * epoch, "stages": [1] * epoch}
        return {**history, "done": epoch == EPOCHS, "accelerator": kind}


@pytest.fixture(scope="module")
def joined(ray_token: None) -> Iterator[Nodes]:
    import ray
    from ray.cluster_utils import Cluster

    store = 2**27
    nodes = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "object_store_memory": store})
    for kind in TYPES:
        nodes.add_node(num_cpus=1, num_gpus=1, object_store_memory=store, resources={f"accelerator_type:{kind}": 1})
    ray.init(nodes.address, log_to_driver=False)
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # no worker could import it
    try:
        yield Nodes(ask=lambda bundles: None)
    finally:
        cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
        ray.shutdown()
        nodes.shutdown()


def run(nodes: Nodes, folder: Path, wishes: dict[str, str]) -> dict[str, list[str]]:
    """The types of GPU that each training has seen, epoch by epoch. `wishes`: the type that each asks for at first."""
    remembered = Accelerators(folder / "accelerators.json", lambda name: folder / name)
    cluster = nodes.now()
    assert sorted(cluster.accelerators) == ["", *TYPES]
    entries = [Entry(name, 1.0, replace(ON_A_GPU, accelerator=wish)) for name, wish in wishes.items()]
    queue = TrainingQueue(entries, {}, Limits(cluster))

    def training(name: str) -> Training:
        return Training({"experiment": name, "file": str(folder / name)}, "M1", queue.request_of(name))

    train(
        queue, training, {}, folder / "tune",
        events=remembered, stop=lambda: False, nodes=nodes, trainable=Visits,
    )  # fmt: skip
    return {name: (folder / name).read_text(encoding="utf-8").splitlines() for name in wishes}


def test_a_training_lies_on_a_node_of_the_type_that_it_wants(joined: Nodes, tmp_path: Path) -> None:
    """Both at once, then a third on a type that is taken at first."""
    wishes = {"a": "T4", "b": "A10G", "c": "T4"}
    assert run(joined, tmp_path, wishes) == {name: [kind] * EPOCHS for name, kind in wishes.items()}


def test_a_training_goes_on_on_the_type_that_it_began_on(joined: Nodes, tmp_path: Path) -> None:
    """Two that ask for nothing in particular, and lose their processes: either node could have either of them."""
    found = run(joined, tmp_path, {"a": "", "b": ""})
    assert [len(set(kinds)) for kinds in found.values()] == [1, 1], found
    assert {kinds[0] for kinds in found.values()} == set(TYPES), "both nodes are used"
