"""What a Ray that is started here looks like from outside, and what is read of a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.execution.session import cluster_of

STARTED = """
import json, os, sys
from pathlib import Path
from orchestrator.execution.session import ray_executor

with ray_executor(Path(sys.argv[1])) as executor:
    cluster = executor.connect(1)
    import ray

    (node,) = ray.nodes()
    token = Path.home() / ".ray" / "auth_token"
    found = {
        "address": node["NodeManagerAddress"],
        "gcs": ray.get_runtime_context().gcs_address,
        "cpus": cluster.cpus,
        "mode": oct(token.stat().st_mode & 0o777),
        "auth": os.environ["RAY_AUTH_MODE"],
        "usage": os.environ["RAY_USAGE_STATS_ENABLED"],
    }
    print(json.dumps(found), file=executor.terminal)
"""


def test_of_each_live_node_nine_tenths_of_the_memory_are_for_trainings() -> None:
    nodes: list[dict[str, Any]] = [
        {"Alive": True, "Resources": {"CPU": 8.0, "GPU": 1.0, "memory": 1000.0}},
        {"Alive": False, "Resources": {"CPU": 64.0, "memory": 9000.0}},
        {"Alive": True, "Resources": {"node:10.0.0.1": 1.0}},
    ]
    cluster = cluster_of(nodes)
    assert (cluster.nodes, cluster.memory) == (((8, 1.0), (0, 0.0)), (900, 0))


@pytest.mark.ray
def test_a_ray_started_here_is_private(tmp_path: Path) -> None:
    """It listens on this machine alone, asks for a token that only this user can read, and sends no statistics."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment = {**ours, "HOME": str(tmp_path)}
    command = [sys.executable, "-c", STARTED, str(tmp_path / "logs")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("gcs").startswith("127.0.0.1:")
    assert found == {"address": "127.0.0.1", "cpus": 1, "mode": "0o600", "auth": "token", "usage": "0"}
