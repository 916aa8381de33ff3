"""How often do the intervals hold the truth? Made-up populations, whose true scores are known exactly.

`python -m pytest -m nightly -s tests/orchestrator/statistics/test_coverage.py` prints the table of docs/statistics.md.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pytest
from scipy.special import ndtr, ndtri

from orchestrator.statistics.comparison import compare_paired
from orchestrator.statistics.evaluation import evaluate
from orchestrator.statistics.scores import SCORES, Margins, all_scores
from orchestrator.statistics.values import Estimate, Interval

EVEN = (1.0,) * 7
SKEWED = (45.0, 30.0, 12.0, 6.0, 4.0, 2.0, 1.0)
NAMES = [f"class {number}" for number in range(7)]


@dataclass(frozen=True)
class Population:
    """Test sets of n rows, and two methods that answer alike on half of the rows.

    Attributes:
        shares: how frequent the seven classes are.
        persons: number of persons with as many photos each; 0 for independent rows.
        spread: standard deviation of the persons' difficulty, on the scale of a normal distribution.
        better: by how much the candidate is right more often than the reference.
    """

    n: int
    shares: tuple[float, ...] = EVEN
    persons: int = 0
    spread: float = 1.0
    better: float = 0.0

    @property
    def prior(self) -> np.ndarray:
        return np.array(self.shares) / sum(self.shares)

    @property
    def mistakes(self) -> np.ndarray:
        """(C, C): the share of each answer among the wrong answers to a class."""
        shares = np.tile(self.prior, (7, 1))
        np.fill_diagonal(shares, 0)
        return shares / shares.sum(1, keepdims=True)

    def right(self, better: float) -> np.ndarray:
        """(C,): how often the answer is right; the more frequent classes are easier."""
        return np.linspace(0.8, 0.45, 7) + better

    def scores(self, better: float) -> np.ndarray:
        """The true scores of SCORES: those of a confusion table of probabilities."""
        table = self.prior[:, None] * (1 - self.right(better))[:, None] * self.mistakes
        hits = self.prior * self.right(better)
        return all_scores(Margins(self.prior, table.sum(0) + hits, hits))[: len(SCORES)]

    def draw(self, generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
        """True classes, the answers of the reference and of the candidate, and persons."""
        true = generator.choice(7, self.n, p=self.prior)
        groups = np.arange(self.n) * self.persons // self.n if self.persons else None
        ease = 0.0 if groups is None else generator.normal(0, self.spread, self.persons)[groups]
        scale = 1.0 if groups is None else (1 + self.spread**2) ** 0.5
        alike = generator.random(self.n) < 0.5
        luck = generator.random((2, self.n))
        luck[1] = np.where(alike, luck[0], luck[1])
        wrong = (generator.random((2, self.n, 1)) > self.mistakes.cumsum(1)[true]).sum(-1).clip(max=6)
        wrong[1] = np.where(alike, wrong[0], wrong[1])
        chances = [ndtr(ndtri(self.right(better)[true]) * scale + ease) for better in (0.0, self.better)]
        one, other = np.where(luck < np.array(chances), true, wrong)
        return true, one, other, groups


def held(estimates: Iterable[Estimate], truth: np.ndarray) -> list[list[bool]]:
    """For each score: whether there is an interval, whether it holds the truth, and whether the truth is above it."""
    found = []
    for each, value in zip(estimates, truth.tolist(), strict=True):
        interval = each.interval
        if isinstance(interval, Interval):
            found.append([True, interval.low - 1e-9 <= value <= interval.high + 1e-9, value > interval.high + 1e-9])
        else:
            found.append([False, False, False])
    return found


def coverage(of: Population, trials: int, resamples: int = 1000) -> np.ndarray:
    """What becomes of the intervals on many test sets.

    Returns:
        (2, 4, 3), for scores and differences, and for each of SCORES: the share of test sets that have an interval, and
        of these the shares whose interval holds the truth, and whose interval lies below it.
    """
    counts = np.zeros((2, len(SCORES), 3))
    truth, better = of.scores(0), of.scores(of.better)
    for seed in range(trials):
        true, one, other, groups = of.draw(np.random.default_rng(seed))
        alone = evaluate(true, one, NAMES, groups, resamples=resamples)
        pair = compare_paired(true, one, other, NAMES, groups, resamples=resamples)
        counts[0] += held((getattr(alone, name) for name in SCORES), truth)
        counts[1] += held((pair.scores[name].difference for name in SCORES), better - truth)
    with_interval = counts[..., :1]
    shares = np.divide(
        counts[..., 1:], with_interval, out=np.full((2, len(SCORES), 2), np.nan), where=with_interval > 0
    )
    return np.concatenate([with_interval / trials, shares], -1)


@pytest.mark.parametrize("of", [Population(130), Population(600, persons=30, better=0.05)])
def test_intervals_are_not_grossly_wrong(of: Population) -> None:
    """Of 150 test sets: 0.88 is four standard errors below 0.95."""
    found = coverage(of, 150, 300)
    assert (found[..., 0] > 0.5).all()
    assert (found[..., 1] > 0.88).all()


def test_rows_of_persons_would_be_grossly_wrong() -> None:
    """What the persons are for: the same test sets with rows drawn one by one."""
    of, hits = Population(600, persons=30), 0
    for seed in range(100):
        true, one, _, _ = of.draw(np.random.default_rng(seed))
        hits += held([evaluate(true, one, NAMES, resamples=300).macro_f1], of.scores(0)[1:2])[0][1]
    assert hits < 75


POPULATIONS = {
    "even, 70 rows": Population(70),
    "even, 130 rows": Population(130, better=0.05),
    "even, 400 rows": Population(400),
    "skewed, 400 rows": Population(400, SKEWED),
    "skewed, 1,500 rows": Population(1500, SKEWED, better=0.05),
    "even, 5,000 rows": Population(5000),
    "20 persons of 20": Population(400, persons=20),
    "20 persons of 60": Population(1200, persons=20, better=0.05),
    "50 persons of 20": Population(1000, persons=50),
    "50 persons of 40, skewed": Population(2000, SKEWED, persons=50),
}


@pytest.mark.nightly
@pytest.mark.parametrize("name", POPULATIONS)
def test_coverage(name: str) -> None:
    found = coverage(POPULATIONS[name], 1000)
    for kind, rows in zip(("score", "difference"), found, strict=True):
        cells = [f"{100 * holds:.1f} ({100 * has:.0f})" if has > 0.1 else "–" for has, holds, _ in rows]
        print(f"\n| {name} | {kind} | {' | '.join(cells)} |", end="")
    enough = found[..., 0] > 0.1
    assert (found[..., 1][enough] > 0.9).all()
