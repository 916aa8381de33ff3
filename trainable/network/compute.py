"""The device and the precision that a run computes with."""

from __future__ import annotations

import os
from dataclasses import dataclass

import torch
from torch import Tensor

from trainable.base.config import Resources, TrainConfig
from trainable.base.errors import ConfigError

_ALLOCATION_FAILURES = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")


@dataclass(frozen=True)
class Compute:
    """The device and the precision of a pass.

    Args:
        device: where tensors live.
        amp: whether layers run under autocast, in `half`.
        micro_batch: the most images that the device takes at a time; None for the whole batch. The gradients of a
            batch's micro-batches are added up, so that they are the batch's. BatchNorm, though, sees micro-batches.
    """

    device: torch.device
    amp: bool
    micro_batch: int | None = None

    @property
    def half(self) -> torch.dtype:
        """The 16-bit type of autocast: float16, which needs a GradScaler, on CUDA, and bfloat16 on a CPU."""
        return torch.float16 if self.device.type == "cuda" else torch.bfloat16

    @property
    def frozen_dtype(self) -> torch.dtype:
        """The type of what the frozen layers return."""
        return self.half if self.amp else torch.float32

    def autocast(self) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=self.half, enabled=self.amp)

    @property
    def scales_gradients(self) -> bool:
        """Whether losses are scaled, so that small gradients do not vanish in float16."""
        return self.amp and self.half == torch.float16

    def scaler(self) -> torch.amp.GradScaler:
        """A new scaler of losses, which passes them through unless `scales_gradients`."""
        return torch.amp.GradScaler(self.device.type, enabled=self.scales_gradients)

    def chunks(self, *tensors: Tensor) -> list[tuple[Tensor, ...]]:
        """The tensors cut alike along their first dimension, into micro-batches."""
        size = self.micro_batch or len(tensors[0])
        return list(zip(*(tensor.split(size) for tensor in tensors), strict=True))


def make_compute(config: TrainConfig, device: torch.device) -> Compute:
    """The compute context of a run that begins on `device`: mixed precision on CUDA, unless the configuration says
    otherwise (runbook section 4)."""
    return Compute(device, config.amp if config.amp is not None else device.type == "cuda")


def pick_device(name: str) -> torch.device:
    """The device that `--device` names; `auto` is CUDA where there is a CUDA GPU.

    Raises:
        ConfigError: CUDA was asked for and there is no CUDA GPU.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ConfigError("--device cuda: PyTorch sees no CUDA GPU here (use --device cpu or auto)")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and available) else "cpu")


def prepare_device(resources: Resources) -> torch.device:
    """The device of a run, and whether this process takes deterministic kernels on it from now on.

    Raises:
        ConfigError: CUDA was asked for and there is no CUDA GPU.
    """
    if resources.deterministic:  # cuBLAS reads it when the process first uses the GPU
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    device = pick_device(resources.device)
    torch.use_deterministic_algorithms(resources.deterministic and device.type == "cuda")
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # for finding mistakes
    return device


def device_name(device: torch.device) -> str:
    """The name for manifests: the GPU's product name, or `cpu`."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def out_of_memory(error: BaseException) -> bool:
    """Whether a device ran out of memory: PyTorch's own allocator, cuDNN's, cuBLAS', or that of pinned memory."""
    return isinstance(error, torch.OutOfMemoryError) or any(word in str(error) for word in _ALLOCATION_FAILURES)


def default_workers(resources: Resources, device: torch.device) -> int:
    """DataLoader workers of the plain path. On a CPU the training itself takes every core, and decoding in its own
    process saves the copies, so the default is 0 there."""
    if resources.workers is not None:
        return resources.workers
    return 0 if device.type == "cpu" else 4
