"""`--search optuna`: what is remembered of its proposals, and how open trials are filled in."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from by_hand import listing
from planned import planner, sweep_of
from ray import tune

from orchestrator.planning.planner import Planner
from orchestrator.sweeps.configurations import STARTUP
from orchestrator.sweeps.options import SweepOptions
from orchestrator.sweeps.policies import make_policy
from orchestrator.sweeps.proposals import next_trial
from orchestrator.sweeps.records import policy_of
from orchestrator.sweeps.sweep import Sweep, plan_sweep
from search_spaces.quantiles import Space
from trainable.base.config import TrainConfig
from trainable.base.errors import ConfigError

DEFAULT = TrainConfig("finetune", epochs=30, batch=8, lr_head=5e-4, lr_backbone=1e-4, weights="none")


# -- open trials


@pytest.fixture
def ours(shared_project: Path, tmp_path: Path) -> Planner:
    found = planner(shared_project)
    found.paths = replace(found.paths, output=tmp_path)
    return found


def optuna_sweep(ours: Planner, samples: int = 12, space: Space | None = None, **more: Any) -> Sweep:
    return sweep_of(ours, "probe_M1", space, search="optuna", num_samples=samples, **more)


def test_a_sweep_begins_with_sobols_points_and_leaves_the_rest_open(ours: Planner) -> None:
    sweep, even = optuna_sweep(ours), sweep_of(ours, "probe_M1", num_samples=12)
    assert [step.open for step in sweep.steps] == [False] * STARTUP + [True] * (12 - STARTUP)
    assert [s.config for s in sweep.steps[:STARTUP]] == [s.config for s in even.steps[:STARTUP]]
    assert [s.name for s in sweep.steps] == [s.name for s in even.steps]
    assert not listing(ours.paths.output), "planning writes nothing"


def test_fewer_samples_than_that_leave_nothing_open(ours: Planner) -> None:
    assert [step.open for step in optuna_sweep(ours, 5).steps] == [False] * 5


def fill(sweep: Sweep, ours: Planner, count: int) -> None:
    policy = policy_of(sweep, ours)
    for step in [step for step in sweep.steps if step.open][:count]:
        assert next_trial(sweep, step.name, policy, ours) is not None
        assert policy.pasts[step.name].config == next(s.config for s in sweep.steps if s.name == step.name)


def test_what_was_chosen_is_there_when_the_sweep_is_planned_again(ours: Planner) -> None:
    sweep = optuna_sweep(ours)
    fill(sweep, ours, 3)
    again, larger = optuna_sweep(ours), optuna_sweep(ours, 20)
    shown = [(step.name, step.experiment.trial, step.config, step.open) for step in sweep.steps]
    assert [(s.name, s.experiment.trial, s.config, s.open) for s in again.steps] == shown
    assert [step.open for step in larger.steps] == [False] * (STARTUP + 3) + [True] * (20 - STARTUP - 3)
    assert [step.config for step in larger.steps][: STARTUP + 3] == [step.config for step in sweep.steps][: STARTUP + 3]
    assert len({step.experiment.trial for step in sweep.steps}) == 12
    fewer = optuna_sweep(ours, STARTUP + 1)
    assert [step.config for step in fewer.steps] == [step.config for step in sweep.steps][: STARTUP + 1]


def test_a_fresh_sweep_chooses_anew(ours: Planner) -> None:
    sweep = optuna_sweep(ours)
    fill(sweep, ours, 3)
    (base,) = ours.plan([sweep.base])
    fresh = plan_sweep(base, sweep.space, sweep.options, ours, fixed=False, fresh=True)
    assert [step.open for step in fresh.steps] == [False] * STARTUP + [True] * (12 - STARTUP)


def test_another_space_or_other_data_have_chosen_nothing_yet(ours: Planner) -> None:
    sweep = optuna_sweep(ours)
    fill(sweep, ours, 3)
    assert sum(step.open for step in optuna_sweep(ours, space={"lr_head": tune.loguniform(1e-4, 1e-3)}).steps) == 4
    assert sum(step.open for step in optuna_sweep(ours, seed=2).steps) == 4
    assert sweep.log is not None
    found = json.loads(sweep.log.path.read_text(encoding="utf-8"))
    assert len(found["points"]) == 3
    sweep.log.path.write_text(json.dumps({**found, "identity": {}}), encoding="utf-8")
    assert sum(step.open for step in optuna_sweep(ours).steps) == 4


def test_a_small_space_is_exhausted_and_that_is_remembered(ours: Planner) -> None:
    space: Space = {"lr_head": tune.choice([1e-4, 2e-4, 7e-4, 9e-4]), "schedule": tune.choice(["constant", "cosine"])}
    sweep = optuna_sweep(ours, 20, space)
    policy = policy_of(sweep, ours)
    while any(step.open for step in sweep.steps):
        name = next(step.name for step in sweep.steps if step.open)
        last = next_trial(sweep, name, policy, ours)
    assert last is None
    configs = [step.config for step in sweep.steps]
    assert len(configs) == len({str(config) for config in configs}) == 8  # the default is of the space
    assert [step.config for step in optuna_sweep(ours, 20, space).steps] == configs


def test_what_is_reserved_does_for_the_largest_batch_that_may_be_chosen(ours: Planner) -> None:
    space: Space = {"lr_head": tune.loguniform(1e-4, 1e-3), "batch": tune.choice([16, 4096, 32])}
    assert {step.config.batch for step in optuna_sweep(ours, 12, space).steps if step.open and step.config} == {4096}


@pytest.mark.parametrize("scheduler", ["asha", "median", "none"])
def test_a_configuration_that_comes_later_keeps_the_trials_place(scheduler: str) -> None:
    policy = make_policy(scheduler)
    for name in ("a", "b", "c"):
        policy.add(name, DEFAULT)
    policy.add("b", replace(DEFAULT, lr_head=1e-3))
    assert [policy.pasts[name].order for name in ("a", "b", "c")] == [0, 1, 2]
    assert policy.pasts["b"].config.lr_head == 1e-3


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    # A mock, since the tests' own environment has the package.
    monkeypatch.setattr("orchestrator.sweeps.options.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install optuna"):
        SweepOptions(search="optuna")
    SweepOptions(search="sobol")
