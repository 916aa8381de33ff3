"""Real nodes that join a cluster, leave it, or are added by an autoscaler while a run goes on."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ray_runs import ROOT, RUNS, epoch_reached, running_at, trained, trial_processes, wait_for
from small_runs import CPU, spec_of

from trainable.base.config import TrainConfig
from trainable.run.trainer import Trainer

pytestmark = [pytest.mark.ray, pytest.mark.nightly]
EPOCHS = 40
OPTIONS = ("--only", "finetune_M1,finetune_M2", "--epochs", EPOCHS)
STORE = 2**27
AUTOSCALED = """
import sys
from ray.cluster_utils import AutoscalingCluster
import json, subprocess
worker = {"resources": {"CPU": 1, "object_store_memory": 2**27}, "node_config": {}, "min_workers": 0, "max_workers": 2}
head = {"CPU": 0, "object_store_memory": 2**27}
cluster = AutoscalingCluster(head, {"trains": worker}, idle_timeout_minutes=0.1, max_workers=2)
cluster.start()
try:
    done = subprocess.run(json.loads(sys.argv[1]), capture_output=True, text=True)
    print(json.dumps([done.returncode, done.stdout + done.stderr]), flush=True)
finally:
    cluster.shutdown()
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
    assert "the cluster has changed: 2 nodes, 2 CPUs now, 1 node, 1 CPUs before" in printed
    assert "the cluster has changed: 1 node, 1 CPUs now, 2 nodes, 2 CPUs before" in printed
    as_one_process(shared_project, tmp_path / "here", there)


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
    code = [sys.executable, "-c", AUTOSCALED, json.dumps(list(map(str, run)))]
    done = subprocess.run([*line, *code], capture_output=True, text=True, cwd=ROOT, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (answer,) = [line for line in done.stdout.splitlines() if line.startswith("[")]
    code_of_run, printed = json.loads(answer)
    assert code_of_run == 0, printed
    assert "waiting for a node with 1 CPU; the cluster has 1 node, 0 CPUs" in printed
    assert "2 CPUs now" in printed, "both trainings want a node"
    as_one_process(shared_project, tmp_path / "here", tmp_path / "cluster")
