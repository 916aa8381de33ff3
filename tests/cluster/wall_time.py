"""Two hosts of one core each against one host of two: for a machine with nothing else to do.

    python -m pytest -m cluster -s tests/cluster/wall_time.py

Prints both wall times; no test of `make cluster-test`, since a busy machine makes its numbers worthless.
"""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hosts import Host, refused
from lab import ENTER, HEAD, LAPTOP, LATE, WORKERS, Lab
from projects import make_project
from runs import arguments, results

pytestmark = pytest.mark.cluster
RUN = ("run-all", "--only", "finetune_M1,finetune_M2", "--epochs", 30)
CORES = {HEAD: "0-1", "worker1": "0", "worker2": "1", LATE: "0-1", LAPTOP: "0-1"}


def seconds(host: Host, arguments: tuple[object, ...], address: str = "") -> float:
    """How long a command takes, on the cluster at the address or with a Ray of its own."""
    line = " ".join(map(str, arguments)).replace("--address auto", address)
    start = time.monotonic()
    host.run(f"{ENTER}; python -m orchestrator {line}", timeout=1800)
    return time.monotonic() - start


def test_two_hosts_of_one_core_against_one_of_two(tmp_path: Path) -> None:
    if why := refused():
        pytest.skip(f"NOT TESTED: {why}")
    with Lab(tmp_path, CORES) as lab:
        make_project(lab.head.home / "project")
        lab.launched()
        two = [seconds(lab.head, arguments(f"two{i}", *RUN), "--address auto") for i in range(2)]
        for name in WORKERS:
            lab.hosts[name].power_off()
        lab.head.run(f"{ENTER}; ray stop")
        one = [seconds(lab.head, arguments(f"one{i}", *RUN), "--num-cpus 2") for i in range(2)]
        print(f"\ntwo hosts of one core: {two} s, one host of two cores: {one} s")
        print(f"  {min(two) / min(one):.3f} times as long")
        assert results(lab.head.home / "two1") == results(lab.head.home / "one1")
