"""No result is written over: recipes, seeds and data that come and go, with made-up trainings and no Ray."""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

import pytest
from by_hand import Cli, listing
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted import Script
from test_local_runs import EPOCHS, Log, Project, after, interrupt

from orchestrator.execution.hardware import Hardware
from orchestrator.execution.local import local_executor
from orchestrator.execution.runner import Outcome, run_steps
from orchestrator.planning.selection import select
from orchestrator.planning.steps import Step
from orchestrator.sweeps.options import SweepOptions
from trainable.base.errors import ConfigError

NAME = "probe_M1"


@pytest.fixture
def mine(shared_project: Path, tmp_path: Path) -> Project:
    return Project(shared_project, tmp_path / "결과")


def run(project: Project, seed: int, *, fresh: bool = False, hardware: Hardware | None = None) -> Outcome:
    planner = project.planner(NAME, seed=seed)
    steps = planner.plan(select([NAME]), fresh=fresh)
    executor = local_executor(((2, 0.0),), project.script.stepper)
    return run_steps(
        steps, [], planner, hardware or Hardware(plain=True), project.opened, fresh=fresh, open_executor=executor
    )


def planned(project: Project, seed: int) -> Step:
    (step,) = project.planner(NAME, seed=seed).plan(select([NAME]))
    return step


def contents(project: Project) -> dict[str, bytes]:
    folder = project.planner(NAME).paths.run(select([NAME])[0]).out
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@settings(max_examples=15)  # each is a few runs
@given(script=st.lists(st.integers(0, 2), min_size=2, max_size=6))
def test_recipes_in_any_order_train_once_each(shared_project: Path, script: list[int]) -> None:
    with tempfile.TemporaryDirectory() as output:
        project = Project(shared_project, Path(output) / "결과")
        made: dict[int, dict[str, bytes]] = {}
        for before, seed in pairwise([None, *script]):
            expected = "new" if not made else "done" if seed == before else "restored" if seed in made else "stale"
            assert planned(project, seed).status == expected
            outcome = run(project, seed)
            assert (outcome.exit_code, list(outcome.restored)) == (0, [NAME] if expected == "restored" else [])
            assert contents(project) == made.setdefault(seed, contents(project))
            assert project.script.epochs(NAME) == EPOCHS * len(made)


def test_what_replaces_what_is_said_in_one_line(mine: Project) -> None:
    run(mine, 1)
    run(mine, 2)
    assert f"{NAME}: the result before is kept in the history (config.seed 1 -> 2)" in mine.view.said
    words = planned(mine, 1).why
    assert words == "from the history, finished 2026-01-01T00:00:00Z"
    told = run(mine, 1).restored[NAME]
    assert told == "restored from the history; the result before is kept in the history (config.seed 2 -> 1)"


def test_an_unfinished_run_goes_on_after_another_recipe(mine: Project) -> None:
    mine.script.on_epoch = after(4, interrupt)
    assert run(mine, 1).interrupted
    trained = mine.script.epochs(NAME)
    run(mine, 2)
    step = planned(mine, 1)
    assert step.status == "interrupted"
    assert step.why == f"goes on after epoch {trained} of {EPOCHS} (its checkpoint is in the history)"
    assert run(mine, 1).exit_code == 0
    assert mine.script.epochs(NAME) == 2 * EPOCHS
    assert planned(mine, 2).status == "restored"


def test_going_back_from_an_unfinished_run_keeps_its_checkpoint(mine: Project) -> None:
    run(mine, 1)
    first = contents(mine)
    mine.script.on_epoch = after(4, interrupt)
    assert run(mine, 2).interrupted
    run(mine, 1)
    assert contents(mine) == first
    run(mine, 2)
    assert mine.script.epochs(NAME) == 2 * EPOCHS


def test_a_fresh_run_that_is_interrupted_goes_on_and_loses_nothing_before(mine: Project) -> None:
    run(mine, 1)
    first = contents(mine)
    mine.script.on_epoch = after(4, interrupt)
    assert run(mine, 1, fresh=True).interrupted
    assert contents(mine) == first
    assert planned(mine, 1).status == "interrupted"
    run(mine, 1)
    assert mine.script.epochs(NAME) == 2 * EPOCHS, "no epoch is trained again but those of the first result"
    assert planned(mine, 1).status == "done"


def test_a_fresh_run_that_fails_leaves_the_result_and_is_tried_again(mine: Project) -> None:
    run(mine, 1)
    first = contents(mine)
    mine.script.fails = {NAME: [1] * 9}
    assert list(run(mine, 1, fresh=True).failures) == [NAME]
    assert contents(mine) == first
    step = planned(mine, 1)
    assert (step.status, step.why) == ("stale", "--fresh was interrupted")


def test_a_fresh_run_keeps_the_checkpoint_of_another_recipe(mine: Project) -> None:
    mine.script.on_epoch = after(4, interrupt)
    assert run(mine, 1).interrupted
    run(mine, 2, fresh=True)
    assert planned(mine, 1).status == "interrupted"


def test_a_fresh_run_does_not_go_on_from_the_history(mine: Project) -> None:
    mine.script.on_epoch = after(4, interrupt)
    run(mine, 1)
    trained = mine.script.epochs(NAME)
    run(mine, 2)
    run(mine, 1, fresh=True)
    assert mine.script.epochs(NAME) == trained + 2 * EPOCHS


def test_a_run_that_is_refused_moves_nothing(mine: Project) -> None:
    run(mine, 1)
    first = contents(mine)
    for fresh in (False, True):
        with pytest.raises(ConfigError, match="no node"):
            run(mine, 2, fresh=fresh, hardware=Hardware(plain=True, cpus_per_trial=3))
        assert contents(mine) == first
        assert planned(mine, 1).status == "done"


def test_a_history_that_cannot_be_written_fails_its_own_experiment_only(mine: Project) -> None:
    """A file lies where the folder would be, which stops root, too."""
    run(mine, 1)
    first = contents(mine)
    history = mine.planner(NAME).paths.place(select([NAME])[0]).history
    history.parent.mkdir()
    history.write_text("in the way", encoding="utf-8")
    names = [NAME, "probe_M2"]
    planner = mine.planner(*names, seed=2)
    executor = local_executor(((2, 0.0),), mine.script.stepper)
    outcome = run_steps(
        planner.plan(select(names)), [], planner, Hardware(plain=True), mine.opened, open_executor=executor
    )
    assert list(outcome.failures) == [NAME]
    assert f"its earlier result cannot be moved to or from {history}" in outcome.failures[NAME].message
    assert contents(mine) == first
    history.unlink()
    assert run(mine, 2).exit_code == 0


def test_a_restored_default_is_no_trial_to_train(mine: Project) -> None:
    """A sweep beside it finds the run's record where it was brought back to."""
    options = SweepOptions(num_samples=3, confirm=0)

    def swept(seed: int) -> Outcome:
        planner = mine.planner(NAME, seed=seed)
        steps = planner.plan(select([NAME]))
        executor = local_executor(((2, 0.0),), mine.script.stepper)
        sweeps = mine.sweeps(planner, steps, options)
        return run_steps(steps, sweeps, planner, Hardware(plain=True), mine.opened, open_executor=executor)

    assert [swept(seed).exit_code for seed in (1, 2)] == [0, 0]
    trained = len(mine.script.log)
    outcome = swept(1)
    assert (outcome.exit_code, list(outcome.restored), len(mine.script.log)) == (0, [NAME], trained)


def test_the_other_experiments_are_restored_and_run_in_one_command(shared_project: Path, tmp_path: Path) -> None:
    project = Project(shared_project, tmp_path / "결과", Script(), Log())
    run(project, 1)
    run(project, 2)
    names = [NAME, "probe_M2"]
    planner = project.planner(*names, seed=1)
    steps = planner.plan(select(names))
    assert [step.status for step in steps] == ["restored", "new"]
    executor = local_executor(((2, 0.0),), project.script.stepper)
    outcome = run_steps(steps, [], planner, Hardware(plain=True), project.opened, open_executor=executor)
    assert (outcome.exit_code, list(outcome.restored)) == (0, [NAME])
    assert project.script.epochs(NAME) == 2 * EPOCHS
    assert {step.status for step in planner.plan(select(names))} == {"done"}


def test_run_all_restores_without_starting_ray_and_plan_says_so(mine: Project, cli: Cli) -> None:
    for seed in (1, 2):
        run(mine, seed)
    options = ["--only", NAME, "--weights", "none", "--epochs", EPOCHS, "--seed", 1]
    options += ["--project-root", mine.root, "--output-root", mine.output]
    before = listing(mine.output)
    done = cli("plan", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert "nothing to run\nrestored from the history by run-all, without training: probe_M1\n" in done.stdout
    assert listing(mine.output) == before
    done = cli("run-all", *options)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{NAME}: restored from the history; the result before is kept in the history" in done.stdout
    assert "done before" not in done.stdout
    assert cli("plan", *options).stdout.endswith("nothing to run: all done\n")
