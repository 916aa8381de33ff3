"""Processes that die: what counts as a training's failure, and that a waiting training is spoken of."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from ray_runs import ROOT, RUNS, run_all

from orchestrator.execution.events import NoEvents
from orchestrator.execution.waiting import PATIENCE_SECONDS, Waiting, why_no_process

KILLING = """
import os, signal, sys
from contextlib import contextmanager
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from ray_runs import trial_processes
from test_local_runs import Log, Project
from orchestrator.execution.hardware import Hardware
from orchestrator.execution.runner import run_steps
from orchestrator.planning.selection import select

class Killer(Log):
    killed = 0
    def finished(self, name):
        super().finished(name)
        if not self.killed:  # the process of the finished training is idle now, and is given to the next one
            for pid in trial_processes(os.getpid()):
                os.kill(pid, signal.SIGKILL)
                Killer.killed += 1

view = Killer()
@contextmanager
def opened(terminal):
    yield view

project = Project(Path(sys.argv[2]), Path(sys.argv[3]))
names = ("probe_M1", "probe_M2", "finetune_M1")
planner = project.planner(*names, experiments={"probe_M1": {"epochs": 1}})
outcome = run_steps(planner.plan(select(names)), [], planner, Hardware(num_cpus=2, max_concurrent=2), opened)
print("KILLED", view.killed, "FAILED", {name: failure.message for name, failure in outcome.failures.items()})
"""


@pytest.mark.ray
@pytest.mark.nightly  # interruptions kill them too, one run after others
def test_a_run_goes_on_when_all_trial_processes_are_killed_at_once(shared_project: Path, tmp_path: Path) -> None:
    """One of them is idle, between two trainings; its death is no failure of the training that would get it."""
    tests, output = Path(__file__).parent, tmp_path / "out"
    line = [sys.executable, "-c", KILLING, str(tests), str(shared_project), str(output)]
    paths = ":".join(map(str, (ROOT, tests, tests.parent, tests.parents[1], tests.parents[1] / "trainable")))
    done = subprocess.run(
        line, cwd=ROOT, capture_output=True, text=True, timeout=300, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": paths}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "KILLED 2 FAILED {}" in done.stdout or "KILLED 1 FAILED {}" in done.stdout, done.stdout
    assert "NoneType" not in done.stdout + done.stderr
    for folder in ("probe_M1_160", "probe_M2_160", "finetune_M1_160"):
        assert (output / RUNS / folder / "best.pt").is_file()


class Heard(NoEvents):
    def __init__(self) -> None:
        self.said: list[tuple[str, int, str]] = []

    def waiting(self, name: str, seconds: int, why: str) -> None:
        self.said.append((name, seconds, why))


class Clock:
    """A clock that tests set: a minute of waiting would be a minute of the suite."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_who_waits_for_a_minute_is_spoken_of() -> None:
    heard, clock = Heard(), Clock()
    waiting = Waiting(heard, lambda name: "the reason", clock=clock)
    waiting.asked("a")
    waiting.asked("b")
    clock.now = PATIENCE_SECONDS - 1
    waiting.say_who_waits()
    assert waiting.over("b")
    assert not heard.said
    for clock.now in range(45, 250, 5):
        waiting.say_who_waits()
    assert heard.said == [("a", 45, "the reason"), ("a", 90, "the reason"), ("a", 180, "the reason")]


def test_who_has_a_process_is_not_spoken_of() -> None:
    heard, clock = Heard(), Clock()
    waiting = Waiting(heard, lambda name: "the reason", clock=clock)
    waiting.asked("a")
    assert waiting.over("a")
    assert not waiting.over("a")
    clock.now = 1000.0
    waiting.say_who_waits()
    assert not heard.said


def test_where_ray_does_not_answer_the_run_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:  # a Ray whose head is cut off for a moment cannot be made here
        raise ConnectionError

    monkeypatch.setattr("ray.util.placement_group_table", fail)
    assert why_no_process({}) == "it has no process, and Ray does not say why"


@pytest.mark.ray
def test_the_reason_for_waiting_is_what_ray_says(ray_token: None) -> None:
    import ray
    from ray.util import placement_group, remove_placement_group

    ray.init(address="local", num_cpus=1, include_dashboard=False, object_store_memory=2**27, log_to_driver=False)
    try:
        assert "raylet.out" in why_no_process({"CPU": 1.0})
        bundle = {"CPU": 99.0, "GPU": 0.5, "memory": 2e9, "accelerator_type:T4": 0.001}
        group = placement_group([bundle])
        asked = "it asks for 99 CPU, 0.5 GPU, 2.0 GB, T4, and the nodes have free: 1 CPU, 0 GPU, "
        assert asked in why_no_process(bundle)
        remove_placement_group(group)
    finally:
        ray.shutdown()


@pytest.mark.ray
def test_what_a_training_raises_is_told_and_what_is_final_is_not_tried_again(project: Path, tmp_path: Path) -> None:
    images = sorted((project / "data_shared").rglob("train_*.jpg"))
    assert images
    for image in images:
        image.write_bytes(b"no image")
    done = run_all(project, tmp_path, "--only", "probe_M1", "--epochs", 1)
    assert done.returncode == 1, done.stdout + done.stderr
    said = " ".join((done.stdout + done.stderr).split())
    assert "train rows have an image that cannot be decoded" in said
    assert "ended without a word" not in said
    assert len(list((tmp_path / ".emosweep/tune").glob("*/probe_M1*"))) == 1, "one attempt"
