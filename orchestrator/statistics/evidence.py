"""Is there enough in the data for an interval? Each rule gives a reason where there is not, "" where there is.

The bootstrap only knows what it was given: it cannot imagine an error where it saw none, nor a second row of a class
that has one. Its interval is then too narrow or a single point, and says more than the data do. The limits were chosen
by simulation (tests/orchestrator/statistics/test_coverage.py).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from orchestrator.statistics.resampling import Units
from orchestrator.statistics.scores import SCORES, Margins

MIN_UNITS = 20
"""Rows, or persons where there are any."""
MIN_OF_A_CLASS = 10
"""Units with a row of the rarest class, which counts in macro-F1 as much as the most frequent one."""
MIN_EVENTS = 5
"""Units with an error, and units with a right answer."""
MIN_DISAGREEMENTS = 10
"""Units in which two methods differ."""
CLASS_MEANS = tuple(SCORES.index(name) for name in ("macro_f1", "balanced_accuracy"))


def unit_name(grouped: bool) -> str:
    """What is drawn, in the plural."""
    return "persons" if grouped else "rows"


def score_reasons(of: Units, kinds: Margins, classes: Sequence[str], grouped: bool) -> list[str]:
    """A reason for each figure of `scores.all_scores`.

    Args:
        of: the units.
        kinds: the margins (T, C) of a unit of each kind.
        classes: the names of the C classes.
        grouped: whether a unit is a person.
    """
    hits, missed, false = kinds.hits, kinds.support - kinds.hits, kinds.answers - kinds.hits
    right = _columns(of, hits.sum(-1) > 0, hits > 0, hits > 0, hits > 0)
    wrong = _columns(of, missed.sum(-1) > 0, false > 0, missed > 0, missed + false > 0)
    unit = unit_name(grouped)
    reasons = [
        _too_few(count, MIN_EVENTS, unit, f" with a {name} answer")
        for counts, name in ((right, "right"), (wrong, "wrong"))
        for count in counts
    ]
    both = [first or second for first, second in zip(reasons[: len(right)], reasons[len(right) :], strict=True)]
    return _with_common_rules(both, of, kinds, classes, unit)


def difference_reasons(
    of: Units, reference: Margins, candidate: Margins, classes: Sequence[str], grouped: bool
) -> list[str]:
    """A reason for each difference of the figures of `scores.all_scores`.

    Args:
        of: the units.
        reference: the margins (T, C) of a unit of each kind, by the reference's answers.
        candidate: the same by the candidate's answers.
        classes: the names of the C classes.
        grouped: whether a unit is a person.
    """
    hits, answers = reference.hits != candidate.hits, reference.answers != candidate.answers
    any_hits = reference.hits.sum(-1) != candidate.hits.sum(-1)
    differ = _columns(of, any_hits, hits | answers, hits, hits | answers)
    differ[list(CLASS_MEANS)] = of.sizes @ (hits | answers).any(-1)
    unit = unit_name(grouped)
    reasons = [_too_few(count, MIN_DISAGREEMENTS, unit, " on which the two differ") for count in differ]
    return _with_common_rules(reasons, of, reference, classes, unit)


def _columns(of: Units, whole: np.ndarray, *by_class: np.ndarray) -> np.ndarray:
    """(4 + 3C,) int64: in how many units each condition holds, given for the whole (T,) and by class (T, C)."""
    conditions = np.concatenate([np.repeat(whole[:, None], len(SCORES), 1), *by_class], 1)
    counts: np.ndarray = of.sizes @ conditions.astype(np.int64)
    return counts


def _with_common_rules(reasons: list[str], of: Units, kinds: Margins, classes: Sequence[str], unit: str) -> list[str]:
    few = _too_few(int(of.sizes.sum()), MIN_UNITS, unit)
    if few:
        return [few] * len(reasons)
    by_class = of.sizes @ (kinds.support > 0)
    rarest = int(by_class.argmin())
    rare = _too_few(int(by_class[rarest]), MIN_OF_A_CLASS, unit, f" of the class {classes[rarest]}")
    return [(rare if place in CLASS_MEANS else "") or reason for place, reason in enumerate(reasons)]


def _too_few(count: int, least: int, unit: str, which: str = "") -> str:
    if count >= least:
        return ""
    return f"{count or 'no'} {unit[:-1] if count == 1 else unit}{which}, at least {least} are needed"
