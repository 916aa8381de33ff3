"""Laws of the simulation: time, work and order on nodes that do not exist."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.execution.cluster import Cluster, Request, Share
from orchestrator.execution.entries import Entry, Limits
from orchestrator.execution.events import NoEvents
from orchestrator.execution.executor import Training
from orchestrator.execution.local import LocalExecutor
from orchestrator.execution.queue import TrainingQueue
from orchestrator.simulation.costs import Overheads, Work, made_up_score
from orchestrator.simulation.machine import Machine
from orchestrator.sweeps.policies import make_policy
from orchestrator.sweeps.policy import Policy
from trainable.base.config import TrainConfig
from trainable.run.history import TrialHistory

CONFIG = TrainConfig("finetune", 10, 5e-4, 1e-4)
ON_ONE_GPU = Request(Share(1, 1.0))
NOTHING, COSTS = Overheads(), Overheads(process=7.0, begin=0.5, epoch=0.25)

seconds = st.floats(0.1, 50)
lengths = st.lists(st.tuples(st.integers(1, 4), seconds), min_size=1, max_size=8)


def gpus(nodes: int, each: int) -> Cluster:
    return Cluster(((4 * each, float(each)),) * nodes)


def fixed(found: list[tuple[int, float]]) -> dict[str, Work]:
    """Trainings of so many epochs of so many seconds; the queue starts those with the most work first."""
    return {
        f"f{i}": Work(Entry(f"f{i}", epochs * each, ON_ONE_GPU), CONFIG, [each] * epochs)
        for i, (epochs, each) in enumerate(found)
    }


def trials(count: int, each: float = 1.0) -> dict[str, Work]:
    return {
        f"m#{i}": Work(Entry(f"m#{i}", 1.0, ON_ONE_GPU, "m", fixed=False), CONFIG, [each] * CONFIG.epochs)
        for i in range(count)
    }


def queue_of(
    works: dict[str, Work], cluster: Cluster, clock: Callable[[], float], scheduler: str = "halving", **limits: Any
) -> TrainingQueue:
    policy: Policy = make_policy(scheduler)
    for name, work in works.items():
        if work.entry.sweep:
            policy.add(name, work.config, exempt=name == "m#0")
    found = Limits(cluster, clock=clock, **limits)
    return TrainingQueue([work.entry for work in works.values()], {"m": policy}, found)


def run(works: dict[str, Work], cluster: Cluster, overheads: Overheads = NOTHING, **options: Any) -> Machine:
    machine = Machine(cluster, overheads)
    machine.run(queue_of(works, cluster, machine.clock, **options), works.__getitem__)
    return machine


@given(lengths)
def test_one_slot_takes_the_sum_of_all_work_and_of_all_starts(found: list[tuple[int, float]]) -> None:
    machine = run(fixed(found), gpus(1, 1), COSTS)
    epochs, work = sum(epochs for epochs, _ in found), sum(epochs * each for epochs, each in found)
    starts = COSTS.process + COSTS.begin * len(found) + COSTS.epoch * epochs
    assert machine.seen.end == pytest.approx(work + starts)
    assert machine.seen.used == pytest.approx(machine.seen.end), "the slot is never free"
    assert machine.seen.processes == 1


@given(lengths, st.integers(1, 4))
def test_on_enough_slots_it_takes_as_long_as_the_longest(found: list[tuple[int, float]], nodes: int) -> None:
    machine = run(fixed(found), gpus(nodes, 8), COSTS)
    longest = max(epochs * (each + COSTS.epoch) for epochs, each in found)
    assert machine.seen.end == pytest.approx(COSTS.process + COSTS.begin + longest)
    assert machine.seen.processes == machine.seen.most == len(found)


@given(lengths, st.integers(1, 3), st.integers(1, 3))
def test_fixed_work_is_the_same_on_any_number_of_gpus(found: list[tuple[int, float]], nodes: int, each: int) -> None:
    cluster = gpus(nodes, each)
    machine, alone = run(fixed(found), cluster), run(fixed(found), gpus(1, 1))
    assert machine.seen.work == pytest.approx(alone.seen.work)
    assert machine.seen.used == pytest.approx(alone.seen.used), "without overheads a slot only works"
    assert machine.seen.most <= nodes * each
    assert alone.seen.end / (nodes * each) <= machine.seen.end * (1 + 1e-9) <= alone.seen.end * (1 + 2e-9)


@given(st.integers(1, 12), st.integers(1, 6), st.sampled_from(["halving", "median", "none"]))
def test_it_is_the_same_every_time_and_never_takes_more_slots_than_there_are(
    count: int, slots: int, scheduler: str
) -> None:
    first, again = (run(trials(count), gpus(1, slots), COSTS, scheduler=scheduler) for _ in range(2))
    assert first.seen == again.seen
    assert first.seen.most <= slots
    assert set(first.seen.histories) == set(trials(count))


@given(st.integers(1, 12), st.integers(0, 3), st.integers(1, 6), st.sampled_from(["halving", "median", "none"]))
def test_trainings_start_in_the_order_of_a_real_run(count: int, others: int, slots: int, scheduler: str) -> None:
    """Of the executor without Ray, which trains an epoch of each in turn: as where all epochs take the same time."""
    works = {**fixed([(10, 1.0)] * others), **trials(count)}
    cluster = gpus(1, slots)
    simulated = run(works, cluster, scheduler=scheduler)
    starts: list[str] = []

    class Starts(NoEvents):
        def started(self, name: str) -> None:
            starts.append(name)

    histories: dict[str, TrialHistory] = {}

    def stepper(job: Any, tables: object) -> Callable[[], dict[str, Any]]:
        name = job["experiment"]

        def step() -> dict[str, Any]:
            known = histories.get(name, TrialHistory())
            score, stage = made_up_score(name, len(known) + 1), CONFIG.stage_at(len(known))
            known = histories[name] = TrialHistory((*known.scores, score), (*known.stages, stage))
            return {**known.to_json(), "done": len(known) == CONFIG.epochs}

        return step

    def training(name: str) -> Training:
        job: Any = {"experiment": name}
        return Training(job, "M1", ON_ONE_GPU)

    executor = LocalExecutor(Path(), cluster.nodes, stepper)
    executor.train(
        queue_of(works, cluster, lambda: 0.0, scheduler), training, {"M1": {}}, Path(),
        events=Starts(), stop=lambda: False, changed=lambda found: None,
    )  # fmt: skip
    assert simulated.seen.starts == starts
    assert {name: found.scores for name, found in simulated.seen.histories.items()} == {
        name: found.scores for name, found in histories.items()
    }


@given(st.floats(0.5, 60), st.integers(1, 4))
def test_a_budget_ends_trials_on_the_simulations_own_clock(deadline: float, slots: int) -> None:
    machine = run(trials(9), gpus(1, slots), scheduler="none", deadline=deadline)
    whole = run(trials(9), gpus(1, slots), scheduler="none")
    assert min(deadline, whole.seen.end) <= machine.seen.end < deadline + 1.0, "the epoch in hand is finished"


def test_images_travel_to_one_node_after_the_other_and_are_decoded_once_on_each() -> None:
    """Two nodes of two GPUs: the driver's own has its images at once."""
    costs = Overheads(decoding=10.0, image_bytes=100.0, link=1000.0)
    works = {
        name: Work(work.entry, CONFIG, [1.0], features=3.0, images=80) for name, work in fixed([(1, 1.0)] * 6).items()
    }
    machine = run(works, Cluster(((2, 1.0), (2, 1.0), (2, 1.0))), costs)
    ends = sorted(machine.nodes, key=lambda node: node.ready)
    assert [node.ready for node in ends] == [80 / (10 * 2), 8.0, 16.0], "decoded; sent; sent after that"
    assert machine.seen.work == 6.0
    assert machine.seen.end == 16.0 + 3.0 + 1.0, "features once on a node; the others take what is left"
