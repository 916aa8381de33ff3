"""`--address`: a cluster of two nodes that was started by others, with token authentication."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from ray_runs import RUNS, run_all, running_at, trained, trial_processes, wait_for
from small_runs import CPU, spec_of

from trainable.base.config import TrainConfig
from trainable.run.trainer import Trainer

pytestmark = pytest.mark.ray
EPOCHS = 30
ONLY = ("--only", "finetune_M1,finetune_M2", "--epochs", EPOCHS)  # long enough for the second to start beside the first


@pytest.fixture(scope="module")
def cluster(ray_token: None) -> Iterator[tuple[str, list[int]]]:
    """(address, pids of the raylets) of a head and a worker with one CPU each."""
    from ray.cluster_utils import Cluster

    args = {"num_cpus": 1, "object_store_memory": 2**27, "include_dashboard": False}
    nodes = Cluster(initialize_head=True, head_node_args=args)
    nodes.add_node(num_cpus=1, object_store_memory=2**27)
    nodes.wait_for_nodes()
    raylets = [node.all_processes["raylet"][0].process.pid for node in nodes.list_all_nodes()]
    try:
        yield nodes.address, raylets
    finally:
        nodes.shutdown()


@pytest.mark.nightly
def test_both_nodes_train_as_one_process_does_and_the_cluster_outlives_the_run(
    cluster: tuple[str, list[int]], shared_project: Path, tmp_path: Path
) -> None:
    address, raylets = cluster
    with running_at(address, shared_project, tmp_path / "cluster", *ONLY) as process:
        wait_for(lambda: all(trial_processes(raylet) for raylet in raylets))
        printed, _ = process.communicate(timeout=600)
    assert process.returncode == 0, printed
    assert all(Path(f"/proc/{raylet}").exists() for raylet in raylets), "the cluster outlives the run"
    for split in ("M1", "M2"):
        folder = f"finetune_{split}_160"
        config = TrainConfig("finetune", EPOCHS, 5e-4, 1e-4, batch=8, weights="none")
        Trainer(spec_of(shared_project, tmp_path / "here" / RUNS / folder, config, split), CPU).run()
        assert trained(tmp_path / "cluster", folder) == trained(tmp_path / "here", folder)


def test_without_the_token_there_is_one_clear_message(
    cluster: tuple[str, list[int]], shared_project: Path, tmp_path: Path
) -> None:
    address, _ = cluster
    options = ("--only", "probe_M1", "--epochs", 1, "--address", address)
    done = run_all(shared_project, tmp_path, *options, env={"RAY_AUTH_TOKEN": "0" * 64}, cpus=False)
    assert done.returncode == 2, done.stdout + done.stderr
    assert f"--address {address}" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "models").exists()
