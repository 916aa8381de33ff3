"""The queue and the halving answer quickly, however many trials there are: and as the plain ones do, always."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plain_queue import PlainHalving, PlainQueue

from orchestrator.execution.cluster import Cluster, Request, Share
from orchestrator.execution.entries import Entry, Limits, Search
from orchestrator.execution.queue import TrainingQueue
from orchestrator.sweeps.halving import Halving
from orchestrator.sweeps.policies import make_policy
from orchestrator.sweeps.policy import Policy
from trainable.base.config import TrainConfig
from trainable.run.history import TrialHistory

CONFIGS = (
    TrainConfig("finetune", 10, 5e-4, 1e-4),
    TrainConfig("finetune", 12, 5e-4, 1e-4, stage2_epoch=1, stage3_epoch=9),
    TrainConfig("probe", 5, 5e-4),
    TrainConfig("probe", 1, 5e-4),
)
KINDS = ("", "A10G", "H100")
seeds = st.integers(0, 2**32)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Pair:
    """A queue and a plain one, of which the same is asked and to which the same is told."""

    def __init__(self, draw: random.Random) -> None:
        self.draw, self.clock = draw, Clock()
        self.configs: dict[str, TrainConfig] = {}
        self.sweep_of: dict[str, str] = {}
        self.gpus = draw.random() < 0.5
        sweeps = {f"s{i}": draw.choice(["halving", "halving", "median", "none"]) for i in range(draw.randint(1, 3))}
        entries = [self.entry(f"f{i}") for i in range(draw.randint(0, 3))]
        self.configs |= {entry.name: CONFIGS[0] for entry in entries}
        late = {sweep: draw.randint(1, 3) for sweep in sweeps if draw.random() < 0.3}
        for sweep in sweeps:
            for number in range(draw.randint(1, 9)):
                fixed = number == 0 and draw.random() < 0.5
                entries.append(self.entry(f"{sweep}#{number}", sweep, fixed=fixed))
                self.configs[entries[-1].name] = draw.choice(CONFIGS)
                self.sweep_of[entries[-1].name] = sweep
        draw.shuffle(entries)
        self.histories = {name: self.begun(name) for name in self.configs}
        cluster = self.cluster()
        most, deadline = draw.choice([None, None, 1, 3]), draw.choice([None, None, 40.0])
        self.queues = []
        for kind, halving in ((TrainingQueue, Halving), (PlainQueue, PlainHalving)):
            policies = {s: self.policy(s, halving() if how == "halving" else make_policy(how), late.get(s, 0))
                        for s, how in sweeps.items()}  # fmt: skip
            searches = {s: self.search(s, count, policies[s]) for s, count in late.items()}
            limits = Limits(cluster, most, deadline, self.clock)
            self.queues.append(kind(entries, policies, limits, searches))
        self.running: list[str] = []
        self.gone: list[str] = []

    def cluster(self) -> Cluster:
        """Nodes with two types of GPU, with a type that Ray does not know, or with none."""
        count = self.draw.randint(1, 3)
        nodes = tuple((self.draw.randint(1, 4), float(self.gpus * self.draw.randint(1, 2))) for _ in range(count))
        kinds = tuple(self.draw.choice(KINDS) for _ in nodes)
        return Cluster(nodes, accelerators=kinds if self.gpus else ())

    def request(self) -> Request:
        return Request(Share(1, float(self.gpus)))

    def entry(self, name: str, sweep: str | None = None, *, fixed: bool = True) -> Entry:
        return Entry(name, float(self.draw.randint(1, 3)), self.request(), sweep, fixed, self.draw.choice(KINDS))

    def scores(self, epochs: int) -> tuple[float, ...]:
        return tuple(self.draw.randint(0, 3) / 4 for _ in range(epochs))

    def begun(self, name: str) -> TrialHistory:
        """Some trials have begun in an earlier command."""
        config = self.configs[name]
        epochs = self.draw.randint(1, config.epochs) - 1 if self.draw.random() < 0.3 else 0
        return self.history(config, self.scores(epochs))

    def history(self, config: TrainConfig, scores: tuple[float, ...]) -> TrialHistory:
        return TrialHistory(scores, tuple(map(config.stage_at, range(len(scores)))))

    def policy(self, sweep: str, policy: Policy, late: int) -> Policy:
        for name in sorted(name for name, found in self.sweep_of.items() if found == sweep):
            policy.add(name, self.configs[name], exempt=name.endswith("#0"))
        for number in range(late):
            policy.add(f"{sweep}#late{number}", CONFIGS[0])
        for name, history in self.histories.items():
            if self.sweep_of.get(name) == sweep and history.scores:
                policy.report(name, history)
        return policy

    def search(self, sweep: str, count: int, policy: Policy) -> Search:
        """It may have nothing left before it has chosen all."""
        names = [f"{sweep}#late{number}" for number in range(self.draw.randint(0, count) if count else 0)]
        found = self.found.setdefault(sweep, names)
        left = list(found)

        def choose() -> Entry | None:
            if not left:
                return None
            name = left.pop(0)
            config = CONFIGS[len(name) % 2]
            policy.add(name, config)
            self.configs[name], self.sweep_of[name] = config, sweep
            self.histories.setdefault(name, TrialHistory())
            return Entry(name, 1.0, self.request(), sweep, fixed=False)

        return Search(choose, count, self.request())

    @property
    def found(self) -> dict[str, list[str]]:
        return self.__dict__.setdefault("_found", {})  # type: ignore[no-any-return]

    def same(self, what: str, *arguments: Any, **named: Any) -> Any:
        quick, plain = (getattr(queue, what) for queue in self.queues)
        answers = (quick(*arguments, **named), plain(*arguments, **named)) if callable(quick) else (quick, plain)
        assert answers[0] == answers[1], what
        if isinstance(answers[0], dict):
            assert list(answers[0]) == list(answers[1])
        return answers[0]

    def run(self) -> None:
        while not self.same("finished"):
            self.clock.now += 1
            if self.draw.random() < 0.9:
                self.gone += self.same("dropped")
            if self.draw.random() < 0.3:
                self.same("wanted")
            if self.draw.random() < 0.05:
                changed = self.cluster()
                for queue in self.queues:
                    queue.limits.cluster = changed
            while self.draw.random() < 0.9 and (name := self.same("next")) is not None:
                self.same("started", name)
                self.running.append(name)
            if self.draw.random() < 0.005:
                for queue in self.queues:
                    queue.draining = True
            self.same("active")
            if self.running:
                self.advance(self.draw.choice(self.running))
            elif self.same("finished") or self.queues[0].draining:
                return

    def advance(self, name: str) -> None:
        history, config, chance = self.histories[name], self.configs[name], self.draw.random()
        if chance < 0.08:
            self.running.remove(name)
            lost = self.draw.random() < 0.3
            if lost and history.scores:  # its last epochs have not arrived
                self.histories[name] = self.history(config, history.scores[: self.draw.randrange(len(history.scores))])
            self.same("failed", name, used=chance < 0.06, final=chance < 0.01)
            return
        history = self.histories[name] = self.history(config, (*history.scores, *self.scores(1)))
        if len(history.scores) >= config.epochs:
            self.running.remove(name)
            self.same("completed", name, history)
            return
        verdict, _ = self.same("epoch", name, history, self.draw.choice(KINDS))
        if verdict != "go":
            self.running.remove(name)
        if verdict == "stop":
            self.same("ended", name)


@settings(max_examples=500)
@given(seeds)
def test_a_queue_says_what_a_plain_one_says(seed: int) -> None:
    """Order, pauses, stops and reasons, also where trainings fail, lose epochs, or are chosen late."""
    Pair(random.Random(seed)).run()


@pytest.mark.parametrize("trials", [3, 12])
@given(seed=seeds)
def test_halving_decides_as_a_plain_one_does(trials: int, seed: int) -> None:
    draw = random.Random(seed)
    pair = (Halving(), PlainHalving())
    configs = {f"t{number}": draw.choice(CONFIGS) for number in range(trials)}
    for policy in pair:
        for name, config in configs.items():
            policy.add(name, config, exempt=name == "t0")
    for _ in range(3 * trials):
        name, config = draw.choice(list(configs.items()))
        what = draw.choice(["report", "report", "report", "leave", "release", "add"])
        scores = tuple(draw.randint(0, 5) / 4 for _ in range(draw.randint(1, config.epochs)))
        history = TrialHistory(scores, tuple(map(config.stage_at, range(len(scores)))))
        for policy in pair:
            if what == "report":
                policy.report(name, history)
            elif what == "add":
                policy.add(name, config, exempt=name == "t0")
            else:
                (policy.leave if what == "leave" else policy.release)(name)
        asked = draw.sample(list(configs), min(3, trials))
        for other in asked:
            assert pair[0].decision(other) == pair[1].decision(other)
            assert pair[0].rank(other) == pair[1].rank(other)
        assert pair[0].stopped == pair[1].stopped
