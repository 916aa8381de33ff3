"""The configuration of a run: stages, ranges, identity."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainable.config import TrainConfig
from trainable.errors import ConfigError

FINETUNE = TrainConfig("finetune", 30, 5e-4, 1e-4)
PROBE = TrainConfig("probe", 5, 7e-4)


@pytest.mark.parametrize(
    ("epochs", "lengths"), [(30, [3, 6, 21]), (50, [5, 10, 35]), (3, [1, 1, 1]), (10, [1, 2, 7]), (24, [2, 5, 17])]
)
def test_stages_take_a_tenth_two_tenths_and_the_rest(epochs: int, lengths: list[int]) -> None:
    config = TrainConfig("finetune", epochs, 5e-4, 1e-4)
    stages = [config.stage_at(epoch) for epoch in range(epochs)]
    assert [stages.count(stage) for stage in (1, 2, 3)] == lengths
    assert stages == sorted(stages)


@given(st.integers(3, 2000))
def test_every_finetune_of_three_epochs_or_more_has_all_three_stages(epochs: int) -> None:
    config = TrainConfig("finetune", epochs, 5e-4, 1e-4)
    assert config.stage_starts == (0, max(1, round(0.1 * epochs)), max(2, round(0.3 * epochs)))
    assert {config.stage_at(epoch) for epoch in range(epochs)} == {1, 2, 3}


def test_stage_starts_can_be_set() -> None:
    config = replace(FINETUNE, stage2_epoch=1, stage3_epoch=29)
    assert config.stage_starts == (0, 1, 29)
    assert [config.stage_at(epoch) for epoch in (0, 1, 28, 29)] == [1, 2, 2, 3]


def test_a_probe_stays_in_stage_1() -> None:
    assert {PROBE.stage_at(epoch) for epoch in range(PROBE.epochs)} == {1}


@pytest.mark.parametrize("epochs", [1, 2])
def test_a_finetune_of_fewer_than_three_epochs_is_refused(epochs: int) -> None:
    with pytest.raises(ConfigError, match="at least 3 epochs"):
        replace(FINETUNE, epochs=epochs)


@pytest.mark.parametrize(("second", "third"), [(0, 9), (9, 9), (10, 9), (3, 30), (-1, 9), (40, None), (None, 2)])
def test_stages_out_of_order_are_refused(second: int | None, third: int | None) -> None:
    with pytest.raises(ConfigError, match="stages must begin in order"):
        replace(FINETUNE, stage2_epoch=second, stage3_epoch=third)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), -1e-4])
@pytest.mark.parametrize("name", ["lr_head", "lr_backbone", "weight_decay"])
def test_rates_must_be_finite_and_not_negative(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=name):
        replace(FINETUNE, **{name: value})


@pytest.mark.parametrize(
    "change",
    [
        {"epochs": 0},
        {"epochs": -3},
        {"batch": 0},
        {"batch": -1},
        {"seed": -1},
        {"lr_head": 0.0},
        {"lr_backbone": None},
        {"mode": "full"},
    ],
    ids=str,
)
def test_other_values_out_of_range_are_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        replace(FINETUNE, **change)


def test_no_weight_decay_and_a_still_backbone_are_allowed() -> None:
    assert replace(FINETUNE, weight_decay=0.0, lr_backbone=0.0).stage_starts == (0, 3, 9)


def test_identity_does_not_know_the_name_of_the_weights() -> None:
    assert replace(FINETUNE, weights="a.pt").identity() == replace(FINETUNE, weights="elsewhere/b.pt").identity()


def test_identity_ignores_what_a_probe_does_not_use() -> None:
    assert replace(PROBE, lr_backbone=0.5, stage2_epoch=2, stage3_epoch=3).identity() == PROBE.identity()


def test_identity_sees_the_stages_not_how_they_were_asked_for() -> None:
    assert replace(FINETUNE, stage2_epoch=3, stage3_epoch=9).identity() == FINETUNE.identity()
    assert replace(FINETUNE, stage2_epoch=4).identity() != FINETUNE.identity()


@pytest.mark.parametrize(
    "change",
    [
        {"mode": "probe"},
        {"epochs": 31},
        {"lr_head": 5.1e-4},
        {"lr_backbone": 1.1e-4},
        {"batch": 512},
        {"seed": 1},
        {"weight_decay": 0.0},
        {"amp": True},
    ],
    ids=str,
)
def test_identity_sees_everything_that_decides_the_result(change: dict[str, Any]) -> None:
    assert replace(FINETUNE, **change).identity() != FINETUNE.identity()
