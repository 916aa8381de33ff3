"""What a process on a cluster knows of its node (see `trainable/ray_disk.py` for what it gets from the driver's)."""

from __future__ import annotations

from dataclasses import dataclass

import ray
from ray._private.state import state  # as Ray's own trainers ask

from trainable.base.accelerator import accelerator_of


@dataclass(frozen=True)
class Node:
    """A node as Ray describes it.

    Args:
        name: its id in hex.
        address: its IP address.
        cpus: those that Ray may give away, which may be less than the machine has.
        accelerator: the type of its GPUs, as Ray names it; "" where there are none, or Ray does not know.
    """

    name: str
    address: str
    cpus: int
    accelerator: str

    @classmethod
    def here(cls) -> Node:
        """The node of this process."""
        name = ray.get_runtime_context().get_node_id()
        found = next(node for node in ray.nodes() if node["NodeID"] == name)
        resources = found["Resources"]
        return cls(name, found["NodeManagerAddress"], int(resources.get("CPU", 0)), accelerator_of(resources))

    @property
    def leaves(self) -> bool:
        """Whether the cluster has been told that the node is about to go (`ray drain-node`)."""
        return self.name in state.get_draining_nodes()
