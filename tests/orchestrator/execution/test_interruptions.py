"""Stopped at any moment and called again, a run ends with the numbers of one that was not stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from ray_runs import RUNS, epoch_reached, run_all, running, trained, trial_processes, wait_for

pytestmark = pytest.mark.ray
EPOCHS = 16
ONLY = ("--only", "finetune_M1,probe_M2", "--epochs", EPOCHS)
FOLDERS = ("finetune_M1_160", "probe_M2_160")


@pytest.fixture(scope="module")
def uninterrupted(shared_project: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    output = tmp_path_factory.mktemp("whole")
    done = run_all(shared_project, output, *ONLY)
    assert done.returncode == 0, done.stdout + done.stderr
    return {folder: trained(output, folder) for folder in FOLDERS}


def finish(project: Path, output: Path) -> dict[str, Any]:
    done = run_all(project, output, *ONLY)
    assert done.returncode == 0, done.stdout + done.stderr
    return {folder: trained(output, folder) for folder in FOLDERS}


def test_a_run_that_is_interrupted_three_times_is_one_that_was_not(
    shared_project: Path, tmp_path: Path, uninterrupted: dict[str, Any]
) -> None:
    """Ctrl-C, then a killed driver, then killed trials; the last command ends it."""
    with running(shared_project, tmp_path, *ONLY) as process:
        wait_for(lambda: epoch_reached(tmp_path, "finetune_M1_160") >= 3)
        interrupt(process, tmp_path, signal.SIGINT)
    saved = epoch_reached(tmp_path, "finetune_M1_160")

    with running(shared_project, tmp_path, *ONLY) as process:
        wait_for(lambda: epoch_reached(tmp_path, "finetune_M1_160") >= saved + 2)
        orphans = trial_processes(process.pid)
        assert orphans
        process.kill()
        process.wait()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans))
    reached = epoch_reached(tmp_path, "finetune_M1_160")
    assert saved + 2 <= reached < EPOCHS - 2

    with running(shared_project, tmp_path, *ONLY) as process:
        wait_for(lambda: epoch_reached(tmp_path, "finetune_M1_160") >= reached + 1)
        victims = trial_processes(process.pid)
        assert victims
        for pid in victims:
            os.kill(pid, signal.SIGKILL)
        printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    said = "".join(log.read_text(errors="replace") for log in (tmp_path / ".emosweep/logs").glob("*.log"))
    for epoch in (saved, reached):
        assert f"going on after epoch {epoch} of {EPOCHS}" in said
    assert "repeated" not in said, "Ray takes lines of two trials for one"
    assert {folder: trained(tmp_path, folder) for folder in FOLDERS} == uninterrupted


@pytest.mark.nightly  # a handler of its own, but the same one as SIGINT's from there on
def test_a_batch_systems_signal_saves_the_epoch_in_hand(
    shared_project: Path, tmp_path: Path, uninterrupted: dict[str, Any]
) -> None:
    with running(shared_project, tmp_path, *ONLY) as process:
        wait_for(lambda: epoch_reached(tmp_path, "finetune_M1_160") >= 3)
        interrupt(process, tmp_path, signal.SIGTERM)
    assert finish(shared_project, tmp_path) == uninterrupted


def interrupt(process: subprocess.Popen[str], output: Path, number: signal.Signals) -> None:
    process.send_signal(number)
    printed, _ = process.communicate(timeout=240)
    assert process.returncode == 130, printed
    assert "go on with: python -m orchestrator run-all" in printed
    assert "Traceback" not in printed
    assert not (output / RUNS / "finetune_M1_160" / "best.pt").exists()


@pytest.mark.nightly
def test_an_epoch_longer_than_any_patience_is_saved(
    shared_project: Path, tmp_path: Path, uninterrupted: dict[str, Any]
) -> None:
    """Tune ends processes that it waits for in vain; the epoch in hand is made to last for longer than that."""
    with running(shared_project, tmp_path, *ONLY) as process:
        wait_for(lambda: epoch_reached(tmp_path, "finetune_M1_160") >= 3)
        trials = trial_processes(process.pid)
        assert trials
        for pid in trials:
            os.kill(pid, signal.SIGSTOP)
        reached = epoch_reached(tmp_path, "finetune_M1_160")
        process.send_signal(signal.SIGINT)
        time.sleep(45)
        assert process.poll() is None, "the run waits"
        for pid in trials:
            os.kill(pid, signal.SIGCONT)
        printed, _ = process.communicate(timeout=240)
    assert process.returncode == 130, printed
    assert epoch_reached(tmp_path, "finetune_M1_160") > reached
    assert finish(shared_project, tmp_path) == uninterrupted
