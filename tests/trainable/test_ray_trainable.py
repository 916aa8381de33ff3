"""Trials of a sweep: no test set, and Tune results that tell a trial's past."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from projects import make_project
from small_runs import (
    CPU,
    RESULTS,
    TRIAL_RESULTS,
    csvs_of,
    finetune,
    history,
    probe,
    spec_of,
    tables_of,
    write_weights,
)

from trainable.base.config import RunSpec, TrainConfig, make_job
from trainable.base.paths import RunPaths
from trainable.cache.hashes import ImageHashes
from trainable.network.compute import Compute
from trainable.ray_trainable import StagedTrainable
from trainable.run.artifacts import finished_metrics
from trainable.run.checkpoints import read_state
from trainable.run.identity import training_identity
from trainable.run.loop import Passes, PassResult, evaluate
from trainable.run.trainer import Trainer


@pytest.fixture(scope="module")
def weights(shared_project: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_weights(tmp_path_factory.mktemp("weights") / "w.pt", tables_of(shared_project)["train"])


@pytest.fixture(scope="module")
def untested(weights: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that has nothing of its test set, neither CSV nor images."""
    root = make_project(tmp_path_factory.mktemp("untested"))
    for row in tables_of(root)["test"].rows:
        row.file.unlink()
    csvs_of(root)["test"].unlink()
    return root


def learner(weights: Path, **changes: Any) -> TrainConfig:
    """A probe whose score rises on its way."""
    return probe(weights, **{"epochs": 6, "lr_head": 3e-2, **changes})


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


# -- no test


def test_a_trial_needs_nothing_of_the_test_set(untested: Path, weights: Path, tmp_path: Path) -> None:
    found = Trainer(spec_of(untested, tmp_path / "out", learner(weights), test=False), CPU).run()
    assert {path.name for path in (tmp_path / "out").iterdir()} == TRIAL_RESULTS
    assert found == read(tmp_path / "out/val_metrics_best.json")
    assert found["n"] == 6


def test_a_trial_leaves_no_trace_of_the_test_set(shared_project: Path, weights: Path, tmp_path: Path) -> None:
    Trainer(spec_of(shared_project, tmp_path / "out", learner(weights), test=False), CPU).run()
    manifest = read(tmp_path / "out/manifest.json")
    assert manifest.pop("test") is False
    assert set(manifest["rows"]) == set(manifest["csvs"]) == set(manifest["identity"]["data"]) == {"train", "val"}
    assert manifest["seconds"] == pytest.approx(sum(manifest["seconds_per_stage"].values()))
    versions_and_places = {"versions", "platform", "host", "git_commit", "csvs", "config"}
    said = json.dumps({key: value for key, value in manifest.items() if key not in versions_and_places})
    assert "test" not in said
    for name in TRIAL_RESULTS - {"manifest.json"}:
        assert b"test" not in (tmp_path / "out" / name).read_bytes(), name


def test_a_trial_evaluates_validation_only(shared_project: Path, weights: Path, tmp_path: Path) -> None:
    seen: list[int] = []

    def counted(forward: Any, inputs: Any, compute: Compute) -> PassResult:
        seen.append(len(inputs))
        return evaluate(forward, inputs, compute)

    passes = Passes(evaluate=counted)
    Trainer(spec_of(shared_project, tmp_path / "trial", probe(weights), test=False), CPU, passes=passes).run()
    assert seen == [6, 6]
    Trainer(spec_of(shared_project, tmp_path / "whole", probe(weights)), CPU, passes=passes).run()
    assert seen == [6, 6, 6, 6, 9]


def test_a_trial_trains_as_a_whole_run_does(shared_project: Path, weights: Path, tmp_path: Path) -> None:
    for name, test in (("trial", False), ("whole", True)):
        Trainer(spec_of(shared_project, tmp_path / name, finetune(weights), test=test), CPU).run()
    assert history(tmp_path / "trial") == history(tmp_path / "whole")
    for name in ("val_metrics_best.json", "classes.json"):
        assert (tmp_path / "trial" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert read(tmp_path / "whole/manifest.json")["test"] is True


def test_a_trial_and_a_whole_run_replace_each_others_results(
    shared_project: Path, weights: Path, tmp_path: Path
) -> None:
    """What is left of the other one would be taken for this one's."""
    out = tmp_path / "out"
    for test, results in ((True, RESULTS), (False, TRIAL_RESULTS), (True, RESULTS)):
        Trainer(spec_of(shared_project, out, probe(weights, epochs=1), test=test), CPU).run()
        assert {path.name for path in out.iterdir() if path.is_file()} == results
        assert read(out / "manifest.json")["test"] is test


def test_paths_say_what_each_leaves() -> None:
    paths = RunPaths(Path("out"))
    optional = {"manifest.json", paths.val_logits.name, paths.test_logits.name}
    assert {path.name for path in paths.files} == RESULTS - {"manifest.json"}
    assert {path.name for path in paths.results} == RESULTS - optional
    assert {path.name for path in paths.trial_results} == TRIAL_RESULTS - optional


def test_a_stopped_trial_goes_on_and_can_end_as_a_whole_run(
    shared_project: Path, weights: Path, tmp_path: Path
) -> None:
    """The identity is the driver's, which says nothing of the test flag: training is the same with it and without."""
    config = learner(weights, epochs=3)
    identity = training_identity(config, tables_of(shared_project), ImageHashes())
    trial, whole = (spec_of(shared_project, tmp_path / "out", config, test=test) for test in (False, True))
    Trainer(trial, CPU, identity).step()
    again = Trainer(trial, CPU, identity)
    assert again.state.epoch == 1
    again.step()
    Trainer(whole, CPU, identity).run()
    Trainer(spec_of(shared_project, tmp_path / "undisturbed", config), CPU, identity).run()
    assert history(tmp_path / "out") == history(tmp_path / "undisturbed")
    assert (tmp_path / "out/test_preds.csv").read_bytes() == (tmp_path / "undisturbed/test_preds.csv").read_bytes()


def test_the_identity_of_a_trial_is_that_of_its_data(project: Path, weights: Path, tmp_path: Path) -> None:
    """It goes on after the test set has changed, and not after the validation set has."""
    spec = spec_of(project, tmp_path / "out", learner(weights), test=False)
    Trainer(spec, CPU).step()
    tables = tables_of(project)
    tables["test"].rows[0].file.write_bytes(tables["test"].rows[1].file.read_bytes())
    assert Trainer(spec, CPU).state.epoch == 1
    tables["val"].rows[0].file.write_bytes(tables["val"].rows[1].file.read_bytes())
    assert Trainer(spec, CPU).state.epoch == 0


# -- Tune's results


Start = Callable[[RunSpec], StagedTrainable]


@pytest.fixture
def start() -> Start:
    """The adapter as an actor has it, without a Ray around it."""

    def started(spec: RunSpec) -> StagedTrainable:
        tables = {part: table for part, table in tables_of(spec.project_root).items() if part in spec.parts}
        identity = training_identity(spec.config, tables, ImageHashes())
        plain = json.loads(json.dumps(make_job(spec, CPU, identity)))  # as Tune writes it
        return StagedTrainable({"job": plain})

    return started


def test_every_result_tells_the_epochs_before(
    shared_project: Path, weights: Path, tmp_path: Path, start: Start
) -> None:
    trial = start(spec_of(shared_project, tmp_path / "out", finetune(weights, lr_head=3e-2)))
    results = [trial.train() for _ in range(4)]
    scores = [float(row["val_macro_f1"]) for row in history(tmp_path / "out")]
    assert len(set(scores)) > 1, "constant scores would prove little"
    for number, result in enumerate(results, 1):
        assert result["scores"] == scores[:number]
        assert result["stages"] == [1, 2, 3, 3][:number]
        assert result["best_val_macro_f1"] == max(scores[:number])
        assert {type(score) for score in result["scores"]} == {float}
    assert [result["done"] for result in results] == [False, False, False, True]
    trial.stop()


def test_a_result_is_not_changed_by_the_next_one(
    shared_project: Path, weights: Path, tmp_path: Path, start: Start
) -> None:
    trial = start(spec_of(shared_project, tmp_path / "out", learner(weights)))
    first = trial.train()
    trial.train()
    assert len(first["scores"]) == len(first["stages"]) == 1


def test_a_trial_that_was_killed_tells_its_whole_past(
    shared_project: Path, weights: Path, tmp_path: Path, start: Start
) -> None:
    """By its own folder, and by a state that Tune moved."""
    spec = spec_of(shared_project, tmp_path / "out", learner(weights))
    killed = start(spec)
    past = [killed.train()["val_macro_f1"] for _ in range(3)]
    (tmp_path / "saved").mkdir()
    killed.save_checkpoint(str(tmp_path / "saved"))
    moved = start(spec_of(shared_project, tmp_path / "elsewhere", learner(weights)))
    moved.load_checkpoint(str(tmp_path / "saved"))
    for result in (start(spec).train(), moved.train()):
        assert result["epoch"] == 4
        assert result["scores"] == [*past, result["val_macro_f1"]]
        assert result["stages"] == [1] * 4
        assert result["best_val_macro_f1"] == max(result["scores"])


def test_a_trial_that_was_killed_after_a_pause_goes_on_from_its_own_folder(
    shared_project: Path, weights: Path, tmp_path: Path, start: Start
) -> None:
    """Tune's checkpoint is of the pause, and older."""
    spec = spec_of(shared_project, tmp_path / "out", learner(weights))
    killed = start(spec)
    killed.train()
    (tmp_path / "saved").mkdir()
    killed.save_checkpoint(str(tmp_path / "saved"))
    killed.train()
    resumed = start(spec)
    resumed.load_checkpoint(str(tmp_path / "saved"))
    assert resumed.train()["epoch"] == 3


def test_a_job_carries_that_there_is_no_test(untested: Path, weights: Path, tmp_path: Path) -> None:
    spec = spec_of(untested, tmp_path / "out", learner(weights, epochs=2), test=False)
    identity = {"any": "identity"}
    assert (
        make_job(spec, CPU, identity)["test"],
        make_job(spec_of(untested, spec.out, spec.config), CPU, identity)["test"],
    ) == (
        False,
        True,
    )
    trial = StagedTrainable({"job": make_job(spec, CPU, identity)})
    trial.train()
    last = trial.train()
    assert last["done"]
    assert (last["test_macro_f1"], last["test_accuracy"]) == (None, None)
    assert last["best_val_macro_f1"] == read(spec.out / "val_metrics_best.json")["macro_f1"]
    assert {path.name for path in spec.out.iterdir()} == TRIAL_RESULTS


def test_a_job_carries_its_resources(shared_project: Path, weights: Path, tmp_path: Path) -> None:
    resources = replace(CPU, plain=True, workers=1)
    job = make_job(spec_of(shared_project, tmp_path / "out", probe(weights, epochs=1)), resources, {"any": "identity"})
    trial = StagedTrainable({"job": json.loads(json.dumps(job))})
    trial.train()
    manifest = read(tmp_path / "out/manifest.json")
    assert (manifest["path"], manifest["workers"]) == ("plain", 1)


def test_tables_in_a_job_take_the_place_of_the_csvs(project: Path, weights: Path, tmp_path: Path) -> None:
    tables = tables_of(project)
    for path in csvs_of(project).values():
        path.unlink()
    spec = spec_of(project, tmp_path / "out", probe(weights, epochs=1))
    config = {"job": make_job(spec, CPU, {"any": "identity"}), "split": "M1"}
    trial = StagedTrainable(config)
    trial.setup(config, {"M1": tables})  # as `tune.with_parameters` does it
    assert trial.train()["done"]
    assert read(spec.out / "manifest.json")["rows"] == {"train": 18, "val": 6, "test": 9}


def test_the_metrics_of_a_whole_run_are_all_there(shared_project: Path, weights: Path, tmp_path: Path) -> None:
    Trainer(spec_of(shared_project, tmp_path / "out", probe(weights, epochs=1)), CPU).run()
    found = finished_metrics(RunPaths(tmp_path / "out"))
    assert found.keys() == {"val_macro_f1", "test_macro_f1", "test_accuracy"}
    assert all(isinstance(value, float) for value in found.values())


def test_no_weights_are_left_of_a_trial(shared_project: Path, weights: Path, tmp_path: Path) -> None:
    run = Trainer(spec_of(shared_project, tmp_path / "out", probe(weights), test=False), CPU)
    run.step()
    assert read_state(RunPaths(run.spec.out).checkpoint)["epoch"] == 1
    run.run()
    assert not list(run.spec.out.rglob("*.pt"))
