"""How long work takes: laws of the clock, and which runs say how fast it goes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from by_hand import write_json
from hypothesis import given
from hypothesis import strategies as st
from planned import planner
from work import trial

from orchestrator.planning.costs import stage_costs
from orchestrator.planning.paths import ProjectPaths
from orchestrator.sweeps.estimate import (
    Expected,
    Job,
    clock_seconds,
    confirmation_jobs,
    expected,
    fixed_jobs,
    sweep_jobs,
)
from orchestrator.sweeps.options import SweepOptions
from orchestrator.sweeps.rates import FACEAPI, FinishedRun, Rates, known_rates
from orchestrator.sweeps.speed import Speed
from orchestrator.sweeps.sweep import Sweep
from search_spaces.runbook import EXPERIMENTS
from trainable.base.config import TrainConfig
from trainable.base.paths import RunPaths

SECONDS = st.lists(st.floats(0, 1e6), max_size=12)
ROWS = (240, 60, 60)
BY_NAME = {experiment.name: experiment for experiment in EXPERIMENTS}
SPEED = Speed(slots=2, images_per_second=10.0, device="cpu")


def record(device: str = "cpu", finished: str = "2026-05-01T00:00:00+00:00", **changed: Any) -> dict[str, Any]:
    """What a finetune of ten epochs says of itself: 1, 4 and 28 s in its stages, 5 s for the test."""
    config = {"mode": "finetune", "epochs": 10, "lr_head": 1e-3, "lr_backbone": 1e-4, "batch": 8}
    values = {
        "identity": {}, "config": config, "rows": dict(zip(("train", "val", "test"), ROWS, strict=True)),
        "device": device, "processor": {"model": "one"}, "path": "fast", "finished": finished,
        "seconds_per_stage": {"1": 1.0, "2": 4.0, "3": 28.0}, "seconds": 38.0,
    }  # fmt: skip
    return {**values, **changed}


def rates_of(root: Path, records: dict[str, Any], speed: Speed | None = None, device: str = "auto") -> Rates:
    paths = ProjectPaths(root, root)
    for name, values in records.items():
        write_json(paths.manifest(BY_NAME[name]), values)
    return known_rates(paths, speed, device)


def fresh_job(name: str = "finetune_M1", epochs: int = 10) -> Job:
    config = TrainConfig("finetune", epochs, 1e-3, 1e-4, batch=8)
    return Job(name, epochs, stage_costs(config, ROWS) | {"test": 0.33 * ROWS[2]})


# -- the clock


@given(SECONDS, st.integers(1, 20))
def test_work_takes_as_long_as_the_longest_job_and_no_longer_than_all_in_turn(jobs: list[float], slots: int) -> None:
    clock, work = clock_seconds(jobs, slots), sum(jobs)
    nearly = 1 - 1e-9  # sums in another order
    assert nearly * max([0.0, *jobs, work / slots]) <= clock <= work / nearly
    assert clock_seconds(jobs, 1) == pytest.approx(work)
    assert clock_seconds(jobs, max(1, len(jobs))) == max(jobs, default=0.0)


def test_the_longest_goes_first() -> None:
    assert clock_seconds([1, 1, 1, 1, 4], 2) == 4


@given(st.integers(3, 40), st.integers(0, 40))
def test_epochs_done_and_epochs_left_are_the_whole_run(epochs: int, done: int) -> None:
    config, done = TrainConfig("finetune", epochs, 1e-3, 1e-4), min(done, epochs)
    parts = [stage_costs(config, ROWS, 0, done), stage_costs(config, ROWS, done)]
    for stage, cost in stage_costs(config, ROWS).items():
        assert sum(part.get(stage, 0.0) for part in parts) == pytest.approx(cost)


def test_confirmations_begin_when_the_rest_has_ended_and_faceapi_runs_beside_gpus() -> None:
    run = FinishedRun("finetune_M1", "2026", ("GPU",), {"3": 1.0, FACEAPI: 1.0})
    train, photos = Job("finetune_M1", 1, {"3": 10.0}), Job("faceapi_M1", 0, {FACEAPI: 6.0})
    on_gpu = expected([[train, photos], [train]], Rates("GPU", [run]), slots=1, cpus=1)
    assert (on_gpu.clock, on_gpu.devices) == (10 + 10, 26)
    assert expected([[train, photos], [train]], Rates("cpu", [run]), slots=1, cpus=9).clock == 16 + 10


# -- how fast


def test_a_run_that_is_done_again_takes_as_long_as_it_took(tmp_path: Path) -> None:
    """Three like it take as long as two where two run at once."""
    found = expected([[fresh_job()] * 3], rates_of(tmp_path, {"finetune_M1": record()}), 2, 1)
    assert (found.clock, found.devices) == (pytest.approx(2 * 38), pytest.approx(3 * 38))
    assert (found.sources, found.unknown) == (("finetune_M1's run of 2026-05-01",), ())


def test_nothing_left_takes_no_time(shared_project: Path) -> None:
    ours = planner(shared_project)
    rates = Rates("cpu", speed=SPEED)
    assert expected([fixed_jobs([], ours), []], rates, 2, 2) == Expected(0.0, 0.0, (), ())


def test_a_sweep_that_is_done_has_nothing_left(tmp_path: Path) -> None:
    members = [replace(trial(number), run=RunPaths(tmp_path / f"{number}")) for number in range(3)]
    default, *others = members
    sweep = Sweep(default.experiment, SweepOptions(), {"lr_head": 1e-3}, default, others)
    # stands in for a planner that would compare the trials with a project's images
    ours: Any = SimpleNamespace(again=lambda step: step, identify=lambda step: step)
    assert (len(sweep_jobs(sweep, ours)), len(confirmation_jobs(sweep, ours))) == (3, 3 * 5)
    sweep.default, *sweep.others = [replace(member, status="done") for member in members]
    assert sweep_jobs(sweep, ours) == [] == confirmation_jobs(sweep, ours)


def test_an_experiments_own_run_says_how_fast_it_is_else_the_newest_else_the_measurement(tmp_path: Path) -> None:
    slow = record(seconds_per_stage={"1": 2.0, "2": 8.0, "3": 56.0}, seconds=76.0, finished="2026-06-01T00:00:00+00:00")
    probe = {"config": {"mode": "probe", "epochs": 5, "lr_head": 1e-3}, "seconds_per_stage": {"1": 1.0}, "seconds": 2.0}
    both = rates_of(tmp_path / "a", {"finetune_M1": record(), "finetune_K7": slow}, SPEED)
    assert expected([[fresh_job("finetune_M1")]], both, 1, 1).clock == pytest.approx(38)
    assert expected([[fresh_job("finetune_M2")]], both, 1, 1).clock == pytest.approx(76)
    only_probe = rates_of(tmp_path / "b", {"probe_M1": record(**probe)}, SPEED)
    rate = only_probe.of("finetune_M1", "3")
    assert rate is not None and (rate.seconds, rate.source) == (0.1, "this machine's measured speed")
    unknown = expected([[fresh_job()], [Job("faceapi_M1", 0, {FACEAPI: 9.0})]], Rates("cpu"), 1, 1)
    assert unknown == Expected(0.0, 0.0, (), ("finetune_M1", "faceapi_M1"))


def test_the_newest_training_says_which_device_counts(tmp_path: Path) -> None:
    old, new = (f"2026-0{month}-01T00:00:00+00:00" for month in (1, 2))
    face = {"identity": {}, "rows": {"test": 100}, "seconds": 50.0, "finished": "2026-03-01T00:00:00+00:00"}
    records = {"finetune_M1": record("cpu", old), "finetune_M2": record("NVIDIA H100", new), "faceapi_M1": face}
    rates = rates_of(tmp_path, records)
    assert (rates.device, [run.experiment for run in rates.runs]) == ("NVIDIA H100", ["faceapi_M1", "finetune_M2"])
    rate = rates.of("faceapi_M2", FACEAPI)
    assert rate is not None and rate.seconds == 0.5
    assert [run.experiment for run in rates_of(tmp_path, {}, device="cpu").runs] == ["faceapi_M1", "finetune_M1"]


@pytest.mark.parametrize(
    "edit",
    [
        lambda r: r.pop("rows"),
        lambda r: r.pop("device"),
        lambda r: r.update(rows={"train": 0, "val": 0, "test": 0}),
        lambda r: r.update(seconds="long"),
        lambda r: r.update(seconds=float("nan")),
        lambda r: r.update(seconds=-5.0),
        lambda r: r.update(seconds_per_stage={"4": 1.0}),
        lambda r: r.update(seconds_per_stage=None),
        lambda r: r.update(config={"mode": "finetune", "epochs": -1}),
        lambda r: r.update(config={"later": 1}),
    ],
)
def test_a_record_that_says_nothing_of_use_is_passed_over(edit: Callable[[dict], object], tmp_path: Path) -> None:
    broken = record()
    edit(broken)
    assert rates_of(tmp_path, {"finetune_M1": broken}).runs == []
    assert [run.experiment for run in rates_of(tmp_path, {"finetune_M2": record()}).runs] == ["finetune_M2"]
