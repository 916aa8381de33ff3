"""Real nodes that join a cluster, leave it, or are added by an autoscaler while a run goes on."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray_runs import ROOT, RUNS, epoch_reached, running_at, trained, trial_processes, wait_for
from small_runs import CPU, spec_of

from trainable.base.config import TrainConfig
from trainable.base.errors import Failure
from trainable.run.trainer import Trainer

pytestmark = [pytest.mark.ray, pytest.mark.nightly]
EPOCHS = 40
OPTIONS = ("--only", "finetune_M1,finetune_M2", "--epochs", EPOCHS)
STORE = 2**27
EMPTY = (
    "cluster_synced_files", "rsync_exclude", "rsync_filter", "initialization_commands", "setup_commands",
    "head_setup_commands", "worker_setup_commands", "head_start_ray_commands", "worker_start_ray_commands",
)  # fmt: skip
AUTOSCALER = {
    "cluster_name": "grows",
    "max_workers": 2,
    "idle_timeout_minutes": 0.1,
    "provider": {
        "type": "fake_multinode",
        "use_node_id_as_ip": True,
        "disable_node_updaters": True,
        "disable_launch_config_check": True,
    },
    "auth": {},
    "head_node_type": "ray.head.default",
    "available_node_types": {
        "ray.head.default": {"resources": {"CPU": 0}, "node_config": {}, "max_workers": 0},
        "trains": {
            "resources": {"CPU": 1, "object_store_memory": STORE},
            "node_config": {},
            "min_workers": 0,
            "max_workers": 2,
        },
    },
    "upscaling_speed": 20,
    "file_mounts": {},
    "file_mounts_sync_continuously": False,
    **{key: [] for key in EMPTY},
}
"""Ray's own autoscaler with its provider for tests, which starts real nodes on this machine in place of a cloud's."""
GROWS = """
"$PYTHON" -m ray.scripts.scripts start --head --num-cpus 0 --object-store-memory 134217728 \\
  --autoscaling-config "$CONFIG" --include-dashboard=false
status=0
"$@" || status=$?
sleep 20
"$PYTHON" - <<END
import ray
ray.init("auto", logging_level="ERROR")
print("nodes left:", sum(node["Alive"] for node in ray.nodes()))
END
exit $status
"""


@pytest.fixture
def cluster(ray_token: None) -> Iterator[Any]:
    from ray.cluster_utils import Cluster

    args = {"num_cpus": 1, "object_store_memory": STORE, "include_dashboard": False}
    nodes = Cluster(initialize_head=True, head_node_args=args)
    try:
        yield nodes
    finally:
        nodes.shutdown()


def raylet(node: Any) -> int:
    pid: int = node.all_processes["raylet"][0].process.pid
    return pid


def as_one_process(project: Path, output: Path, there: Path) -> None:
    """Both trainings are what one process makes of them."""
    for split in ("M1", "M2"):
        folder = f"finetune_{split}_160"
        config = TrainConfig("finetune", EPOCHS, 5e-4, 1e-4, batch=8, weights="none")
        Trainer(spec_of(project, output / RUNS / folder, config, split), CPU).run()
        assert trained(there, folder) == trained(output, folder)


def test_a_node_that_joins_late_trains_and_one_that_dies_costs_nothing_else(
    cluster: Any, shared_project: Path, tmp_path: Path
) -> None:
    there = tmp_path / "cluster"
    with running_at(cluster.address, shared_project, there, *OPTIONS) as process:
        wait_for(lambda: max(epoch_reached(there, f"finetune_{split}_160") for split in ("M1", "M2")) >= 1)
        late = cluster.add_node(num_cpus=1, object_store_memory=STORE)
        wait_for(lambda: trial_processes(raylet(late)))
        wait_for(lambda: min(epoch_reached(there, f"finetune_{split}_160") for split in ("M1", "M2")) >= 1)
        cluster.remove_node(late, allow_graceful=False)
        printed, _ = process.communicate(timeout=600)
    assert process.returncode == 0, printed
    assert "the cluster has changed: 2 nodes, 2 CPUs now, 1 node, 1 CPU before" in printed
    assert "the cluster has changed: 1 node, 1 CPU now, 2 nodes, 2 CPUs before" in printed
    (log,) = (there / ".emosweep/logs").iterdir()
    assert Failure("", log.read_text(encoding="utf-8")).lost_node, "Ray's words, by which a lost node is known"
    as_one_process(shared_project, tmp_path / "here", there)


def test_a_node_that_is_about_to_go_hands_its_training_over(cluster: Any, shared_project: Path, tmp_path: Path) -> None:
    """Ray is told by whoever knows: a cloud's notice, an operator. No epoch is trained twice."""
    there, folder, options = tmp_path / "cluster", "finetune_M1_160", ("--only", "finetune_M1", "--epochs", EPOCHS)
    cluster.add_node(num_cpus=1, object_store_memory=STORE)
    nodes = {raylet(node): node for node in cluster.list_all_nodes()}
    with running_at(cluster.address, shared_project, there, *options) as process:
        wait_for(lambda: epoch_reached(there, folder) >= 2)
        (leaving,) = [node for pid, node in nodes.items() if trial_processes(pid)]
        line = [sys.executable, "-m", "ray.scripts.scripts", "drain-node", "--address", cluster.address]
        words = ["--node-id", leaving.node_id, "--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "spot"]
        subprocess.run([*line, *words, "--deadline-remaining-seconds", "600"], check=True)
        told = epoch_reached(there, folder)
        printed, _ = process.communicate(timeout=600)
    assert process.returncode == 0, printed
    assert "is tried again after: its node is about to be taken away" in printed
    (log,) = (there / ".emosweep/logs").iterdir()
    (resumed,) = re.findall(rf"going on after epoch (\d+) of {EPOCHS}", log.read_text(encoding="utf-8"))
    assert told <= int(resumed) <= told + 2
    config = TrainConfig("finetune", EPOCHS, 5e-4, 1e-4, batch=8, weights="none")
    Trainer(spec_of(shared_project, tmp_path / "here" / RUNS / folder, config), CPU).run()
    assert trained(there, folder) == trained(tmp_path / "here", folder)


def test_a_lone_training_has_all_cpus_of_its_node(cluster: Any, shared_project: Path, tmp_path: Path) -> None:
    """A node of two CPUs beside the head's one; the trial asks Ray for one of them."""
    cluster.add_node(num_cpus=2, object_store_memory=STORE)
    options = ("--only", "probe_M1", "--epochs", 5)
    with running_at(cluster.address, shared_project, tmp_path, *options) as process:
        printed, _ = process.communicate(timeout=600)
    assert process.returncode == 0, printed
    (params,) = (tmp_path / ".emosweep/tune").glob("*/probe_M1/params.json")
    told = json.loads(params.read_text(encoding="utf-8"))
    assert (told["resources"], told["by_node"]) == ({"CPU": 1.0}, True)


def test_an_autoscaler_adds_the_nodes_that_the_queue_wants(
    ray_token: None, shared_project: Path, tmp_path: Path
) -> None:
    """In a process namespace of its own, since such a cluster begins and ends with a `ray stop` for the machine."""
    line = ["unshare", "--pid", "--mount", "--fork", "--mount-proc", "--kill-child"]
    if why := subprocess.run([*line, "true"], capture_output=True, text=True, check=False).stderr.strip():
        pytest.skip(f"no process namespaces here: {why}")
    where = ("--project-root", shared_project, "--output-root", tmp_path / "cluster", "--address", "auto")
    run = [sys.executable, "-m", "orchestrator", "run-all", *where, "--weights", "none", "--batch", 8, *OPTIONS]
    (tmp_path / "grows.yaml").write_text(json.dumps(AUTOSCALER), encoding="utf-8")
    told = {"PYTHON": sys.executable, "CONFIG": str(tmp_path / "grows.yaml"), "AUTOSCALER_UPDATE_INTERVAL_S": "1"}
    ray = {"RAY_FAKE_CLUSTER": "1", "RAY_enable_autoscaler_v2": "0", "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(
        [*line, "sh", "-ec", GROWS, "sh", *map(str, run)],
        env={**os.environ, **told, **ray}, capture_output=True, text=True, cwd=ROOT, timeout=800, check=False,
    )  # fmt: skip
    printed = done.stdout + done.stderr
    assert done.returncode == 0, printed
    assert "waiting for a node with 1 CPU; the cluster has 1 node, 0 CPUs" in printed
    assert "2 CPUs now" in printed, "both trainings want a node"
    assert "nodes left: 1" in printed, "nobody wants them any more"
    as_one_process(shared_project, tmp_path / "here", tmp_path / "cluster")
