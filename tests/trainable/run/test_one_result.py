"""On a CPU a result depends on data, weights, recipe and seed: not on threads or on where a run was stopped."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from small_runs import CPU, finetune, probe, spec_of, tables_of, write_weights
from twins import PLAIN, assert_same, cache_at, sized_project, tells_classes_apart, trained

from trainable.base.config import Resources, TrainConfig
from trainable.pieces.threads import share_among
from trainable.run.trainer import Trainer

THREADS = (1, 2, 3, 4, 8)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("weights")
    return write_weights(folder / "w.pt", tables_of(sized_project(folder / "project", 48, 3, 3))["train"])


@pytest.fixture(autouse=True)
def _one_thread_after() -> Iterator[None]:
    yield
    share_among(lambda: 1)


def three_stages(weights: Path, **changes: object) -> TrainConfig:
    """An epoch each; the rates leave no epoch like the one before."""
    return finetune(weights, **{"epochs": 3, "lr_head": 3e-2, **changes})


class Restless(Trainer):
    """Is told another number of threads each time it asks."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        chosen = random.Random(1)
        self.cpus = lambda: chosen.choice(THREADS)  # type: ignore[assignment]


@given(
    train=st.integers(3, 70), val=st.integers(1, 40), batch=st.integers(2, 70), plain=st.booleans(),
    threads=st.sampled_from(THREADS[1:]),
)  # fmt: skip
@settings(
    max_examples=4,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_no_number_of_threads_changes_a_bit(
    train: int, val: int, batch: int, plain: bool, threads: int, weights: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:  # fmt: skip
    """All stages, validation and test; batches with and without a tail; stored features or the plain path; a number of
    threads that stays, and one that changes at every piece of work. Each run computes its features itself."""
    if train % batch == 1:
        train += 1  # a batch of one image has no statistics
    folder = tmp_path_factory.mktemp("case")
    project = sized_project(folder / "project", train, val, 3)
    config, resources = three_stages(weights, batch=batch), PLAIN if plain else CPU
    for name, kind in (("one", Trainer), ("many", Trainer), ("restless", Restless)):
        with cache_at(folder / f"cache-{name}"):
            used = replace(resources, threads=threads if name == "many" else 1)
            kind(spec_of(project, folder / name, config), used).run()
    assert_same(folder / "one", folder / "many")
    assert_same(folder / "one", folder / "restless")


def test_other_threads_after_every_epoch_change_no_bit(weights: Path, tmp_path: Path) -> None:
    """A run that is stopped after every epoch and goes on elsewhere, with what was computed there before or without."""
    project, config = sized_project(tmp_path / "project", 45, 9, 40), three_stages(weights, epochs=5, batch=16)
    whole = trained(project, tmp_path / "whole", config, CPU)
    for epoch, threads in enumerate((3, 1, 8, 2, 4)):
        with cache_at(tmp_path / f"cache-{epoch % 2}"):
            Trainer(spec_of(project, tmp_path / "parts", config), replace(CPU, threads=threads)).step()
    Trainer(spec_of(project, tmp_path / "parts", config), CPU).run()
    assert_same(whole, tmp_path / "parts")
    assert tells_classes_apart(whole)


@pytest.mark.parametrize("amp", [False, True])
def test_a_probe_and_half_precision_do_not_depend_on_threads_either(amp: bool, weights: Path, tmp_path: Path) -> None:
    project = sized_project(tmp_path / "project", 45, 9, 40)
    for config, name in ((probe(weights, amp=amp), "probe"), (three_stages(weights, amp=amp), "finetune")):
        for threads in (1, 3):
            with cache_at(tmp_path / f"cache-{threads}"):
                trained(project, tmp_path / f"{name}{threads}", config, Resources("cpu", threads=threads))
        assert_same(tmp_path / f"{name}1", tmp_path / f"{name}3")


def test_predictions_do_not_depend_on_the_batch(weights: Path, tmp_path: Path) -> None:
    """The logits of val and test, and so their losses, are those of one image at a time."""
    project, found = sized_project(tmp_path / "project", 45, 9, 40), []
    for batch in (1, 7, 45):
        run = Trainer(spec_of(project, tmp_path / str(batch), three_stages(weights, batch=batch)), CPU)
        run.network.enter_stage(3, use_graphs=False)
        found += [[run._evaluate(part, stage)[0] for part in ("val", "test") for stage in (1, 2, 3)]]
    for other in found[1:]:
        for result, expected in zip(other, found[0], strict=True):
            assert result.loss == expected.loss
            assert torch.equal(result.predicted, expected.predicted)
