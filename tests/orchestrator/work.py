"""Pieces of work made by hand, and what happens to them, for tests of what a run shows."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from orchestrator.planning.steps import Confirmation, FaceApiEvaluation, Run, Step, Trial
from orchestrator.progress.event import Event
from orchestrator.progress.state import RunState
from search_spaces.runbook import EXPERIMENTS
from trainable.base.config import TrainConfig
from trainable.base.paths import RunPaths

BY_NAME = {experiment.name: experiment for experiment in EXPERIMENTS}
NOWHERE = RunPaths(Path())
ROWS = (240, 60, 60)


def config(name: str, epochs: int = 10) -> TrainConfig:
    mode = "probe" if name.startswith("probe") else "finetune"
    return TrainConfig(mode, epochs, 0.001, None if mode == "probe" else 0.001)


def evaluation(name: str = "faceapi_M1", rows: int = 640) -> FaceApiEvaluation:
    return FaceApiEvaluation(experiment=BY_NAME[name], rows=(rows,), csv=Path(), manifest=Path(), begun=Path())


def run(name: str = "finetune_M1", epochs: int = 10) -> Run:
    return Run(experiment=BY_NAME[name], rows=ROWS, config=config(name, epochs), run=NOWHERE)


def trial(number: int, name: str = "finetune_M1", epochs: int = 10) -> Trial:
    return Trial(experiment=BY_NAME[name], rows=ROWS, config=config(name, epochs), run=NOWHERE, number=number)


def confirmation(number: int, seed: int, name: str = "finetune_M1", epochs: int = 10) -> Confirmation:
    seeded = dataclasses.replace(config(name, epochs), seed=seed)
    return Confirmation(experiment=BY_NAME[name], rows=ROWS, config=seeded, run=NOWHERE, number=number)


EVERYTHING: tuple[Step, ...] = (
    *(evaluation(name) for name in ("faceapi_M1", "faceapi_M2")),
    *(run(name) for name in BY_NAME if not name.startswith("faceapi")),
    *(trial(number, name) for name in ("probe_M1", "finetune_M1", "finetune_K7") for number in (1, 2, 3)),
    *(confirmation(1, seed) for seed in (1338, 1339)),
)


def epoch_row(
    step: Run | Trial | Confirmation, epoch: int, score: float = 0.5, seconds: float = 10.0
) -> dict[str, Any]:
    """What a training reports after so many epochs, all with the same score."""
    return {
        "epoch": epoch, "stage": step.config.stage_at(epoch - 1), "train_loss": 1.0, "train_accuracy": 0.5,
        "val_loss": 1.0, "val_macro_f1": score, "seconds": seconds, "epochs": step.config.epochs,
        "scores": [score] * epoch,
    }  # fmt: skip


_DEVICE = {"device": ["cpu", "cuda"], "threads": [1, 64], "gpus": [0.0, 0.5, 1.0]}
_NODE = {"hostname": ["이름", "node-1"], "node_ip": ["10.0.0.1"], "accelerator": ["H100"]}
PLACES = st.just({}) | st.fixed_dictionaries(
    {name: st.sampled_from(values) for name, values in _DEVICE.items()},
    optional={name: st.sampled_from(values) for name, values in _NODE.items()},
)
"""What a training may say of where it is."""


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def trained(
    state: RunState, clock: Clock, step: Run | Trial | Confirmation, seconds: Callable[[int], float], epochs: int
) -> None:
    """Let a training start and do so many epochs, alone on the machine; `seconds` gives each stage's seconds."""
    state.apply(Event("started", step.name), clock.now)
    for epoch in range(1, epochs + 1):
        row = epoch_row(step, epoch, seconds=seconds(step.config.stage_at(epoch - 1)))
        clock.now += row["seconds"]
        state.apply(Event("epoch", step.name, row), clock.now)


@st.composite
def histories(draw: st.DrawFn, steps: Sequence[Step] = EVERYTHING) -> list[tuple[float, Event]]:
    """Events of a run with their times, in any order, also such as cannot happen."""
    names = st.sampled_from([step.name for step in steps] + ["nobody's"])
    kinds = st.sampled_from(["started", "epoch", "paused", "retried", "progress", "finished", "stopped", "failed"])
    told: list[tuple[float, Event]] = [(0.0, Event("decoded", values={"done": draw(st.integers(0, 9)), "total": 9}))]
    by_name = {step.name: step for step in steps}
    for gap in draw(st.lists(st.floats(0, 1e5), max_size=40)):
        name, kind = draw(names), draw(kinds)
        values = dict(_values(draw, kind, by_name.get(name)))
        if kind == "epoch" and not values:
            continue
        told.append((told[-1][0] + gap, Event(kind, name, values)))
    return told


def _values(draw: st.DrawFn, kind: str, step: Step | None) -> Iterator[tuple[str, Any]]:
    if kind == "epoch" and isinstance(step, Run | Trial | Confirmation):
        epoch, score = draw(st.integers(1, step.config.epochs)), draw(st.floats(0, 1) | st.just(math.nan))
        yield from epoch_row(step, epoch, score, draw(st.floats(0, 1e6))).items()
        yield "place", draw(PLACES)
    elif kind == "progress":
        yield from {"done": draw(st.integers(0, 640)), "total": 640}.items()
    elif kind in ("failed", "retried"):
        yield from {"message": draw(st.text()), "log": "/로그/a.log"}.items()
    elif kind == "stopped":
        yield from {"why": draw(st.text()), "epochs": None}.items()


def state_after(told: Sequence[tuple[float, Event]], steps: Sequence[Step] = EVERYTHING) -> RunState:
    state = RunState()
    state.add(steps)
    for now, event in told:
        state.apply(event, now)
    return state
