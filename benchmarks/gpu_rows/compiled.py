"""What torch.compile and cuDNN's choice by trial would bring to stage 3: measured, no targets."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import torch

from benchmarks.gpu_rows.common import Learner, Row, Setup, rate_row, rates, skipped
from trainable.feed.batches import StoredBatches
from trainable.network.compute import Compute

MODES = ("default", "reduce-overhead")
COMPILED_IMAGES = 4096

Run = Callable[[], int]
"""An epoch; its images."""
Maker = Callable[[Setup, int], Run]


def check(setup: Setup) -> list[Row]:
    rows: list[Row] = []
    for batch in setup.sizes.batches:
        makers: dict[str, Maker] = {"cuDNN benchmark": _tried}
        makers |= {f"compiled, {mode}": partial(_compiled, mode=mode) for mode in MODES}
        for name, make in makers.items():
            where = f"batch {batch}, {name}"
            if not setup.cuda:
                rows.append(skipped(where))
            elif time.monotonic() > setup.deadline:
                rows.append(Row(where, "skipped: no time left"))
            else:
                rows += _compare(setup, batch, where, make)
    return rows


def _compare(setup: Setup, batch: int, where: str, make: Maker) -> list[Row]:
    """Against the step as it is, by turns; and the seconds until the first epoch is done."""
    try:
        began = time.perf_counter()
        run = make(setup, batch)
        run()
        setup.wait()
        seconds = time.perf_counter() - began
        found = rates(setup, {"as it is": _as_it_is(setup, batch), "changed": run})
    except Exception as error:  # whatever a compiler raises: it is not used in a run
        return [Row(where, f"{type(error).__name__}: {error}".splitlines()[0][:80])]
    finally:
        torch.compiler.reset()
    return [
        rate_row(where, found["changed"]),
        rate_row(f"{where}, the step as it is", found["as it is"]),
        Row(f"{where}, until the first epoch is done", round(seconds, 1), "s"),
    ]


def _parts(setup: Setup, batch: int, *, graphs: bool = True) -> tuple[Learner, StoredBatches]:
    n = min(COMPILED_IMAGES, setup.sizes.images) // batch * batch
    learner = Learner(setup, 3, Compute(setup.device, amp=True), graphs=graphs)
    return learner, learner.inputs(n, batch)


def _as_it_is(setup: Setup, batch: int) -> Run:
    learner, inputs = _parts(setup, batch)
    return lambda: len(learner.epoch(inputs).predicted)


def _compiled(setup: Setup, batch: int, mode: str) -> Run:
    learner, inputs = _parts(setup, batch, graphs=False)
    forward = torch.compile(learner.model, mode=mode, dynamic=False)
    return lambda: len(learner.epoch(inputs, forward).predicted)


def _tried(setup: Setup, batch: int) -> Run:
    """cuDNN tries its kernels and takes the fastest for each shape."""
    once = _as_it_is(setup, batch)

    def run() -> int:
        torch.backends.cudnn.benchmark = True
        try:
            return once()
        finally:
            torch.backends.cudnn.benchmark = False

    return run
