"""From a space to its points, scrambled Sobol or random. A larger sweep begins with the points of a smaller one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Literal

from search_spaces.quantiles import Space, grid_values, is_domain, quantile_function
from trainable.base.seeds import derived_generator

Search = Literal["sobol", "random"]
Point = dict[str, Any]
"""A value for each parameter of a space."""

SAMPLES = 16
"""Trials of a sweep where the user gives no number, the default configuration among them."""


def points(space: Space, num_samples: int, search: Search, seed: int) -> Iterator[Point]:
    """Yield the points of the trials besides the default one.

    Domains are drawn `num_samples - 1` times, and every draw is crossed with the grids, as Tune does it. A space of
    grids alone is their cross product, whatever `num_samples` is.

    Args:
        search: "sobol" spreads the draws evenly over the space (scrambled Sobol points; Owen 1998): 16 samples are the
            space's first 16 points without the first, whose place the default takes. "random" draws independently.
        seed: the experiment's; trial i of a random search has the generator (seed, "random", i), and the scrambling
            of a Sobol search has (seed, "sobol").
    """
    drawn = {name: quantile_function(value) for name, value in space.items() if is_domain(value)}
    grids = {name: values for name, value in space.items() if (values := grid_values(value)) is not None}
    constants = {name: value for name, value in space.items() if name not in drawn and name not in grids}
    crossed = [dict(zip(grids, values, strict=True)) for values in itertools.product(*grids.values())]
    for place in _places(len(drawn), num_samples, search, seed) if drawn else [()]:
        draw = {name: quantile(u) for (name, quantile), u in zip(drawn.items(), place, strict=True)}
        for combination in crossed:
            point = {**constants, **draw, **combination}
            yield {name: point[name] for name in space}


def is_grid(space: Space) -> bool:
    """Whether the number of the space's points is fixed, because nothing in it is drawn."""
    return not any(is_domain(value) for value in space.values())


def _places(dimensions: int, num_samples: int, search: Search, seed: int) -> list[tuple[float, ...]]:
    """`num_samples - 1` places in the unit cube."""
    if search == "random":
        generators = [derived_generator(seed, "random", trial) for trial in range(1, num_samples)]
        return [tuple(map(float, generator.random(dimensions))) for generator in generators]
    from scipy.stats import qmc

    sobol = qmc.Sobol(dimensions, scramble=True, rng=derived_generator(seed, "sobol"))
    power = max(1, (num_samples - 1).bit_length())  # whole powers of two keep the balance, and scipy from warning
    return [tuple(map(float, place)) for place in sobol.random_base2(power)[1:num_samples]]
