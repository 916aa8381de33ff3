"""`plan --sweep` by hand: the work of a sweep, and how long it takes."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from by_hand import Cli
from planned import planner, sweep_of

from orchestrator.planning.costs import epoch_costs
from orchestrator.planning.selection import select
from orchestrator.planning.steps import Run
from orchestrator.sweeps import speed
from orchestrator.sweeps.estimate import Job, confirmation_jobs, fixed_jobs, sweep_jobs
from orchestrator.sweeps.rates import FACEAPI, TEST
from trainable.base.errors import ConfigError
from trainable.base.files import write_json
from trainable.base.limits import usable_cpus
from trainable.cache.folder import cache_root

EPOCHS = 30


@dataclass(frozen=True)
class Work:
    """Of several jobs: how many, their epochs, and their cost in training steps of one image, tests aside."""

    jobs: int
    epochs: int
    images: float


def work_of(jobs: Sequence[Job]) -> Work:
    costs = [cost for job in jobs for kind, cost in job.costs.items() if kind != TEST]
    return Work(len(jobs), sum(job.epochs for job in jobs), sum(costs))


@pytest.fixture
def trials(shared_project: Path) -> list[float]:
    """What the first epochs of a trial cost, summed: trials[n - 1] is the cost of n epochs."""
    sweep = sweep_of(planner(shared_project, epochs=EPOCHS), "finetune_M1", num_samples=2)
    costs = epoch_costs(sweep.default.config, sweep.default.rows)
    costs[0] = costs[1]  # what is computed once is not a trial's
    return [sum(costs[:epochs]) for epochs in range(1, EPOCHS + 1)]


def test_every_trial_counts_whole_without_early_stopping(shared_project: Path, trials: list[float]) -> None:
    ours = planner(shared_project, epochs=EPOCHS)
    for scheduler in ("none", "median", "asha"):
        work = work_of(sweep_jobs(sweep_of(ours, "finetune_M1", num_samples=5, scheduler=scheduler), ours))
        assert work == Work(5, 5 * EPOCHS, pytest.approx(5 * trials[-1]))


def test_halving_ends_as_many_trials_at_each_rung_as_it_says(shared_project: Path, trials: list[float]) -> None:
    """Of 16 besides the default, 12 go on from epoch 9, 4 from epoch 12, and 2 from epoch 16."""
    ours = planner(shared_project, epochs=EPOCHS)
    work = work_of(sweep_jobs(sweep_of(ours, "finetune_M1", num_samples=17), ours))
    ends = [EPOCHS, EPOCHS, EPOCHS, 16, 16, *[12] * 8, *[9] * 4]
    assert work == Work(17, sum(ends), pytest.approx(sum(trials[epochs - 1] for epochs in ends)))


def test_trials_that_a_search_has_still_to_choose_count(shared_project: Path) -> None:
    pytest.importorskip("optuna")
    ours = planner(shared_project, epochs=EPOCHS)
    chosen_late = sweep_jobs(sweep_of(ours, "finetune_M1", num_samples=17, search="optuna"), ours)
    assert work_of(chosen_late) == work_of(sweep_jobs(sweep_of(ours, "finetune_M1", num_samples=17), ours))


def test_the_best_two_and_the_default_are_confirmed(shared_project: Path, trials: list[float]) -> None:
    ours = planner(shared_project, epochs=EPOCHS)
    work = work_of(confirmation_jobs(sweep_of(ours, "finetune_M1", confirm=4), ours))
    assert work == Work(12, 12 * EPOCHS, pytest.approx(12 * trials[-1]))


def test_faceapi_looks_at_a_photo_of_two_splits_once(shared_project: Path, tmp_path: Path) -> None:
    shutil.copytree(shared_project, tmp_path / "project")
    splits = tmp_path / "project/data_shared/splits_csv"
    (splits / "test_M2.csv").write_text((splits / "test_M1.csv").read_text(encoding="utf-8"), encoding="utf-8")
    ours = planner(tmp_path / "project", "faceapi_*")
    rows = len((splits / "test_M1.csv").read_text(encoding="utf-8").splitlines()) - 1
    for names in (["faceapi_M1"], ["faceapi_M2"], ["faceapi_M1", "faceapi_M2"]):
        assert sum(job.costs[FACEAPI] for job in fixed_jobs(ours.plan(select(names)), ours)) == rows


def test_a_run_goes_on_after_its_checkpoint(shared_project: Path, tmp_path: Path) -> None:
    """Of ten epochs of stage 3 half are left where five are done; the epochs before and their features are not."""
    shutil.copytree(shared_project, tmp_path / "project")
    ours = planner(tmp_path / "project", epochs=EPOCHS)
    (run,) = ours.plan(select(["finetune_M1"]))
    assert isinstance(run, Run)
    whole = epoch_costs(run.config, run.rows)
    assert work_of(fixed_jobs([run], ours)) == Work(1, EPOCHS, pytest.approx(sum(whole)))
    left = {}
    for done in (EPOCHS - 10, EPOCHS - 5):
        note = {"identity": ours.identify(run).identity, "epoch": done}
        run.run.checkpoints.mkdir(parents=True, exist_ok=True)
        write_json(run.run.checkpoint_note, note)
        left[done] = work_of(fixed_jobs(ours.plan(select(["finetune_M1"])), ours))
    ten, five = left.values()
    assert ten == Work(1, 10, pytest.approx(sum(whole[-10:])))
    assert five == Work(1, 5, pytest.approx(ten.images / 2))


def test_the_hours_are_the_work_divided_by_speed_and_slots(
    cli: Cli, project: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With a speed that is remembered, so that nothing is measured: 2 trials at once, each an image in 10 seconds."""
    monkeypatch.setenv("EMOSWEEP_CACHE", str(tmp_path / "cache"))
    key = f"8 images, {usable_cpus()} CPUs"
    known = {"slots": 2, "images_per_second": 0.1, "device": "cpu"}
    cache_root().mkdir(parents=True)
    (cache_root() / "speed.json").write_text(json.dumps({key: known}), encoding="utf-8")
    options = ("--only", "finetune_M1", "--weights", "none", "--batch", 8, "--epochs", EPOCHS, "--sweep", "lr")
    done = cli("plan", "--project-root", project, *options, "--num-samples", 3, "--confirm", 0, "--scheduler", "none")
    assert done.returncode == 0, done.stderr
    ours = planner(project, epochs=EPOCHS, batch=8)
    sweep = sweep_of(ours, "finetune_M1", num_samples=3, confirm=0, scheduler="none", fixed=True)
    seconds = round(work_of(sweep_jobs(sweep, ours)).images / 0.1 / 2)
    shown = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}" if seconds >= 3600 else f"{seconds // 60}:"
    (line,) = [line for line in done.stdout.splitlines() if line.strip().startswith("finetune_M1") and "2 of 2" in line]
    assert shown in line


def test_a_measurement_that_hangs_is_not_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speed, "LIMIT_SECONDS", 0.5)
    command = [sys.executable, "-c", "import time; time.sleep(100)"]
    hanging = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True)]
    with pytest.raises(ConfigError, match=r"nothing came back within 0\.5 s"):
        speed._results(hanging)
    assert hanging[0].wait(10) != 0
