"""A trend in one line of text."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from itertools import pairwise

LEVELS = "▁▂▃▄▅▆▇█"
LEAST_SPAN = 0.02
"""Scores that differ by less than this are drawn as nearly flat: most of it is noise."""


def sparkline(scores: Sequence[float], width: int) -> str:
    """Draw scores as at most `width` bars between the least and the highest of them, the last one at the right.

    Neighbours are averaged where there are more scores than bars. Scores that are not numbers are left out.
    """
    known = [score for score in scores if math.isfinite(score)]
    if not known or width < 1:
        return ""
    if len(known) > width:
        ends = [i * len(known) // width for i in range(width + 1)]
        known = [statistics.fmean(known[a:b]) for a, b in pairwise(ends)]
    low = min(known)
    span = max(max(known) - low, LEAST_SPAN)
    return "".join(LEVELS[min(len(LEVELS) - 1, int(len(LEVELS) * (score - low) / span))] for score in known)
