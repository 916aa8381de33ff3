"""The built-in spaces."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from itertools import product
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from search_spaces.demo import RECIPE
from search_spaces.quantiles import Space, grid_values, quantile
from search_spaces.spaces import SPACES, lr, lr_grid, recipe
from trainable.base.config import TrainConfig

PROBE = TrainConfig("probe", 5, 7e-4)
FINETUNE = TrainConfig("finetune", 30, 5e-4, 1e-4)
DEMO = TrainConfig("finetune", weights="none", **RECIPE["experiments"]["finetune_*"])

BELOW_1 = math.nextafter(1, 0)
places = st.floats(0, 1, exclude_max=True)
rates = st.floats(1e-8, 1.0)


def grid(space: Space) -> list[dict[str, Any]]:
    """Every combination of a space that has grids alone."""
    grids = [grid_values(value) or () for value in space.values()]
    return [dict(zip(space, values, strict=True)) for values in product(*grids)]


# -- lr-grid and lr


@given(rates)
@example(PROBE.lr_head)
def test_lr_grid_is_three_trials_of_a_probe_with_the_default_among_them(rate: float) -> None:
    found = grid(lr_grid(replace(PROBE, lr_head=rate)))
    assert len({point["lr_head"] for point in found}) == len(found) == 3
    assert {"lr_head": rate} in found
    assert [point["lr_head"] / rate for point in found] == pytest.approx([1 / 3, 1, 3], rel=1e-3)


@given(rates, rates)
@example(FINETUNE.lr_head, FINETUNE.lr_backbone)
def test_lr_grid_is_nine_trials_of_a_finetune_with_the_default_among_them(head: float, backbone: float) -> None:
    found = grid(lr_grid(replace(FINETUNE, lr_head=head, lr_backbone=backbone)))
    assert len({(point["lr_head"], point["lr_backbone"]) for point in found}) == len(found) == 9
    assert {"lr_head": head, "lr_backbone": backbone} in found


@given(rates, rates)
def test_lr_covers_a_decade_either_way(head: float, backbone: float) -> None:
    space = lr(replace(FINETUNE, lr_head=head, lr_backbone=backbone))
    for name, rate in (("lr_head", head), ("lr_backbone", backbone)):
        ends = [quantile(space[name], u) for u in (0.0, 0.5, BELOW_1)]
        assert ends == pytest.approx([rate / 10, rate, rate * 10], rel=1e-3), name


@pytest.mark.parametrize("name", SPACES)
def test_a_probes_spaces_have_no_parameter_of_a_finetune(name: str) -> None:
    assert not {"lr_backbone", "stage2_epoch", "stage3_epoch"} & set(SPACES[name](PROBE))


@pytest.mark.parametrize("name", SPACES)
def test_a_backbone_that_does_not_train_is_not_swept(name: str) -> None:
    """There is no logarithmic range around a rate of 0."""
    assert "lr_backbone" not in SPACES[name](replace(FINETUNE, lr_backbone=0.0))


@pytest.mark.parametrize("name", SPACES)
@pytest.mark.parametrize("default", [PROBE, FINETUNE, DEMO], ids=["probe", "finetune", "demo"])
def test_parameters_are_fields_of_the_configuration(name: str, default: TrainConfig) -> None:
    assert set(SPACES[name](default)) <= {field.name for field in fields(TrainConfig)}


# -- recipe


@given(epochs=st.integers(3, 500), us=st.lists(places, min_size=8, max_size=8), stages=st.booleans())
@example(epochs=3, us=[0.0] * 8, stages=True)
@example(epochs=3, us=[BELOW_1] * 8, stages=True)
def test_every_draw_of_a_finetunes_recipe_makes_a_run(epochs: int, us: list[float], stages: bool) -> None:
    written = {"stage2_epoch": 1, "stage3_epoch": 2} if stages else {}
    check_draw(replace(FINETUNE, epochs=epochs, **written), us)


@given(us=st.lists(places, min_size=8, max_size=8))
def test_every_draw_of_the_demos_recipe_makes_a_run(us: list[float]) -> None:
    assert (DEMO.stage2_epoch, DEMO.stage3_epoch) == (1, 2)
    check_draw(DEMO, us)


@given(epochs=st.integers(1, 500), us=st.lists(places, min_size=8, max_size=8))
def test_every_draw_of_a_probes_recipe_makes_a_run(epochs: int, us: list[float]) -> None:
    check_draw(replace(PROBE, epochs=epochs), us)


def check_draw(default: TrainConfig, us: list[float]) -> None:
    """Build the configuration at the places `us`; TrainConfig raises an error where the values make no run."""
    space = recipe(default)
    drawn = {name: quantile(domain, u) for (name, domain), u in zip(space.items(), us, strict=False)}
    assert set(drawn) == set(space)
    config = replace(default, **drawn)
    assert config.mode == "probe" or config.stage_starts == (0, drawn["stage2_epoch"], drawn["stage3_epoch"])
    types = {"stage2_epoch": int, "stage3_epoch": int, "class_weighting": str, "schedule": str}
    assert all(type(value) is types.get(name, float) for name, value in drawn.items())


def test_the_recipe_includes_the_stages_of_the_runbook() -> None:
    """The runbook divides 30 epochs into stages of 3, 6 and 21, so stages 2 and 3 begin at epochs 3 and 9."""
    space = recipe(FINETUNE)
    assert {quantile(space["stage2_epoch"], i / 100) for i in range(100)} == set(range(1, 7))
    assert {quantile(space["stage3_epoch"], i / 100) for i in range(100)} == set(range(7, 16))
