"""`--search optuna`: what is proposed, what is remembered of it, and how trials are chosen late."""

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
from orchestrator.sweeps.proposals import ATTEMPTS, next_trial
from orchestrator.sweeps.records import policy_of
from orchestrator.sweeps.sweep import Sweep, plan_sweep
from orchestrator.sweeps.tpe import Tried, propose
from search_spaces.quantiles import Space
from trainable.base.config import TrainConfig
from trainable.base.errors import ConfigError
from trainable.base.seeds import derived_seed

DEFAULT = TrainConfig("finetune", epochs=30, batch=8, lr_head=5e-4, lr_backbone=1e-4, weights="none")


# -- trials that are chosen late


@pytest.fixture
def ours(shared_project: Path, tmp_path: Path) -> Planner:
    found = planner(shared_project)
    found.paths = replace(found.paths, output=tmp_path)
    return found


def optuna_sweep(ours: Planner, samples: int = 12, space: Space | None = None, **more: Any) -> Sweep:
    return sweep_of(ours, "probe_M1", space, search="optuna", num_samples=samples, **more)


def test_a_sweep_begins_with_sobol_points_and_leaves_the_rest_unchosen(ours: Planner) -> None:
    sweep, even = optuna_sweep(ours), sweep_of(ours, "probe_M1", num_samples=12)
    assert sweep.unchosen == 12 - STARTUP
    assert [member.config for member in sweep.members] == [member.config for member in even.members[:STARTUP]]
    assert [*(m.name for m in sweep.members), *sweep.unchosen_names()] == [member.name for member in even.members]
    assert not listing(ours.paths.output), "planning writes nothing"


def test_fewer_samples_than_that_leave_nothing_unchosen(ours: Planner) -> None:
    sweep = optuna_sweep(ours, 5)
    assert (len(sweep.members), sweep.unchosen, sweep.template) == (5, 0, None)


def choose(sweep: Sweep, ours: Planner, count: int) -> None:
    policy = policy_of(sweep, ours, make_policy)
    for name in sweep.unchosen_names()[:count]:
        trial = next_trial(sweep, policy, ours)
        assert trial is not None and trial.name == name
        assert sweep.members[-1] == trial
        assert policy.contenders[name].config == trial.config


@pytest.mark.parametrize("seed", [1337, 7])
def test_a_trial_is_proposed_on_the_seed_of_its_number_and_attempt(ours: Planner, seed: int) -> None:
    """docs/reproducibility.md tells how. The attempts before the one that counts name what is there already."""
    space: Space = {"lr_head": tune.choice([n * 1e-4 for n in range(1, 13)])}
    sweep = optuna_sweep(ours, 30, space, seed=seed)
    policy = policy_of(sweep, ours, make_policy)
    attempts = []
    while True:
        tried = [Tried(member.config, (), "running") for member in sweep.members]
        numbers = [derived_seed(seed, "tpe", len(tried), attempt) % 2**32 for attempt in range(ATTEMPTS)]
        proposed = [propose(sweep.space, tried, number)["lr_head"] for number in numbers]
        fresh = [rate for rate in proposed if rate not in [member.config.lr_head for member in sweep.members]]
        trial = next_trial(sweep, policy, ours)
        assert (trial and trial.config.lr_head) == (fresh[0] if fresh else None)
        if trial is None:
            break
        attempts.append(proposed.index(fresh[0]))
    assert max(attempts) > 0


def test_what_was_chosen_is_there_when_the_sweep_is_planned_again(ours: Planner) -> None:
    sweep = optuna_sweep(ours)
    choose(sweep, ours, 3)
    again, larger = optuna_sweep(ours), optuna_sweep(ours, 20)
    shown = [(member.name, member.run, member.config) for member in sweep.members]
    assert [(member.name, member.run, member.config) for member in again.members] == shown
    assert (sweep.unchosen, again.unchosen, larger.unchosen) == (1, 1, 20 - STARTUP - 3)
    assert [member.config for member in larger.members] == [member.config for member in sweep.members]
    assert len({member.run for member in sweep.members}) == STARTUP + 3
    fewer = optuna_sweep(ours, STARTUP + 1)
    assert [m.config for m in fewer.members] == [m.config for m in sweep.members][: STARTUP + 1]
    assert fewer.unchosen == 0


def test_a_fresh_sweep_chooses_anew(ours: Planner) -> None:
    sweep = optuna_sweep(ours)
    choose(sweep, ours, 3)
    base = ours.run(sweep.experiment)
    fresh = plan_sweep(base, sweep.space, sweep.options, ours, fixed=False, fresh=True)
    assert (len(fresh.members), fresh.unchosen) == (STARTUP, 12 - STARTUP)


def test_another_space_or_other_data_have_chosen_nothing_yet(ours: Planner) -> None:
    sweep = optuna_sweep(ours)
    choose(sweep, ours, 3)
    assert optuna_sweep(ours, space={"lr_head": tune.loguniform(1e-4, 1e-3)}).unchosen == 4
    assert optuna_sweep(ours, seed=2).unchosen == 4
    assert sweep.log is not None
    found = json.loads(sweep.log.path.read_text(encoding="utf-8"))
    assert len(found["points"]) == 3
    sweep.log.path.write_text(json.dumps({**found, "identity": {}}), encoding="utf-8")
    assert optuna_sweep(ours).unchosen == 4


def test_a_small_space_is_exhausted_and_that_is_remembered(ours: Planner) -> None:
    space: Space = {"lr_head": tune.choice([1e-4, 2e-4, 7e-4, 9e-4]), "schedule": tune.choice(["constant", "cosine"])}
    sweep = optuna_sweep(ours, 20, space)
    policy = policy_of(sweep, ours, make_policy)
    while sweep.unchosen:
        last = next_trial(sweep, policy, ours)
    assert last is None
    configs = [member.config for member in sweep.members]
    assert len(configs) == len({str(config) for config in configs}) == 8  # the default is of the space
    again = optuna_sweep(ours, 20, space)
    assert ([member.config for member in again.members], again.unchosen) == (configs, 0)


def test_what_is_reserved_does_for_the_largest_batch_that_may_be_chosen(ours: Planner) -> None:
    space: Space = {"lr_head": tune.loguniform(1e-4, 1e-3), "batch": tune.choice([16, 4096, 32])}
    template = optuna_sweep(ours, 12, space).template
    assert template is not None and template.config.batch == 4096


@pytest.mark.parametrize("scheduler", ["halving", "median", "none"])
def test_a_configuration_that_comes_later_keeps_the_trials_place(scheduler: str) -> None:
    policy = make_policy(scheduler)
    for name in ("a", "b", "c"):
        policy.add(name, DEFAULT)
    policy.add("b", replace(DEFAULT, lr_head=1e-3))
    assert [policy.contenders[name].order for name in ("a", "b", "c")] == [0, 1, 2]
    assert policy.contenders["b"].config.lr_head == 1e-3


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    # A mock, since the tests' own environment has the package.
    monkeypatch.setattr("orchestrator.sweeps.options.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="pip install optuna"):
        SweepOptions(search="optuna")
    SweepOptions(search="sobol")
