"""`--search optuna` by the real command line: trials that are chosen while the sweep runs, kept and added to."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from ray.tune import ExperimentAnalysis
from ray_runs import ROOT, run_all, running, trial_processes, wait_for
from small_runs import history
from sweep_runs import SWEEPS, Bench, Row, files, table, trials, tune_trials

from orchestrator.sweeps.configurations import STARTUP
from trainable.base.files import read_json

pytestmark = [pytest.mark.ray, pytest.mark.nightly]  # the same laws hold without Ray in test_local_runs.py
SAMPLES, MORE = STARTUP + 2, STARTUP + 4


def options(bench: Bench, samples: int) -> list[object]:
    weights = os.path.relpath(bench.weights, ROOT)  # trials have working folders of their own
    return ["probe_M1", "--weights", weights, "--epochs", 8, "--search", "optuna", "--confirm", 0,
            "--num-samples", samples]  # fmt: skip


@pytest.fixture(scope="module")
def chosen(bench: Bench, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sweep whose driver is killed when the first trial has been chosen."""
    output = tmp_path_factory.mktemp("chosen") / "output"
    with running(bench.project, output, *options(bench, SAMPLES), verb="sweep") as process:
        wait_for(lambda: list((output / SWEEPS).glob("*/optuna-*.json")))
        orphans = trial_processes(process.pid)
        process.kill()
        process.wait()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans))
    assert not (output / "reports").exists(), "it was killed too late"
    return output


@pytest.fixture(scope="module")
def resumed(bench: Bench, chosen: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("resumed") / "output"
    shutil.copytree(chosen, output)
    sweep(bench, output, SAMPLES)
    return output


def sweep(bench: Bench, output: Path, samples: int) -> str:
    done = run_all(bench.project, output, *options(bench, samples), verb="sweep")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return str(done.stdout)


def log(output: Path) -> list[dict[str, float]]:
    (path,) = (output / SWEEPS).glob("*/optuna-*.json")
    points: list[dict[str, float]] = read_json(path)["points"]
    return points


def test_what_was_chosen_before_the_kill_is_kept(chosen: Path, resumed: Path) -> None:
    before = log(chosen)
    assert before, "it was killed too early"
    assert log(resumed)[: len(before)] == before and len(log(resumed)) == SAMPLES - STARTUP
    rows = table(resumed, "probe_M1")
    assert [row["trial"] for row in rows] == [f"{i}" for i in range(SAMPLES)]
    assert [{"lr_head": float(row["lr_head"])} for row in rows[STARTUP:]] == log(resumed)
    assert len({row["folder"] for row in rows}) == SAMPLES == len(trials(resumed))


def test_each_trial_is_the_same_run_alone(bench: Bench, resumed: Path) -> None:
    for row in table(resumed, "probe_M1")[STARTUP:]:
        assert scores(resumed, row) == bench.alone_scores(bench.config("probe_M1", row))[: int(row["epochs"])]


def scores(output: Path, row: Row) -> list[float]:
    folder = output / row["folder"]
    stopped = read_json(folder / "stopped.json")
    return stopped["scores"] if stopped else [float(line["val_macro_f1"]) for line in history(folder)]


def test_tunes_records_hold_what_was_chosen(resumed: Path) -> None:
    found = [ExperimentAnalysis(str(folder)) for folder in sorted((resumed / ".emosweep/tune").iterdir())]
    # The killed call noted nothing of its last seconds; the later one is read last.
    jobs = {t.config["job"]["experiment"]: t.config["job"] for analysis in found for t in analysis.trials}
    for row in table(resumed, "probe_M1")[STARTUP:]:
        job = jobs[f"probe_M1#{row['trial']}"]
        assert job["config"]["lr_head"] == float(row["lr_head"])
        assert Path(job["out"]).name == Path(row["folder"]).name


def test_the_same_command_runs_nothing_and_a_larger_one_what_is_new(
    bench: Bench, resumed: Path, tmp_path: Path
) -> None:
    output = tmp_path / "output"
    shutil.copytree(resumed, output)
    models = files(output / "models")
    assert "Ray's log" not in sweep(bench, output, SAMPLES), "Ray was started for nothing"
    assert files(output / "models") == models
    old, known = trials(output), tune_trials(output)
    sweep(bench, output, MORE)
    after = files(output / "models")
    assert {name for name, kept in models.items() if after[name] != kept} == {
        path.relative_to(output / "models").as_posix() for path in (output / "models").rglob("optuna-*.json")
    }
    assert len(trials(output) - old) == MORE - SAMPLES
    assert log(output)[: SAMPLES - STARTUP] == log(resumed)
    started = {path.name for path in tune_trials(output) - known}
    assert started == {f"probe_M1-{number}" for number in range(SAMPLES, MORE)}
