"""Sweeps by the real command line: what they leave, what they may stop, and what runs once only."""

from __future__ import annotations

import math
import re
import shutil
import statistics
from pathlib import Path
from typing import Any

import pytest
from ray.tune import ExperimentAnalysis
from ray_runs import running, trial_processes, wait_for
from small_runs import RESULTS, TRIAL_RESULTS, history
from sweep_runs import (
    EPOCHS,
    EXPERIMENTS,
    SMALL,
    SWEEPS,
    Bench,
    epochs_of,
    files,
    rows_of,
    table,
    trials,
    tune_results,
    tune_trials,
)

from orchestrator.planning.settings import Settings, load_recipe
from search_spaces import runbook
from trainable.base.config import TrainConfig
from trainable.base.files import read_json

pytestmark = pytest.mark.ray
LAST_STAGE = {"probe_M1": 0, "finetune_M1": 2}
WHY = re.compile(r"not among the best (\d+) of (\d+) in stage (\d+), epoch (\d+)")
LARGE = ("--num-samples", 6, "--confirm", 2)


@pytest.fixture(scope="module")
def enlarged(bench: Bench, swept: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sweep with two more samples each, whose driver is killed when the first of them trains."""
    output = tmp_path_factory.mktemp("enlarged") / "output"
    shutil.copytree(swept, output)
    before = trials(output)
    with running(bench.project, output, *bench.options(*LARGE), verb="sweep") as process:
        wait_for(lambda: any(epochs_of(folder) for folder in trials(output) - before))
        orphans = trial_processes(process.pid)
        process.kill()
        process.wait()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans))
    assert sum(ended(folder) for folder in trials(output) - before) < 2 * len(EXPERIMENTS), "it was killed too late"
    done = bench.sweep(output, *LARGE)
    assert done.returncode == 0, done.stdout + done.stderr
    return output


def ended(folder: Path) -> bool:
    return any((folder / name).is_file() for name in ("manifest.json", "stopped.json"))


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_row_a_trial(bench: Bench, swept: Path, experiment: str) -> None:
    rows = table(swept, experiment)
    rates = ["lr_head", "lr_backbone"] if experiment == "finetune_M1" else ["lr_head"]
    assert list(rows[0]) == ["trial", *rates, "stage", "epochs", "best_val_macro_f1", "best_epoch", "seconds",
                             "why_it_stopped", "folder"]  # fmt: skip
    assert [row["trial"] for row in rows] == ["0", "1", "2", "3"]
    assert len({row["folder"] for row in rows}) == 4
    published = next(e for e in runbook.EXPERIMENTS if e.name == experiment)
    for row in rows:
        for name in rates:
            default = getattr(published, name)
            assert default / 10 <= float(row[name]) <= default * 10
            assert (float(row[name]) == default) == (row["trial"] == "0")
        assert row["stage"] and float(row["seconds"]) > 0
        past = seen(swept, row)
        assert row["epochs"] == f"{len(past['scores'])}"
        assert row["stage"] == f"{past['stages'][-1]}"
        assert row["best_val_macro_f1"] == f"{round(max(past['scores']), 6)}"
        assert row["best_epoch"] == f"{past['scores'].index(max(past['scores'])) + 1}"
        assert row["why_it_stopped"] == past["why"]


def seen(output: Path, row: dict[str, str]) -> dict[str, Any]:
    """What a trial has shown, from its own files."""
    folder = output / row["folder"]
    stopped = read_json(folder / "stopped.json")
    assert bool(stopped) != (folder / "manifest.json").is_file(), "a trial ends once"
    assert not (folder / ".checkpoints").exists()
    if stopped:
        return dict(stopped)
    lines = rows_of(folder / "history.csv")
    return {
        "scores": [float(line["val_macro_f1"]) for line in lines],
        "stages": [int(line["stage"]) for line in lines],
        "why": "finished",
    }


@pytest.mark.parametrize("output", ["swept", pytest.param("enlarged", marks=pytest.mark.nightly)])
def test_who_is_stopped_is_not_among_the_best(request: pytest.FixtureRequest, output: str) -> None:
    """Successive halving told again from the files: at a rung, as many as go on from there were better."""
    folder, pruned = request.getfixturevalue(output), []
    for experiment in EXPERIMENTS:
        rows = table(folder, experiment)
        pasts = [seen(folder, row) for row in rows]
        for past in pasts:
            if past["why"] == "finished":
                assert len(past["scores"]) == EPOCHS
                continue
            pruned.append(past)
            room, judged, stage, epoch = map(int, WHY.fullmatch(past["why"]).groups())
            start = LAST_STAGE[experiment]
            length = EPOCHS - start
            keep = {start: 3 / 4, start + math.ceil(length / 9): 1 / 4, start + math.ceil(length / 3): 1 / 8}
            assert room == max(2, math.ceil(keep[epoch] * judged))
            # Those of the smaller sweep were held against fewer.
            assert judged in (len(rows) - 1, 3)
            assert stage == past["stages"][epoch - 1]
            rivals = [p for p in pasts[1 : judged + 1] if p is not past and len(p["scores"]) >= epoch]
            assert sum(best_of_stage(rival, epoch) >= best_of_stage(past, epoch) for rival in rivals) >= room
    assert pruned, "nothing was stopped, so nothing was shown"
    assert not any(past is pasts[0] for past in pruned)


def best_of_stage(past: dict[str, Any], epochs: int) -> float:
    stage = past["stages"][epochs - 1]
    pairs = zip(past["scores"][:epochs], past["stages"][:epochs], strict=True)
    return max(score for score, s in pairs if s == stage)


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_a_trial_in_a_sweep_is_the_same_run_alone(bench: Bench, swept: Path, experiment: str) -> None:
    """To the last bit, though trials waited for each other and went on elsewhere."""
    for row in table(swept, experiment):
        config, folder = bench.config(experiment, row), swept / row["folder"]
        if row["why_it_stopped"] == "finished":
            assert history(folder) == history(bench.alone(config))
            assert read_json(folder / "val_metrics_best.json") == read_json(
                bench.alone(config) / "val_metrics_best.json"
            )
        else:
            scores = read_json(folder / "stopped.json")["scores"]
            assert scores == bench.alone_scores(config)[: len(scores)]


def test_trials_were_paused(swept: Path) -> None:
    """Else the test above shows nothing: a trial that goes on counts its epochs from there."""
    since = [[result["iterations_since_restore"] for result in results] for results in tune_results(swept)]
    assert any(numbers[i] <= numbers[i - 1] for numbers in since for i in range(1, len(numbers)))


def test_only_confirmations_test(swept: Path) -> None:
    for folder in (swept / SWEEPS).glob("*/*"):
        names = {path.name for path in folder.iterdir()}
        if folder.name.endswith("-s1337"):
            assert names in (TRIAL_RESULTS, {"stopped.json"})
        else:
            assert names == RESULTS
            assert folder.name.rpartition("-")[2] in ("s1338", "s1339")


@pytest.mark.parametrize("output", ["swept", pytest.param("enlarged", marks=pytest.mark.nightly)])
@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_the_default_and_the_best_two_are_confirmed_and_the_best_is_chosen(
    request: pytest.FixtureRequest, bench: Bench, output: str, experiment: str
) -> None:
    folder = request.getfixturevalue(output)
    rows = table(folder, experiment)
    finished = [row for row in rows[1:] if row["why_it_stopped"] == "finished"]
    finished.sort(key=lambda row: -float(row["best_val_macro_f1"]))
    confirmed = [rows[0], *finished[:2]]
    lines = table(folder, experiment, "_confirmation.csv")
    assert [(line["trial"], line["seed"]) for line in lines] == [
        (row["trial"], seed) for row in confirmed for seed in ("1338", "1339")
    ]
    means = []
    for row in confirmed:
        values = []
        for seed in (1338, 1339):
            run = folder / row["folder"].replace("-s1337", f"-s{seed}")
            line = next(x for x in lines if (x["trial"], x["seed"]) == (row["trial"], f"{seed}"))
            assert line["test_macro_f1"] == f"{round(read_json(run / 'test_metrics.json')['macro_f1'], 6)}"
            assert read_json(run / "manifest.json")["config"] == vars(bench.config(experiment, row, seed))
            values.append(read_json(run / "val_metrics_best.json")["macro_f1"])
        means.append(statistics.fmean(values))
    best = confirmed[means.index(max(means))]
    assert chosen(folder, experiment, bench) == bench.config(experiment, best)


def chosen(output: Path, experiment: str, bench: Bench) -> TrainConfig:
    """What a run with the sweep's best as its recipe trains."""
    path = output / f"reports/sweeps/{experiment}_160_best.json"
    settings = Settings(load_recipe(path).with_flags(weights=str(bench.weights)))
    return settings.train_config(next(e for e in runbook.EXPERIMENTS if e.name == experiment))


def test_the_same_command_again_runs_nothing_and_changes_nothing(bench: Bench, swept: Path) -> None:
    models, reports = files(swept / "models"), files(swept / "reports")
    done = bench.sweep(swept, *SMALL)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Ray's log" not in done.stdout, "Ray was started for nothing"
    assert files(swept / "models") == models
    made = "index.html"  # it says when
    after = files(swept / "reports")
    assert after.keys() == reports.keys()
    assert all(after[name][1] == text for name, (_, text) in reports.items() if name != made)


def test_tunes_own_tools_open_its_folders(swept: Path) -> None:
    found = [ExperimentAnalysis(str(folder)) for folder in (swept / ".emosweep/tune").iterdir()]
    names = [trial.config["job"]["experiment"] for analysis in found for trial in analysis.trials]
    assert len(names) == len(set(names)) == len(list((swept / SWEEPS).glob("*/*")))
    for analysis in found:
        assert set(analysis.dataframe()["best_val_macro_f1"]) <= {
            max(r["scores"]) for results in tune_results(swept) for r in results
        }
    with_results = {path.parent.name for path in (swept / ".emosweep/tune").glob("*/*/result.json")}
    for_tensorboard = {path.parts[-3] for path in (swept / ".emosweep/tensorboard").rglob("events.out.tfevents.*")}
    assert for_tensorboard == with_results != set()


def test_a_larger_sweep_runs_what_is_new(swept: Path, enlarged: Path) -> None:
    """Also with its driver killed on the way."""
    old = {folder.relative_to(swept) for folder in trials(swept)}
    assert {folder.relative_to(enlarged) for folder in trials(enlarged)} > old
    assert len(trials(enlarged)) == len(old) + 2 * len(EXPERIMENTS)
    for folder in old:
        assert files(enlarged / folder) == files(swept / folder)
    for experiment in EXPERIMENTS:
        assert table(enlarged, experiment)[:4] == table(swept, experiment)
        assert [row["trial"] for row in table(enlarged, experiment)] == ["0", "1", "2", "3", "4", "5"]
    new = tune_trials(enlarged) - tune_trials(swept)
    assert {path.name for path in new if "-seed" not in path.name} == {
        f"{experiment}-{number}" for experiment in EXPERIMENTS for number in (4, 5)
    }
