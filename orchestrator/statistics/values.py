"""What the other modules return: a value with its interval, or with the reason why it has none."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

LEVEL = 0.95
"""The part of the intervals that is to hold the true value."""
ROUNDING = 1e-9
"""Differences of scores below this are rounding, not a difference."""
IDENTICAL = "identical predictions"
"""The reason where two methods gave the same answer on every row."""


@dataclass(frozen=True)
class Interval:
    """A confidence interval; `method` says in a few words how it was made, for example "Wilson"."""

    low: float
    high: float
    method: str
    level: float = LEVEL


@dataclass(frozen=True)
class NoInterval:
    """Why there is no interval: half a sentence in lower case and without a full stop."""

    reason: str


@dataclass(frozen=True)
class Estimate:
    """A score, or a difference of scores, with its interval."""

    value: float
    interval: Interval | NoInterval


class Verdict(StrEnum):
    """What a comparison says of the candidate."""

    BETTER = "better"
    WORSE = "worse"
    NO_DIFFERENCE = "no difference shown"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True)
class Difference:
    """One score of two methods on the same rows.

    Attributes:
        reference: the score of the reference.
        candidate: the score of the candidate.
        difference: candidate - reference.
        identical: whether both gave the same answer on every row.
    """

    reference: float
    candidate: float
    difference: Estimate
    identical: bool = False

    @property
    def verdict(self) -> Verdict:
        """BETTER or WORSE where the whole interval is on one side of 0, CANNOT_TELL where there is none."""
        interval = self.difference.interval
        if self.identical:
            return Verdict.NO_DIFFERENCE
        if isinstance(interval, NoInterval):
            return Verdict.CANNOT_TELL
        if interval.low > ROUNDING:
            return Verdict.BETTER
        return Verdict.WORSE if interval.high < -ROUNDING else Verdict.NO_DIFFERENCE

    @property
    def reason(self) -> str:
        """Why there is no verdict, or IDENTICAL; "" where the interval decides."""
        interval = self.difference.interval
        return interval.reason if isinstance(interval, NoInterval) else ""
