"""In which order the pool starts trials whose configuration is chosen late, and what becomes of those that are not."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from orchestrator.execution.scheduler import NOTHING_NEW, Member, Pool
from orchestrator.execution.work import Limits
from orchestrator.sweeps.policies import make_policy
from trainable.base.config import TrainConfig

CONFIG = TrainConfig("finetune", epochs=10, batch=8, lr_head=5e-4, lr_backbone=1e-4, weights="none")
STAGES = [CONFIG.stage_at(epoch) for epoch in range(CONFIG.epochs)]
KNOWN, OPEN = ("m#0", "m#1", "m#2", "m#3"), ("m#4", "m#5", "m#6")


class StandIn:
    """Of a Tune trial: a real one is driven by processes, whose order cannot be forced."""

    def __init__(self, name: str) -> None:
        self.config: dict[str, Any] = {"job": {"experiment": name}}
        self.status = Trial.PENDING

    def set_status(self, status: str) -> None:
        self.status = status

    def set_config(self, config: dict[str, Any]) -> None:
        self.config = config

    def init_local_path(self) -> None:
        pass


class Tune:
    """As much of Tune's loop as the pool sees, with one slot: events are the names started and the names chosen."""

    def __init__(self, scheduler: str, left: int) -> None:
        self.events: list[tuple[str, str]] = []
        self.left = left
        policy = make_policy(scheduler)
        members = {}
        for name in (*KNOWN, *OPEN):
            policy.add(name, CONFIG, kept=name == "m#0")
            members[name] = Member(1.0, "m", fixed=False, open=name in OPEN)
        self.pool = Pool(members, {"m": policy}, Limits(1), self.choose)
        self.trials = {name: StandIn(name) for name in members}
        self.epochs = dict.fromkeys(members, 0)
        for trial in self.trials.values():
            self.pool.on_trial_add(self, trial)  # type: ignore[arg-type]

    def choose(self, name: str) -> dict[str, Any] | None:
        self.events.append(("chosen", name))
        self.left -= 1
        return {"experiment": name, "config": "chosen"} if self.left >= 0 else None

    def stop_trial(self, trial: StandIn) -> None:
        trial.status = Trial.TERMINATED
        self.pool.on_trial_remove(self, trial)  # type: ignore[arg-type]

    def run(self) -> list[tuple[str, str]]:
        while (trial := self.pool.choose_trial_to_run(self)) is not None:
            self.advance(trial)
        return self.events

    def advance(self, trial: Any) -> None:
        name = trial.config["job"]["experiment"]
        trial.status = Trial.RUNNING
        self.events.append(("started", name))
        while trial.status == Trial.RUNNING:
            self.epochs[name] += 1
            epochs = self.epochs[name]
            scores = [0.1 * int(name[-1]) + 0.01 * epoch for epoch in range(epochs)]
            result = {"epoch": epochs, "scores": scores, "stages": STAGES[:epochs]}
            if epochs == CONFIG.epochs:
                trial.status = Trial.TERMINATED
                self.pool.on_trial_complete(self, trial, result)
                return
            action = self.pool.on_trial_result(self, trial, result)
            if action == TrialScheduler.PAUSE:
                trial.status = Trial.PAUSED
            elif action == TrialScheduler.STOP:
                trial.status = Trial.TERMINATED
                self.pool.on_trial_complete(self, trial, result)


@pytest.mark.parametrize("scheduler", ["asha", "median", "none"])
def test_what_is_open_is_chosen_when_nothing_else_is_left(scheduler: str) -> None:
    """Also no trial that waits: what it comes to is what the choice is to learn from."""
    tune = Tune(scheduler, left=3)
    events = tune.run()
    chosen = [name for event, name in events if event == "chosen"]
    assert chosen == list(OPEN)
    first = events.index(("chosen", "m#4"))
    assert {name for event, name in events[:first]} == set(KNOWN)
    assert not any(name in KNOWN for event, name in events[first:])
    for name in OPEN:
        assert events[events.index(("chosen", name)) + 1] == ("started", name)
        assert tune.trials[name].config["job"]["config"] == "chosen"
    assert all(before != after for before, after in pairwise(events)), "it was paused for nothing"
    assert all(trial.status == Trial.TERMINATED for trial in tune.trials.values())


@pytest.mark.parametrize("left", [0, 1])
def test_where_nothing_is_left_to_try_the_rest_ends(left: int) -> None:
    tune = Tune("none", left=left)
    tune.run()
    assert [name for event, name in tune.events if event == "started"] == [*KNOWN, *OPEN[:left]]
    assert tune.pool.stopped == dict.fromkeys(OPEN[left:], NOTHING_NEW)
    assert all(trial.status == Trial.TERMINATED for trial in tune.trials.values())


def test_nothing_is_chosen_while_no_slot_is_free() -> None:
    """A choice made early would know less."""
    tune = Tune("none", left=3)
    tune.trials["m#0"].status = Trial.RUNNING
    for name in KNOWN[1:]:
        tune.stop_trial(tune.trials[name])
    assert tune.pool.choose_trial_to_run(tune) is None
    tune.stop_trial(tune.trials["m#0"])
    assert tune.pool.choose_trial_to_run(tune) is tune.trials["m#4"]
