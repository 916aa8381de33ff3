"""The time left: exact where every stage has been seen at an even pace, and nothing rather than nonsense before."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from work import Clock, config, epoch_row, evaluation, run, trained, trial

from orchestrator.progress.event import Event
from orchestrator.progress.group import Group
from orchestrator.progress.pace import Left, Throughput, stages_left
from orchestrator.progress.state import RunState
from orchestrator.progress.training import Training

SECONDS = {1: 2.0, 2: 5.0, 3: 50.0}
EPOCHS = 20
STARTS = config("finetune_M1", EPOCHS).stage_starts


def left_of(state: RunState, name: str, now: float) -> Left | None:
    row = state.row_of(name, now)
    assert row is not None
    return row.left


def alone(epochs: int, first: float = 1.0) -> tuple[RunState, Clock]:
    """A training that has done so many epochs, its first one that many times slower than the others of its stage."""
    state, clock = RunState(), Clock()
    step = run(epochs=EPOCHS)
    state.add([step])
    slow = iter([first])
    trained(state, clock, step, lambda stage: SECONDS[stage] * next(slow, 1.0), epochs)
    return state, clock


@given(done=st.integers(STARTS[2] + 1, EPOCHS - 1), first=st.floats(1, 1000), waited=st.floats(0, 40))
def test_the_epochs_to_come_at_the_pace_of_their_stage(done: int, first: float, waited: float) -> None:
    """The first epoch, which computes the features, says nothing about the others."""
    state, clock = alone(done, first)
    left = left_of(state, "finetune_M1", clock.now + waited)
    assert left is not None and not left.guessed
    assert left.seconds == pytest.approx((EPOCHS - done) * SECONDS[3] - waited)


def test_nothing_is_said_after_the_first_epoch() -> None:
    state, clock = alone(1)
    assert left_of(state, "finetune_M1", clock.now) is None
    assert state.left(clock.now) is None


def test_a_stage_that_nobody_was_in_is_guessed_from_planned_costs() -> None:
    state, clock = alone(STARTS[2])
    left = left_of(state, "finetune_M1", clock.now)
    assert left is not None and left.guessed
    planned = SECONDS[2] * (240 + 0.33 * 60) / (0.1 * (240 + 60))
    assert left.seconds == pytest.approx((EPOCHS - STARTS[2]) * planned)


def test_epochs_of_mere_overhead_are_no_ground_for_a_guess() -> None:
    state, clock = RunState(), Clock()
    state.add([run(epochs=EPOCHS)])
    trained(state, clock, run(epochs=EPOCHS), lambda stage: 0.05, STARTS[2])
    assert left_of(state, "finetune_M1", clock.now) is None


def test_another_training_shows_how_long_a_stage_takes() -> None:
    """An image takes as long in both; the other one has twice as many."""
    state, clock = alone(EPOCHS - 1)
    other = run("finetune_K7", EPOCHS)
    object.__setattr__(other, "rows", (480, 120, 120))
    state.add([other])
    trained(state, clock, other, lambda stage: 2 * SECONDS[stage], STARTS[1])
    left = left_of(state, "finetune_K7", clock.now)
    assert left is not None and not left.guessed
    rest = stages_left(STARTS, EPOCHS, STARTS[1])
    assert left.seconds == pytest.approx(2 * sum(count * SECONDS[stage] for stage, count in rest.items()))


def test_what_should_be_over_has_no_estimate() -> None:
    state, clock = alone(EPOCHS - 1)
    assert left_of(state, "finetune_M1", clock.now + 49) is not None
    assert left_of(state, "finetune_M1", clock.now + 51) is None


@given(st.integers(0, EPOCHS), st.integers(0, EPOCHS))
def test_the_stages_left_are_the_epochs_left(done: int, end: int) -> None:
    left = stages_left(STARTS, end, done)
    assert sum(left.values()) == max(0, end - done)
    ours = config("finetune_M1", EPOCHS)
    assert left == {s: n for s in (1, 2, 3) if (n := sum(ours.stage_at(e) == s for e in range(done, end)))}


def test_an_evaluation_goes_on_as_it_went_in_this_command() -> None:
    state = RunState()
    state.add([evaluation(rows=640)])
    told = [("started", 0.0, {}), ("progress", 0.0, {"done": 320, "total": 640}),
            ("progress", 10.0, {"done": 384, "total": 640})]  # fmt: skip
    for kind, now, values in told:
        state.apply(Event(kind, "faceapi_M1", values), now)  # type: ignore[arg-type]
    row = state.row_of("faceapi_M1", 15.0)
    assert row is not None and row.left is not None
    assert (row.images_per_second, row.left.seconds) == (6.4, 35.0)


@given(slots=st.integers(1, 4), pauses=st.floats(0, 300))
def test_a_sweep_is_as_fast_as_its_trials_side_by_side(slots: int, pauses: float) -> None:
    """However long they needed to start: `slots` trials that end an epoch of 10 s every 10 s."""
    steps = [trial(number, "probe_M1") for number in range(1, 5)]
    state = RunState()
    state.add(steps)
    for step in steps[:slots]:
        state.apply(Event("started", step.name), 0.0)
    for epoch in range(1, 5):
        for step in steps[:slots]:
            state.apply(Event("epoch", step.name, epoch_row(step, epoch)), pauses + 10.0 * epoch)
    row = state.row_of("probe_M1 sweep", pauses + 40)
    assert row is not None and row.left is not None
    assert row.left.seconds == pytest.approx((4 * 10 - 4 * slots) * 10 / slots)
    assert state.left(pauses + 40) == row.left


TRAININGS = st.lists(
    st.tuples(st.sampled_from(["waiting", "running", "paused", "done", "stopped", "failed"]), st.integers(0, EPOCHS)),
    min_size=1, max_size=12,
)  # fmt: skip


@given(TRAININGS, st.lists(st.integers(1, EPOCHS), max_size=14))
def test_a_sweep_is_expected_to_do_what_it_has_done_and_no_more_than_there_is(
    trainings: list[tuple[str, int]], ends: list[int]
) -> None:
    group = Group("sweep", {}, tuple(ends))
    for number, (status, epoch) in enumerate(trainings):
        name = f"probe_M1#{number}"
        group.trainings[name] = Training(
            name, "probe_M1", config("probe_M1", EPOCHS), (1, 1, 1), status, EPOCHS if status == "done" else epoch
        )  # type: ignore[arg-type]
    for name, end in group.expected_ends().items():
        training = group.trainings[name]
        assert training.epoch <= end <= EPOCHS
        assert end == training.epoch or training.status in ("waiting", "running", "paused")
    done, total = group.epochs
    assert done <= total <= EPOCHS * len(trainings)


def test_who_is_furthest_is_expected_to_go_furthest() -> None:
    group = Group("sweep", {}, (20, 9, 6, 6))
    for number, (status, epoch) in enumerate([("stopped", 6), ("running", 7), ("paused", 6), ("waiting", 0)]):
        name = f"#{number}"
        training = Training(name, "probe_M1", config("probe_M1", EPOCHS), (1, 1, 1), status, epoch)  # type: ignore[arg-type]
        group.trainings[name] = training
    assert group.expected_ends() == {"#0": 6, "#1": 20, "#2": 9, "#3": 6}


def test_no_throughput_before_two_epochs() -> None:
    throughput = Throughput()
    throughput.add(10.0, 4.0, 100)
    assert throughput.at_once is None
    throughput.add(14.0, 4.0, 100)
    assert throughput.at_once == pytest.approx(8 / 8)
    assert throughput.images_per_second == pytest.approx(200 / 8)


def test_scores_that_are_no_number_are_not_the_best() -> None:
    state, step = RunState(), run(epochs=EPOCHS)
    state.add([step])
    state.apply(Event("epoch", step.name, epoch_row(step, 1, 0.25)), 1.0)
    state.apply(Event("epoch", step.name, {**epoch_row(step, 2), "scores": [0.25, math.nan]}), 2.0)
    row = state.row_of(step.name, 2.0)
    assert row is not None and row.best == 0.25
