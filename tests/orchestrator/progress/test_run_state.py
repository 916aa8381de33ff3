"""What is known of a run after any events: a row for each piece of work, counts that add up, sweeps as planned."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from planned import planner, sweep_of
from work import EVERYTHING, Clock, confirmation, epoch_row, histories, run, state_after, trained, trial

from orchestrator.progress.event import Event
from orchestrator.progress.state import DECODING, RunState
from orchestrator.sweeps.estimate import sweep_jobs

TITLES = [
    "faceapi_M1", "faceapi_M2", "probe_M1", "finetune_M1", "probe_M2", "finetune_M2", "finetune_K7",
    "probe_M1 sweep", "finetune_M1 sweep", "finetune_K7 sweep", "finetune_M1 seeds",
]  # fmt: skip


@given(histories())
def test_any_events_leave_figures_that_make_sense(told: list) -> None:
    state, now = state_after(told), told[-1][0]
    rows = state.rows(now)
    assert [row.name for row in rows if row.name != DECODING] == TITLES
    for row in rows:
        assert 0 <= row.done <= max(row.done, row.total)
        assert row.left is None or (row.left.seconds >= 0 and row.status == "running")
        assert row.elapsed is None or row.elapsed >= 0
        assert row.best is None or 0 <= row.best <= 1
        assert row.images_per_second is None or row.images_per_second > 0
        if row.trials is not None:
            over, trials, running = row.trials
            assert 0 <= over + running <= trials
    left = state.left(now)
    assert left is None or left.seconds >= max([row.left.seconds for row in rows if row.left is not None], default=0)


def test_a_finished_row_keeps_its_score_and_its_time() -> None:
    state, clock = RunState(), Clock()
    state.add([run()])
    trained(state, clock, run(), lambda stage: 3.0, 10)
    state.apply(Event("finished", "finetune_M1"), clock.now)
    row = state.row_of("finetune_M1", clock.now + 1000)
    assert row is not None
    assert (row.status, row.best, row.score, row.elapsed, row.left) == ("done", 0.5, 0.5, 30.0, None)
    left = state.left(clock.now)
    assert left is not None and left.seconds == 0


def test_a_trial_that_pauses_does_not_run() -> None:
    state, steps = RunState(), [trial(1), trial(2)]
    state.add(steps)
    for kind, name, trials in [
        ("started", "finetune_M1#1", (0, 2, 1)), ("started", "finetune_M1#2", (0, 2, 2)),
        ("paused", "finetune_M1#1", (0, 2, 1)), ("retried", "finetune_M1#2", (0, 2, 0)),
        ("started", "finetune_M1#1", (0, 2, 1)), ("stopped", "finetune_M1#1", (1, 2, 0)),
        ("failed", "finetune_M1#2", (2, 2, 0)),
    ]:  # fmt: skip
        state.apply(Event(kind, name, {"message": "", "why": ""}), 1.0)
        row = state.row_of("finetune_M1 sweep", 1.0)
        assert row is not None and row.trials == trials
    assert row.status == "done"


def test_a_sweep_expects_as_many_epochs_as_its_plan_says(shared_project: Path) -> None:
    ours = planner(shared_project, epochs=30)
    sweep = sweep_of(ours, "finetune_M1", num_samples=17, confirm=2)
    state = RunState([sweep])
    state.add(sweep.trials)
    trials, seeds = state.rows(0.0)
    expected = sum(job.epochs for job in sweep_jobs(sweep, ours))
    assert (trials.name, trials.done, trials.total) == ("finetune_M1 sweep", 0, expected)
    assert (seeds.name, seeds.trials, seeds.total) == ("finetune_M1 seeds", (0, 6, 0), 6 * 30)


def test_the_confirmation_that_was_expected_becomes_the_one_that_runs(shared_project: Path) -> None:
    sweep = sweep_of(planner(shared_project, epochs=30), "finetune_M1", num_samples=17, confirm=2)
    state = RunState([sweep])
    state.add(sweep.trials)
    state.add([confirmation(3, seed, epochs=30) for seed in (1, 2, 3)])
    assert [row.name for row in state.rows(0.0)] == ["finetune_M1 sweep", "finetune_M1 seeds"]
    assert state.rows(0.0)[1].trials == (0, 3, 0)


def test_trials_that_a_search_has_still_to_choose_are_expected(shared_project: Path) -> None:
    pytest.importorskip("optuna")
    sweep = sweep_of(planner(shared_project, epochs=30), "finetune_M1", num_samples=17, search="optuna", confirm=0)
    state = RunState([sweep])
    state.add(sweep.trials, sweep.unchosen_names())
    (row,) = state.rows(0.0)
    assert row.trials == (0, 17, 0)
    name = sweep.unchosen_names()[-1]
    state.apply(Event("epoch", name, epoch_row(trial(9, epochs=30), 1)), 1.0)
    assert state.rows(1.0)[0].done == 1


@pytest.mark.parametrize(("scheduler", "at_most"), [("halving", False), ("median", True), ("asha", True)])
def test_where_any_number_may_be_stopped_the_time_is_an_upper_bound(
    scheduler: str, at_most: bool, shared_project: Path
) -> None:
    sweep = sweep_of(planner(shared_project), "probe_M1", num_samples=3, scheduler=scheduler, confirm=0)
    state, clock = RunState([sweep]), Clock()
    state.add(sweep.trials)
    trained(state, clock, sweep.trials[0], lambda stage: 3.0, 4)
    row = state.row_of("probe_M1 sweep", clock.now)
    assert row is not None and row.left is not None and row.left.at_most == at_most


def test_the_best_so_far_counts_the_default_and_earlier_commands(shared_project: Path) -> None:
    sweep = sweep_of(planner(shared_project), "probe_M1", num_samples=3, fixed=True, confirm=0)
    state, clock = RunState([sweep], {"probe_M1": 0.3}), Clock()
    state.add([run("probe_M1"), *sweep.trials])
    assert state.rows(0.0)[1].best == 0.3
    trained(state, clock, run("probe_M1"), lambda stage: 1.0, 1)
    assert state.rows(clock.now)[1].best == 0.5


def test_images_have_a_row_while_they_are_decoded() -> None:
    state = RunState()
    state.add(EVERYTHING)
    for done, rows in ((0, 1), (5, 1), (9, 0)):
        state.apply(Event("decoded", values={"done": done, "total": 9}), 1.0)
        assert sum(row.name == DECODING for row in state.rows(2.0)) == rows
