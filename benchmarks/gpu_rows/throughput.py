"""Images a second: stage 3 against its limit, the step on one batch that lies ready; and the filling of features."""

from __future__ import annotations

from functools import partial

import torch

from benchmarks.gpu_rows.common import Learner, Row, Setup, images, rate_row, rates, ratio_row
from trainable.cache.rows import BLOCK
from trainable.feed.batches import Batches
from trainable.feed.features import frozen_rows
from trainable.network.compute import Compute
from trainable.network.stages import TRUNK_SHAPE, StageBoundary
from trainable.probes.speed import Repeated

LEAST = 0.95


def training(setup: Setup) -> list[Row]:
    modes = (True, False) if setup.cuda else (False,)
    return [row for amp in modes for batch in setup.sizes.batches for row in _training(setup, batch, amp)]


def _training(setup: Setup, batch: int, amp: bool) -> list[Row]:
    learner = Learner(setup, 3, Compute(setup.device, amp))
    n = setup.sizes.images // batch * batch
    resident, streamed = learner.inputs(n, batch), learner.inputs(n, batch, resident=False)
    x, y = next(resident.epoch())
    limit = Repeated(x.clone(memory_format=torch.preserve_format), y.clone(), n // batch)
    feeds: dict[str, Batches] = {"limit": limit, "resident": resident, "streamed": streamed}
    runs = {name: partial(_epoch, learner, feed) for name, feed in feeds.items()}
    peak = 0
    if setup.cuda:
        torch.cuda.reset_peak_memory_stats()
        runs["resident"]()
        peak = torch.cuda.max_memory_allocated()
        runs["no graphs"] = partial(_epoch, Learner(setup, 3, Compute(setup.device, amp), graphs=False), resident)
    found = rates(setup, runs)
    where = f"batch {batch}, {'AMP' if amp else 'no AMP'}"
    weights = learner.model.get_parameter("features.1.block.0.0.weight")
    last = all(t.is_contiguous(memory_format=torch.channels_last) for t in (x, limit.x, weights))
    rows = [
        Row(f"{where}, channels last", "yes" if last else "no", "", "", "yes", last),
        rate_row(f"{where}, one batch that lies ready", found["limit"]),
        rate_row(f"{where}, {n} resident images", found["resident"]),
        ratio_row(f"{where}, resident to the limit", found["resident"], found["limit"], LEAST if setup.cuda else None),
        ratio_row(f"{where}, streamed to the limit", found["streamed"], found["limit"]),
    ]
    if setup.cuda:
        rows.append(ratio_row(f"{where}, graphs to none", found["resident"], found["no graphs"]))
        assert resident.resident is not None and streamed.resident is None
        rows.append(Row(f"{where}, peak memory", round(peak / 2**20), "MiB"))
    return rows


def _epoch(learner: Learner, inputs: Batches) -> int:
    """Its images."""
    return len(learner.epoch(inputs).predicted)


def filling(setup: Setup) -> list[Row]:
    """As `FrozenFeatures` does it, block by block, without the writing of files."""
    compute = Compute(setup.device, amp=True)
    learner = Learner(setup, 2, compute)
    pixels, _ = images(setup.sizes, setup.sizes.images)
    as_is = torch.zeros(BLOCK, dtype=torch.bool)

    def fill() -> int:
        for block in pixels.split(BLOCK):
            frozen_rows(StageBoundary(learner.model, 2), compute, block, as_is[: len(block)])
        return len(pixels)

    row = frozen_rows(learner.cut, compute, pixels[:1], as_is[:1])
    size, wanted = row.nbytes, 2 * torch.Size(TRUNK_SHAPE).numel()
    return [
        rate_row("stage 2's features", rates(setup, {"fill": fill})["fill"]),
        Row("an image and flip, stored", size, "bytes", str(row.dtype), f"{wanted}", size == wanted),
    ]
