"""What is noted of a trial that was stopped: it stays true over calls, until the trial goes on."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.planning.inputs import check_inputs
from orchestrator.planning.paths import ProjectPaths
from orchestrator.planning.planner import Planner
from orchestrator.planning.settings import Recipe, Settings
from orchestrator.planning.steps import Trial
from orchestrator.sweeps.configurations import plan_spaces
from orchestrator.sweeps.options import SweepOptions
from orchestrator.sweeps.policies import make_policy
from orchestrator.sweeps.records import BUDGET_SPENT, forget_stopped, note_stopped, policy_of, trial_record
from orchestrator.sweeps.sweep import Sweep, plan_sweep
from search_spaces.runbook import EXPERIMENTS
from trainable.base.files import write_json
from trainable.run.history import TrialHistory

PROBE = next(e for e in EXPERIMENTS if e.name == "probe_M1")
SHOWN = TrialHistory((0.25, 0.5), (1, 1), 1.5)


@pytest.fixture
def planner(shared_project: Path, tmp_path: Path) -> Planner:
    settings = Settings(Recipe(epochs=9, weights="none"))
    paths = ProjectPaths(shared_project, tmp_path)
    return Planner(check_inputs([PROBE], settings, paths), settings, paths)


def planned(planner: Planner, scheduler: str = "halving") -> Sweep:
    base = planner.run(PROBE)
    options = SweepOptions(num_samples=4, scheduler=scheduler)
    space = plan_spaces({base.name: base.config}, options)[base.name]
    return plan_sweep(base, space, options, planner, fixed=False)


def a_trial(planner: Planner, number: int = 1, scheduler: str = "halving") -> Trial:
    return planner.identify(planned(planner, scheduler).trials[number])


def save_epochs(trial: Trial, history: TrialHistory) -> None:
    """What a trial leaves that is killed after some epochs."""
    note = trial.run.checkpoint_note
    note.parent.mkdir(parents=True, exist_ok=True)
    write_json(note, {"identity": trial.identity, "epoch": len(history), **history.to_json()})


@pytest.mark.parametrize("why", [BUDGET_SPENT, "not among the best 2 of 3 in stage 1, epoch 1"])
@pytest.mark.parametrize("stopped_before", [False, True])
def test_a_trial_that_did_not_start_again_keeps_what_it_has_shown(
    planner: Planner, why: str, stopped_before: bool
) -> None:
    """Tune has no result of it to tell; an earlier command has."""
    trial = a_trial(planner)
    save_epochs(trial, SHOWN)
    if stopped_before:
        note_stopped(trial, BUDGET_SPENT, SHOWN)
    note_stopped(trial, why, None)
    found = trial_record(trial, planner)
    assert (found.history, found.seconds, found.why) == (SHOWN, 1.5, why)


def test_a_trial_that_goes_on_is_as_far_as_its_checkpoint(planner: Planner) -> None:
    trial = a_trial(planner)
    note_stopped(trial, BUDGET_SPENT, SHOWN)
    forget_stopped(trial)
    save_epochs(trial, TrialHistory((0.25, 0.5, 0.75), (1, 1, 1)))
    found = trial_record(trial, planner)
    assert (found.history.scores, found.why) == ((0.25, 0.5, 0.75), "interrupted")


def test_a_trial_stopped_for_time_may_go_on(planner: Planner) -> None:
    """Its checkpoint stays; that of a trial which was stopped for good does not."""
    trial = a_trial(planner)
    for why, kept in ((BUDGET_SPENT, True), ("not among the best", False)):
        save_epochs(trial, SHOWN)
        note_stopped(trial, why, SHOWN)
        assert trial.run.checkpoint_note.exists() == kept
        assert planner.again(trial).to_do == kept


def test_a_stopped_trial_is_done_unless_all_go_to_their_end(planner: Planner) -> None:
    """And stays to do for as long as it has not."""
    note_stopped(a_trial(planner), "not among the best", SHOWN)
    for scheduler, to_do in (("halving", False), ("median", False), ("none", True)):
        trial = a_trial(planner, scheduler=scheduler)
        assert trial.to_do == to_do
        assert planner.again(trial).to_do == to_do


def test_a_policy_knows_what_was_shown_in_earlier_commands(planner: Planner) -> None:
    sweep = planned(planner)
    save_epochs(planner.identify(sweep.trials[2]), SHOWN)
    note_stopped(planner.identify(sweep.trials[1]), "not among the best", SHOWN)
    policy = policy_of(planned(planner), planner, make_policy)
    known = {name: contender.history for name, contender in policy.contenders.items()}
    assert known == {
        "probe_M1#0": TrialHistory(),
        "probe_M1#1": SHOWN,
        "probe_M1#2": SHOWN,
        "probe_M1#3": TrialHistory(),
    }
    assert [contender.left for contender in policy.contenders.values()] == [False, True, False, False]
