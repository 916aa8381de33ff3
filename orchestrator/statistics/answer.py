"""The first sentences of a report: is a MobileNet better than the baseline, by how much, and how sure is that?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from orchestrator.statistics.detection import DetectorComparison


@dataclass(frozen=True)
class Candidate:
    """A method that may be better than the baseline.

    Attributes:
        name: as the reader is to see it, for example "MobileNet finetune".
        comparison: with the baseline; None while one of the two has no result.
        unfinished: why there is no result, half a sentence ("stopped after epoch 7 of 30"); "" where there is one.
        answered: number of different classes that it ever answers; None if unknown.
    """

    name: str
    comparison: DetectorComparison | None
    unfinished: str = ""
    answered: int | None = None


@dataclass(frozen=True)
class Question:
    """One split with its baseline and candidates.

    Attributes:
        split: as the reader is to see it, for example "M1".
        baseline: the baseline's name, for example "FaceAPI".
        candidates: in the order of the table.
        baseline_missing: why the baseline has no result, half a sentence; "" where it has one.
        unit: what was resampled, "rows" or "persons".
    """

    split: str
    baseline: str
    candidates: Sequence[Candidate]
    baseline_missing: str = ""
    unit: str = "rows"


def answer(question: Question) -> str:
    """One or two English sentences, plain text without markup, for the first screen of a report.

    They say which candidates are better, how much better the best one is and how sure that is; what is missing; and the
    strongest reason to distrust it: few rows, classes without rows, a method that always answers the same, rows that
    could not be joined.
    """
    raise NotImplementedError
