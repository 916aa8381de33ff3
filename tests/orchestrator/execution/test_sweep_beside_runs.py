"""`run-all --sweep`: the fixed runs are those of a run without one, and a trial that fails fails alone."""

from __future__ import annotations

import json
import re
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from ray_runs import RUNS, run_all, trained
from sweep_runs import EPOCHS, EXPERIMENTS, SWEEPS, Bench, table, trials

from orchestrator.planning.planner import trial_folder_name
from search_spaces import runbook
from search_spaces.quantiles import typed
from trainable.base.config import TrainConfig
from trainable.base.files import read_json
from trainable.run.identity import weights_identity

pytestmark = [pytest.mark.ray, pytest.mark.nightly]  # the same laws hold without Ray in test_local_runs.py
# Two CPUs for each of the two fixed runs, as many as there would be without a sweep; one for a trial.
CPUS = ("--num-cpus", 4)
MEDIAN = re.compile(r"below the others' median \((\d\.\d+)\) after epoch (\d+)")


@pytest.fixture(scope="module")
def recipe(swept: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What two sweeps chose, in one file."""
    found: dict[str, Any] = {}
    for experiment in EXPERIMENTS:
        found |= read_json(swept / f"reports/sweeps/{experiment}_160_best.json")["experiments"]
    path = tmp_path_factory.mktemp("recipe") / "best.json"
    path.write_text(json.dumps({"experiments": found}), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def plainly(bench: Bench, recipe: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both experiments with what their sweeps chose, nothing swept."""
    output = tmp_path_factory.mktemp("plainly")
    done = run_all(bench.project, output, *options(bench, recipe))
    assert done.returncode == 0, done.stdout + done.stderr
    return output


@pytest.fixture(scope="module")
def beside(bench: Bench, recipe: Path, swept: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """The same with sweeps around them; one trial finds a file where its folder should be."""
    output = tmp_path_factory.mktemp("beside")
    in_the_way = output / obstructed(bench, swept)
    in_the_way.parent.mkdir(parents=True)
    in_the_way.write_text("in the way", encoding="utf-8")
    sweep = ("--sweep", "lr-grid", "--scheduler", "median", "--confirm", 2)
    done = run_all(bench.project, output, *options(bench, recipe), *sweep)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    return output, done.stdout


def options(bench: Bench, recipe: Path) -> list[object]:
    return ["--only", ",".join(EXPERIMENTS), "--weights", bench.weights, "--config", recipe, *CPUS]


def chosen(bench: Bench, swept: Path, experiment: str) -> TrainConfig:
    number = read_json(swept / f"reports/sweeps/{experiment}_160_verdict.json")["chosen"]
    return bench.config(experiment, table(swept, experiment)[number])


def obstructed(bench: Bench, swept: Path) -> Path:
    """The folder of the probe's trial with three times the rate."""
    config = chosen(bench, swept, "probe_M1")
    probe = next(e for e in runbook.EXPERIMENTS if e.name == "probe_M1")
    larger = replace(config, lr_head=typed(config.lr_head * 3))
    return SWEEPS / probe.folder / trial_folder_name(larger, weights_identity(config.weights))


def folder_of(experiment: str) -> str:
    return f"{experiment}_160"


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_what_a_sweep_chose_is_what_run_all_trains(bench: Bench, swept: Path, plainly: Path, experiment: str) -> None:
    manifest = read_json(plainly / RUNS / folder_of(experiment) / "manifest.json")
    assert manifest["config"] == vars(chosen(bench, swept, experiment))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_fixed_run_is_the_same_beside_a_sweep(plainly: Path, beside: tuple[Path, str], experiment: str) -> None:
    """History, weights, predictions and metrics, on whatever CPUs were free."""
    output, _ = beside
    assert trained(output, folder_of(experiment)) == trained(plainly, folder_of(experiment))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_fixed_run_is_trial_0(bench: Bench, swept: Path, beside: tuple[Path, str], experiment: str) -> None:
    output, _ = beside
    rows, config = table(output, experiment), chosen(bench, swept, experiment)
    assert rows[0]["folder"] == (RUNS / folder_of(experiment)).as_posix()
    assert bench.config(experiment, rows[0]) == config
    around = [(typed(x / 3), x, typed(x * 3)) for x in (config.lr_head, config.lr_backbone) if x is not None]
    swept_points = {tuple(float(row[name]) for name in ("lr_head", "lr_backbone") if name in row) for row in rows}
    assert len(rows) == len(swept_points) == 3 ** len(around)
    assert all(value in values for point in swept_points for value, values in zip(point, around, strict=True))
    folders = {path for path in trials(output) if path.parent.name == folder_of(experiment)}
    assert folders == {output / row["folder"] for row in rows[1:]}, "the default ran once more"


def test_a_trial_that_fails_fails_alone(bench: Bench, swept: Path, beside: tuple[Path, str]) -> None:
    output, printed = beside
    failed = obstructed(bench, swept).as_posix()
    for experiment in EXPERIMENTS:
        for row in table(output, experiment):
            folder = output / row["folder"]
            if row["folder"] == failed:
                assert folder.read_text(encoding="utf-8") == "in the way"
                assert (row["epochs"], row["best_val_macro_f1"]) == ("0", "")
                assert f"{experiment}#{row['trial']}: failed: " in printed
                assert f"failed: {experiment}#{row['trial']}; the same command tries again" in printed
            elif row["why_it_stopped"] == "finished":
                assert int(row["epochs"]) == EPOCHS
                assert (folder / "manifest.json").is_file()
            else:
                assert MEDIAN.fullmatch(row["why_it_stopped"])
        lines = table(output, experiment, "_confirmation.csv")
        assert {line["seed"] for line in lines} == {"1338", "1339"}
        assert {"0"} < {line["trial"] for line in lines}
    assert sum(row["folder"] == failed for row in table(output, "probe_M1")) == 1


def test_who_is_below_the_median_is_stopped_in_the_last_stage(beside: tuple[Path, str]) -> None:
    """Of those stopped, each is below a median that running averages of others at its epoch can have."""
    output, _ = beside
    rows = table(output, "finetune_M1")
    for row in rows[1:]:
        found = MEDIAN.fullmatch(row["why_it_stopped"])
        if found:
            past = read_json(output / row["folder"] / "stopped.json")
            median, epoch = float(found[1]), int(found[2])
            scores = past["scores"][2:]
            assert epoch == len(past["scores"]) and past["stages"][-1] == 3
            assert max(scores) < median + 1e-4
            others = [scores_of(output, other)[2:epoch] for other in rows if other is not row]
            averages = [statistics.fmean(other) for other in others if len(other) == len(scores)]
            assert len(averages) >= 3
            assert min(averages) - 1e-4 <= median <= max(averages) + 1e-4
    assert rows[0]["why_it_stopped"] == "finished"


def scores_of(output: Path, row: dict[str, str]) -> list[float]:
    folder = output / row["folder"]
    stopped = read_json(folder / "stopped.json")
    if stopped:
        return list(stopped["scores"])
    lines = (folder / "history.csv").read_text(encoding="utf-8").splitlines()
    place = lines[0].split(",").index("val_macro_f1")
    return [float(line.split(",")[place]) for line in lines[1:]]
