"""Where and in which precision a run computes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Engine:
    """Where and in which precision a pass runs.

    `micro_batch` is how many images the device takes at a time (None: the whole batch). Gradients are summed over the
    micro-batches of a batch, so that they are the batch's; BatchNorm, though, sees micro-batches.
    """

    device: torch.device
    amp: bool
    micro_batch: int | None = None

    @property
    def half(self) -> torch.dtype:
        """float16 needs GradScaler and is CUDA's; CPUs compute bfloat16."""
        return torch.float16 if self.device.type == "cuda" else torch.bfloat16

    @property
    def frozen_dtype(self) -> torch.dtype:
        """What frozen layers give."""
        return self.half if self.amp else torch.float32

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=self.half, enabled=self.amp)

    def scaler(self) -> torch.amp.GradScaler:
        return torch.amp.GradScaler(self.device.type, enabled=self.amp and self.device.type == "cuda")

    def chunks(self, *tensors: Tensor) -> list[tuple[Tensor, ...]]:
        size = self.micro_batch or len(tensors[0])
        return list(zip(*(tensor.split(size) for tensor in tensors), strict=True))
