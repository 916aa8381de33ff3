"""What those see who look at a run from outside: the same as its own terminal shows, and where everything is."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from work import Clock, confirmation, epoch_row, evaluation, histories, run, state_after, trial

from orchestrator.cli.row_layout import draw, draw_rows, summary
from orchestrator.progress.event import Event
from orchestrator.progress.place import Place
from orchestrator.progress.snapshot import Snapshot, Wait, Work
from orchestrator.progress.state import RunState
from orchestrator.progress.usage import Gpu, Usage

USAGES = st.builds(
    Usage,
    st.none() | st.floats(0, 1), st.none() | st.integers(0, 10**12), st.none() | st.integers(1, 10**12),
    st.lists(st.builds(Gpu, st.floats(0, 1), st.integers(0, 10**11), st.integers(1, 10**11)), max_size=3).map(tuple),
)  # fmt: skip

STARTING = "for their processes to start"


def travelled(snapshot: Snapshot) -> Snapshot:
    return Snapshot.from_json(json.loads(json.dumps(snapshot.to_json(), ensure_ascii=False)))


@given(histories(), USAGES, st.none() | st.floats(0.01, 1e6))
def test_nothing_is_lost_on_the_way(told: list, usage: Usage, price: float | None) -> None:
    snapshot = Snapshot.of(state_after(told), usage, told[-1][0], price)
    assert repr(travelled(snapshot)) == repr(snapshot)  # as text, since NaN equals nothing


@given(histories(), USAGES, st.integers(20, 150), st.integers(3, 40))
def test_the_rows_are_those_of_the_terminal(told: list, usage: Usage, width: int, height: int) -> None:
    state, now = state_after(told), told[-1][0]
    live = [line.plain for line in draw(state, usage, now, width, height)]
    seen = travelled(Snapshot.of(state, usage, now))
    below = summary(seen.rows, seen.seconds, seen.left, seen.usage)
    assert live[: -len(below)] == [line.plain for line in draw_rows(seen.rows, width, height - len(below))]
    assert [line[: width - 1] for line in below] == [line[: width - 1] for line in live[-len(below) :]]


@given(histories())
def test_what_runs_and_what_waits_is_all_that_is_not_over(told: list) -> None:
    state, now = state_after(told), told[-1][0]
    snapshot = Snapshot.of(state, Usage(), now)
    open_ = [t for t in state.trainings.values() if t.status not in ("done", "stopped", "failed")]
    running = {work.name for work in snapshot.working}
    assert running == {training.name for training in open_ if training.status == "running"}
    waiting = sum(wait.count for wait in snapshot.waiting if not wait.name.startswith("faceapi"))
    assert waiting == len(open_) - len(running)


# -- where, and how long


def placed(state: RunState, name: str, now: float, epoch: int = 1, **place: Any) -> None:
    row = epoch_row(run(name), epoch)
    state.apply(Event("epoch", name, {**row, "place": place}), now)


def test_where_a_training_runs_is_known_after_an_epoch() -> None:
    state = RunState()
    state.add([run(), run("probe_M1")])
    for name in ("finetune_M1", "probe_M1"):
        state.apply(Event("started", name), 0.0)
    there = {"hostname": "노드-1", "node_ip": "10.0.0.1", "device": "cuda", "gpus": 0.5, "accelerator": "H100"}
    placed(state, "finetune_M1", 5.0, **there)
    found = Snapshot.of(state, Usage(), 6.0).working
    assert found == (Work("finetune_M1", Place("노드-1", "10.0.0.1", "cuda", 0.5, "H100")), Work("probe_M1", None))


def test_device_hours_are_the_share_times_the_time_in_which_it_was_held() -> None:
    """Half a GPU from 0 to 20 and from 100 to 110; two threads, then four, as others end. What fails counts, too."""
    state = RunState()
    state.add([run(), run("probe_M1"), run("probe_M2")])
    state.apply(Event("started", "finetune_M1"), 0.0)
    assert Snapshot.of(state, Usage(), 9.0).device_seconds == {}
    placed(state, "finetune_M1", 10.0, device="cuda", gpus=0.5)
    state.apply(Event("paused", "finetune_M1"), 20.0)
    assert Snapshot.of(state, Usage(), 99.0).device_seconds == {"cuda": 10.0}
    state.apply(Event("started", "finetune_M1"), 100.0)
    assert Snapshot.of(state, Usage(), 110.0).device_seconds == {"cuda": 15.0}
    state.apply(Event("failed", "finetune_M1", {"message": "", "log": ""}), 110.0)
    state.apply(Event("started", "probe_M1"), 200.0)
    placed(state, "probe_M1", 210.0, device="cpu", threads=2)
    placed(state, "probe_M1", 215.0, epoch=2, device="cpu", threads=4)
    assert Snapshot.of(state, Usage(), 220.0, price_per_hour=7200.0).device_seconds == {"cuda": 15.0, "cpu": 60.0}
    assert Snapshot.of(state, Usage(), 220.0, price_per_hour=7200.0).cost == 440.0


@given(histories())
def test_device_hours_never_shrink(told: list) -> None:
    state, clock = state_after([]), Clock()
    before: dict[str, float] = {}
    for now, event in told:
        clock.now = now
        state.apply(event, now)
        found = Snapshot.of(state, Usage(), now).device_seconds
        assert all(found.get(device, 0.0) >= seconds - 1e-6 * now for device, seconds in before.items())
        before = dict(found)


# -- why something waits


@pytest.mark.parametrize(
    ("events", "waits"),
    [
        ([], {Wait("probe_M1", STARTING, 1), Wait("finetune_M1 sweep", STARTING, 2)}),
        ([("started", "probe_M1", {})], {Wait("finetune_M1 sweep", "for a free slot", 2)}),
        (
            [("started", "probe_M1", {}), ("waiting", "finetune_M1#1", {"seconds": 60, "why": "no node has a GPU"})],
            {Wait("finetune_M1 sweep", "for a free slot", 1), Wait("finetune_M1 sweep", "no node has a GPU", 1)},
        ),
        (
            [("started", "finetune_M1#1", {}), ("paused", "finetune_M1#1", {}), ("started", "probe_M1", {}),
             ("started", "finetune_M1#2", {}), ("retried", "finetune_M1#2", {"message": "", "log": ""})],
            {Wait("finetune_M1 sweep", "for other trials", 1), Wait("finetune_M1 sweep", "to be tried again", 1)},
        ),
        (
            [("waiting", "probe_M1", {"seconds": 60, "why": "no node"}), ("started", "probe_M1", {}),
             ("finished", "finetune_M1#1", {}), ("finished", "finetune_M1#2", {})],
            set(),
        ),
    ],
)  # fmt: skip
def test_why_work_waits(events: list[tuple[Any, str, dict[str, Any]]], waits: set[Wait]) -> None:
    state = RunState()
    state.add([run("probe_M1"), trial(1), trial(2)])
    for kind, name, values in events:
        state.apply(Event(kind, name, values), 1.0)
    assert set(Snapshot.of(state, Usage(), 2.0).waiting) == waits


def test_an_evaluation_without_a_sign_of_life_waits() -> None:
    state = RunState()
    state.add([evaluation(), confirmation(1, 7)])
    state.apply(Event("started", "faceapi_M1"), 0.0)
    state.apply(Event("waiting", "faceapi_M1", {"seconds": 300, "why": "no part yet"}), 300.0)
    assert Wait("faceapi_M1", "no part yet", 1) in Snapshot.of(state, Usage(), 300.0).waiting
