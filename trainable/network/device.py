"""Where a run computes."""

from __future__ import annotations

import torch

from trainable.base.errors import ConfigError


def pick_device(name: str) -> torch.device:
    """`auto` is CUDA where there is one.

    Raises:
        ConfigError: CUDA was asked for and there is none.
    """
    available = torch.cuda.is_available()
    if name == "cuda" and not available:
        raise ConfigError("--device cuda: PyTorch sees no CUDA GPU here (use --device cpu or auto)")
    return torch.device("cuda" if name == "cuda" or (name == "auto" and available) else "cpu")


def device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"


def out_of_memory(error: RuntimeError) -> bool:
    """Also where a library's own allocation failed: cuDNN's, cuBLAS', or one of pinned memory."""
    words = ("CUDA error: out of memory", "CUBLAS_STATUS_ALLOC_FAILED", "CUDNN_STATUS_ALLOC_FAILED")
    return isinstance(error, torch.OutOfMemoryError) or any(word in str(error) for word in words)


def default_workers(device: torch.device) -> int:
    """On a CPU the training itself takes every core, and decoding in it saves the copies."""
    return 0 if device.type == "cpu" else 4
