"""The first screen below the answer: all methods with their intervals, and what a guess would score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from orchestrator.reporting.figures import COLORS, FAINT, SCORE_AXIS, Figure, dots, ends, named_places, plain
from orchestrator.reporting.material import Scored
from orchestrator.statistics.guesses import Guess, informed_guess, majority_guess, uniform_guess
from orchestrator.statistics.values import Estimate, NoInterval

PUBLISHED_ROWS = 39_154
"""Rows of the test sets behind the runbook's figures, in the per-class files that were published with them."""


def may_be_published_data(item: Scored) -> bool:
    """Whether the test set is of the size that the runbook's has: figures of other data cannot be compared."""
    return item.result.n is not None and PUBLISHED_ROWS / 2 <= item.result.n <= PUBLISHED_ROWS * 2


@dataclass(frozen=True)
class References:
    """What methods score that do not look at the images of an experiment's test set."""

    majority: Guess
    informed: Guess
    uniform: Guess


def references(item: Scored) -> References | None:
    """The references of a result; None where it has no row."""
    if item.whole is None:
        return None
    support = np.array([each.support for each in item.whole.per_class])
    return References(majority_guess(support), informed_guess(support), uniform_guess(support))


def intervals_figure(items: Sequence[Scored], guesses: Mapping[str, References]) -> Figure | None:
    """All methods with their 95 % intervals; None where there is no result."""
    shown = [item for item in items if item.whole is not None]
    if not shown:
        return None
    whole = [(place, item.whole) for place, item in enumerate(shown) if item.whole]
    measures: list[tuple[str, str, float, dict[str, Any], list[tuple[int, Estimate]]]] = [
        ("macro-F1, all rows", COLORS[0], -0.18, {}, [(place, each.macro_f1) for place, each in whole]),
        ("Top-1, all rows", COLORS[1], 0.06, {"symbol": "square"}, [(place, each.accuracy) for place, each in whole]),
        ("Top-1, FaceAPI's matched rows only", COLORS[1], 0.3, {"symbol": "square-open"},
         [(place, item.matched.accuracy) for place, item in enumerate(shown) if item.matched]),
        ("macro-F1 of the most frequent class", FAINT, -0.18,
         {"symbol": "x-thin", "line": {"width": 2, "color": FAINT}}, _of_the_majority(shown, guesses)),
    ]  # fmt: skip
    traces = [
        dots(name, [place + shift for place, _ in found], [each for _, each in found], color, **marker)
        for name, color, shift, marker, found in measures
        if found
    ]
    rows = [
        (shown[place].name, name, each.value, *ends(each))
        for name, *_, found in measures
        for place, each in found
    ]  # fmt: skip
    layout = {
        "xaxis": {**SCORE_AXIS, "title": {"text": "score on the test set"}},
        "yaxis": named_places(item.name for item in shown),
        "shapes": [_band(place) for place in range(0, len(shown), 2)],
    }
    title = "All methods with 95 % intervals"
    return Figure("intervals", title, traces, ("experiment", "score", "value", "low", "high"), rows, layout,
                  height=150 + 62 * len(shown))  # fmt: skip


def _of_the_majority(items: Sequence[Scored], guesses: Mapping[str, References]) -> list[tuple[int, Estimate]]:
    """The macro-F1 of the most frequent class, by the place of each result."""
    fixed = NoInterval("nothing is estimated")
    known = [(place, guesses.get(item.result.experiment.name)) for place, item in enumerate(items)]
    return [(place, Estimate(guess.majority.macro_f1, fixed)) for place, guess in known if guess]


def _band(place: int) -> dict[str, object]:
    """A faint background behind every other method, so that its marks are seen to belong together."""
    return {
        "type": "rect", "xref": "paper", "x0": 0, "x1": 1, "y0": place - 0.5, "y1": place + 0.5, "layer": "below",
        "fillcolor": "--band", "line": {"width": 0},
    }  # fmt: skip


def browser_sentence(items: Sequence[Scored]) -> str:
    """Which model can go into the browser, from what is there; runbook section 1 has K7 for it."""
    final = next(item for item in items if item.result.experiment.split == "K7")
    if final.whole is None:
        return "For the browser there is no model yet: K7 Finetune, the one of all seven classes, has no result."
    if final.whole.answered == 1:
        return "No model is fit for the browser yet: K7 Finetune gives the same answer to every row."
    estimate = final.whole.macro_f1
    low, high = ends(estimate)
    interval = f" (95 % interval {low:.3f} to {high:.3f})" if low is not None else ""
    weakest = min(final.whole.per_class, key=lambda each: each.f1.value)
    return (
        f"For the browser K7 Finetune is the candidate, the only model of all seven classes: macro-F1 "
        f"{estimate.value:.3f}{interval} on {final.whole.n:,} test rows, weakest on {plain(weakest.name)} "
        f"(F1 {weakest.f1.value:.3f}). FaceAPI was not evaluated on K7, so that M1 and M2 must speak for it."
    )
