"""Commands on a cluster that loses machines, gets others, and loses its head: nothing fails, and no number changes."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hosts import Host
from lab import CHECKOUT, LATE, WORKERS, Lab
from ray_runs import epoch_reached, wait_for
from runs import (
    EPOCHS,
    RUN,
    STAGE_3,
    SWEEP,
    Alone,
    arguments,
    forget_trainings,
    has_trained,
    reported,
    results,
    resumptions,
    training_on,
    wait_for_stage_3,
)

pytestmark = pytest.mark.cluster
CUT_SECONDS = 60
ONE = ("run-all", "--only", "finetune_M1", *RUN[3:])
FOLDER = "finetune_M1_160"


def worker_in_stage_3(lab: Lab, process: subprocess.Popen[str], output: Path) -> Host:
    """The worker that trains the only run, which has come to stage 3."""
    wait_for(lambda: process.poll() is not None or epoch_reached(output, FOLDER) > STAGE_3)
    (host,) = (lab.hosts[name] for name in WORKERS if training_on(lab.hosts[name]))
    return host


def test_workers_die_in_stage_3_and_a_late_one_joins(lab: Lab, project: Path, alone: Alone) -> None:
    """Both die, so that the run has to wait for the late one, however fast this machine is."""
    lab.launched()
    first, second, late = lab.hosts[WORKERS[0]], lab.hosts[WORKERS[1]], lab.hosts[LATE]
    with lab.running(*arguments("died", *RUN)) as process:
        wait_for_stage_3(first, process)
        first.power_off()
        second.power_off()
        lab.join(late)
        printed, _ = process.communicate(timeout=400)
    assert process.returncode == 0, printed
    assert has_trained(late), printed
    assert results(lab.head.home / "died") == alone.results("run-all")


def test_a_link_is_cut_for_a_minute_during_a_sweep(lab: Lab, project: Path, alone: Alone) -> None:
    lab.launched()
    first, second = (lab.hosts[name] for name in WORKERS)
    with lab.running(*arguments("cut", *SWEEP)) as process:
        wait_for_stage_3(second, process)
        with lab.cut_off(second, CUT_SECONDS):
            cut, _ = next(iter(training_on(second).items()))
            wait_for(lambda: cut in training_on(first))  # it has begun again elsewhere
        printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert results(lab.head.home / "cut") == alone.results("sweep")
    lab.wait_for_nodes(*WORKERS)  # it has come back by itself


def test_a_worker_is_taken_back_with_notice_in_the_middle_of_an_epoch(lab: Lab, project: Path, alone: Alone) -> None:
    lab.launched()
    forget_trainings(lab.hosts[name] for name in WORKERS)
    output = lab.head.home / "notice"
    with lab.running(*arguments("notice", *ONE)) as process:
        host = worker_in_stage_3(lab, process, output)
        epoch = epoch_reached(output, FOLDER)
        # Ray's own processes get it, too, and end ours within milliseconds.
        host.signal_all("TERM")
        printed, _ = process.communicate(timeout=300)
    host.power_off()
    assert process.returncode == 0, printed
    (resumed,) = resumptions(output)
    assert resumed >= epoch
    assert results(output)[FOLDER] == alone.results("run-all")[FOLDER]


def test_a_worker_leaves_and_no_epoch_is_trained_twice(lab: Lab, project: Path, alone: Alone) -> None:
    lab.launched()
    forget_trainings(lab.hosts[name] for name in WORKERS)
    output = lab.head.home / "leaves"
    with lab.running(*arguments("leaves", *ONE)) as process:
        host = worker_in_stage_3(lab, process, output)
        host.run(f"~/{CHECKOUT}/clusters/leave.sh now")
        host.power_off()
        printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert len(resumptions(output)) == 1, "it was done before the worker left"
    assert reported(output) == list(range(1, EPOCHS + 1))
    assert results(output)[FOLDER] == alone.results("run-all")[FOLDER]


def test_the_head_dies_and_the_same_command_goes_on(lab: Lab, project: Path, alone: Alone) -> None:
    lab.launched()
    output = lab.head.home / "head"
    with lab.running(*arguments("head", *ONE)) as process:
        wait_for(lambda: process.poll() is not None or epoch_reached(output, FOLDER) > STAGE_3)
        lab.head.power_off()
    reached = epoch_reached(output, FOLDER)
    assert process.returncode != 0
    lab.launched()
    with lab.running(*arguments("head", *ONE)) as process:
        printed, _ = process.communicate(timeout=300)
    assert process.returncode == 0, printed
    assert resumptions(output) == [reached]
    assert results(output)[FOLDER] == alone.results("run-all")[FOLDER]
