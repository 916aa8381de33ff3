"""Where and in which precision a run computes."""

from __future__ import annotations

import ctypes
from contextlib import suppress
from dataclasses import dataclass

import torch
from torch import Tensor

# glibc's names for mallopt.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
_TOP_PAD_BYTES = 64 * 2**20


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


def keep_freed_memory() -> None:
    """Let this process keep what it frees, instead of giving it back to the system and faulting it in again.

    A step frees and takes again some 12 MB an image, in pieces that glibc would map and unmap one by one: at large
    batches that is much of a step's time (`benchmarks.step_profile`). Other C libraries are left as they are.
    """
    with suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None)
        libc.mallopt(_MMAP_MAX, 0)
        libc.mallopt(_TRIM_THRESHOLD, -1)
        libc.mallopt(_TOP_PAD, _TOP_PAD_BYTES)


def give_back_memory() -> None:
    """Return what is free to the system, between two runs."""
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
