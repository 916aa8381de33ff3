"""What is noted of a trial that was stopped: it stays true over calls, until the trial goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from orchestrator.planning.inputs import check_inputs
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.planner import Planner, Step
from orchestrator.planning.settings import Recipe, Settings
from orchestrator.sweeps.configurations import plan_spaces
from orchestrator.sweeps.options import SweepOptions
from orchestrator.sweeps.policies import TIME_BUDGET
from orchestrator.sweeps.records import forget_stopped, note_stopped, policy_of, record
from orchestrator.sweeps.sweep import Sweep, plan_sweep
from search_spaces.runbook import EXPERIMENTS
from trainable.base.files import write_json

PROBE = next(e for e in EXPERIMENTS if e.name == "probe_M1")
PAST = {"scores": [0.25, 0.5], "stages": [1, 1], "total_seconds": 1.5}


@pytest.fixture
def planner(shared_project: Path, tmp_path: Path) -> Planner:
    settings = Settings(Recipe(epochs=9, weights="none"))
    paths = ProjectPaths(shared_project, tmp_path)
    return Planner(check_inputs([PROBE], settings, paths), settings, paths)


def planned(planner: Planner, scheduler: str = "asha") -> Sweep:
    [base] = planner.plan([PROBE])
    options = SweepOptions(num_samples=4, scheduler=scheduler)
    assert base.config is not None
    space = plan_spaces({base.name: base.config}, options)[base.name]
    return plan_sweep(base, space, options, planner, fixed=False)


def trial(planner: Planner, number: int = 1, scheduler: str = "asha") -> Step:
    return planner.identify(planned(planner, scheduler).steps[number])


def save_epochs(step: Step, planner: Planner, past: dict[str, Any]) -> None:
    """What a trial leaves that is killed after some epochs."""
    note = planner.paths.run(step.experiment).checkpoint_note
    note.parent.mkdir(parents=True, exist_ok=True)
    write_json(note, {"identity": step.identity, "epoch": len(past["scores"]), **past})


@pytest.mark.parametrize("why", [TIME_BUDGET, "not among the best 2 of 3 in stage 1, epoch 1"])
@pytest.mark.parametrize("stopped_before", [False, True])
def test_a_trial_that_did_not_start_again_keeps_what_it_has_shown(
    planner: Planner, why: str, stopped_before: bool
) -> None:
    """Tune has no result of it to tell; an earlier call has."""
    step = trial(planner)
    save_epochs(step, planner, PAST)
    if stopped_before:
        note_stopped(step, planner.paths, TIME_BUDGET, PAST)
    note_stopped(step, planner.paths, why, {"training_iteration": 0})
    found = record(step, planner)
    assert (found.scores, found.stages, found.seconds, found.why) == ((0.25, 0.5), (1, 1), 1.5, why)


def test_a_trial_that_goes_on_is_as_far_as_its_checkpoint(planner: Planner) -> None:
    step = trial(planner)
    note_stopped(step, planner.paths, TIME_BUDGET, PAST)
    forget_stopped(step, planner.paths)
    save_epochs(step, planner, {**PAST, "scores": [0.25, 0.5, 0.75], "stages": [1, 1, 1]})
    assert record(step, planner).scores == (0.25, 0.5, 0.75)
    assert record(step, planner).why == "interrupted"


def test_a_stopped_trial_is_done_unless_all_go_to_their_end(planner: Planner) -> None:
    """And stays to do for as long as it has not."""
    note_stopped(trial(planner), planner.paths, "not among the best", PAST)
    for scheduler, to_do in (("asha", False), ("median", False), ("none", True)):
        step = trial(planner, scheduler=scheduler)
        assert step.to_do == to_do
        assert planner.again(step).to_do == to_do


@pytest.mark.parametrize("scheduler", ["asha", "median", "none"])
def test_a_trial_that_left_and_came_back_is_waited_for(planner: Planner, scheduler: str) -> None:
    sweep = planned(planner, scheduler)
    one, two, three = (step.name for step in sweep.steps[1:])
    left, stayed = policy_of(sweep, planner), policy_of(sweep, planner)
    for policy in (left, stayed):
        for name, score in ((one, 0.5), (two, 0.25)):
            policy.report(name, [score], [1])
    left.leave(three)
    decisions = {name: left.decision(name) for name in (one, two)}
    left.back(three)
    assert {name: left.decision(name) for name in (one, two)} == {n: stayed.decision(n) for n in (one, two)}
    if scheduler == "asha":
        assert decisions[two] == "go" and stayed.decision(two) == "wait"
