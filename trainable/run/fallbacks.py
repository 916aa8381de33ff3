"""What a run does when its device has no room for it, or its DataLoader loses workers: the epoch again, with less.

The order is: rows in main memory, then half of the micro-batch, and so on; a lost worker halves the workers.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TypeVar

from trainable.base.errors import ExperimentError, Failure
from trainable.network.compute import Compute, out_of_memory

T = TypeVar("T")


@dataclass(frozen=True)
class ComputeContext:
    """What an epoch, or the test, is computed with.

    Args:
        rows_on_device: whether a GPU keeps stored rows between batches.
        workers: DataLoader workers.
    """

    compute: Compute
    rows_on_device: bool
    workers: int


@dataclass(frozen=True)
class Attempt:
    """What was tried, for the messages and the first micro-batch.

    Args:
        epoch: the number of the epoch, from 1; None for the test.
        batch: the batch size of the configuration.
        images: the number of training images.
    """

    epoch: int | None
    batch: int
    images: int


def retry_with_less(
    attempt: Callable[[], T], fall_back: Callable[[RuntimeError], None], restore: Callable[[], None]
) -> tuple[T, float]:
    """The result of `attempt`, and the seconds that the successful call took.

    Args:
        attempt: trains an epoch, or evaluates the test.
        fall_back: chooses what the next call does with less; raises where nothing helps against this error.
        restore: undoes what the failed call did. It is called after the error has gone, since the error's traceback
            keeps the activations of the failed step in memory.

    Raises:
        What `fall_back` raises, and errors of `attempt` that are no RuntimeError.
    """
    while True:
        began = time.perf_counter()
        try:
            return attempt(), round(time.perf_counter() - began, 3)
        except RuntimeError as error:
            fall_back(error)
        restore()


def with_less(error: RuntimeError, context: ComputeContext, attempt: Attempt) -> tuple[ComputeContext, str]:
    """The context to try next after `error`, and a line that says so.

    Raises:
        ExperimentError: not even one image at a time fits.
        RuntimeError: `error` itself, where less memory or fewer workers would not help.
    """
    if out_of_memory(error):
        return _less_memory(error, context, attempt)
    if "DataLoader worker" in str(error) and context.workers:
        fewer = context.workers // 2
        note = f"DataLoader lost a worker ({_reason(error)}); {context.workers} workers become {fewer}"
        return replace(context, workers=fewer), note
    raise error


def _reason(error: RuntimeError) -> str:
    """One line. An error that a worker raised comes with the worker's traceback."""
    return Failure.of(error).message.removeprefix(f"{RuntimeError.__name__}: ")


def _less_memory(error: Exception, context: ComputeContext, attempt: Attempt) -> tuple[ComputeContext, str]:
    test = attempt.epoch is None
    heading = f"out of device memory in {'the test' if test else f'epoch {attempt.epoch}'}"
    if context.rows_on_device:
        note = f"{heading}: rows stay in main memory; the numbers are the same"
        return replace(context, rows_on_device=False), note
    size = context.compute.micro_batch or min(attempt.batch, attempt.images)
    if size == 1:
        raise ExperimentError("out of device memory even with one image at a time") from error
    half = (size + 1) // 2
    effect = "the predictions are the same" if test else "BatchNorm sees those, so this is not strictly comparable"
    note = f"{heading}: batch {attempt.batch} goes in micro-batches of {half}; {effect}"
    return replace(context, compute=replace(context.compute, micro_batch=half)), note
