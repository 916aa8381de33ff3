"""In which order a queue starts trainings, who is paused for whom, and when it has nothing left."""

from __future__ import annotations

import time
from collections.abc import Mapping

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.execution.cluster import Cluster, Request, Share
from orchestrator.execution.entries import LOST_PROCESSES, RETRIES, Entry, Limits, Search
from orchestrator.execution.queue import TrainingQueue
from orchestrator.sweeps.policies import make_policy
from orchestrator.sweeps.policy import Policy
from orchestrator.sweeps.records import BUDGET_SPENT
from trainable.base.config import TrainConfig
from trainable.run.history import TrialHistory

CONFIG = TrainConfig("finetune", epochs=10, batch=8, lr_head=5e-4, lr_backbone=1e-4, weights="none")
ONE_CPU = Request(Share(1, 0.0))
KNOWN, LATE = ("m#0", "m#1", "m#2", "m#3"), ("m#4", "m#5", "m#6")


def history(name: str, epochs: int) -> TrialHistory:
    """The higher the number of a trial, the better its scores."""
    number = int(name.partition("#")[2] or 0)
    scores = tuple(0.1 * number + 0.01 * epoch for epoch in range(epochs))
    return TrialHistory(scores, tuple(CONFIG.stage_at(epoch) for epoch in range(epochs)))


def fixed(name: str, work: float, cpus: int = 1) -> Entry:
    return Entry(name, work, Request(Share(cpus, 0.0)))


def trial(name: str, work: float = 1.0, request: Request = ONE_CPU) -> Entry:
    return Entry(name, work, request, sweep="m", fixed=False)


def policies(scheduler: str, names: tuple[str, ...] = KNOWN) -> dict[str, Policy]:
    policy = make_policy(scheduler)
    for name in names:
        policy.add(name, CONFIG, exempt=name == "m#0")
    return {"m": policy}


class Machine:
    """Runs a queue's trainings an epoch at a time, in turn, and writes down what happens."""

    def __init__(self, queue: TrainingQueue, epochs: Mapping[str, int] | None = None) -> None:
        self.queue = queue
        self.epochs: dict[str, int] = dict(epochs or {})
        self.active: list[str] = []
        self.events: list[tuple[str, str]] = []
        self.most = 0

    def run(self) -> list[tuple[str, str]]:
        while self.turn():
            pass
        return self.events

    def turn(self) -> bool:
        for name, why in self.queue.dropped().items():
            self.events.append((f"dropped: {why}", name))
        self.start()
        for name in list(self.active):
            self.advance(name)
        return bool(self.active) or not self.queue.finished

    def start(self) -> None:
        while (name := self.queue.next()) is not None:
            self.queue.started(name)
            self.active.append(name)
            self.events.append(("started", name))
        self.most = max(self.most, len(self.active))
        assert self.active or self.queue.finished, "everything waits for ever"

    def advance(self, name: str) -> None:
        self.epochs[name] = self.epochs.get(name, 0) + 1
        if self.epochs[name] == CONFIG.epochs:
            self.active.remove(name)
            self.queue.completed(name, history(name, CONFIG.epochs))
            self.events.append(("done", name))
            return
        verdict, why = self.queue.epoch(name, history(name, self.epochs[name]))
        if verdict != "go":
            self.active.remove(name)
            self.events.append((verdict if not why else f"stopped: {why}", name))
        if verdict == "stop":
            self.queue.ended(name)

    def started(self) -> list[str]:
        return [name for event, name in self.events if event == "started"]


def queue_of(
    entries: list[Entry], scheduler: str = "none", cpus: int = 1, limits: Limits | None = None, late: int | None = None
) -> tuple[TrainingQueue, list[str]]:
    """A queue on a machine with `cpus`, and the names of the trials that its search has been asked for.

    Args:
        late: how many of the `LATE` trials the search finds; None for no search.
    """
    asked: list[str] = []

    def choose() -> Entry | None:
        asked.append(LATE[len(asked)])
        return trial(asked[-1]) if len(asked) <= (late or 0) else None

    names = tuple(entry.name for entry in entries if entry.sweep)
    searches = {"m": Search(choose, len(LATE), ONE_CPU)} if late is not None else {}
    known = policies(scheduler, (*names, *LATE) if searches else names)
    return TrainingQueue(entries, known, limits or Limits(Cluster(((cpus, 0.0),))), searches=searches), asked


# -- order


def test_the_longest_fixed_training_starts_first_and_trials_follow_in_their_order() -> None:
    entries = [trial("m#1"), fixed("short", 1.0), trial("m#2", work=9.0), fixed("long", 3.0), fixed("middle", 2.0)]
    machine = Machine(queue_of(entries)[0])
    machine.run()
    assert machine.started() == ["long", "middle", "short", "m#1", "m#2"]


def test_no_shorter_training_overtakes_one_that_has_no_room_yet() -> None:
    """The large one would wait for ever where small ones always find room."""
    entries = [fixed("first", 3.0), fixed("large", 2.0, cpus=2), fixed("small", 1.0)]
    queue, _ = queue_of(entries, cpus=2)
    machine = Machine(queue)
    machine.start()
    assert machine.active == ["first"]
    machine.run()
    assert machine.started() == ["first", "large", "small"]


@example([(1, 1.0), (3, 1.0), (1, 1.0), (2, 2.0), (2, 2.0)], [1, 4, 3])
@given(
    st.lists(st.tuples(st.integers(1, 3), st.floats(1, 9)), min_size=1, max_size=8),
    st.lists(st.integers(1, 4), min_size=1, max_size=3),
)
def test_there_are_never_more_trainings_than_the_nodes_can_hold(
    wanted: list[tuple[int, float]], nodes: list[int]
) -> None:
    cluster = Cluster(tuple((cpus, 0.0) for cpus in nodes))
    entries = [fixed(f"f{i}", work, min(cpus, max(nodes))) for i, (cpus, work) in enumerate(wanted)]
    machine = Machine(queue_of(entries, limits=Limits(cluster))[0])
    sizes = {entry.name: entry.request.share.cpus for entry in entries}
    while machine.turn():
        assert sum(sizes[name] for name in machine.active) <= sum(nodes)
    assert sorted(machine.started()) == sorted(sizes)


def test_as_many_run_at_once_as_allowed() -> None:
    machine = Machine(queue_of([trial(name) for name in KNOWN], limits=Limits(Cluster(((8, 0.0),)), 2))[0])
    machine.run()
    assert machine.most == 2
    unlimited = Machine(queue_of([trial(name) for name in KNOWN], cpus=8)[0])
    unlimited.run()
    assert unlimited.most == len(KNOWN)


def test_a_training_that_waits_for_its_type_of_gpu_keeps_nobody_from_the_others() -> None:
    """Two that began on an H100 in an earlier command, and one that may run anywhere."""
    on_gpu = Request(Share(1, 1.0))
    begun = [Entry(name, 2.0, on_gpu, accelerator="H100") for name in ("first", "second")]
    cluster = Cluster(((4, 1.0), (4, 1.0)), accelerators=("A10G", "H100"))
    queue = TrainingQueue([*begun, Entry("new", 1.0, on_gpu)], {}, Limits(cluster))
    assert Machine(queue).run()[:2] == [("started", "first"), ("started", "new")]
    assert queue.request_of("second").accelerator == "H100"
    assert queue.request_of("new").accelerator == ""


def test_a_paused_training_holds_its_room_until_its_process_is_free() -> None:
    """An executor says so; whoever does not, gives the room to the next one at once."""
    queue = TrainingQueue([trial(name) for name in KNOWN], policies("halving"), Limits(Cluster(((2, 0.0),))))
    first, second = [start(queue) for _ in range(2)]
    assert queue.failed(str(first))  # one way to pause
    queue.leaving[str(first)] = ONE_CPU
    assert queue.next() is None
    queue.limits.cluster = Cluster(((3, 0.0),))
    assert start(queue) not in (first, second, None)
    queue.limits.cluster = Cluster(((9, 0.0),))
    begun = [start(queue), start(queue)]
    assert first not in begun
    queue.leaving.clear()
    assert start(queue) == first


def start(queue: TrainingQueue) -> str | None:
    name = queue.next()
    if name is not None:
        queue.started(name)
    return name


def test_memory_keeps_trainings_apart() -> None:
    large = Request(Share(1, 0.0), memory=6)
    machine = Machine(queue_of([trial(n, request=large) for n in KNOWN], limits=Limits(Cluster(((8, 0.0),), (10,))))[0])
    machine.run()
    assert machine.most == 1


# -- who goes on


def test_a_waiting_trial_gives_its_place_to_a_better_one() -> None:
    """On one CPU all trials come to the first rung before the worst of them is judged, and the best goes on."""
    names = tuple(f"m#{number}" for number in range(9))
    machine = Machine(queue_of([trial(name) for name in names], "halving")[0])
    events = machine.run()
    ends = {name: event for event, name in events if event != "started" and event != "pause"}
    assert ends["m#0"] == ends["m#8"] == ends["m#7"] == "done", "the default, and the best two"
    assert all(ends[name].startswith(("stopped: not among", "dropped: not among")) for name in names[1:7])


def test_a_failed_trial_that_goes_on_is_waited_for_again() -> None:
    queue, _ = queue_of([trial(name) for name in KNOWN], "halving", cpus=4)
    machine = Machine(queue)
    machine.start()
    assert queue.failed("m#3")
    machine.active.remove("m#3")
    assert not queue.policies["m"].contenders["m#3"].left
    machine.run()
    assert ("done", "m#3") in machine.events


def failures_until_the_end(queue: TrainingQueue, *, used: bool) -> int:
    count = 1
    while queue.failed("a", used=used):
        count += 1
    return count


def test_a_training_that_fails_is_tried_again_twice() -> None:
    queue = TrainingQueue([fixed("a", 1.0)], {}, Limits(Cluster(((1, 0.0),))))
    queue.started("a")
    assert failures_until_the_end(queue, used=True) == RETRIES + 1
    assert queue.finished


def test_epochs_between_failures_earn_new_tries() -> None:
    queue = TrainingQueue([fixed("a", 1.0)], {}, Limits(Cluster(((1, 0.0),))))
    for epoch in range(1, 9):
        for _ in range(RETRIES):
            queue.started("a")
            assert queue.failed("a")
        queue.started("a")
        assert queue.epoch("a", history("m#0", epoch)) == ("go", "")
    assert failures_until_the_end(queue, used=True) == RETRIES + 1


def test_a_process_that_died_before_it_was_used_is_no_failure() -> None:
    queue = TrainingQueue([fixed("a", 1.0)], {}, Limits(Cluster(((1, 0.0),))))
    queue.started("a")
    assert all(queue.failed("a", used=False) for _ in range(LOST_PROCESSES))
    assert all(queue.failed("a") for _ in range(RETRIES))
    assert not queue.failed("a", used=False), "some day it is"


def test_a_training_to_be_tried_again_waits_for_its_turn() -> None:
    queue = TrainingQueue([fixed("a", 2.0), fixed("b", 1.0)], {}, Limits(Cluster(((1, 0.0),))))
    queue.started("a")
    assert queue.next() is None, "the only CPU is taken"
    assert queue.failed("a")
    assert queue.next() == "a"


# -- trials that are chosen late


@pytest.mark.parametrize("scheduler", ["halving", "median", "none"])
def test_a_trial_is_chosen_when_nothing_else_is_left(scheduler: str) -> None:
    """Also no trial that waits: what it comes to is what the choice is to learn from."""
    queue, asked = queue_of([trial(name) for name in KNOWN], scheduler, late=3)
    machine = Machine(queue)
    events = machine.run()
    assert asked == list(LATE)
    first = events.index(("started", "m#4"))
    assert {name for _, name in events[:first]} == set(KNOWN)
    assert not any(name in KNOWN for _, name in events[first:])
    assert queue.finished


@pytest.mark.parametrize("found", [0, 1])
def test_where_the_search_has_nothing_left_the_queue_ends(found: int) -> None:
    queue, asked = queue_of([trial(name) for name in KNOWN], "halving", late=found)
    machine = Machine(queue)
    machine.run()
    assert [name for name in machine.started() if name in LATE] == list(LATE[:found])
    assert len(asked) == found + 1
    assert queue.finished
    assert all(queue.policies["m"].contenders[name].left for name in LATE[found:]), "nobody waits for them"


def test_nothing_is_chosen_while_no_node_has_room() -> None:
    """A choice made early would know less."""
    queue, asked = queue_of([trial("m#0")], late=3)
    queue.started("m#0")
    assert (queue.next(), asked) == (None, [])
    queue.completed("m#0", history("m#0", CONFIG.epochs))
    assert (queue.next(), asked) == ("m#4", ["m#4"])


# -- ends


def test_the_budget_ends_trials_and_never_fixed_trainings() -> None:
    entries = [fixed("fixed", 1.0), *(trial(name) for name in KNOWN)]
    limits = Limits(Cluster(((2, 0.0),)), deadline=time.monotonic() + 3600)
    queue, asked = queue_of(entries, limits=limits, late=3)
    machine = Machine(queue)
    machine.turn()
    assert machine.active == ["fixed", "m#0"]
    queue.limits = Limits(limits.cluster, deadline=time.monotonic() - 1)
    machine.run()
    ends = {name: event for event, name in machine.events if event != "started"}
    assert ends["fixed"] == "done"
    assert ends["m#0"] == f"stopped: {BUDGET_SPENT}"
    assert all(ends[name] == f"dropped: {BUDGET_SPENT}" for name in KNOWN[1:])
    assert (asked, queue.finished) == ([], True)


def test_a_queue_that_drains_starts_nothing_and_ends_each_training_after_its_epoch() -> None:
    """Without a reason: nothing is noted of a training that a later command continues."""
    queue, _ = queue_of([fixed("fixed", 1.0), *(trial(name) for name in KNOWN)], "halving", cpus=2)
    machine = Machine(queue)
    machine.turn()
    queue.draining = True
    assert queue.next() is None and not queue.finished
    machine.run()
    assert machine.events[-2:] == [("stop", "fixed"), ("stop", "m#0")]
    assert (queue.finished, queue.dropped()) == (True, {})
    assert machine.epochs == {"fixed": 2, "m#0": 2}


# -- what an elastic cluster should have room for


def test_room_is_wanted_for_what_runs_or_could_run_and_not_for_trials_that_wait() -> None:
    large = Request(Share(3, 0.0))
    queue, _ = queue_of([fixed("a", 2.0), trial("m#1", request=large), trial("m#2")], late=0)
    assert len(queue.wanted()) == 3 + len(LATE)
    queue.limits.max_concurrent = 2
    assert len(queue.wanted()) == 2
    queue.limits.max_concurrent = None
    queue.started("a")
    queue.started("m#1")
    queue.searches.clear()
    assert queue.wanted()[0] == large or queue.wanted()[1] == large
    queue.ended("a")
    assert sorted(request.share.cpus for request in queue.wanted()) == [1, 3]
    queue.draining = True
    assert queue.wanted() == []


def test_a_node_that_comes_is_used_and_one_that_has_gone_is_not() -> None:
    queue, _ = queue_of([fixed(name, 1.0) for name in "abc"])
    queue.started(queue.next() or "")
    assert queue.next() is None
    queue.limits.cluster = Cluster(((1, 0.0), (1, 0.0)))
    queue.started(queue.next() or "")
    assert queue.next() is None
    queue.limits.cluster = Cluster(((1, 0.0),))
    assert queue.next() is None
