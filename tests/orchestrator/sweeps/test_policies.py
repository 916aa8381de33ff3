"""Which of a sweep's trials go on: races of trials with made-up scores, in any order."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_args

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from orchestrator.sweeps.halving import Halving, Rung, rungs
from orchestrator.sweeps.policies import SCHEDULERS, Median, make_policy
from orchestrator.sweeps.policy import Decision, Policy, RunToTheEnd
from trainable.base.config import TrainConfig
from trainable.run.history import TrialHistory

FINETUNE = TrainConfig("finetune", 30, 5e-4, 1e-4)
OWN = [name for name in SCHEDULERS if name != "asha"]
"""Ray's own ASHA has tests of its own, since it needs Ray."""
UNIT = 27720.0
"""Divisible by 1 to 12: means of so many scores are exact."""

seeds = st.integers(0, 2**32)


@dataclass
class Race:
    """Trials that report an epoch at a time, in an order drawn from `seed`; all are known by their numbers.

    `scores` are by trial and epoch; `failing` is after which epoch a trial fails. The first is exempt where `exempt`
    says so. What happens is in `log`, and every decision on the way.
    """

    policy: Policy
    configs: Sequence[TrainConfig]
    scores: Sequence[Sequence[float]]
    seed: int = 0
    exempt: bool = True
    failing: dict[int, int] = field(default_factory=dict)
    may_release: bool = True
    epochs: list[int] = field(default_factory=list)
    ended: dict[int, str] = field(default_factory=dict)
    released: set[tuple[int, int]] = field(default_factory=set)
    log: list[tuple[Any, ...]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.epochs = [0] * len(self.configs)
        for number, config in enumerate(self.configs):
            self.policy.add(f"{number}", config, exempt=self.exempt and number == 0)

    def run(self) -> Race:
        draw = random.Random(self.seed)
        while alive := [number for number in range(len(self.configs)) if number not in self.ended]:
            found = {number: self.policy.decision(f"{number}") for number in alive}
            assert set(found.values()) <= set(get_args(Decision))
            self.log.append(("decisions", found))
            out = [number for number, decision in found.items() if decision == "stop"]
            for number in out:
                self.end(number, "stopped")
            if out:
                continue  # others may have waited for them
            going = [number for number, decision in found.items() if decision == "go"]
            waiting = [number for number, decision in found.items() if decision == "wait"]
            self.look(waiting)
            if going:
                self.epoch(draw.choice(going))
            elif waiting:
                assert self.may_release, f"{waiting} wait, and nobody goes"
                best = min(waiting, key=lambda number: self.policy.rank(f"{number}"))
                self.released.add((best, self.arrived(best) - 1))
                self.policy.release(f"{best}")
                assert self.policy.decision(f"{best}") == "go"
                self.log.append(("release", best))
        return self

    def epoch(self, number: int) -> None:
        config = self.configs[number]
        self.epochs[number] += 1
        done = self.epochs[number]
        report = TrialHistory(tuple(self.scores[number][:done]), tuple(config.stage_at(epoch) for epoch in range(done)))
        self.policy.report(f"{number}", report)
        self.log.append(("report", number, report))
        if self.failing.get(number) == done:
            self.end(number, "failed")
        elif done == config.epochs:
            self.end(number, "finished")

    def end(self, number: int, how: str) -> None:
        self.ended[number] = how
        self.policy.leave(f"{number}")
        self.log.append(("end", number))

    def arrived(self, number: int) -> int:
        """At how many rungs it has been."""
        return sum(rung.epochs <= self.epochs[number] for rung in rungs(self.configs[number]))

    def look(self, waiting: list[int]) -> None:
        """Who waits, waits for somebody."""
        for number in waiting:
            last = self.arrived(number) - 1
            coming = [
                other
                for other in self.judged
                if other not in self.ended and self.arrived(other) <= last < len(rungs(self.configs[other]))
            ]
            assert coming, f"{number} waits for nobody"

    @property
    def judged(self) -> list[int]:
        return [number for number in range(len(self.configs)) if not (self.exempt and number == 0)]

    # -- what ought to come out, written down anew

    def at(self, number: int, rung: int) -> tuple[float, int]:
        """A trial at a rung; the larger is the better."""
        config, epochs = self.configs[number], rungs(self.configs[number])[rung].epochs
        stage = config.stage_at(epochs - 1)
        return max(self.scores[number][e] for e in range(epochs) if config.stage_at(e) == stage), -number

    def room(self, number: int, rung: int) -> int:
        return max(2, math.ceil(rungs(self.configs[number])[rung].keep * len(self.judged)))

    def synchronous(self) -> list[set[int]]:
        """Who goes on from each rung, where all that arrive are ranked at once."""
        alive, found = self.judged, []
        for rung in range(len(rungs(self.configs[-1]))):
            room = self.room(alive[0], rung)
            alive = sorted(alive, key=lambda number: self.at(number, rung), reverse=True)[:room]
            found.append(set(alive))
        return found


# -- made-up sweeps


def configuration(draw: st.DrawFn, mode: str, epochs: int) -> TrainConfig:
    if mode == "probe":
        return TrainConfig("probe", epochs, 1e-3)
    third = draw(st.integers(2, epochs - 1))
    return replace(FINETUNE, epochs=epochs, stage2_epoch=draw(st.integers(1, third - 1)), stage3_epoch=third)


@st.composite
def sweeps(draw: st.DrawFn, alike: bool = False, most: int = 12, epochs: int = 12) -> dict[str, Any]:
    """Trials with scores, few of them different so that there are ties.

    Those of one sweep differ in their stages, as `recipe` draws them, and in their epochs, as a user's space may;
    where they are `alike`, they have as many rungs.
    """
    mode, number = draw(st.sampled_from(["probe", "finetune"])), draw(st.integers(1, most))
    if alike:
        long = epochs if mode == "probe" or draw(st.booleans()) else 3
        configs = [configuration(draw, mode, draw(st.integers(long, epochs))) for _ in range(number)]
        assume(len({rungs(config) and tuple(rung.keep for rung in rungs(config)) for config in configs}) == 1)
    else:
        configs = [configuration(draw, mode, draw(st.integers(3, epochs))) for _ in range(number)]
    score = random.Random(draw(seeds))
    different = draw(st.sampled_from([1, 3, 1000]))
    scores = [[UNIT * score.randrange(different) for _ in range(config.epochs)] for config in configs]
    return {"configs": configs, "scores": scores, "seed": draw(seeds), "exempt": draw(st.booleans())}


def failures(sweep: dict[str, Any], seed: int) -> dict[int, int]:
    """Some trials fail after some epoch."""
    draw = random.Random(seed)
    return {
        number: draw.randint(1, config.epochs) for number, config in enumerate(sweep["configs"]) if draw.random() < 0.3
    }


# -- the rungs


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        (FINETUNE, [(9, 3 / 4), (12, 1 / 4), (16, 1 / 8)]),
        (replace(FINETUNE, epochs=50), [(15, 3 / 4), (19, 1 / 4), (27, 1 / 8)]),
        (TrainConfig("probe", 5, 7e-4), [(1, 1 / 4), (2, 1 / 8)]),
        (replace(FINETUNE, epochs=3), [(2, 3 / 4)]),
        (replace(FINETUNE, epochs=4), [(2, 3 / 4), (3, 1 / 8)]),
        (TrainConfig("probe", 1, 7e-4), []),
    ],
)
def test_rungs(config: TrainConfig, expected: list[tuple[int, float]]) -> None:
    assert rungs(config) == tuple(Rung(epochs, keep) for epochs, keep in expected)


@given(st.data())
def test_a_rung_lies_within_one_stage_for_all(data: st.DataObject) -> None:
    """The first of a finetune ends stage 2, the others are of stage 3; epochs rise, and fewer are kept."""
    config = configuration(data.draw, data.draw(st.sampled_from(["probe", "finetune"])), data.draw(st.integers(3, 99)))
    found = rungs(config)
    stages = [config.stage_at(rung.epochs - 1) for rung in found]
    assert stages == ([2, 3, 3] if config.mode == "finetune" else [1, 1, 1])[: len(found)]
    assert [rung.epochs for rung in found] == sorted({rung.epochs for rung in found})
    assert [rung.keep for rung in found] == sorted({rung.keep for rung in found}, reverse=True)
    assert all(0 < rung.epochs < config.epochs for rung in found)


def test_a_default_sweep_keeps_12_4_and_2_of_15() -> None:
    scores = [[float(number)] * 30 for number in range(16)]
    race = Race(Halving(), [FINETUNE] * 16, scores).run()
    assert [race.epochs[number] for number in range(16)] == [30, *[9] * 3, *[12] * 8, *[16] * 2, 30, 30]


# -- successive halving


@given(sweeps(alike=True))
def test_the_survivors_are_those_of_synchronous_halving(sweep: dict[str, Any]) -> None:
    """Whatever the order of arrival, and nobody waits in vain."""
    race = Race(Halving(), **sweep, may_release=False).run()
    expected: list[set[int]] = race.synchronous() if race.judged else []
    finished = {number for number in race.judged if race.ended[number] == "finished"}
    assert finished == (expected[-1] if expected else set(race.judged))
    for number in race.judged:
        out = next((rung for rung, alive in enumerate(expected) if number not in alive), None)
        config = race.configs[number]
        assert race.epochs[number] == (config.epochs if out is None else rungs(config)[out].epochs)


@given(sweeps(), seeds)
def test_the_default_is_never_stopped(sweep: dict[str, Any], seed: int) -> None:
    for policy in (Halving(), Median()):
        race = Race(policy, **{**sweep, "exempt": True}, failing=failures(sweep, seed)).run()
        assert race.ended[0] == ("failed" if 0 in race.failing else "finished")


@given(sweeps(), seeds)
def test_the_default_takes_nobodys_place(sweep: dict[str, Any], seed: int) -> None:
    """Without it, all others are told the same at every moment."""
    race = Race(Halving(), **{**sweep, "exempt": True}, failing=failures(sweep, seed)).run()
    alone = Halving()
    for number in race.judged:
        alone.add(f"{number}", race.configs[number])
    for event, *what in race.log:
        if event == "decisions":
            assert {n: alone.decision(f"{n}") for n in what[0] if n != 0} == {
                n: d for n, d in what[0].items() if n != 0
            }
        elif what[0] == 0:
            continue
        elif event == "report":
            alone.report(f"{what[0]}", what[1])
        else:
            (alone.release if event == "release" else alone.leave)(f"{what[0]}")


@given(sweeps(), seeds)
def test_every_race_ends_whatever_fails(sweep: dict[str, Any], seed: int) -> None:
    """Where all wait, the best of them goes on; and nobody waits for one that is gone (`Race.look`)."""
    race = Race(Halving(), **sweep, failing=failures(sweep, seed)).run()
    assert set(race.ended) == set(range(len(race.configs)))
    for number, how in race.ended.items():
        if how == "finished":
            assert race.epochs[number] == race.configs[number].epochs
        elif how == "stopped":
            assert race.epochs[number] < race.configs[number].epochs
    there = [number for number in race.judged if race.ended[number] != "stopped"]
    assert len(there) >= min(2, len(race.judged)), "two go on from every rung, unless they fail"


@given(sweeps(), seeds)
def test_no_decision_is_regretted(sweep: dict[str, Any], seed: int) -> None:
    """Who was stopped is out at some rung in the end, too; who went on unreleased is in at all that it passed."""
    race = Race(Halving(), **sweep, failing=failures(sweep, seed)).run()
    for number in race.judged:
        fits = []
        for rung in range(race.arrived(number)):
            there = [n for n in race.judged if race.arrived(n) > rung]
            better = sum(race.at(other, rung) > race.at(number, rung) for other in there)
            fits.append(better < race.room(number, rung))
        if race.ended[number] == "stopped":
            assert not all(fits)
            assert race.policy.why(f"{number}").startswith("not among the best ")
        passed = fits if race.ended[number] == "finished" else fits[:-1]
        assert all(fit or (number, rung) in race.released for rung, fit in enumerate(passed))


@given(sweeps(), st.permutations([0.0, 700.0, 50.0]), seeds, st.sampled_from([Halving, Median]))
def test_stages_are_never_held_against_each_other(
    sweep: dict[str, Any], lifts: list[float], seed: int, policy: type[Halving] | type[Median]
) -> None:
    """All scores of a stage may be higher: nothing changes."""
    lifted = [
        [score + UNIT * 1000 * lifts[config.stage_at(epoch) - 1] for epoch, score in enumerate(scores)]
        for config, scores in zip(sweep["configs"], sweep["scores"], strict=True)
    ]
    races = [
        Race(policy(), **{**sweep, "scores": scores}, failing=failures(sweep, seed)).run()
        for scores in (sweep["scores"], lifted)
    ]
    assert races[0].epochs == races[1].epochs
    assert races[0].ended == races[1].ended
    assert races[0].released == races[1].released


@given(seeds, st.integers(3, 20))
def test_ties_go_to_the_one_drawn_first(seed: int, number: int) -> None:
    configs = [TrainConfig("probe", 9, 1e-3)] * number
    race = Race(Halving(), configs, [[0.5] * 9] * number, seed, exempt=False, may_release=False).run()
    room = max(2, math.ceil(number / 8))
    assert [n for n, how in race.ended.items() if how == "finished" and n >= room] == []
    assert [race.ended[n] for n in range(room)] == ["finished"] * room


def report(policy: Policy, number: int, *scores: float, config: TrainConfig = FINETUNE) -> None:
    stages = tuple(config.stage_at(epoch) for epoch in range(len(scores)))
    policy.report(f"{number}", TrialHistory(scores, stages))


def halving(*scores: float, number: int = 4) -> Halving:
    """Trials of a probe of 9 epochs, two of which go on from its first rung; these have come to it."""
    policy = Halving()
    for n in range(number):
        policy.add(f"{n}", TrainConfig("probe", 9, 1e-3))
    for n, score in enumerate(scores):
        report(policy, n, score)
    return policy


def test_who_waits_for_whom() -> None:
    assert halving().decision("0") == "go", "nobody has arrived anywhere"
    policy = halving(0.5, 0.6)
    assert [policy.decision(f"{n}") for n in range(4)] == ["wait", "wait", "go", "go"]
    assert policy.rank("1") < policy.rank("0")
    policy = halving(0.5, 0.6, 0.4)
    assert [policy.decision(f"{n}") for n in range(4)] == ["wait", "go", "stop", "go"], "1 is second at worst"
    policy.leave("3")
    assert policy.decision("0") == "go", "waits for one that has failed"
    policy = halving(0.5, 0.6, 0.4)
    report(policy, 3, 0.55)
    assert [policy.decision(f"{n}") for n in range(4)] == ["stop", "go", "stop", "go"]


def test_nobody_waits_for_one_that_has_no_such_rung() -> None:
    """Three epochs have one rung, nine have two."""
    policy = Halving()
    for n, epochs in enumerate((9, 9, 3, 3)):
        policy.add(f"{n}", TrainConfig("probe", epochs, 1e-3))
        report(policy, n, 0.5, *[0.5] * (2 if epochs == 9 else 0))
    assert policy.decision("0") == "go"


def test_one_that_went_on_early_may_still_be_stopped() -> None:
    policy = halving(0.5, 0.6)
    assert policy.decision("0") == "wait"
    policy.release("0")
    assert policy.decision("0") == "go"
    report(policy, 0, 0.5, 0.9)
    assert policy.decision("0") == "go"
    report(policy, 2, 0.7)
    assert policy.decision("0") == "stop"
    assert policy.why("0") == "not among the best 2 of 4 in stage 1, epoch 1"


def test_a_release_is_for_one_rung() -> None:
    policy = halving(0.5)
    policy.release("0")
    report(policy, 0, 0.5, 0.5)
    assert policy.decision("0") == "go"
    report(policy, 0, 0.5, 0.5, 0.5)
    assert policy.decision("0") == "wait"


def test_the_further_of_two_alike_is_released_first() -> None:
    policy = halving(0.5, 0.5)
    policy.release("1")
    report(policy, 1, 0.6, 0.6, 0.6)
    assert (policy.decision("0"), policy.decision("1")) == ("wait", "wait")
    assert min(("0", "1"), key=policy.rank) == "1"


# -- the median rule


def below_the_median(race: Race, number: int) -> bool:
    """The rule, written down anew: in the last stage, after its first ninth, the best so far is below the median of at
    least three others' means over as many epochs of it."""

    def shown(n: int) -> list[float]:
        return list(race.scores[n][race.configs[n].stage_starts[-1] : race.epochs[n]])

    mine, length = shown(number), race.configs[number].epochs - race.configs[number].stage_starts[-1]
    if not mine or 9 * len(mine) < length or (race.exempt and number == 0):
        return False
    others = [shown(n)[: len(mine)] for n in range(len(race.configs)) if n != number and len(shown(n)) >= len(mine)]
    return len(others) >= 3 and max(mine) < statistics.median(statistics.mean(scores) for scores in others)


@given(sweeps(most=8), seeds)
def test_the_median_rule(sweep: dict[str, Any], seed: int) -> None:
    """A race with one eye on the rule: who is told to stop, and nobody else."""

    class Watched(Median):
        def decision(self, name: str) -> Decision:
            found = super().decision(name)
            assert (found == "stop") == below_the_median(race, int(name))
            if found == "stop":
                assert self.why(name).startswith("below the others' median (")
            return found

    race = Race(Watched(), **sweep, failing=failures(sweep, seed), may_release=False)
    race.run()


@pytest.mark.parametrize(("others", "decision"), [(2, "go"), (3, "stop"), (4, "stop")])
def test_the_median_of_fewer_than_three_others_says_nothing(others: int, decision: Decision) -> None:
    policy = Median()
    for n in range(others + 1):
        policy.add(f"{n}", FINETUNE)
        report(policy, n, *[0.9 if n else 0.1] * 12)
    assert policy.decision("0") == decision


def test_the_median_rule_looks_at_the_last_stage_after_its_first_ninth() -> None:
    """Of 30 epochs, stage 3 has 21."""
    for epochs, decision in ((9, "go"), (11, "go"), (12, "stop")):
        policy = Median()
        for n in range(4):
            policy.add(f"{n}", FINETUNE)
            report(policy, n, *[0.9 if n else 0.1] * epochs)
        assert policy.decision("0") == decision, epochs


@pytest.mark.parametrize("score", [0.1, 1 / 21])
def test_who_ties_with_the_median_goes_on(score: float) -> None:
    """Probes that know one class alone all have the same score; its rounded mean over some epochs lies above it."""
    policy = Median()
    for n in range(5):
        policy.add(f"{n}", FINETUNE)
    for epochs in range(1, FINETUNE.epochs + 1):
        for n in range(5):
            report(policy, n, *[score] * epochs)
        assert {policy.decision(f"{n}") for n in range(5)} == {"go"}, epochs


# -- to the end


@given(sweeps(), seeds)
def test_all_go_to_their_end(sweep: dict[str, Any], seed: int) -> None:
    race = Race(RunToTheEnd(), **sweep, failing=failures(sweep, seed), may_release=False).run()
    assert all(how == ("failed" if number in race.failing else "finished") for number, how in race.ended.items())


def test_the_schedulers_names() -> None:
    kinds = {name: type(make_policy(name)) for name in OWN}
    assert kinds == {"halving": Halving, "median": Median, "none": RunToTheEnd}


@pytest.mark.parametrize("scheduler", OWN)
@given(sweep=sweeps())
@example(sweep={"configs": [TrainConfig("probe", 1, 1e-3)] * 3, "scores": [[0.5]] * 3, "seed": 0, "exempt": True})
def test_some_trial_goes_to_its_end(scheduler: str, sweep: dict[str, Any]) -> None:
    """At least two of the judged, or all, under halving: they are what is confirmed."""
    race = Race(make_policy(scheduler), **sweep).run()
    finished = [number for number in race.judged if race.ended[number] == "finished"]
    if scheduler == "halving":
        assert len(finished) >= min(2, len(race.judged))
    else:
        assert finished or not race.judged
