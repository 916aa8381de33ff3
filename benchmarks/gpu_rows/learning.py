"""Every stage learns under autocast and GradScaler, and nothing in an epoch makes the host wait for the device."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor

from benchmarks.gpu_rows.common import Learner, Row, Setup, skipped
from trainable.feed.batches import Batches, StoredBatches
from trainable.network.compute import Compute

GROWTH_STEPS = 5
OVERFLOWING_SCALE = 2.0**60


def check(setup: Setup) -> list[Row]:
    return [row for stage in (1, 2, 3) for row in _stage(setup, stage)]


def _stage(setup: Setup, stage: int) -> list[Row]:
    learner = Learner(setup, stage, Compute(setup.device, amp=setup.cuda), lr_head=5e-3, lr_body=1e-3)
    inputs = learner.inputs(*setup.sizes.learn)
    learner.scaler.set_growth_interval(GROWTH_STEPS)
    scale = learner.scaler.get_scale()
    torch.manual_seed(0)
    losses = [learner.epoch(inputs).loss for _ in range(setup.sizes.learn_epochs)]
    told = f"{losses[0]:.3f} to {losses[-1]:.3f}"
    finite = all(map(math.isfinite, losses)) and all(
        bool(t.isfinite().all()) for t in learner.model.state_dict().values()
    )
    rows = [
        Row(f"stage {stage}, loss", losses[-1], "nats", told, "falls", losses[-1] < losses[0]),
        Row(
            f"stage {stage}, loss, weights and statistics", "finite" if finite else "inf/nan", "", "", "finite", finite
        ),
    ]
    names = ("scale", "overflowing step", "resident rows, host waits", "streamed rows, host waits", "a wait is noticed")
    if not setup.cuda:
        return rows + [skipped(f"stage {stage}, {name}") for name in names]
    now = learner.scaler.get_scale()
    rows.append(Row(f"stage {stage}, scale", now, "", f"from {scale:g}", "updates", now != scale))
    rows.append(_overflow(learner, inputs))
    for name, some in ((names[2], inputs), (names[3], learner.inputs(*setup.sizes.learn, resident=False))):
        assert (some.resident is None) == (some is not inputs)
        told = _waits(learner, some)
        rows.append(Row(f"stage {stage}, {name}", told, "", "", "none", told == "none"))
    told = _waits(learner, inputs, careless=True)
    rows.append(Row(f"stage {stage}, {names[4]}", "no" if told == "none" else "yes", "", "", "yes", told != "none"))
    return rows


def _overflow(learner: Learner, inputs: StoredBatches) -> Row:
    """A scale under which gradients overflow: the step is left out, and the scale backs off."""
    learner.scaler.update(OVERFLOWING_SCALE)
    before = [p.detach().clone() for p in learner.trained]
    first = inputs.batch
    learner.epoch(_First(inputs))
    same = all(torch.equal(a, b) for a, b in zip(before, learner.trained, strict=True))
    scale = learner.scaler.get_scale()
    learner.scaler.update(2.0**16)
    passed = same and scale == OVERFLOWING_SCALE / 2
    told = f"scale from {OVERFLOWING_SCALE:g} to {scale:g}, {first} images"
    return Row(
        f"stage {learner.stage}, overflowing step", "left out" if same else "taken", "", told, "left out", passed
    )


class _First:
    """The first batch alone."""

    def __init__(self, inputs: StoredBatches) -> None:
        self.inputs, self.corrupt = inputs, inputs.corrupt

    def __len__(self) -> int:
        return self.inputs.batch

    def epoch(self, epoch: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        yield next(self.inputs.epoch(epoch))


class _Guarded(_First):
    """All batches. From the first to the end of the last, to wait for the device is an error; order and flips go up
    before, and sums come down after."""

    def __len__(self) -> int:
        return len(self.inputs)

    def epoch(self, epoch: int = 0) -> Iterator[tuple[Tensor, Tensor]]:
        batches = self.inputs.epoch(epoch)
        first = next(batches)
        torch.cuda.set_sync_debug_mode("error")
        try:
            yield first
            yield from batches
        finally:
            torch.cuda.set_sync_debug_mode("default")


def _waits(learner: Learner, inputs: StoredBatches, *, careless: bool = False) -> str:
    """What an epoch waited for, "none" where it did not; `careless` reads a number back in each forward pass, which a
    graph would not run again."""

    def forward(x: Tensor) -> Tensor:
        logits = learner.cut.after(x)
        if careless:
            logits.detach().sum().item()
        return logits

    guarded: Batches = _Guarded(inputs)
    graphs, learner.graphs = learner.graphs, None if careless else learner.graphs
    learner.epoch(inputs)
    try:
        learner.epoch(guarded, forward)
    except RuntimeError as error:
        if "synchroniz" not in str(error):
            raise
        return str(error).splitlines()[0]
    finally:
        torch.cuda.set_sync_debug_mode("default")
        learner.graphs = graphs
    return "none"
