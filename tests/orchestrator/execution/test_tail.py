"""When the last trial gets all CPUs: an epoch that follows from the fixed steps alone, when the others have ended."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.execution.tail import LEAST_IMAGES, _costs, tail
from orchestrator.planning.costs import epoch_costs
from orchestrator.planning.steps import Run
from search_spaces.runbook import EXPERIMENTS
from trainable.base.config import TrainConfig
from trainable.base.paths import RunPaths

REAL = {"finetune_K7": (957, 137, 274), "finetune_M1": (468, 67, 133), "finetune_M2": (357, 50, 104)}


def step(number: int, rows: tuple[int, int, int], epochs: int, batch: int, mode: str = "finetune") -> Run:
    config = TrainConfig(mode, epochs, 5e-4, 1e-4 if mode == "finetune" else None, batch=batch)  # type: ignore[arg-type]
    experiment = replace(next(e for e in EXPERIMENTS if e.trains), name=f"trial_{number}")
    return Run(experiment=experiment, rows=rows, config=config, run=RunPaths(Path(experiment.name)))


def runbooks(batch: int) -> list[Run]:
    return [step(n, rows, 50 if name.endswith("K7") else 30, batch) for n, (name, rows) in enumerate(REAL.items())]


@st.composite
def steps(draw: st.DrawFn) -> list[Run]:
    sizes = st.tuples(st.integers(8, 3000), st.integers(1, 500), st.integers(1, 500))
    modes = st.sampled_from(["finetune", "finetune", "probe"])
    kinds = draw(st.lists(st.tuples(sizes, st.integers(3, 60), st.sampled_from([8, 128, 1024]), modes), max_size=6))
    return [step(number, *kind) for number, kind in enumerate(kinds)]


@given(steps(), st.integers(1, 4))
def test_nobody_else_is_left_then_and_an_epoch_earlier_somebody_is(trials: list[Run], slots: int) -> None:
    found = tail(trials, slots)
    if found is None:
        return
    name, epoch = found
    # The same schedule, told slot by slot: each takes the longest that is left when it is free.
    clocks, held = dict.fromkeys(range(slots), 0.0), dict.fromkeys(range(slots), 0)
    ends: dict[str, float] = {}
    begins: list[float] = []
    for trial in sorted(trials, key=lambda trial: -trial.work):
        slot = min(clocks, key=lambda slot: (clocks[slot], slot))
        costs, held[slot] = _costs(trial, held[slot])
        if trial.name == name:
            begins = [clocks[slot] + sum(costs[:number]) for number in range(len(costs))]
            stages = [trial.config.stage_at(number) for number in range(len(costs))]  # type: ignore[union-attr]
            assert sum(costs[epoch:]) >= LEAST_IMAGES
        clocks[slot] += sum(costs)
        ends[trial.name] = clocks[slot]
    others = max(end for other, end in ends.items() if other != name)
    assert ends[name] >= others, "it is the last to end"
    assert stages[epoch] == 3
    assert begins[epoch] >= others - 1e-6
    assert stages[epoch - 1] < 3 or begins[epoch - 1] < others + 1e-6


@given(steps(), st.integers(1, 4), st.integers(0, 2**32))
def test_it_does_not_depend_on_the_order(trials: list[Run], slots: int, seed: int) -> None:
    shuffled = sorted(trials, key=lambda trial: trial.name)
    random.Random(seed).shuffle(shuffled)
    if len({trial.work for trial in trials}) == len(trials):
        assert tail(shuffled, slots) == tail(trials, slots)


@pytest.mark.parametrize(("trials", "slots"), [(3, 1), (3, 4), (0, 2), (1, 2)])
def test_none_where_there_is_nothing_to_give(trials: int, slots: int) -> None:
    assert tail(runbooks(128)[:trials], slots) is None


def test_the_runbooks_last_is_k7() -> None:
    found = tail(runbooks(128), 2)
    assert found is not None
    assert found[0] == "trial_0"
    assert 15 < found[1] < 50


def test_getting_memory_is_paid_by_the_largest_batch() -> None:
    """At batch 1024 K7 pays for 957 images and the other slot for 468, so the others end earlier in K7's epochs."""
    small, large = (tail(runbooks(batch), 2) for batch in (128, 1024))
    assert small is not None
    assert large is not None
    assert large[1] < small[1]


def test_memory_is_paid_once_a_process() -> None:
    trial = step(0, (468, 67, 133), 30, 1024)
    plain = epoch_costs(trial.config, trial.rows)  # type: ignore[arg-type]
    first, held = _costs(trial, 0)
    again, still = _costs(trial, held)
    assert (held, still) == (468, 468)
    assert again == plain
    assert [number for number, (a, b) in enumerate(zip(first, plain, strict=True)) if a > b] == [9]


def test_one_that_started_late_may_be_the_last() -> None:
    """The third of three alike is alone as soon as it trains everything: its time counts from its own start."""
    trials = [step(number, (957, 137, 274), 50 - number, 128) for number in range(3)]
    last = trials[2].config
    assert last is not None
    assert tail(trials, 2) == ("trial_2", last.stage_starts[-1])
