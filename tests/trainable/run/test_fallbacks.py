"""The next thing to try when a device has no room, or a DataLoader worker has died."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from trainable.base.errors import ExperimentError
from trainable.network.compute import Compute
from trainable.run.fallbacks import Attempt, ComputeContext, retry_with_less, with_less

FULL = torch.OutOfMemoryError("CUDA out of memory")
LOST = RuntimeError("DataLoader worker (pid 7) is killed by signal: Killed.")
CONTEXT = ComputeContext(Compute(torch.device("cuda"), amp=True), rows_on_device=False, workers=4)
EPOCH = Attempt(epoch=3, batch=1024, images=5000)


def micro_batch(context: ComputeContext, size: int | None) -> ComputeContext:
    return replace(context, compute=replace(context.compute, micro_batch=size))


def test_rows_leave_the_device_first() -> None:
    kept = replace(CONTEXT, rows_on_device=True)
    assert with_less(FULL, kept, EPOCH) == (
        CONTEXT,
        "out of device memory in epoch 3: rows stay in main memory; the numbers are the same",
    )


@pytest.mark.parametrize(("size", "images", "half"), [(None, 5000, 512), (None, 601, 301), (512, 5000, 256), (5, 9, 3)])
def test_the_micro_batch_is_halved(size: int | None, images: int, half: int) -> None:
    """From what a batch can hold at most: the number of training images, where that is less."""
    found, note = with_less(FULL, micro_batch(CONTEXT, size), replace(EPOCH, images=images))
    assert found == micro_batch(CONTEXT, half)
    assert note.startswith(f"out of device memory in epoch 3: batch 1024 goes in micro-batches of {half}; ")
    assert "not strictly comparable" in note


def test_a_smaller_micro_batch_changes_no_prediction_of_the_test() -> None:
    _, note = with_less(FULL, CONTEXT, replace(EPOCH, epoch=None))
    assert (
        note
        == "out of device memory in the test: batch 1024 goes in micro-batches of 512; the predictions are the same"
    )


def test_below_one_image_there_is_nothing_left_to_try() -> None:
    with pytest.raises(ExperimentError, match="even with one image at a time"):
        with_less(FULL, micro_batch(CONTEXT, 1), EPOCH)


def test_a_lost_worker_halves_the_workers() -> None:
    found, note = with_less(LOST, CONTEXT, EPOCH)
    assert found == replace(CONTEXT, workers=2)
    assert note == f"DataLoader lost a worker ({LOST}); 4 workers become 2"


def frames(error: str) -> str:
    """What PyTorch makes of an error in a worker, with as many frames as a deep stack of collate functions has."""
    stack = "".join(
        f'  File "/site-packages/torch/module{i}.py", line {i}, in call\n    return f(x)\n' for i in range(30)
    )
    return f"Caught RuntimeError in DataLoader worker process 1.\nTraceback (most recent call last):\n{stack}{error}"


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (frames("RuntimeError: unable to open shared memory object </torch_1>: Too many open files (24)"),
         "unable to open shared memory object </torch_1>: Too many open files (24)"),
        (frames("RuntimeError: stack expects each tensor to be equal size\n\nException raised from f:\n#1 0x7"),
         "stack expects each tensor to be equal size"),
        ("DataLoader worker (pid(s) 8, 9) exited unexpectedly", "DataLoader worker (pid(s) 8, 9) exited unexpectedly"),
        ("DataLoader worker (pid 7) is killed by signal: Bus error. Maybe dataloader's workers are out of\n"
         "shared memory. Please try to raise your shared memory limit.",
         "DataLoader worker (pid 7) is killed by signal: Bus error. Maybe dataloader's workers are out of"),
        ("DataLoader worker " + "x" * 1000, "DataLoader worker " + "x" * 267 + "…"),
    ],
    ids=["shared memory", "C++ stack", "exited", "two lines", "long"],
)  # fmt: skip
def test_the_note_of_a_lost_worker_is_one_line(error: str, told: str) -> None:
    _, note = with_less(RuntimeError(error), CONTEXT, EPOCH)
    assert note == f"DataLoader lost a worker ({told}); 4 workers become 2"
    assert "\n" not in note


@pytest.mark.parametrize(
    ("error", "context"), [(LOST, replace(CONTEXT, workers=0)), (RuntimeError("shapes do not match"), CONTEXT)], ids=str
)
def test_other_errors_are_raised_as_they_are(error: RuntimeError, context: ComputeContext) -> None:
    with pytest.raises(RuntimeError) as caught:
        with_less(error, context, EPOCH)
    assert caught.value is error


def test_a_retry_restores_between_attempts() -> None:
    events: list[str] = []
    results = [RuntimeError("first"), RuntimeError("second"), "done"]

    def attempt() -> str:
        events.append("attempt")
        result = results.pop(0)
        if isinstance(result, RuntimeError):
            raise result
        return result

    found, seconds = retry_with_less(attempt, lambda error: events.append(str(error)), lambda: events.append("restore"))
    assert found == "done" and seconds >= 0
    assert events == ["attempt", "first", "restore", "attempt", "second", "restore", "attempt"]
