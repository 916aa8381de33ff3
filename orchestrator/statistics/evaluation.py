"""The scores of one method on a test set, each with its interval or the reason why it has none."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from orchestrator.statistics.bootstrap import bca_ends, intervals_or_reasons
from orchestrator.statistics.evidence import score_reasons
from orchestrator.statistics.proportions import proportion
from orchestrator.statistics.resampling import RESAMPLES, SEED, draw, units
from orchestrator.statistics.scores import SCORES, Margins, all_scores, confusion_counts, margins, one_hot
from orchestrator.statistics.values import LEVEL, Estimate, Interval, NoInterval


@dataclass(frozen=True)
class ClassEstimates:
    """Precision, recall and F1 of one class, and the number of its rows."""

    name: str
    precision: Estimate
    recall: Estimate
    f1: Estimate
    support: int


@dataclass(frozen=True)
class Evaluation:
    """One method on one test set.

    Attributes:
        n: number of rows.
        units: number of groups; of rows, where there are no groups.
        grouped: whether whole groups were resampled.
        accuracy, macro_f1, balanced_accuracy, cohen_kappa: see `scores`.
        per_class: in the order of the classes.
        answered: number of different classes that the method ever answers.
        counts: (C, C + 1) int64, see `scores.confusion_counts`.
    """

    n: int
    units: int
    grouped: bool
    accuracy: Estimate
    macro_f1: Estimate
    balanced_accuracy: Estimate
    cohen_kappa: Estimate
    per_class: tuple[ClassEstimates, ...]
    answered: int
    counts: np.ndarray = field(compare=False)


def evaluate(
    true: np.ndarray,
    predicted: np.ndarray,
    classes: Sequence[str],
    groups: np.ndarray | None = None,
    *,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
    seed: int = SEED,
) -> Evaluation:
    """Score the answers of one method.

    Shares of independent rows (accuracy, precision, recall without groups) have Wilson's interval, all other figures
    the BCa interval of a bootstrap over rows, or over groups where there are any.

    Args:
        true: (n,) integers, the class of each row, 0 to C - 1.
        predicted: (n,) integers, the answers: 0 to C - 1, or `scores.NO_CLASS`.
        classes: the names of the C classes; macro-F1 is over all of them.
        groups: (n,) what rows that belong together share, for example the person; None for independent rows.
        level: of the intervals.
        resamples: number of draws.
        seed: seed of the draws.

    Raises:
        ValueError: shapes that do not fit, no integers, or a class out of range.
    """
    counts = confusion_counts(true, predicted, len(classes))
    whole, grouped = margins(counts), groups is not None
    truth, answers = one_hot(true, len(classes)), one_hot(predicted, len(classes))
    of = units(np.concatenate([truth, answers, truth * answers], 1), groups)
    reasons = score_reasons(of, _margins(of.sums), classes, grouped)
    found: Sequence[Interval | NoInterval] = [NoInterval(reason) for reason in reasons]
    if not all(reasons):
        ends = bca_ends(of, _scores, draw(of, _scores, resamples, seed), level)
        found = intervals_or_reasons(ends, reasons, grouped, level)
    estimates = [Estimate(value, each) for value, each in zip(all_scores(whole).tolist(), found, strict=True)]
    if not grouped:
        _use_shares(estimates, whole, level)
    return _evaluation(estimates, counts, classes, int(of.sizes.sum()), grouped)


def _evaluation(
    estimates: Sequence[Estimate], counts: np.ndarray, classes: Sequence[str], units: int, grouped: bool
) -> Evaluation:
    by_class = estimates[len(SCORES) :]
    precision, recall, f1 = (by_class[i * len(classes) : (i + 1) * len(classes)] for i in range(3))
    support, answered = counts.sum(-1).tolist(), int((counts[:, :-1].sum(0) > 0).sum())
    per_class = tuple(map(ClassEstimates, classes, precision, recall, f1, support))
    accuracy, macro_f1, balanced, kappa = estimates[: len(SCORES)]
    return Evaluation(
        int(counts.sum()), units, grouped, accuracy, macro_f1, balanced, kappa, per_class, answered, counts
    )


def _use_shares(estimates: list[Estimate], whole: Margins, level: float) -> None:
    """Put Wilson's intervals in the place of accuracy, precision and recall."""
    hits = whole.hits.tolist()
    totals = [*whole.answers.tolist(), *whole.support.tolist()]
    estimates[SCORES.index("accuracy")] = proportion(sum(hits), int(whole.support.sum()), level)
    shares = [proportion(part, total, level) for part, total in zip([*hits, *hits], totals, strict=True)]
    estimates[len(SCORES) : len(SCORES) + len(shares)] = shares


def _scores(sums: np.ndarray) -> np.ndarray:
    return all_scores(_margins(sums))


def _margins(sums: np.ndarray) -> Margins:
    """The margins (r, C) in the sums (r, 3C)."""
    return Margins(*np.split(sums, 3, axis=-1))
