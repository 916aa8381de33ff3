"""Runs on a cluster, looked at and ended through its head by processes that are no nodes of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray_runs import ROOT, epoch_reached, running_at, wait_for

from orchestrator.execution.cluster_board import ClusterBoard, node_uses
from orchestrator.execution.notice import NodeUse, Notice
from trainable.base.errors import ConfigError


def test_what_of_each_node_is_given_away() -> None:
    def node(name: str, alive: bool = True, **resources: float) -> dict[str, Any]:
        there = {"NodeID": name, "NodeManagerAddress": "10.0.0.1", "NodeManagerHostname": "노드"}
        return {**there, "Alive": alive, "Resources": resources}

    nodes = [node("a", CPU=4.0, GPU=2.0, **{"accelerator_type:H100": 1.0}), node("b", CPU=2.0), node("c", False)]
    free = {"a": {"CPU": 1.0, "GPU": 1.5}, "b": {}, "new": {"CPU": 8.0}}
    assert node_uses(nodes, free) == [
        NodeUse("10.0.0.1", "노드", 4.0, 3.0, 2.0, 0.5, "H100"),
        NodeUse("10.0.0.1", "노드", 2.0, 2.0, 0.0, 0.0, ""),
    ]


class Store:
    """The head's store as Ray's client shows it, so that every change tries what only nightly tests try for real."""

    def __init__(self, *dead: str) -> None:
        self.values: dict[bytes, bytes] = {}
        self.dead = dead

    def internal_kv_put(self, key: bytes, value: bytes, overwrite: bool, namespace: bytes, timeout: float) -> int:
        self.values[key] = value
        return 1

    def internal_kv_get(self, key: bytes, namespace: bytes, timeout: float) -> bytes | None:
        return self.values.get(key)

    def internal_kv_keys(self, prefix: bytes, namespace: bytes, timeout: float) -> list[bytes]:
        return [key for key in self.values if key.startswith(prefix)]

    def internal_kv_del(self, key: bytes, by_prefix: bool, namespace: bytes, timeout: float) -> int:
        return int(self.values.pop(key, None) is not None)

    def get_all_job_info(self, timeout: float) -> dict[Any, Any]:
        ids = {"01": "01" in self.dead, "02": "02" in self.dead}
        return {bytes.fromhex(job): SimpleNamespace(is_dead=dead) for job, dead in ids.items()}


def notice(run: str, output: str, job: str, began: float) -> Notice:
    return Notice(run, "명령", output, "연구실", 1, began, time.time(), "running", job=job)


def test_a_cluster_knows_the_last_run_of_each_output_folder_and_whether_it_lives() -> None:
    board = ClusterBoard(Store("02"))
    for one in (notice("c", "/셋", "", 3.0), notice("b", "/둘", "02", 2.0), notice("x", "/하나", "02", 0.0)):
        board.publish(one)
    board.publish(notice("a", "/하나", "01", 1.0))
    assert [(seen.notice.run, seen.alive) for seen in board.seen()] == [("a", True), ("b", False), ("c", None)]
    assert board.asked("a") is None
    board.ask("a", "stop")
    board.ask("b", "now")
    assert (board.asked("a"), board.asked("b"), board.asked("c")) == ("stop", "now", None)
    board.forget("a")
    assert (board.asked("a"), board.asked("b"), len(board.seen())) == (None, "now", 3)


def test_a_head_that_has_gone_is_one_message() -> None:
    board = ClusterBoard(SimpleNamespace())
    for ask in (board.seen, lambda: board.asked("a"), lambda: board.ask("a", "stop")):
        with pytest.raises(ConfigError, match="the cluster's head does not answer any more"):
            ask()


# -- with a real cluster


@pytest.fixture(scope="module")
def head(ray_token: None) -> Iterator[str]:
    """The address of a head and a worker of one CPU each."""
    from ray.cluster_utils import Cluster

    args = {"num_cpus": 1, "object_store_memory": 2**27, "include_dashboard": False}
    nodes = Cluster(initialize_head=True, head_node_args=args)
    nodes.add_node(num_cpus=1, object_store_memory=2**27)
    nodes.wait_for_nodes()
    try:
        yield nodes.address
    finally:
        nodes.shutdown()


def outside(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """A command in a folder and a process that have nothing to do with the run."""
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *map(str, arguments)],
        cwd="/", capture_output=True, text=True, encoding="utf-8", timeout=300, check=False,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
    )  # fmt: skip


def runs_at(head: str) -> list[dict[str, Any]]:
    done = outside("status", "--address", head, "--json")
    return [json.loads(line) for line in done.stdout.splitlines()] if done.returncode == 0 else []


@pytest.mark.ray
@pytest.mark.nightly
def test_runs_are_seen_and_ended_through_the_head(head: str, shared_project: Path, tmp_path: Path) -> None:
    """One that is stopped beside one that goes on, which then is killed."""
    none = outside("status", "--address", head)
    assert (none.returncode, none.stderr) == (2, f"error: no run is known in the cluster at {head}\n")
    options = ("--epochs", 400, "--only")
    first, second = tmp_path / "하나", tmp_path / "둘"
    with running_at(head, shared_project, first, *options, "probe_M1", "--max-concurrent", 1) as one:
        wait_for(lambda: [run["working"] and run["working"][0]["device"] for run in runs_at(head)] == ["cpu"])
        (seen,) = runs_at(head)
        assert (seen["state"], seen["under_way"], seen["output"]) == ("running", True, str(first))
        assert [node["cpus"] for node in seen["nodes"]] == [1.0, 1.0]
        assert sum(node["cpus_used"] for node in seen["nodes"]) == 1.0
        assert seen["working"][0]["name"] == "probe_M1"
        assert seen["working"][0]["node"]
        with running_at(head, shared_project, second, *options, "probe_M2", "--max-concurrent", 1) as two:
            wait_for(lambda: epoch_reached(second, "probe_M2_160"))
            wait_for(lambda: [run["state"] for run in runs_at(head)] == ["running", "running"])
            assert "2 runs are under way" in outside("stop", "--address", head).stderr
            done = outside("stop", "--address", head, "--run", seen["run"])
            assert "it has ended (exit code 130)" in done.stdout, done.stderr
            assert one.wait(60) == 130
            assert two.poll() is None
            two.send_signal(signal.SIGKILL)
            wait_for(lambda: "it was killed" in outside("status", "--address", head).stdout, 60)
    states = {run["output"]: (run["state"], run["exit_code"], run["under_way"]) for run in runs_at(head)}
    assert states == {str(first): ("ended", 130, False), str(second): ("running", None, False)}
    assert outside("stop", "--address", head).returncode == 2
    assert 0 < epoch_reached(first, "probe_M1_160") < 400


@pytest.mark.ray
@pytest.mark.nightly
@pytest.mark.parametrize("token", ["0" * 64, ""])
def test_without_the_token_there_is_one_message(token: str, head: str, tmp_path: Path) -> None:
    """Where there is none at all, Ray's own client would end the process."""
    done = outside("status", "--address", head, RAY_AUTH_TOKEN=token, HOME=str(tmp_path))
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"error: --address {head}: the cluster could not be asked (")
    assert "token" in line
