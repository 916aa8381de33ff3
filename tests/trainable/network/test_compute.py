"""The device and the precision of a run. A `torch.device("cuda")` can be named without a GPU."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from trainable.base.config import Resources, TrainConfig
from trainable.network.compute import Compute, default_workers, make_compute, out_of_memory

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
CONFIG = TrainConfig("probe", 5, 7e-4)


@pytest.mark.parametrize(
    ("device", "asked", "amp"),
    [(CUDA, None, True), (CPU, None, False), (CUDA, False, False), (CUDA, True, True), (CPU, True, True)],
    ids=str,
)
def test_mixed_precision_is_the_default_on_cuda_only(device: torch.device, asked: bool | None, amp: bool) -> None:
    assert make_compute(replace(CONFIG, amp=asked), device) == Compute(device, amp=amp, micro_batch=None)


@pytest.mark.parametrize(
    ("device", "half", "scaled"), [(CUDA, torch.float16, True), (CPU, torch.bfloat16, False)], ids=str
)
def test_mixed_precision_is_float16_with_scaled_gradients_on_cuda(
    device: torch.device, half: torch.dtype, scaled: bool
) -> None:
    mixed, full = Compute(device, amp=True), Compute(device, amp=False)
    assert (mixed.half, mixed.frozen_dtype, full.frozen_dtype) == (half, half, torch.float32)
    assert (mixed.scales_gradients, full.scales_gradients) == (scaled, False)


def test_the_scaler_is_on_where_gradients_are_scaled() -> None:
    """PyTorch turns a CUDA scaler off where there is no GPU, so only there can one be seen that is on."""
    assert Compute(CUDA, amp=True).scaler().is_enabled() == torch.cuda.is_available()
    assert not Compute(CUDA, amp=False).scaler().is_enabled()
    assert not Compute(CPU, amp=True).scaler().is_enabled()


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (torch.OutOfMemoryError("any"), True),
        (RuntimeError("CUDA error: out of memory"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"), True),
        (RuntimeError("CUDA error: device-side assert triggered"), False),
        (RuntimeError("cuDNN error: CUDNN_STATUS_NOT_SUPPORTED"), False),
    ],
    ids=str,
)
def test_failed_allocations_of_libraries_count_as_out_of_memory(error: RuntimeError, expected: bool) -> None:
    assert out_of_memory(error) == expected


def test_workers_are_those_asked_for_or_the_device_s() -> None:
    assert [default_workers(Resources(workers=3), device) for device in (CPU, CUDA)] == [3, 3]
    assert [default_workers(Resources(), device) for device in (CPU, CUDA)] == [0, 4]
