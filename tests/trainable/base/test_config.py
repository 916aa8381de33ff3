"""The configuration of a run: stages, ranges, identity."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainable.base.config import Resources, RunSpec, TrainConfig, make_job
from trainable.base.errors import ConfigError

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
        {"seed": 2**32},
        {"lr_head": 0.0},
        {"lr_backbone": None},
        {"mode": "full"},
        {"label_smoothing": -0.1},
        {"label_smoothing": 1.0},
        {"label_smoothing": float("nan")},
        {"class_weighting": "balanced"},
        {"schedule": "linear"},
        {"schedule": None},
    ],
    ids=str,
)
def test_other_values_out_of_range_are_refused_by_name(change: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(change))):
        replace(FINETUNE, **change)


def test_a_choice_that_is_refused_tells_the_others() -> None:
    with pytest.raises(ConfigError, match="class_weighting must be none, inverse or effective-number, not 'balanced'"):
        replace(FINETUNE, class_weighting="balanced")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="schedule must be constant or cosine, not 'linear'"):
        replace(FINETUNE, schedule="linear")  # type: ignore[arg-type]


# -- rates


def test_constant_rates_are_those_asked_for() -> None:
    assert {FINETUNE.rates_at(epoch) for epoch in range(30)} == {(5e-4, 1e-4)}
    assert {PROBE.rates_at(epoch) for epoch in range(5)} == {(7e-4, None)}


def test_a_cosine_takes_both_rates_from_the_full_ones_towards_nothing() -> None:
    rates = [replace(FINETUNE, schedule="cosine").rates_at(epoch) for epoch in range(30)]
    for epoch, (head, rest) in enumerate(rates):
        factor = math.cos(math.pi * epoch / 60) ** 2  # the half-angle formula
        assert (head, rest) == (pytest.approx(5e-4 * factor), pytest.approx(1e-4 * factor))
    assert rates[0] == (5e-4, 1e-4)
    assert 0 < rates[-1][0] < 5e-4 / 300
    assert rates == sorted(rates, reverse=True)


def test_a_cosine_of_a_probe_has_one_rate_and_of_one_epoch_no_curve() -> None:
    assert replace(PROBE, schedule="cosine").rates_at(4) == (pytest.approx(7e-4 * math.cos(math.pi * 0.4) ** 2), None)
    assert replace(PROBE, schedule="cosine", epochs=1).rates_at(0) == (7e-4, None)


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
        {"label_smoothing": 0.1},
        {"class_weighting": "inverse"},
        {"class_weighting": "effective-number"},
        {"schedule": "cosine"},
    ],
    ids=str,
)
def test_identity_sees_everything_that_decides_the_result(change: dict[str, Any]) -> None:
    assert replace(FINETUNE, **change).identity() != FINETUNE.identity()


def test_identity_is_that_of_the_first_results_where_nothing_new_is_asked_for() -> None:
    """Else every finished run would be stale."""
    common = {"weight_decay": 0.01, "amp": None, "batch": 1024, "seed": 1337}
    finetune = {**common, "mode": "finetune", "epochs": 30, "lr_head": 5e-4, "lr_backbone": 1e-4}
    assert FINETUNE.identity() == {**finetune, "stage_starts": [0, 3, 9]}
    assert PROBE.identity() == {**common, "mode": "probe", "epochs": 5, "lr_head": 7e-4, "stage_starts": [0]}
    assert replace(PROBE, label_smoothing=0, class_weighting="none", schedule="constant").identity() == PROBE.identity()


@pytest.mark.parametrize(
    "change", [{"label_smoothing": 0.1}, {"class_weighting": "inverse"}, {"schedule": "cosine"}], ids=str
)
def test_identity_names_what_is_new_where_it_is_asked_for(change: dict[str, Any]) -> None:
    for config in (FINETUNE, PROBE):
        assert replace(config, **change).identity() == {**config.identity(), **change}


# -- jobs


@given(
    st.builds(
        Resources,
        device=st.sampled_from(["auto", "cpu", "cuda"]),
        threads=st.none() | st.integers(1, 64),
        workers=st.none() | st.integers(0, 64),
        plain=st.booleans(),
        shares=st.sampled_from([None, Path("/output/.emosweep/cpus.json")]),
    ),
    st.sampled_from([PROBE, FINETUNE, replace(FINETUNE, amp=True, stage2_epoch=2, schedule="cosine")]),
    st.booleans(),
)
def test_a_job_is_json_that_gives_everything_back(resources: Resources, config: TrainConfig, test: bool) -> None:
    """Also `plain`, which the trials of `run-all --plain` must not lose."""
    csvs = {part: Path(f"csv/{part}_K7.csv") for part in ("train", "val", "test")}
    spec = RunSpec(Path("/project"), csvs, Path("runs/기쁨"), config, test)
    job = json.loads(json.dumps({**make_job(spec, resources, {"data": {}}), "experiment": "finetune_K7"}))
    assert RunSpec.from_json(job) == spec
    assert Resources.from_json(job["resources"]) == resources
    assert job["identity"] == {"data": {}}
