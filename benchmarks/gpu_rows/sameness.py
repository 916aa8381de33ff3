"""Stored half-precision features against the frozen layers run every time: the same logits? Steps by graphs against
steps without: the same weights?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import cast

import torch
from torch import Tensor

from benchmarks.gpu_rows.common import SEED, Learner, Row, Setup, images, skipped
from trainable.feed.batches import Batches
from trainable.feed.plain import Batch, EpochBatches, ImageBatches, PlainBatches
from trainable.network.compute import Compute
from trainable.network.graphs import CAPTURE_AT
from trainable.network.stages import train_mode

MOST = 1e-2
HEAD_FACTOR = 30
"""A new head gives logits of some hundredths, which would all be within `MOST`; with this they are as trained ones."""


def check(setup: Setup) -> list[Row]:
    rows = [row for stage in (1, 2) for amp in (True, False) for row in _stage(setup, stage, amp)]
    return rows + [_graphs(setup, stage) for stage in (1, 2, 3)] + [_resident(setup)]


def _resident(setup: Setup) -> Row:
    """Images kept on the GPU, as they are and mirrored, against those that stream to it."""
    name = "stage 3, batches of resident and of streamed images"
    if not setup.cuda:
        return skipped(name)
    learner, (n, batch) = Learner(setup, 3, Compute(setup.device, amp=True)), setup.sizes.same
    resident, streamed = learner.inputs(n, batch), learner.inputs(n, batch, resident=False)
    assert resident.both_flips and resident.resident is not None and streamed.resident is None
    pairs = zip(resident.epoch(3), streamed.epoch(3), strict=True)
    same = all(torch.equal(a, b) and torch.equal(y, z) for (a, y), (b, z) in pairs)
    return Row(name, "equal" if same else "differ", target="equal", passed=same)


def _graphs(setup: Setup, stage: int) -> Row:
    """After some epochs, each with a last batch that is half full; two runs without graphs say what chance does."""
    name, batch = f"stage {stage}, AMP, weights by graphs and without", setup.sizes.same[1]
    if not setup.cuda:
        return skipped(name)
    ends = []
    for graphs in (False, False, True):
        learner = Learner(setup, stage, Compute(setup.device, amp=True), graphs=graphs)
        inputs = learner.inputs(2 * batch + batch // 2, batch)
        torch.manual_seed(SEED)
        for _ in range(CAPTURE_AT + 2):
            learner.epoch(inputs)
        ends.append(torch.cat([t.detach().double().flatten() for t in learner.model.state_dict().values()]))
    assert learner.graphs is not None
    chance, apart = (float((ends[0] - other).abs().max()) for other in ends[1:])
    told = f"twice without: {chance:g}; {learner.graphs.captured} graphs"
    return Row(name, apart, "max abs", told, "<= 2x that", apart <= 2 * chance and learner.graphs.captured == 2)


class DecodedImages:
    """Stands in for `ImageBatches`: the same order and flips, images that are decoded already."""

    def __init__(self, pixels: Tensor, labels: Tensor, batch: int, seed: int | None) -> None:
        self.pixels, self.labels = pixels, labels
        self.sampler = EpochBatches(len(pixels), batch, seed)

    def __len__(self) -> int:
        return self.sampler.n

    def epoch(self, epoch: int = 0) -> Iterator[Batch]:
        self.sampler.epoch = epoch
        for items in self.sampler:
            at = torch.tensor([index for index, _ in items])
            flips = torch.tensor([flip for _, flip in items]).view(-1, 1, 1, 1)
            rows = self.pixels[at]
            yield torch.where(flips, rows.flip(2), rows).permute(0, 3, 1, 2).contiguous(), self.labels[at], []


def _stage(setup: Setup, stage: int, amp: bool) -> list[Row]:
    compute = Compute(setup.device, amp)
    plain, stored = Learner(setup, stage, compute), Learner(setup, stage, compute)
    with torch.no_grad():
        for learner in (plain, stored):
            learner.model.get_parameter("classifier.3.weight").mul_(HEAD_FACTOR)
    n, batch = setup.sizes.same
    rows = []
    for when in ("before training", "after a step"):
        one = _logits(plain, _plain_inputs(plain, n, batch, None))
        other = _logits(stored, stored.inputs(n, batch, seed=None))
        apart = float((one - other).abs().max())
        row = Row(f"stage {stage}, {'AMP' if amp else 'no AMP'}, {when}", apart, "max abs", _extent(one))
        if amp:
            row.target, row.passed = f"<= {MOST:g}", apart <= MOST and float(one.std(0).max()) > 10 * MOST
        rows.append(row)
        _one_step(plain, _plain_inputs(plain, batch, batch, SEED))
        _one_step(stored, stored.inputs(batch, batch))
    return rows


def _plain_inputs(learner: Learner, n: int, batch: int, seed: int | None) -> PlainBatches:
    pixels, labels = images(learner.setup.sizes, n)
    decoded = DecodedImages(pixels, labels, batch, seed)
    return PlainBatches(cast(ImageBatches, decoded), learner.cut, learner.compute)


def _one_step(learner: Learner, inputs: Batches) -> None:
    """With the same dropout for all."""
    torch.manual_seed(SEED)
    learner.epoch(inputs)


@torch.no_grad()
def _logits(learner: Learner, inputs: Batches) -> Tensor:
    """In eval mode, float32 (n, classes)."""
    learner.model.eval()
    with learner.compute.autocast():
        found = torch.cat([learner.cut.after(x) for x, _ in inputs.epoch()]).float()
    train_mode(learner.model, learner.stage)
    return found


def _extent(logits: Tensor) -> str:
    return f"logits {float(logits.min()):.3f} to {float(logits.max()):.3f}"
