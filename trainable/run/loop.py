"""One pass over the data: a training epoch, an evaluation. Nothing here waits for the device inside a pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from trainable.feed.batches import Batches
from trainable.network.compute import Compute
from trainable.network.graphs import StepGraphs
from trainable.run.objective import CROSS_ENTROPY, Objective

Forward = Callable[[Tensor], Tensor]
"""From inputs at the stage's boundary to logits (b, classes)."""


@dataclass
class PassResult:
    """Means over one pass. `predicted` holds class indices, int64 of shape (n,), in the order of the batches; `logits`,
    float32 (n, classes), are those of an evaluation."""

    loss: float
    accuracy: float
    predicted: Tensor
    corrupt: set[str] = field(default_factory=set)
    logits: Tensor | None = None


def train_epoch(
    forward: Forward,
    inputs: Batches,
    epoch: int,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    compute: Compute,
    objective: Objective = CROSS_ENTROPY,
    graphs: StepGraphs | None = None,
) -> PassResult:
    """Train on every batch of `epoch` once. The model's mode and what requires gradients are the caller's.

    Args:
        graphs: of this model in this stage; where there are no micro-batches, steps go through them.

    Returns:
        Its `loss` is that of `objective`.
    """
    tally = _Tally(compute.device)

    def backward(x: Tensor, y: Tensor, total: Tensor | int) -> tuple[Tensor, Tensor]:
        with compute.autocast():
            logits = forward(x)
            loss = objective.summed(logits, y)
        scaler.scale(loss / total).backward()
        return logits.detach(), loss.detach()

    for batch, labels in inputs.epoch(epoch):
        optimizer.zero_grad(set_to_none=True)
        total = objective.total(labels)
        for x, y in compute.chunks(batch, labels):
            if graphs is not None and compute.micro_batch is None:
                logits, loss = graphs(backward, x, y, total)
            else:
                logits, loss = backward(x, y, total)
            tally.add(logits, y, loss)
        tally.total += total
        scaler.step(optimizer)
        scaler.update()
    return tally.result(inputs)


@torch.no_grad()
def evaluate(forward: Forward, inputs: Batches, compute: Compute) -> PassResult:
    """Loss and predictions in file order. The model's mode is the caller's.

    The loss is computed at the end from the logits of all, so that it depends on the batches no more than they do.
    """
    found, labels = list[Tensor](), list[Tensor]()
    for batch, y in inputs.epoch():
        with compute.autocast():
            found += [forward(x) for (x,) in compute.chunks(batch)]
        labels.append(y)
    logits, true = torch.cat(found).float(), torch.cat(labels)
    loss = F.cross_entropy(logits, true, reduction="none").double().mean()
    predicted = logits.argmax(1)
    accuracy = (predicted == true).double().mean()
    return PassResult(loss.item(), accuracy.item(), predicted.cpu(), set(inputs.corrupt), logits.cpu())


@dataclass(frozen=True)
class Passes:
    """The functions that take a trainer over the data. A test gives others, which fail as a device does."""

    train: Callable[..., PassResult] = train_epoch
    evaluate: Callable[..., PassResult] = evaluate


class _Tally:
    """Adds up on the device; reads it once, at the end."""

    def __init__(self, device: torch.device) -> None:
        self.loss = torch.zeros((), dtype=torch.float64, device=device)
        self.correct = torch.zeros((), dtype=torch.int64, device=device)
        self.total: Tensor | int = 0
        self.predicted: list[Tensor] = []

    def add(self, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        predicted = logits.argmax(1)
        self.predicted.append(predicted)
        self.correct += (predicted == labels).sum()
        self.loss += loss

    def result(self, inputs: Batches) -> PassResult:
        n, predicted = len(inputs), torch.cat(self.predicted).cpu()
        return PassResult(self.loss.item() / float(self.total), self.correct.item() / n, predicted, set(inputs.corrupt))
