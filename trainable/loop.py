"""One pass over the data: a training epoch, an evaluation. Nothing here waits for the device inside a pass."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trainable.data import ImageBatches, normalise


@dataclass(frozen=True)
class Engine:
    """Where and in which precision a pass runs.

    `micro_batch` is how many images the device takes at a time (None: the whole batch). Gradients are summed over the
    micro-batches of a batch, so that they are the batch's; BatchNorm, though, sees micro-batches.
    """

    device: torch.device
    amp: bool
    micro_batch: int | None = None

    def autocast(self) -> torch.autocast:
        # float16 needs GradScaler and is CUDA's; CPUs compute bfloat16.
        dtype = torch.float16 if self.device.type == "cuda" else torch.bfloat16
        return torch.autocast(self.device.type, dtype=dtype, enabled=self.amp)

    def scaler(self) -> torch.amp.GradScaler:
        return torch.amp.GradScaler(self.device.type, enabled=self.amp and self.device.type == "cuda")

    def chunks(self, *tensors: Tensor) -> list[tuple[Tensor, ...]]:
        size = self.micro_batch or len(tensors[0])
        return list(zip(*(tensor.split(size) for tensor in tensors), strict=True))


@dataclass
class PassResult:
    """Sums over one pass. `predicted` holds class indices, int64 of shape (n,), in the order of the batches."""

    loss: float
    accuracy: float
    predicted: Tensor
    corrupt: set[str] = field(default_factory=set)


def train_epoch(
    model: nn.Module,
    batches: ImageBatches,
    epoch: int,
    optimizer: torch.optim.Optimizer,
    scaler: torch.amp.GradScaler,
    engine: Engine,
) -> PassResult:
    """Train on every batch of `epoch` once. The model's mode and what requires gradients are the caller's."""
    tally = _Tally(engine.device)
    for pixels, labels, corrupt in batches.epoch(epoch):
        labels = labels.to(engine.device, non_blocking=True)
        optimizer.zero_grad(set_to_none=True)
        for some_pixels, some_labels in engine.chunks(pixels, labels):
            with engine.autocast():
                logits = model(normalise(some_pixels, engine.device))
                loss = F.cross_entropy(logits, some_labels, reduction="sum")
            scaler.scale(loss / len(labels)).backward()
            tally.add(logits, some_labels, loss)
        scaler.step(optimizer)
        scaler.update()
        tally.corrupt.update(corrupt)
    return tally.result(len(batches))


@torch.no_grad()
def evaluate(model: nn.Module, batches: ImageBatches, engine: Engine) -> PassResult:
    """Loss and predictions in file order, in eval mode."""
    model.eval()
    tally = _Tally(engine.device)
    for pixels, labels, corrupt in batches.epoch():
        labels = labels.to(engine.device, non_blocking=True)
        for some_pixels, some_labels in engine.chunks(pixels, labels):
            with engine.autocast():
                logits = model(normalise(some_pixels, engine.device))
                loss = F.cross_entropy(logits, some_labels, reduction="sum")
            tally.add(logits, some_labels, loss)
        tally.corrupt.update(corrupt)
    return tally.result(len(batches))


class _Tally:
    """Adds up on the device; reads it once, at the end."""

    def __init__(self, device: torch.device) -> None:
        self.loss = torch.zeros((), dtype=torch.float64, device=device)
        self.correct = torch.zeros((), dtype=torch.int64, device=device)
        self.predicted: list[Tensor] = []
        self.corrupt: set[str] = set()

    def add(self, logits: Tensor, labels: Tensor, loss: Tensor) -> None:
        predicted = logits.detach().argmax(1)
        self.predicted.append(predicted)
        self.correct += (predicted == labels).sum()
        self.loss += loss.detach()

    def result(self, n: int) -> PassResult:
        predicted = torch.cat(self.predicted).cpu()
        return PassResult(self.loss.item() / n, self.correct.item() / n, predicted, self.corrupt)
