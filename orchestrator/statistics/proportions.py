"""Shares of rows: their interval, and the exact test of two shares on the same rows."""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist

from orchestrator.statistics.values import LEVEL, Estimate, Interval, NoInterval


@dataclass(frozen=True)
class Agreement:
    """The rows of two methods, counted by which of them is right."""

    both: int
    only_reference: int
    only_candidate: int
    neither: int

    @property
    def discordant(self) -> int:
        """The rows on which exactly one of the two is right."""
        return self.only_reference + self.only_candidate


def proportion(successes: int, n: int, level: float = LEVEL) -> Estimate:
    """A share with Wilson's score interval; the rows must be independent.

    The ends never leave [0, 1]. Without a row the value is 0 and there is no interval.

    Source: Wilson, Probable inference, the law of succession, and statistical inference, Journal of the American
    Statistical Association 22, 1927.

    Raises:
        ValueError: `successes` is not between 0 and `n`.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n}: the part must be between 0 and the whole")
    if not n:
        return Estimate(0.0, NoInterval("there are no rows"))
    z, share = NormalDist().inv_cdf((1 + level) / 2), successes / n
    center = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    low = 0.0 if successes == 0 else max(0.0, center - half)
    high = 1.0 if successes == n else min(1.0, center + half)
    return Estimate(share, Interval(low, high, "Wilson", level))


def mcnemar(agreement: Agreement) -> float:
    """The two-sided p-value of McNemar's exact test: are both methods right equally often?

    Under that hypothesis each discordant row is a fair coin. The rows must be independent, so the value is too small
    where several rows are of one person.

    Source: McNemar, Note on the sampling error of the difference between correlated proportions or percentages,
    Psychometrika 12, 1947.
    """
    from scipy.stats import binomtest  # imported by a comparison alone, since it takes longer than a plan

    if not agreement.discordant:
        return 1.0
    return float(binomtest(agreement.only_candidate, agreement.discordant).pvalue)
