"""`--search optuna`: what is proposed, what is remembered of it, and how trials are chosen late."""

from __future__ import annotations

import json
import math
import statistics
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from by_hand import listing
from hypothesis import given
from hypothesis import strategies as st
from planned import planner, sweep_of

from orchestrator.planning.planner import Planner
from orchestrator.sweeps.configurations import STARTUP
from orchestrator.sweeps.options import SweepOptions
from orchestrator.sweeps.policies import make_policy
from orchestrator.sweeps.proposals import next_trial
from orchestrator.sweeps.records import policy_of
from orchestrator.sweeps.sampling import points
from orchestrator.sweeps.sweep import Sweep, plan_sweep
from orchestrator.sweeps.tpe import Tried, _at, _place, propose
from orchestrator.sweeps.user_space import LogInt, Normal, Steps
from search_spaces.domains import Choice, IntRange, LogUniform, Space, Uniform
from trainable.base.config import TrainConfig
from trainable.base.errors import ConfigError

DEFAULT = TrainConfig("finetune", epochs=30, batch=8, lr_head=5e-4, lr_backbone=1e-4, weights="none")
SPACE: Space = {"lr_head": LogUniform(5e-5, 5e-3), "lr_backbone": LogUniform(1e-5, 1e-3)}
PEAK = {"lr_head": 2e-3, "lr_backbone": 2e-5}


def tried(point: dict[str, Any], state: Any = "finished") -> Tried:
    """A trial whose scores are the better the nearer it is to the peak."""
    far = math.dist([math.log10(v) for v in point.values()], [math.log10(PEAK[name]) for name in point])
    scores = tuple((0.5 + 0.5 * epoch / 30) / (1 + far) for epoch in range(30 if state == "finished" else 10))
    return Tried(replace(DEFAULT, **point), scores, state)


# -- points


@pytest.mark.parametrize(
    "domain",
    [LogUniform(1e-5, 1e-3), Uniform(0.0, 0.2), IntRange(2, 9), Choice(("a", "b", None)), LogInt(8, 512),
     Normal(0.0, 1.0), Steps(IntRange(1, 9), 16), Steps(Uniform(0.0, 4.0), 0.05)],
    ids=lambda domain: type(domain).__name__,
)  # fmt: skip
@given(u=st.floats(0.0, 0.999))
def test_the_place_of_a_value_has_that_value(domain: Any, u: float) -> None:
    value = domain.at(u)
    place = _place(domain, value)
    assert place is not None
    wanted = pytest.approx(value, rel=1e-3, abs=1e-6) if isinstance(value, float) else value
    assert _at(domain, place) == wanted


@pytest.mark.parametrize(
    ("domain", "value"),
    [(LogUniform(1e-4, 1e-3), 1e-2), (LogUniform(1e-4, 1e-3), 1e-5), (IntRange(1, 4), None), (IntRange(1, 4), 5),
     (Choice(("a",)), "b"), (Steps(IntRange(1, 9), 16), 17)],
)  # fmt: skip
def test_a_value_outside_has_no_place(domain: Any, value: Any) -> None:
    assert _place(domain, value) is None


def test_proposals_come_nearer_to_the_peak_than_chance() -> None:
    """Over five seeds, the last of 24: half as far away in the median as Sobol's points are."""

    def far(point: dict[str, Any]) -> float:
        return math.dist([math.log10(v) for v in point.values()], [math.log10(PEAK[name]) for name in point])

    ours, even = [], []
    for seed in range(5):
        known = [tried(point) for point in points(SPACE, STARTUP, "sobol", seed)]
        for number in range(16):
            known.append(tried(propose(SPACE, known, 100 * seed + number)))
        ours += [far({name: getattr(t.config, name) for name in SPACE}) for t in known[-8:]]
        even += [far(point) for point in points(SPACE, 24, "sobol", seed)]
    assert statistics.median(ours) < 0.5 * statistics.median(even)


def test_proposals_are_of_the_space_and_keep_its_constants() -> None:
    space: Space = {"lr_head": LogUniform(1e-4, 1e-3), "batch": 16, "schedule": Choice(("constant", "cosine")),
                    "stage2_epoch": IntRange(1, 3), "label_smoothing": Uniform(0.0, 0.2)}  # fmt: skip
    known: list[Tried] = []
    for number in range(12):
        point = propose(space, known, number)
        assert list(point) == list(space)
        assert 1e-4 <= point["lr_head"] <= 1e-3 and point["batch"] == 16 and point["stage2_epoch"] in (1, 2, 3)
        assert point["schedule"] in ("constant", "cosine") and 0 <= point["label_smoothing"] <= 0.2
        state: Any = ("finished", "stopped", "running")[number % 3]
        known.append(Tried(replace(DEFAULT, **point), (0.1,) * (30 if state == "finished" else number), state))


def test_the_same_past_gives_the_same_proposal() -> None:
    known = [tried(point) for point in points(SPACE, STARTUP, "sobol", 1)]
    known += [tried({"lr_head": 1e-3, "lr_backbone": 1e-4}, state) for state in ("stopped", "running")]
    assert propose(SPACE, known, 7) == propose(SPACE, known, 7) != propose(SPACE, known, 8)


def test_what_runs_counts_as_poor_so_that_two_at_once_look_elsewhere() -> None:
    known = [tried(point) for point in points(SPACE, 24, "sobol", 1)]
    first = propose(SPACE, known, 7)
    running = Tried(replace(DEFAULT, **first), (0.9,) * 3, "running")
    again = propose(SPACE, [*known, *[running] * 3], 7)
    assert again != first


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
    assert optuna_sweep(ours, space={"lr_head": LogUniform(1e-4, 1e-3)}).unchosen == 4
    assert optuna_sweep(ours, seed=2).unchosen == 4
    assert sweep.log is not None
    found = json.loads(sweep.log.path.read_text(encoding="utf-8"))
    assert len(found["points"]) == 3
    sweep.log.path.write_text(json.dumps({**found, "identity": {}}), encoding="utf-8")
    assert optuna_sweep(ours).unchosen == 4


def test_a_small_space_is_exhausted_and_that_is_remembered(ours: Planner) -> None:
    space: Space = {"lr_head": Choice((1e-4, 2e-4, 7e-4, 9e-4)), "schedule": Choice(("constant", "cosine"))}
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
    space: Space = {"lr_head": LogUniform(1e-4, 1e-3), "batch": Choice((16, 4096, 32))}
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
