"""The quantile functions of `ray.tune`'s domains, held against the draws of Tune itself."""

from __future__ import annotations

import math
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from statistics import mean
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st
from ray import tune

from search_spaces.quantiles import choices, describe, grid_values, is_domain, quantile, quantile_function, typed
from trainable.base.errors import ConfigError

BELOW_1 = math.nextafter(1, 0)
EVERYWHERE = [i / 2000 for i in range(2000)]
places = st.floats(0, 1, exclude_max=True)


def values(domain: Any) -> list[Any]:
    """The domain's values at 2000 even places."""
    return [quantile(domain, u) for u in EVERYWHERE]


@st.composite
def domains(draw: st.DrawFn) -> Any:
    """Any domain of Tune's that is a range, with bounds that Tune accepts."""
    kind = draw(st.sampled_from(["", "q"])) + draw(st.sampled_from(["uniform", "loguniform", "randint", "lograndint"]))
    least = 1 if "log" in kind else -1000
    if "randint" in kind:
        low = draw(st.integers(least, 1000))
        high = low + draw(st.integers(1, 1000))
        step = draw(st.integers(1, 9))
        assume(not kind.startswith("q") or any(n % step == 0 for n in range(low, high + (step > 1))))
        return getattr(tune, kind)(low, high, *[step] * kind.startswith("q"))
    if kind.startswith("q"):
        step = draw(st.sampled_from([0.05, 0.25, 1, 3.0, 1e-4]))
        low = draw(st.integers(least, 1000))
        high = low + draw(st.integers(0, 1000))
        try:
            return getattr(tune, kind)(low * step, high * step, step)
        except ValueError:  # Tune finds that the product is no multiple of the step
            assume(False)
    low, high = sorted(draw(st.tuples(*[st.floats(1e-12 if "log" in kind else -1e6, 1e6)] * 2)))
    return getattr(tune, kind)(low, high)


# -- laws of every domain


@given(domains(), places)
@example(tune.uniform(0.0, 0.99999), BELOW_1)
@example(tune.loguniform(1.23456e-4, 1.23456e-3), 0.0)
@example(tune.qrandint(5, 11, 4), 0.0)
@example(tune.lograndint(5, 6), 0.0)
def test_a_value_lies_within_the_domains_bounds(domain: Any, u: float) -> None:
    value = quantile(domain, u)
    rounding = 1e-9 * max(abs(domain.lower), abs(domain.upper))
    assert domain.lower - rounding <= value <= domain.upper + rounding
    assert type(value) is (int if "Integer" in type(domain).__name__ else float)
    assert isinstance(value, float) or getattr(domain.sampler, "q", 1) > 1 or value < domain.upper
    steps = value / getattr(domain.sampler, "q", value or 1)
    assert steps == pytest.approx(round(steps), abs=1e-6)


@given(domains(), places, places)
def test_a_larger_place_gives_no_smaller_value(domain: Any, u: float, v: float) -> None:
    assert quantile(domain, min(u, v)) <= quantile(domain, max(u, v))


DISTRIBUTIONS = {
    "uniform": tune.uniform(1, 2), "quniform": tune.quniform(0, 4, 0.5),
    "loguniform": tune.loguniform(1e-5, 1e-2), "qloguniform": tune.qloguniform(1, 64, 1),
    "randn": tune.randn(5, 2), "qrandn": tune.qrandn(5, 2, 0.25),
    "randint": tune.randint(-3, 40), "qrandint": tune.qrandint(8, 64, 8),
    "lograndint": tune.lograndint(1, 500), "qlograndint": tune.qlograndint(8, 640, 8),
    "choice": tune.choice([1, 2, 3, 4, 5]),
}  # fmt: skip


@pytest.mark.parametrize("name", DISTRIBUTIONS)
def test_even_places_are_distributed_as_tunes_draws(name: str) -> None:
    """Their cumulative distributions differ by less than 0.02 anywhere (the Kolmogorov-Smirnov distance)."""
    drawn = np.sort(DISTRIBUTIONS[name].sample(size=20_000, random_state=0))
    even = np.sort(values(DISTRIBUTIONS[name]))
    at = drawn[::40] + 1e-9 * np.abs(drawn[::40])
    below = [np.searchsorted(found, at, side="right") / len(found) for found in (drawn, even)]
    assert np.abs(below[0] - below[1]).max() < 0.02


# -- floats


@pytest.mark.parametrize(
    ("domain", "low", "high"),
    [
        (tune.uniform(0.1, 0.2), 0.1, 0.2),
        (tune.uniform(-1, 1), -1, 1),
        (tune.uniform(0.123456, 0.123457), 0.123456, 0.123457),
        (tune.loguniform(1e-5, 1e-2), 1e-5, 1e-2),
        (tune.loguniform(1.23456e-5, 1.23457e-5), 1.23456e-5, 1.23457e-5),
    ],
)
def test_a_range_is_gone_through_from_one_end_to_the_other(domain: Any, low: float, high: float) -> None:
    found = values(domain)
    assert all(type(value) is float and low <= value <= high for value in found)
    assert found == sorted(found)
    assert (found[0], found[-1]) == pytest.approx((low, high), rel=1e-2)


def test_even_places_are_even_values_or_even_ratios() -> None:
    us = [i / 10 for i in range(10)]
    linear = [quantile(tune.uniform(1.0, 2.0), u) for u in us]
    logarithmic = [quantile(tune.loguniform(1e-4, 1e-1), u) for u in us]
    assert [b - a for a, b in pairwise(linear)] == pytest.approx([0.1] * 9)
    assert [b / a for a, b in pairwise(logarithmic)] == pytest.approx([10**0.3] * 9, rel=1e-3)
    assert quantile(tune.uniform(0, 4), 0.5) == 2
    assert quantile(tune.loguniform(1e-4, 1e-2), 0.5) == 1e-3
    assert quantile(tune.lograndint(1, 10000), 0.5) == 100


@given(st.sampled_from([tune.loguniform(1e-5, 1e-3), tune.uniform(0.0, 0.2), tune.randn()]), places)
def test_a_float_has_four_significant_digits(domain: Any, u: float) -> None:
    assert float(f"{quantile(domain, u):.4g}") == quantile(domain, u)
    assert typed(1 / 3) == 0.3333


def test_a_normal_distribution() -> None:
    found = values(tune.randn(5, 2))
    assert found == sorted(found)
    assert found[1000] == pytest.approx(5)
    assert mean(3 <= value <= 7 for value in found) == pytest.approx(0.6827, abs=0.002)
    assert all(map(math.isfinite, found))
    assert quantile(tune.randn(), 0.5) == pytest.approx(0, abs=1e-9)


# -- whole numbers and steps: Tune's own values, without the upper bound where Tune excludes it

FINITE = [
    (tune.randint(3, 9), range(3, 9)),
    (tune.randint(-3, 2), range(-3, 2)),
    (tune.randint(5, 6), [5]),
    (tune.lograndint(1, 12), range(1, 12)),
    (tune.lograndint(5, 8), range(5, 8)),
    (tune.qrandint(8, 64, 8), range(8, 65, 8)),
    (tune.qrandint(5, 23, 4), range(8, 21, 4)),
    (tune.qrandint(3, 9, 1), range(3, 9)),
    (tune.qrandint(3, 9), range(3, 9)),
    (tune.qrandint(-8, 8, 4), range(-8, 9, 4)),
    (tune.qlograndint(8, 64, 8), range(8, 65, 8)),
    (tune.quniform(0.1, 0.5, 0.1), [0.1, 0.2, 0.3, 0.4, 0.5]),
    (tune.quniform(0, 20, 5), [0.0, 5.0, 10.0, 15.0, 20.0]),
    (tune.quniform(1, 1.0003, 0.0001), [1.0, 1.0001, 1.0002, 1.0003]),
    (tune.qloguniform(0.01, 0.05, 0.01), [0.01, 0.02, 0.03, 0.04, 0.05]),
]


@pytest.mark.parametrize(("domain", "wanted"), FINITE)
def test_a_finite_domain_has_all_of_tunes_values_and_no_other(domain: Any, wanted: Any) -> None:
    found = values(domain)
    assert found == sorted(found)
    assert list(dict.fromkeys(found)) == list(wanted)
    assert {type(value) for value in found} == {type(value) for value in wanted}
    assert {round(value, 9) for value in domain.sample(size=500)} <= set(wanted)


@pytest.mark.parametrize("domain", [tune.randint(3, 8), tune.qrandint(8, 40, 8), tune.choice([1, 2, 3, 4, 5])])
def test_each_value_of_a_finite_domain_is_as_likely(domain: Any) -> None:
    assert set(Counter(values(domain)).values()) == {400}


def test_multiples_of_a_step_are_not_rounded_to_four_digits() -> None:
    found = values(tune.quniform(10000, 12000, 1))
    assert len(set(found)) > 1500
    assert all(value == int(value) for value in found)


def test_steps_of_a_normal_distribution() -> None:
    found = values(tune.qrandn(1, 0.5, 0.25))
    assert all(value % 0.25 == 0 for value in found)
    assert found == sorted(found)
    assert found[1000] == 1


# -- choices, grids, constants


@given(st.lists(st.integers(), min_size=1, unique=True), places, places)
def test_a_choice_goes_through_its_options_in_order(options: list[int], u: float, v: float) -> None:
    domain = tune.choice(options)
    first, second = (options.index(quantile(domain, place)) for place in sorted((u, v)))
    assert first <= second
    assert (quantile(domain, 0), quantile(domain, BELOW_1)) == (options[0], options[-1])


def test_a_parameter_is_a_domain_a_grid_or_a_constant() -> None:
    parameters = [tune.uniform(0, 1), tune.choice([1, "a"]), tune.grid_search([1, 2]), {"grid_search": (1, 2)}, 3, None]
    assert [is_domain(value) for value in parameters] == [True, True, False, False, False, False]
    assert [choices(value) for value in parameters] == [None, (1, "a"), None, None, None, None]
    assert [grid_values(value) for value in parameters] == [None, None, (1, 2), (1, 2), None, None]


def test_numpys_numbers_become_pythons() -> None:
    assert {type(value) for value in values(tune.choice(list(np.arange(3))))} == {int}
    assert {type(value) for value in grid_values(tune.grid_search(np.logspace(-4, -2, 3))) or ()} == {float}
    assert type(quantile(tune.randint(np.int64(3), np.int64(4)), 0)) is int
    assert type(quantile(tune.qrandint(np.int64(3), np.int64(9), np.int64(3)), 0)) is int
    assert type(quantile(tune.uniform(np.float32(0.1), np.float32(0.1)), 0)) is float
    assert type(quantile(tune.quniform(np.float64(0.5), np.float64(1), np.float64(0.5)), 0)) is float


# -- domains without a value


@pytest.mark.parametrize(
    ("domain", "words"),
    [
        (tune.sample_from(lambda _: 1), "tune.sample_from cannot be drawn here (ranges, normal, choice and"),
        (tune.choice([]), "a choice must have something to choose from"),
        (tune.uniform(2, 1), "a range must have low <= high, not 2.0 and 1.0"),
        (tune.loguniform(1e-2, 1e-4), "a logarithmic range must have 0 < low <= high, not 0.01 and 0.0001"),
        (tune.quniform(2, 1, 1), "a range must have low <= high"),
        (tune.randint(5, 5), "there is no whole number from 5 to 4"),
        (tune.lograndint(5, 5), "there is no whole number above 0 from 5 to 4"),
        (tune.qrandint(5, 7, 4), "there is no whole number"),
        (tune.qrandint(0, 8, -2), "steps must be more than 0, not -2"),
        (tune.qrandn(0, 1, 0), "steps must be more than 0, not 0"),
        (tune.search.sample.Float(None, None), "a range must have low <= high, not -inf and inf"),
        (tune.search.sample.Float(0, math.inf), "a range must have low <= high, not 0.0 and inf"),
    ],
)  # fmt: skip
def test_a_domain_without_a_value_is_refused(domain: Any, words: str) -> None:
    with pytest.raises(ConfigError) as found:
        quantile_function(domain)
    assert words in str(found.value)


def test_a_grid_without_a_value_is_refused() -> None:
    with pytest.raises(ConfigError, match="a grid must have at least one value"):
        grid_values(tune.grid_search([]))


# -- a space as text

SPACE = """{
    'a': tune.uniform(0, 1), 'b': tune.quniform(0, 1, 0.5), 'c': tune.randn(5, 2), 'd': tune.randint(1, 4),
    'e': tune.choice(['x', None]), 'f': tune.grid_search([1, 2]), 'g': 3,
}"""


def test_the_text_of_a_space_is_the_same_in_another_process() -> None:
    code = f"from ray import tune; from search_spaces.quantiles import describe; print(describe({SPACE}))"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == describe(eval(SPACE)) == describe(dict(reversed(eval(SPACE).items())))


def test_different_spaces_have_different_texts() -> None:
    parameters = [
        tune.uniform(0, 1), tune.uniform(0, 2), tune.loguniform(0.1, 1), tune.uniform(0.1, 1), tune.quniform(0, 1, 0.5),
        tune.quniform(0, 1, 0.25), tune.randn(5, 2), tune.randn(5, 3), tune.randint(1, 4), tune.randint(1, 5),
        tune.lograndint(1, 4), tune.choice([1, 2]), tune.choice([1, 3]), tune.grid_search([1, 2]), 3, "3", None,
    ]  # fmt: skip
    assert len({describe({"x": value}) for value in parameters}) == len(parameters)
    assert describe({"x": 1}) != describe({"y": 1})


def test_tunes_own_draws_are_those_that_these_tests_expect() -> None:
    """A change in Tune shows here rather than in a sweep."""
    assert set(tune.qrandint(8, 24, 8).sample(size=200)) == {8, 16, 24}
    assert set(tune.randint(3, 5).sample(size=200)) == {3, 4}
