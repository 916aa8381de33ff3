"""The built-in spaces, and what a parameter of a space may be."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import fields, replace
from itertools import pairwise, product
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from search_spaces.demo import RECIPE
from search_spaces.domains import Choice, Domain, Grid, IntRange, LogUniform, Space, Uniform
from search_spaces.spaces import SPACES, lr, lr_grid, recipe
from trainable.base.config import TrainConfig
from trainable.base.errors import ConfigError

PROBE = TrainConfig("probe", 5, 7e-4)
FINETUNE = TrainConfig("finetune", 30, 5e-4, 1e-4)
DEMO = TrainConfig("finetune", weights="none", **RECIPE["experiments"]["finetune_*"])

BELOW_1 = math.nextafter(1, 0)
places = st.floats(0, 1, exclude_max=True)
rates = st.floats(1e-8, 1.0)


def grid(space: Space) -> list[dict[str, Any]]:
    assert all(isinstance(domain, Grid) for domain in space.values())
    return [dict(zip(space, values, strict=True)) for values in product(*(space[name].values for name in space))]


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
        ends = [space[name].at(u) for u in (0.0, 0.5, BELOW_1)]
        assert ends == pytest.approx([rate / 10, rate, rate * 10], rel=1e-3), name


@pytest.mark.parametrize("name", SPACES)
def test_a_probes_spaces_have_nothing_of_a_finetune(name: str) -> None:
    assert not {"lr_backbone", "stage2_epoch", "stage3_epoch"} & set(SPACES[name](PROBE))


@pytest.mark.parametrize("name", SPACES)
def test_a_backbone_that_does_not_train_is_left_alone(name: str) -> None:
    """No range can be drawn around a rate of 0."""
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
    """TrainConfig checks itself."""
    space = recipe(default)
    drawn = {name: domain.at(u) for (name, domain), u in zip(space.items(), us, strict=False)}
    assert set(drawn) == set(space)
    config = replace(default, **drawn)
    assert config.mode == "probe" or config.stage_starts == (0, drawn["stage2_epoch"], drawn["stage3_epoch"])
    types = {"stage2_epoch": int, "stage3_epoch": int, "class_weighting": str, "schedule": str}
    assert all(type(value) is types.get(name, float) for name, value in drawn.items())


def test_the_recipe_holds_the_runbooks_stages() -> None:
    """30 epochs are 3, 6 and 21 of the three stages."""
    space = recipe(FINETUNE)
    assert {space["stage2_epoch"].at(i / 100) for i in range(100)} == set(range(1, 7))
    assert {space["stage3_epoch"].at(i / 100) for i in range(100)} == set(range(7, 16))


# -- domains


@st.composite
def ranges(draw: st.DrawFn) -> LogUniform | Uniform | IntRange:
    kind = draw(st.sampled_from([LogUniform, Uniform, IntRange]))
    if kind is IntRange:
        low, high = sorted(draw(st.tuples(*[st.integers(-1000, 1000)] * 2)))
    else:
        least = 1e-12 if kind is LogUniform else -1e6
        low, high = sorted(draw(st.tuples(*[st.floats(least, 1e6)] * 2)))
    return kind(low, high)


@given(ranges(), places)
@example(Uniform(0.0, 0.99999), BELOW_1)
@example(LogUniform(1.23456e-4, 1.23456e-3), 0.0)
def test_a_value_is_within_its_bounds(domain: LogUniform | Uniform | IntRange, u: float) -> None:
    assert domain.low <= domain.at(u) <= domain.high
    assert type(domain.at(u)) is (int if isinstance(domain, IntRange) else float)


@given(ranges(), places, places)
def test_a_larger_place_is_no_smaller_value(domain: Domain, u: float, v: float) -> None:
    assert domain.at(min(u, v)) <= domain.at(max(u, v))


@given(st.lists(st.integers(), min_size=1, unique=True), places, places)
def test_a_choice_goes_through_its_options_in_order(options: list[int], u: float, v: float) -> None:
    domain = Choice(tuple(options))
    first, second = (options.index(domain.at(place)) for place in sorted((u, v)))
    assert first <= second
    assert (domain.at(0), domain.at(BELOW_1)) == (options[0], options[-1])


@pytest.mark.parametrize("domain", [IntRange(3, 9), Choice(tuple("abcdefg"))])
def test_what_can_be_drawn_is_drawn_as_often(domain: Domain) -> None:
    counts = Counter(domain.at((i + 0.5) / 700) for i in range(700))
    assert set(counts.values()) == {100}


def test_ranges_are_even_in_what_they_say() -> None:
    us = [i / 10 for i in range(10)]
    linear = [Uniform(1.0, 2.0).at(u) for u in us]
    logarithmic = [LogUniform(1e-4, 1e-1).at(u) for u in us]
    assert [b - a for a, b in pairwise(linear)] == pytest.approx([0.1] * 9)
    assert [b / a for a, b in pairwise(logarithmic)] == pytest.approx([10**0.3] * 9, rel=1e-3)


@given(st.sampled_from([LogUniform(1e-5, 1e-3), Uniform(0.0, 0.2)]), places)
def test_a_value_can_be_typed(domain: Domain, u: float) -> None:
    assert float(f"{domain.at(u):.4g}") == domain.at(u)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (LogUniform, (0.0, 1.0)), (LogUniform, (-1.0, 1.0)), (LogUniform, (1e-3, 1e-4)), (LogUniform, (1.0, math.inf)),
        (LogUniform, (math.nan, 1.0)), (LogUniform, (1.0, math.nan)),
        (Uniform, (1.0, 0.0)), (Uniform, (0.0, math.inf)), (Uniform, (-math.inf, 0.0)), (Uniform, (math.nan, 1.0)),
        (Uniform, (0.0, math.nan)), (IntRange, (3, 2)), (Choice, ((),)), (Grid, ((),)),
    ],
)  # fmt: skip
def test_what_nothing_can_be_drawn_from_is_refused(kind: Any, arguments: tuple[Any, ...]) -> None:
    with pytest.raises(ConfigError):
        kind(*arguments)
