"""What a Ray that is started here looks like from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

LOOPBACK = {"0100007F", "0000000000000000FFFF00000100007F", "00000000000000000000000001000000"}
"""127.0.0.1, the same as an address of version 6, and ::1; each word of four bytes is turned round."""

STARTED = """
import json, os, sys
from contextlib import suppress
from pathlib import Path
from orchestrator.execution.hardware import Hardware
from orchestrator.execution.session import ray_executor

def listening():
    # The addresses at which this process and those below it listen, as the kernel writes them.
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])
    ours, before = {os.getpid()}, set()
    while ours != before:
        before = ours
        ours = ours | {pid for pid, parent in parents.items() if parent in ours}
    sockets = set()
    for pid in ours:
        for link in Path(f"/proc/{pid}/fd").glob("*"):
            with suppress(OSError):
                sockets.add(os.readlink(link))
    rows = [row.split() for name in ("tcp", "tcp6") for row in Path("/proc/net", name).read_text().splitlines()[1:]]
    return [row[1].partition(":")[0] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in sockets]


with ray_executor(Path(sys.argv[1])) as executor:
    cluster = executor.connect(Hardware(num_cpus=1), print)
    import ray

    (node,) = ray.nodes()
    ray.get(ray.remote(num_cpus=0)(lambda: 1).remote())
    found = {
        "address": node["NodeManagerAddress"],
        "gcs": ray.get_runtime_context().gcs_address,
        "cpus": cluster.cpus,
        "home": os.listdir(Path.home()),
        "auth": os.environ["RAY_AUTH_MODE"],
        "token": len(os.environ["RAY_AUTH_TOKEN"]),
        "usage": os.environ["RAY_USAGE_STATS_ENABLED"],
        "listening": listening(),
    }
    print(json.dumps(found), file=executor.terminal)
"""


@pytest.mark.ray
def test_a_ray_started_here_is_private(tmp_path: Path) -> None:
    """All its processes listen on this machine alone; it asks for a token that is written nowhere, and sends no
    statistics."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    environment = {**ours, "HOME": str(tmp_path / "home")}
    (tmp_path / "home").mkdir()
    command = [sys.executable, "-c", STARTED, str(tmp_path / "logs")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=True)
    found = json.loads(done.stdout.splitlines()[-1])
    assert found.pop("gcs").startswith("127.0.0.1:")
    addresses = found.pop("listening")
    assert len(addresses) >= 4, "Ray's servers are seen"
    assert set(addresses) <= LOOPBACK
    assert found == {"address": "127.0.0.1", "cpus": 1, "home": [], "auth": "token", "token": 64, "usage": "0"}
