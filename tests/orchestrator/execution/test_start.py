"""First contact with strange machines: Ray starts, or one message names the way out."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest
from control_groups import control_group
from ray_runs import ROOT

from orchestrator.execution.start import private_token, reason, way_out

START = """
import os, sys
from pathlib import Path
if "ONE_CPU" in os.environ:
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
sys.path.insert(0, sys.argv[1])
from orchestrator.execution.hardware import Hardware
from orchestrator.execution.session import ray_executor
from trainable.base.errors import ConfigError

folder = Path(os.environ["LOGS"])
try:
    with ray_executor(folder) as executor:
        cluster = executor.connect(Hardware(), print)
        import ray
        task = ray.remote(num_cpus=0)(lambda: os.getpid())
        print("STARTED", cluster.cpus, ray.get(task.remote()) > 0, file=executor.terminal)
except ConfigError as error:
    print("REFUSED", error)
"""


def start(folder: Path, **environment: str) -> str:
    """What a Ray says that is started by another process, with environment variables of its own."""
    ours = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")}
    line = [sys.executable, "-c", START, str(ROOT)]
    env = {**ours, "LOGS": str(folder / "logs"), **environment}
    done = subprocess.run(line, env=env, capture_output=True, text=True, timeout=200, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("error", "advice"),
    [
        (PermissionError(errno.EACCES, "Permission denied", "/tmp/ray/session"), "RAY_TMPDIR"),
        (OSError(errno.EROFS, "Read-only file system", "/tmp/ray"), "RAY_TMPDIR"),
        (OSError(errno.ENOSPC, "No space left on device"), "RAY_TMPDIR"),
        (RuntimeError("could not write: No space left on device"), "RAY_TMPDIR"),
        (OSError("AF_UNIX path length cannot exceed 107 bytes"), "RAY_TMPDIR"),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit -n"),
        (BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable"), "ulimit -u"),
        (RuntimeError("can't start new thread"), "ulimit -u"),
    ],
)
def test_an_error_of_the_system_comes_with_its_way_out(error: Exception, advice: str) -> None:
    assert advice in way_out(error)


def test_an_unknown_error_comes_with_no_advice() -> None:
    assert way_out(RuntimeError("something else")) == ""


def test_the_reason_is_one_line() -> None:
    assert reason(RuntimeError("first\nsecond")) == "first"
    assert reason(KeyError()) == "KeyError"
    assert len(reason(RuntimeError("x" * 1000))) == 300


def test_a_users_token_is_kept_and_ours_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN", "mine")
    with private_token(local=True):
        assert os.environ["RAY_AUTH_TOKEN"] == "mine"
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    with private_token(local=True):
        first = os.environ["RAY_AUTH_TOKEN"]
    with private_token(local=True):
        assert os.environ["RAY_AUTH_TOKEN"] != first
    with private_token(local=False):
        assert "RAY_AUTH_TOKEN" not in os.environ
    assert "RAY_AUTH_TOKEN" not in os.environ


@pytest.mark.ray
def test_a_home_that_cannot_be_written_to_does_no_harm(tmp_path: Path) -> None:
    home = tmp_path / "a file"
    home.touch()  # not even root makes a folder there
    assert start(tmp_path, HOME=str(home)).startswith("STARTED")


@pytest.mark.ray
@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="this system has no affinity")
def test_of_a_machines_cpus_those_are_counted_that_may_be_used(tmp_path: Path) -> None:
    """As under `taskset -c 0`, or in a batch job's share of a node."""
    assert start(tmp_path, ONE_CPU="1").startswith("STARTED 1 True")


@pytest.mark.ray
def test_a_folder_for_rays_files_that_cannot_be_used_is_refused(tmp_path: Path) -> None:
    blocked = tmp_path / "ray"
    blocked.touch()
    said = start(tmp_path, RAY_TMPDIR=str(blocked))
    assert said.startswith("REFUSED Ray could not be started here"), said


@pytest.mark.ray
def test_too_few_processes_are_refused_before_anything_starts(tmp_path: Path) -> None:
    """A control group's limit holds for root, too, who may start any number by `ulimit -u`."""
    with control_group("pids", max="100") as join:
        line = [sys.executable, "-c", f"{join}\n{START}", str(ROOT)]
        env = {**os.environ, "LOGS": str(tmp_path / "logs")}
        said = subprocess.run(line, env=env, capture_output=True, text=True, timeout=100, check=True).stdout
    assert "more processes and threads may be started here, and Ray needs about" in said
    assert "--num-cpus" in said
