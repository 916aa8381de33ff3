"""What a run does when a device has no room for it or its DataLoader loses workers: the epoch again, with less."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from trainable.base.errors import ExperimentError
from trainable.network.device import out_of_memory

if TYPE_CHECKING:
    from trainable.run.trainer import Trainer

T = TypeVar("T")


def insist(run: Trainer, attempt: Callable[[], T]) -> tuple[T, float]:
    """What `attempt` returns, and its seconds.

    One that ran out of device memory or lost its DataLoader workers is made again from the last checkpoint, with rows
    in main memory, or half of the micro-batch, or half of the workers; `run.fallbacks` says so.

    Raises:
        ExperimentError: not even one image at a time fits.
    """
    while True:
        began = time.perf_counter()
        try:
            return attempt(), round(time.perf_counter() - began, 3)
        except RuntimeError as error:
            if out_of_memory(error):
                _use_less_memory(run, error)
            elif "DataLoader worker" in str(error) and run.supply.workers:
                _halve_workers(run, error)
            else:
                raise
        run.back_to_checkpoint()


def _use_less_memory(run: Trainer, error: Exception) -> None:
    when = "the test" if run.done else f"epoch {run.epoch + 1}"
    if run.supply.leave_device():
        _note(run, f"out of device memory in {when}: rows stay in main memory; the numbers are the same")
        return
    size = run.engine.micro_batch or min(run.config.batch, len(run.tables["train"]))
    if size == 1:
        raise ExperimentError("out of device memory even with one image at a time") from error
    run.engine = replace(run.engine, micro_batch=(size + 1) // 2)
    effect = "the predictions are the same" if run.done else "BatchNorm sees those, so this is not strictly comparable"
    _note(
        run,
        f"out of device memory in {when}: batch {run.config.batch} goes in micro-batches of {run.engine.micro_batch}; "
        f"{effect}",
    )


def _halve_workers(run: Trainer, error: Exception) -> None:
    workers = run.supply.workers
    _note(run, f"DataLoader lost a worker ({error}); {workers} workers become {workers // 2}")
    run.supply.workers //= 2


def _note(run: Trainer, text: str) -> None:
    run.log(text)
    run.fallbacks = [*run.fallbacks, text]
