"""What a training epoch minimises: cross-entropy, with smoothed labels or weighted classes where that is asked for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from trainable.base.config import ClassWeighting, TrainConfig

BETA = 0.999
"""Cui et al., "Class-Balanced Loss Based on Effective Number of Samples", CVPR 2019; the middle of their values."""


@dataclass(frozen=True)
class Objective:
    """The loss of a batch is `summed` over its images, divided by `total` of all its labels.

    The two are apart so that micro-batches, each summed by itself and divided by the whole batch's total, add up to
    the batch's gradient. That is `F.cross_entropy(..., reduction="mean")`: with `weights` (float32, one a class) a
    mean divides by the weights of the labels there, not by their number.
    """

    label_smoothing: float = 0.0
    weights: Tensor | None = None

    def summed(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of the images, added up."""
        smoothing = self.label_smoothing
        return F.cross_entropy(logits, labels, self.weights, reduction="sum", label_smoothing=smoothing)

    def total(self, labels: Tensor) -> Tensor | int:
        """What their sum is divided by; on the device, so that nothing waits for it."""
        return len(labels) if self.weights is None else self.weights[labels].sum()


CROSS_ENTROPY = Objective()


def make_objective(
    config: TrainConfig, labels: Sequence[str], classes: Sequence[str], device: torch.device
) -> Objective:
    """That of a run whose training rows have `labels`."""
    counted = Counter(labels)
    found = class_weights(config.class_weighting, [counted[name] for name in classes])
    return Objective(config.label_smoothing, None if found is None else torch.tensor(found, device=device))


def class_weights(weighting: ClassWeighting, counts: Sequence[int]) -> list[float] | None:
    """A weight a class, from how many rows it has; None where all count alike.

    `inverse` is 1 / n, `effective-number` (1 - beta) / (1 - beta^n). Both are scaled to a mean of 1 over the classes,
    as Cui et al. do. No gradient depends on that scale, since a batch's loss is divided by its weights.
    """
    if weighting == "none":
        return None
    if weighting == "inverse":
        raw = [1 / count for count in counts]
    else:
        raw = [(1 - BETA) / (1 - BETA**count) for count in counts]
    mean = sum(raw) / len(raw)
    return [weight / mean for weight in raw]
