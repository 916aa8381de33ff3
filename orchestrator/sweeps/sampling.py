"""From a space to its points: scrambled Sobol or random, prefix-stable, so that a larger sweep holds a smaller one."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, Literal

from search_spaces.domains import Domain, Grid, Space

Search = Literal["sobol", "random"]
Point = dict[str, Any]

SAMPLES = 16
"""Trials of a sweep that says nothing else, the default configuration among them."""


def points(space: Space, num_samples: int, search: Search, seed: int) -> Iterator[Point]:
    """The trials besides the default one.

    Ranges and choices are drawn `num_samples - 1` times, and every draw is crossed with the grids, as Tune does it; a
    space of grids alone is its cross product, whatever `num_samples` is.

    Args:
        search: "sobol" spreads the draws evenly over the space (scrambled Sobol points; Owen 1998): 16 samples are its
            first 16 points without the first, whose place the default takes.
        seed: of the scrambling or the drawing. The first points of a larger sweep are those of a smaller one.
    """
    drawn = {name: domain for name, domain in space.items() if isinstance(domain, Domain)}
    grids = {name: grid.values for name, grid in space.items() if isinstance(grid, Grid)}
    constants = {name: value for name, value in space.items() if name not in drawn and name not in grids}
    crossed = [dict(zip(grids, values, strict=True)) for values in itertools.product(*grids.values())]
    for place in _places(len(drawn), num_samples, search, seed) if drawn else [()]:
        draw = {name: domain.at(u) for (name, domain), u in zip(drawn.items(), place, strict=True)}
        for combination in crossed:
            point = {**constants, **draw, **combination}
            yield {name: point[name] for name in space}


def is_grid(space: Space) -> bool:
    """Whether the space has a size of its own."""
    return not any(isinstance(domain, Domain) for domain in space.values())


def _places(dimensions: int, num_samples: int, search: Search, seed: int) -> list[tuple[float, ...]]:
    """`num_samples - 1` places in the unit cube."""
    if search == "random":
        import random

        # Each place has a generator of its own: what comes later does not depend on how many there are.
        generators = [random.Random(f"{seed}/{i}") for i in range(1, num_samples)]
        return [tuple(generator.random() for _ in range(dimensions)) for generator in generators]
    from scipy.stats import qmc

    sobol = qmc.Sobol(dimensions, scramble=True, rng=seed)
    power = max(1, (num_samples - 1).bit_length())  # whole powers of two keep the balance, and scipy from warning
    return [tuple(map(float, place)) for place in sobol.random_base2(power)[1:num_samples]]
