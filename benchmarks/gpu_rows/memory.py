"""Out of device memory: a run halves its micro-batch until it fits, and gradients stay the batch's."""

from __future__ import annotations

import gc
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.gpu_rows.common import Learner, Row, Setup, project, skipped
from trainable.base.config import Resources
from trainable.network.compute import Compute
from trainable.network.graphs import CAPTURE_AT, SLACK, step_memory
from trainable.run.trainer import Trainer

MOST = 1e-3
"""Sums of float32 in another order, by other kernels, are 1.2e-4 apart on an H100; a loss divided by the micro-batch
instead of the batch makes it 3."""
ROOM = 1.5


def check(setup: Setup) -> list[Row]:
    return [_gradients(setup), _back_off(setup), _no_room_for_a_graph(setup)]


@dataclass(frozen=True)
class PretendedMemory(Compute):
    """On a CPU: there is room for `room` images."""

    room: int = 0

    def chunks(self, *tensors: Tensor) -> list[tuple[Tensor, ...]]:
        found = super().chunks(*tensors)
        if len(found[0][0]) > self.room:
            raise torch.OutOfMemoryError("out of memory, as this check pretends")
        return found


def _gradients(setup: Setup) -> Row:
    """Frozen BatchNorm, no AMP, no TF32: what is left is the order of float sums."""
    batch = setup.sizes.memory_batch
    usual, torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.allow_tf32, False
    try:
        whole, parts = (_gradient(setup, batch, size) for size in (None, setup.sizes.memory_fits))
    finally:
        torch.backends.cudnn.allow_tf32 = usual
    apart = float((whole - parts).norm() / whole.norm())
    name = f"gradients of micro-batches of {setup.sizes.memory_fits} against batch {batch}"
    return Row(name, apart, "relative", f"norm {float(whole.norm()):.3g}", f"<= {MOST:g}", apart <= MOST)


def _gradient(setup: Setup, batch: int, micro_batch: int | None) -> Tensor:
    """Of one batch, through the training loop at rate 0."""
    learner = Learner(setup, 3, Compute(setup.device, amp=False, micro_batch=micro_batch))
    learner.model.eval()
    learner.optimizer = torch.optim.SGD(learner.model.parameters(), lr=0.0)
    learner.epoch(learner.inputs(batch, batch))
    return torch.cat([p.grad.flatten().double() for p in learner.model.parameters() if p.grad is not None])


def _back_off(setup: Setup) -> Row:
    """A finetune of three epochs, one a stage, in memory that has room for a part of its batch in stage 3."""
    batch = setup.sizes.memory_batch
    compute = None if setup.cuda else PretendedMemory(setup.device, amp=False, room=setup.sizes.memory_fits)
    resources = Resources(setup.device.type, workers=0, plain=True)
    trainer = Trainer(project(setup, batch, batch), resources, compute=compute)
    limit = f"pretended, {setup.sizes.memory_fits} images"
    if setup.cuda:
        room = ROOM * _needed(setup)
        limit = f"limit {room / 2**20:.0f} MiB"
        torch.cuda.set_per_process_memory_fraction(room / torch.cuda.get_device_properties(0).total_memory)
    try:
        rows = [trainer.step() for _ in range(3)]
    finally:
        if setup.cuda:
            torch.cuda.set_per_process_memory_fraction(1.0)
    last, times = rows[-1], len(trainer.state.fallbacks)
    passed = last["micro_batch"] < batch and times > 0 and math.isfinite(last["train_loss"])
    name = f"micro-batch of batch {batch} when memory is short"
    return Row(name, last["micro_batch"], "images", f"{limit}, {times} times", f"< {batch}", passed)


def _no_room_for_a_graph(setup: Setup) -> Row:
    """Room for a step, not for one that a graph keeps: the steps go on without."""
    name, batch = "no room for a graph", setup.sizes.memory_batch
    if not setup.cuda:
        return skipped(name)
    learner = Learner(setup, 3, Compute(setup.device, amp=True))
    inputs = learner.inputs(batch, batch)
    for _ in range(CAPTURE_AT - 1):
        learner.epoch(inputs)
    torch.cuda.empty_cache()
    left = int((1 + SLACK) / 2 * step_memory(setup.device))
    filler = torch.empty(torch.cuda.mem_get_info(setup.device)[0] - left, dtype=torch.uint8, device=setup.device)
    loss = learner.epoch(inputs).loss
    del filler
    passed = learner.graphs is not None and learner.graphs.refused and math.isfinite(loss)
    return Row(name, "goes on" if passed else "a graph", "", f"{left / 2**20:.0f} MiB left", "goes on", passed)


def _needed(setup: Setup) -> int:
    """Bytes that stage 3 takes with the micro-batch that shall fit."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    learner = Learner(setup, 3, Compute(setup.device, amp=True, micro_batch=setup.sizes.memory_fits))
    learner.epoch(learner.inputs(setup.sizes.memory_batch, setup.sizes.memory_batch, resident=False))
    peak = torch.cuda.max_memory_reserved()
    del learner
    gc.collect()
    torch.cuda.empty_cache()
    return peak
