"""A whole finetune of few images, twice in one process: what the first use of a batch's shape costs, and what the
checkpoint after every epoch does."""

from __future__ import annotations

import importlib.util
import time
from dataclasses import replace

from benchmarks.gpu_rows.common import Row, Setup, project
from trainable.base.config import Resources, RunSpec
from trainable.run.trainer import Trainer

TIMES = ("first", "again")


def check(setup: Setup) -> list[Row]:
    n, (_, batch) = setup.sizes.rehearsed[0], setup.sizes.trial
    spec = project(setup, n, batch)
    config = replace(spec.config, epochs=setup.sizes.run_epochs, stage2_epoch=None, stage3_epoch=None)
    rows: list[Row] = []
    for turn in TIMES:
        whole, epochs = _run(setup, replace(spec, config=config, out=spec.out / turn))
        saves = sum(whole) - sum(epochs)
        told = f"epochs {sum(epochs):.2f}, the longest {max(epochs):.2f}; checkpoints {saves:.2f}"
        rows.append(
            Row(f"{config.epochs} epochs of {n} images, batch {batch}, {turn}", round(sum(whole), 2), "s", told)
        )
    return rows


def _run(setup: Setup, spec: RunSpec) -> tuple[list[float], list[float]]:
    """Seconds of each epoch with its checkpoint, and without."""
    plain = importlib.util.find_spec("pyarrow") is None
    trainer = Trainer(spec, Resources(setup.device.type, workers=0, plain=plain))
    whole: list[float] = []
    epochs: list[float] = []
    while not trainer.done:
        began = time.perf_counter()
        epochs.append(trainer.step()["seconds"])
        whole.append(time.perf_counter() - began)
    return whole, epochs
